"""A sequence in, a number or several out."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import check_array, check_consistent_length

from skrnn._base import Array, RecurrentEstimator, all_or_nothing, generator
from skrnn._training import Examples


class RNNRegressor(RegressorMixin, RecurrentEstimator):
    """Predict numbers from sequences with a recurrent network.

    Recurrent layers read each sequence step by step; a dense layer turns the state in which they
    end into one number for each target. Training minimises half the mean squared error.

    Scale the inputs: features of about unit variance train best. Targets need no scaling: the
    network learns them standardised, and ``predict`` undoes that in float64.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru", "gru_reset_before", "mgu"}, default="lstm"
        The recurrent cell: "rnn" is Elman's network, "lstm" long short-term memory, "gru" the gated
        recurrent unit as PyTorch defines it, "gru_reset_before" as it was first published, and
        "mgu" the minimal gated unit.
    hidden_size : int, default=64
        Units in each recurrent layer and direction.
    num_layers : int, default=1
        Recurrent layers on top of each other.
    bidirectional : bool, default=False
        Whether half of the units (``hidden_size`` more) read each sequence from its end.
    activation : {"tanh", "relu"}, default="tanh"
        Nonlinearity of the state.
    dropout : float, default=0.0
        Probability of dropping an element of what one recurrent layer hands to the next, in [0, 1).
        Without effect on a single layer.
    solver : {"adam", "adamw", "sgd", "rmsprop"}, default="adam"
        How a gradient moves the weights; see :mod:`skrnn.nn.solvers`.
    learning_rate_init : float, default=0.005
        The size of steps. "sgd" wants larger ones, about 0.05.
    momentum : float, default=0.9
        Momentum of "sgd", in [0, 1).
    nesterovs_momentum : bool, default=True
        Whether the momentum of "sgd" is Nesterov's.
    beta_1, beta_2 : float, default=0.9 and 0.999
        How slowly "adam" and "adamw" forget the mean of gradients and of their squares.
    epsilon : float, default=1e-8
        What "adam", "adamw" and "rmsprop" add to the root of the mean square.
    alpha : float, default=0.0
        L2 penalty on the matrices of weights (not on biases): as in scikit-learn's MLP,
        ``alpha / 2 * sum(w**2) / batch_size`` is added to the mean loss of a batch, so
        ``alpha / batch_size`` is what PyTorch calls ``weight_decay``. With "adamw" that decay is
        kept apart from the gradient. The reported losses leave the penalty out.
    max_grad_norm : float or None, default=1.0
        A gradient (of all weights together) of larger Euclidean norm is scaled down to this one;
        None or infinity never clips.
    batch_size : int or "auto", default="auto"
        Sequences in each step, never more than there are. "auto" means a sixteenth of them, but at
        least 8 and at most 32.
    max_iter : int, default=200
        Epochs at most.
    shuffle : bool, default=True
        Whether to draw a new order of the sequences for each epoch.
    tol : float or None, default=1e-4
        Training stops after more than ``n_iter_no_change`` epochs in a row in which the loss (the
        validation loss with ``early_stopping``) did not fall by at least ``tol`` below the best so
        far. None always trains ``max_iter`` epochs, without a warning about convergence.
    early_stopping : bool, default=False
        Whether to hold out ``validation_fraction`` of the sequences, watch
        their loss instead of the training loss, and keep the weights with the smallest one.
    validation_fraction : float, default=0.1
        Part of the sequences to hold out, in (0, 1).
    n_iter_no_change : int, default=10
        See ``tol``.
    random_state : int, RandomState, Generator or None, default=None
        Decides the first weights, the held-out sequences, the order of batches and dropout. An int
        gives the same model bit by bit at every fit, for any number of threads. None draws from
        NumPy's global state, which ``np.random.seed`` sets.
    verbose : bool or int, default=False
        Print a line for each epoch, or for every so many epochs.
    dtype : {"float32", "float64"} or the same as a NumPy dtype, default="float32"
        Precision of weights and arithmetic.

    Attributes
    ----------
    n_features_in_ : int
        Features of each time step; for 2-D ``X`` its columns (time steps).
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where ``X`` had any that are all strings.
    n_outputs_ : int
        The number of targets.
    n_iter_ : int
        Epochs run.
    loss_curve_ : list of float
        Mean training loss of each epoch, in units of the targets' variance: 0.5 is what predicting
        their mean would score, whatever their scale, and ``1 - 2 * loss`` is R squared.
    validation_loss_curve_ : list of float or None
        Mean loss of the held-out sequences after each epoch, with ``early_stopping``.
    loss_ : float
        The last of ``loss_curve_``.
    best_loss_ : float
        The smallest validation loss with ``early_stopping``, otherwise training loss.
    y_mean_, y_scale_ : ndarray of shape (n_targets,)
        Mean and standard deviation of the targets trained on, in float64: a prediction is the
        network's output times ``y_scale_`` plus ``y_mean_``. The scale of a constant target is 0.
    weights_ : mapping of str to ndarray
        Weights by PyTorch's names: ``weight_ih_l0`` and so on, as in the ``state_dict`` of
        ``torch.nn.LSTM``, and ``head.weight`` and ``head.bias`` of the dense layer, which gives
        standardised targets. Read-only.

    See Also
    --------
    RNNClassifier : The same for labels.

    Notes
    -----
    ``X`` may have these forms, all of them samples first, then time, then features:

    1. an array (n_samples, n_timesteps, n_features); later calls may have another n_timesteps;
    2. a list of arrays or data frames (n_timesteps, n_features), or of univariate sequences
       (n_timesteps,), of any lengths;
    3. an array as in 1 in which shorter sequences end in time steps that are NaN altogether; NaN
       elsewhere is an error;
    4. an array or data frame (n_samples, n_timesteps) of univariate series. Here alone the number
       of time steps is fixed by ``fit``, since these are scikit-learn's own rules for a table.

    The result for a sequence does not depend on which others are in ``X``, to the last bit.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn import RNNRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(rng.integers(5, 15), 1)) for _ in range(200)]
    >>> y = [100 + 5 * x[-1, 0] for x in X]
    >>> model = RNNRegressor("gru", hidden_size=16, max_iter=30, tol=None, random_state=0)
    >>> model.fit(X[:150], y[:150]).score(X[150:], y[150:]) > 0.9
    True
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        """Train a new network.

        Parameters
        ----------
        X : array-like or list of array-like
            The sequences, in any form that the notes on the class list.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Their targets.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter, ``X`` or ``y`` is not as documented.

        Warns
        -----
        ConvergenceWarning
            If ``max_iter`` epochs were not enough for ``tol``, or if the loss became infinite or
            NaN, in which case the last good weights are kept.

        Notes
        -----
        A fit that fails leaves the estimator as it was.
        """
        with all_or_nothing(self):
            sequences = self._begin_fit(X, y)
            try:
                values = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y", estimator=self)
            except (TypeError, ValueError) as error:
                raise type(error)(
                    "y must hold one number, or one row of numbers, for each sequence (RNNClassifier takes "
                    f"labels): {error}"
                ) from error
            check_consistent_length(sequences, values)
            self._y_ndim = values.ndim
            rng = generator(self.random_state)
            training, validation = self._split(Examples(sequences, values.reshape(len(values), -1)), rng)
            self.y_mean_, self.y_scale_ = _mean_and_scale(training.target)
            training = self._standardize(training)
            validation = None if validation is None else self._standardize(validation)
            self._train(training, validation, len(self.y_mean_), "squared_error", rng)
        return self

    def _standardize(self, examples: Examples) -> Examples:
        """Return the examples with targets in units in which learning rate, clipping and tolerance mean the same."""
        # Halves, whose difference cannot overflow.
        distance, scale = 0.5 * examples.target - 0.5 * self.y_mean_, 0.5 * self.y_scale_
        target = np.divide(distance, scale, out=np.zeros_like(distance), where=scale > 0)
        with np.errstate(over="ignore"):  # held out, and far from all that was trained on
            return Examples(examples.sequences, target.astype(self.dtype))

    def predict(self, X: Any) -> Array:
        """Return the predicted target of each sequence.

        Parameters
        ----------
        X : array-like or list of array-like
            The sequences, in any form that the notes on the class list.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)
            As many axes as ``y`` had in ``fit``; always float64, though the network computes in the
            precision ``dtype``.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError, TypeError
            If ``X`` is not as documented or does not go with what was fitted.
        """
        predictions = self._run_network(X).astype(np.float64)
        predictions *= self.y_scale_
        predictions += self.y_mean_
        return predictions[:, 0] if self._y_ndim == 1 else predictions


def _mean_and_scale(values: Array) -> tuple[Array, Array]:
    """Return the mean and standard deviation of each column, the latter 0 if it is constant but for rounding."""
    # Squares would overflow or vanish but for a power of two, which changes no bits.
    _, exponent = np.frexp(np.abs(values).max(axis=0))
    values = np.ldexp(values, -exponent)
    mean, scale = values.mean(axis=0), values.std(axis=0)
    scale[scale <= 10 * np.finfo(np.float64).eps * np.abs(mean)] = 0.0
    return np.ldexp(mean, exponent), np.ldexp(scale, exponent)
