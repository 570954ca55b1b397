"""A sequence in, a number or several out."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import check_array

from skrnn._base import Array, RecurrentEstimator
from skrnn._params import Choices, Reals
from skrnn._training import Examples
from skrnn.nn.losses import Loss, get_loss


class RNNRegressor(RegressorMixin, RecurrentEstimator):
    """Predict numbers from sequences with a recurrent network.

    Recurrent layers read each sequence step by step; a dense layer turns the state in which they
    end, or what ``pooling`` makes of all states, into one number for each target. Training
    minimises ``loss``.

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
    pooling : {"last", "mean", "max", "attention"}, default="last"
        What the dense layer sees of a sequence: the last state of the top layer (of each direction,
        where that direction ends), the mean or the maximum of its outputs over time, or their
        weighted mean with learned attention (Yang et al., "Hierarchical attention networks for
        document classification", 2016).
    dropout : float, default=0.0
        Probability of dropping an element of what one recurrent layer hands to the next, in [0, 1).
        Without effect on a single layer.
    recurrent_dropout : float, default=0.0
        Probability of dropping an element of a state where it enters the recurrent product, in
        [0, 1), the same elements at all time steps of a sequence (Gal and Ghahramani, "A
        theoretically grounded application of dropout in recurrent neural networks", 2016).
    zoneout : float, default=0.0
        Probability, in [0, 1), that an element of a state keeps its value for a time step (Krueger
        et al., "Zoneout: regularizing RNNs by randomly preserving hidden activations", 2017).
    layer_norm : bool, default=False
        Whether to normalise the sums that enter the gates, each step anew (Ba, Kiros and Hinton,
        "Layer normalization", 2016).
    memory_steps : float, "auto" or None, default="auto"
        For about how many time steps the units of cells with gates should remember before they have
        learned anything (Tallec and Ollivier, "Can recurrent neural networks warp time?", 2018).
        "auto" takes the (weighted) mean length of the training sequences; None lets the forget gate of "lstm"
        begin at 1 and all other biases at 0.
    embedding_dim : int or None, default=None
        If given, ``X`` holds integer tokens, and each is replaced by a learned vector of so many
        features.
    num_embeddings : int or None, default=None
        How many tokens there are: they are below it. None means one more than the largest in ``fit``,
        that of ``X_val`` included.
    padding_idx : int or None, default=None
        The token that stands for nothing: it is cut off the end of sequences, and elsewhere its
        vector is zero. None means that every token counts.
    loss : {"squared_error", "absolute_error", "huber", "quantile", "poisson"}, \
            default="squared_error"
        What to minimise: half the squared error (predicts the mean), the absolute error (the
        median), half the squared error of small errors and the absolute error of large ones, the
        pinball loss (the quantile ``quantile``), or the negative log-likelihood of Poisson up to what
        the target alone decides, with the exponential function on top of the network (the mean of
        counts and other targets that are not negative).
    quantile : float, default=0.5
        The level of ``loss="quantile"``, in (0, 1).
    huber_delta : float, default=1.0
        Where ``loss="huber"`` goes over from squares to absolute values, in standard deviations of
        the target.
    solver : {"adam", "adamw", "nadam", "sgd", "rmsprop", "adagrad"}, default="adam"
        How a gradient moves the weights; see :mod:`skrnn.nn.solvers`.
    learning_rate : {"constant", "invscaling", "adaptive", "step", "exponential", "cosine", \
            "onecycle"}, default="constant"
        How the size of steps changes with the epochs e of a fit, counted in fractions from 0:
        "invscaling" divides it by ``(1 + e) ** power_t``; "adaptive" by 5 whenever training would
        otherwise stop for lack of improvement, down to 1e-6; "step" multiplies it by
        ``decay_rate`` every ``decay_epochs`` epochs, and "exponential" by as much as that, but
        gradually; "cosine" lets it fall to 0 at ``max_iter`` along half a cosine; "onecycle" lets it
        rise from a 25th and then fall (Smith and Topin, "Super-convergence", 2018).
        See :mod:`skrnn.nn.schedules`.
    learning_rate_init : float, default=0.005
        The size of steps, at its largest. "sgd" wants larger ones, about 0.05.
    power_t : float, default=0.5
        See ``learning_rate="invscaling"``.
    decay_rate : float, default=0.5
        See ``learning_rate``, "step" and "exponential"; in (0, 1].
    decay_epochs : float, default=10
        See ``learning_rate``, "step" and "exponential".
    warmup_epochs : float, default=0
        For so many epochs the size of steps rises linearly from near 0, whatever ``learning_rate``.
    momentum : float, default=0.9
        Momentum of "sgd", in [0, 1).
    nesterovs_momentum : bool, default=True
        Whether the momentum of "sgd" is Nesterov's.
    beta_1, beta_2 : float, default=0.9 and 0.999
        How slowly "adam", "adamw" and "nadam" forget the mean of gradients and of their squares.
    epsilon : float, default=1e-8
        What all solvers but "sgd" add to the root that they divide by.
    alpha : float, default=0.0
        L2 penalty on the matrices of weights (not on biases): as in scikit-learn's MLP,
        ``alpha / 2 * sum(w**2) / batch_size`` is added to the mean loss of a batch, so
        ``alpha / batch_size`` is what PyTorch calls ``weight_decay``. With "adamw" that decay is
        kept apart from the gradient. With sample weights it is their sum in an average batch
        that counts as its size. The reported losses leave the penalty out.
    max_grad_norm : float or None, default=1.0
        A gradient (of all weights together) of larger Euclidean norm is scaled down to this one
        (Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks",
        2013); None or infinity never clips.
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
        Whether to watch the loss of validation data instead of the training loss, and keep the
        weights with the smallest one. They are ``X_val`` and ``y_val`` of ``fit``, or else a part
        of the sequences that is held out.
    validation_fraction : float, default=0.1
        Part of the sequences to hold out, in (0, 1).
    validation_split : {"random", "last"}, default="random"
        Which to hold out: some at random (drawn with ``random_state``), or the last ones, as befits
        sequences in the order of time.
    n_iter_no_change : int, default=10
        See ``tol``.
    warm_start : bool, default=False
        Whether ``fit`` goes on with the weights that the last one left (and with the solver's memory,
        if it was on then, too) for up to ``max_iter`` epochs more; after one that was interrupted, for the rest of its
        epochs, bit for bit as if it had not been.
    tbptt_steps : int or None, default=None
        Truncated backpropagation through time: states are carried over whole sequences, gradients
        over so many steps at most, which saves memory and time. With ``pooling="last"`` these are
        the last steps of each sequence; otherwise sequences are cut into pieces of that length.
        Not for ``bidirectional``. None cuts nothing.
    random_state : int, RandomState, Generator or None, default=None
        Decides the first weights, the held-out sequences, the order of batches and dropout. An int
        gives the same model bit by bit at every fit, for any number of threads. None draws from
        NumPy's global state, which ``np.random.seed`` sets.
    verbose : bool or int, default=False
        Print a line for each epoch, or for every so many epochs.
    callbacks : list or None, default=None
        Objects with the methods ``setup``, ``on_fit_task_begin``, ``on_fit_task_end`` and
        ``teardown`` of scikit-learn's protocol, called around the fit and each of its epochs; an
        ``on_fit_task_end`` that returns True ends training. :class:`skrnn.callbacks.ProgressBar` is
        one. ``set_callbacks`` sets more of them.
    dtype : {"float32", "float64"} or the same as a NumPy dtype, default="float32"
        Precision of weights and arithmetic.

    Attributes
    ----------
    n_features_in_ : int
        Features of each time step; for 2-D ``X`` its columns (time steps); 1 for tokens.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where ``X`` had any that are all strings.
    n_timesteps_seen_ : tuple of int
        Length of the shortest and of the longest sequence trained on.
    n_outputs_ : int
        The number of targets.
    n_iter_ : int
        Epochs run.
    loss_curve_ : list of float
        Mean training loss of each epoch, while the weights move, in units of the targets' standard
        deviation: for the squared error 0.5 is what predicting their mean would score, whatever their
        scale, and ``1 - 2 * loss`` is R squared. The Poisson loss is in units of the targets' mean.
    validation_loss_curve_ : list of float or None
        Mean loss of the validation data after each epoch, where there were any.
    history_ : dict of lists
        For each epoch "loss", "validation_loss" (empty where there was nothing to validate on),
        "learning_rate" (in its last step), "gradient_norm" (the mean over its steps, before
        clipping) and "seconds".
    loss_ : float
        The last of ``loss_curve_``.
    best_loss_ : float
        The smallest validation loss with ``early_stopping``, otherwise training loss.
    y_mean_, y_scale_ : ndarray of shape (n_targets,)
        Mean and standard deviation of the targets trained on, in float64: a prediction is the
        network's output times ``y_scale_`` plus ``y_mean_``. The scale of a constant target is 0.
        For the Poisson loss 0 and the mean: a prediction is the exponential function of the output
        times ``y_scale_``. :meth:`partial_fit` learns them at its first call.
    weights_ : mapping of str to ndarray
        Weights by PyTorch's names: ``weight_ih_l0`` and so on, as in the ``state_dict`` of
        ``torch.nn.LSTM``, ``head.weight`` and ``head.bias`` of the dense layer, which gives
        standardised targets, and where there are such layers ``embedding.weight`` and
        ``pooling.weight``, ``pooling.bias`` and ``pooling.query``. Read-only.

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
    5. with ``embedding_dim``, integer tokens: a list of sequences (n_timesteps,), or an array
       (n_samples, n_timesteps) whose rows may end in ``padding_idx``.

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

    _constraints: ClassVar = {
        **RecurrentEstimator._constraints,
        "loss": (Choices(("squared_error", "absolute_error", "huber", "quantile", "poisson")),),
        "quantile": (Reals(0, 1, closed_low=False),),
        "huber_delta": (Reals(0, closed_low=False),),
    }

    # Set by a fit.
    _y_ndim: int
    _log_link: bool
    y_mean_: Array
    y_scale_: Array

    def __init__(
        self,
        cell: str = "lstm",
        hidden_size: int = 64,
        num_layers: int = 1,
        *,
        bidirectional: bool = False,
        activation: str = "tanh",
        pooling: str = "last",
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        zoneout: float = 0.0,
        layer_norm: bool = False,
        memory_steps: float | str | None = "auto",
        embedding_dim: int | None = None,
        num_embeddings: int | None = None,
        padding_idx: int | None = None,
        loss: str = "squared_error",
        quantile: float = 0.5,
        huber_delta: float = 1.0,
        solver: str = "adam",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.005,
        power_t: float = 0.5,
        decay_rate: float = 0.5,
        decay_epochs: float = 10,
        warmup_epochs: float = 0,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        alpha: float = 0.0,
        max_grad_norm: float | None = 1.0,
        batch_size: int | str = "auto",
        max_iter: int = 200,
        shuffle: bool = True,
        tol: float | None = 1e-4,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        validation_split: str = "random",
        n_iter_no_change: int = 10,
        warm_start: bool = False,
        tbptt_steps: int | None = None,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        verbose: bool | int = False,
        callbacks: list[Any] | None = None,
        dtype: str = "float32",
    ) -> None:
        super().__init__(
            cell,
            hidden_size,
            num_layers,
            bidirectional=bidirectional,
            activation=activation,
            pooling=pooling,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            zoneout=zoneout,
            layer_norm=layer_norm,
            memory_steps=memory_steps,
            embedding_dim=embedding_dim,
            num_embeddings=num_embeddings,
            padding_idx=padding_idx,
            solver=solver,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            decay_rate=decay_rate,
            decay_epochs=decay_epochs,
            warmup_epochs=warmup_epochs,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            alpha=alpha,
            max_grad_norm=max_grad_norm,
            batch_size=batch_size,
            max_iter=max_iter,
            shuffle=shuffle,
            tol=tol,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            validation_split=validation_split,
            n_iter_no_change=n_iter_no_change,
            warm_start=warm_start,
            tbptt_steps=tbptt_steps,
            random_state=random_state,
            verbose=verbose,
            callbacks=callbacks,
            dtype=dtype,
        )
        self.loss = loss
        self.quantile = quantile
        self.huber_delta = huber_delta

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = self.loss == "poisson"
        return tags

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train a new network, or with ``warm_start`` the one that is there.

        Parameters
        ----------
        X : array-like or list of array-like
            The sequences, in any form that the notes on the class list.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Their targets.
        sample_weight : array-like of shape (n_samples,), number or None, default=None
            How much each sequence counts in the loss. In a full batch a weight of 2 is the same as
            the sequence twice, and a weight of 0 is always the same as the sequence left out.
        X_val, y_val : array-like, default=None
            What to validate on: ``validation_loss_curve_`` reports its loss, and
            ``early_stopping`` watches it. In a pipeline, ``transform_input=["X_val"]`` lets
            ``X_val`` pass through the same steps as ``X``.
        sample_weight_val : array-like of shape (n_val,), number or None, default=None
            How much each of them counts.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter, ``X``, ``y`` or a weight is not as documented.

        Warns
        -----
        ConvergenceWarning
            If ``max_iter`` epochs were not enough for ``tol``, or if the loss became infinite or
            NaN, in which case the weights with the smallest loss so far are kept; a ``ValueError``
            if none are better than those of a new network.
        UserWarning
            If features are far from unit variance, or after Ctrl-C.

        Notes
        -----
        A fit that fails leaves the estimator as it was. Ctrl-C ends it after the step in hand: the
        model is then that of the steps so far (with ``early_stopping`` of the best epoch), and
        ``warm_start=True`` lets ``fit`` go on from there. A second Ctrl-C does not wait.
        """
        self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val)
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train the network that is there, or a new one, for one epoch on some sequences.

        Parameters
        ----------
        X : array-like or list of array-like
            The sequences, in any form that the notes on the class list.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Their targets. Those of the first call decide the scale in which all are learned; of a target
            that was constant so far, the first call that brings another value.
        sample_weight : array-like of shape (n_samples,), number or None, default=None
            How much each sequence counts in the loss, also beside those of other calls: all weights
            twice as large make a call count twice.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As :meth:`fit`; if ``early_stopping`` is on, or ``learning_rate`` is one that must know when training ends.
        """
        self._fit(X, y, sample_weight, partial=True)
        return self

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
        if self._log_link:
            predictions = np.exp(predictions)
        predictions *= self.y_scale_
        predictions += self.y_mean_
        return predictions[:, 0] if self._y_ndim == 1 else predictions

    def _check_parameters(self, partial: bool) -> None:
        super()._check_parameters(partial)
        if not 0 < np.dtype(self.dtype).type(self.quantile) < 1:
            raise ValueError(f"quantile={self.quantile} is 0 or 1 in the precision dtype={self.dtype!r}.")

    def _encode(self, y: Any, *, first: bool, classes: Any = None, name: str = "y") -> Array:
        try:
            values: Array = check_array(y, dtype=np.float64, ensure_2d=False, input_name=name, estimator=self)
        except (TypeError, ValueError) as error:
            raise type(error)(
                f"{name} must hold one number, or one row of numbers, for each sequence (RNNClassifier takes "
                f"labels): {error}"
            ) from error
        rows = values.reshape(len(values), -1)
        if self.loss == "poisson" and (rows < 0).any():
            raise ValueError(f"Some value(s) of {name} are negative, which is not allowed for loss='poisson'.")
        if first:
            self._y_ndim, self.n_outputs_ = values.ndim, rows.shape[1]
        elif rows.shape[1] != self.n_outputs_:
            raise ValueError(
                f"{name} must hold {self.n_outputs_} target(s) for each sequence, got shape {values.shape}."
            )
        return rows

    def _adapt(self, training: Examples, *, first: bool) -> None:
        if not first:
            if self._log_link != (self.loss == "poisson"):
                raise ValueError("loss='poisson' learns a logarithm, so training cannot go on with it or without it.")
            if self.y_scale_.all():
                return
        self._log_link = self.loss == "poisson"
        target, weight = training.target, training.weight
        if not first:  # constant so far, which counts as one more sequence
            target = np.vstack([self.y_mean_, target])
            weight = None if weight is None else np.append(weight.mean(), weight)
        mean, scale = _mean_and_scale(target, weight)
        if self._log_link:
            mean, scale = np.zeros_like(mean), mean
        if not first:  # of what was constant there is no trace in the network, and no reason not to begin now
            known = (self.y_scale_ > 0) | (scale == 0)
            mean, scale = np.where(known, self.y_mean_, mean), np.where(known, self.y_scale_, scale)
        self.y_mean_, self.y_scale_ = mean, scale

    def _to_targets(self, examples: Examples) -> Examples:
        """Return the examples with targets in units in which learning rate, clipping and tolerance mean the same."""
        # Halves, whose difference cannot overflow.
        distance, scale = 0.5 * examples.target - 0.5 * self.y_mean_, 0.5 * self.y_scale_
        target = np.divide(distance, scale, out=np.zeros_like(distance), where=scale > 0)
        with np.errstate(over="ignore"):  # held out, and far from all that was trained on
            return Examples(examples.sequences, target.astype(self.dtype), examples.weight)

    def _get_loss(self) -> Loss:
        if self.loss == "huber":
            return get_loss("huber", delta=float(self.huber_delta))
        if self.loss == "quantile":
            return get_loss("quantile", quantiles=np.full(self.n_outputs_, self.quantile, dtype=self.dtype))
        return get_loss(self.loss)


def _mean_and_scale(values: Array, weight: Array | None) -> tuple[Array, Array]:
    """Return the mean and standard deviation of each column, the latter 0 if it is constant but for rounding."""
    # Squares would overflow or vanish but for a power of two, which changes no bits.
    _, exponent = np.frexp(np.abs(values).max(axis=0))
    values = np.ldexp(values, -exponent)
    mean = np.average(values, axis=0, weights=weight)
    scale = np.sqrt(np.average(np.square(values - mean), axis=0, weights=weight))
    scale[scale <= 10 * np.finfo(np.float64).eps * np.abs(mean)] = 0.0
    return np.ldexp(mean, exponent), np.ldexp(scale, exponent)
