"""A sequence in, a label out."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from skrnn._base import Array, RecurrentEstimator, all_or_nothing, generator
from skrnn._training import Examples
from skrnn.nn import log_softmax, softmax


class RNNClassifier(ClassifierMixin, RecurrentEstimator):
    """Classify sequences with a recurrent network.

    Recurrent layers read each sequence step by step; a dense layer turns the state in which they
    end into one score for each class. Training minimises the cross-entropy of the softmax.

    Scale the inputs: features of about unit variance train best.

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
        Whether to hold out ``validation_fraction`` of the sequences (stratified by class), watch
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
    classes_ : ndarray of shape (n_classes,)
        The labels.
    n_features_in_ : int
        Features of each time step; for 2-D ``X`` its columns (time steps).
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where ``X`` had any that are all strings.
    n_outputs_ : int
        Units of the output layer: the number of classes.
    n_iter_ : int
        Epochs run.
    loss_curve_ : list of float
        Mean training loss of each epoch.
    validation_loss_curve_ : list of float or None
        Mean loss of the held-out sequences after each epoch, with ``early_stopping``.
    loss_ : float
        The last of ``loss_curve_``.
    best_loss_ : float
        The smallest validation loss with ``early_stopping``, otherwise training loss.
    weights_ : mapping of str to ndarray
        Weights by PyTorch's names: ``weight_ih_l0`` and so on, as in the ``state_dict`` of
        ``torch.nn.LSTM``, and ``head.weight`` and ``head.bias`` of the dense layer. Read-only.

    See Also
    --------
    RNNRegressor : The same for numbers.

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
    >>> from skrnn import RNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(rng.integers(5, 15), 2)) for _ in range(200)]
    >>> y = ["up" if x[:, 0].sum() > 0 else "down" for x in X]
    >>> model = RNNClassifier("gru", hidden_size=16, max_iter=30, tol=None, random_state=0)
    >>> model.fit(X[:150], y[:150]).score(X[150:], y[150:]) > 0.85
    True
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Train a new network.

        Parameters
        ----------
        X : array-like or list of array-like
            The sequences, in any form that the notes on the class list.
        y : array-like of shape (n_samples,)
            Their labels, of any type.

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
            labels = column_or_1d(y, warn=True)
            assert_all_finite(labels, input_name="y")
            check_classification_targets(labels)
            check_consistent_length(sequences, labels)
            self.classes_, target = np.unique(labels, return_inverse=True)
            target = target.astype(np.int64)
            rng = generator(self.random_state)
            training, validation = self._split(Examples(sequences, target), rng, stratify=target)
            self._train(training, validation, len(self.classes_), "softmax_cross_entropy", rng)
        return self

    def predict(self, X: Any) -> Array:
        """Return the most probable label of each sequence.

        Parameters
        ----------
        X : array-like or list of array-like
            The sequences, in any form that the notes on the class list.

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError, TypeError
            If ``X`` is not as documented or does not go with what was fitted.
        """
        scores = self._run_network(X)  # before ``classes_``: it says when nothing is fitted
        labels: Array = self.classes_[scores.argmax(axis=1)]
        return labels

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class for each sequence.

        Parameters
        ----------
        X : array-like or list of array-like
            The sequences, in any form that the notes on the class list.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``, of the precision ``dtype``.

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As :meth:`predict`.
        """
        return softmax(self._run_network(X))

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of :meth:`predict_proba`, finite also where that rounds to 0.

        Parameters
        ----------
        X : array-like or list of array-like
            The sequences, in any form that the notes on the class list.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As :meth:`predict`.
        """
        return log_softmax(self._run_network(X))
