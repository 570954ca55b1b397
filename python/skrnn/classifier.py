"""A sequence in, a label out, or several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from skrnn._base import Array, RecurrentEstimator
from skrnn._params import Choices, Instances
from skrnn._training import Examples
from skrnn._weights import weights_of_classes
from skrnn.nn import log_softmax, sigmoid, softmax
from skrnn.nn.losses import Loss, get_loss


class RNNClassifier(ClassifierMixin, RecurrentEstimator):
    """Classify sequences with a recurrent network.

    Recurrent layers read each sequence step by step; a dense layer turns the state in which they
    end, or what ``pooling`` makes of all states, into one score for each class. Training minimises
    the log-loss: of the softmax for three classes and more, of the logistic function for two, and
    of one logistic function for each label where a sequence may have several (multilabel).

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
        Which to hold out: some at random (in proportion to classes), or the last ones, as befits
        sequences in the order of time.
    n_iter_no_change : int, default=10
        See ``tol``.
    class_weight : dict, "balanced" or None, default=None
        How much the sequences of each class count, besides ``sample_weight``, in training and in
        validation; "balanced" gives classes of the training data the same weight in all. Not for
        multilabel targets; "balanced" not for ``partial_fit``, which sees a part of the data.
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
    classes_ : ndarray of shape (n_classes,)
        The distinct labels, sorted; of multilabel targets the numbers of the columns.
    n_features_in_ : int
        Features of each time step; for 2-D ``X`` its columns (time steps); 1 for tokens.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where ``X`` had any that are all strings.
    n_timesteps_seen_ : tuple of int
        Length of the shortest and of the longest sequence trained on.
    n_outputs_ : int
        Scores that the network computes: one for each class or label, but one for two classes.
    n_iter_ : int
        Epochs run.
    loss_curve_ : list of float
        Mean log-loss of each epoch on the training data, while the weights move; of multilabel
        targets the mean over labels.
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
    weights_ : mapping of str to ndarray
        Weights by PyTorch's names: ``weight_ih_l0`` and so on, as in the ``state_dict`` of
        ``torch.nn.LSTM``, ``head.weight`` and ``head.bias`` of the dense layer, and where there
        are such layers ``embedding.weight`` and ``pooling.weight``, ``pooling.bias`` and
        ``pooling.query``. Read-only.

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
    5. with ``embedding_dim``, integer tokens: a list of sequences (n_timesteps,), or an array
       (n_samples, n_timesteps) whose rows may end in ``padding_idx``.

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

    _constraints: ClassVar = {
        **RecurrentEstimator._constraints,
        "class_weight": (Instances((dict,)), Choices(("balanced",)), Instances((type(None),))),
    }

    # Set by a fit.
    _multilabel: bool
    classes_: Array

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
        class_weight: dict[Any, float] | str | None = None,
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
        self.class_weight = class_weight

    def _check_parameters(self, partial: bool) -> None:
        super()._check_parameters(partial)
        if partial and self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' is not supported for partial_fit, which sees a part of the data. Give the "
                "weights: sklearn.utils.compute_class_weight('balanced', classes=classes, y=y) of all of it."
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
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
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Their labels, of any type; or for each label whether a sequence has it (0 or 1).
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

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train the network that is there, or a new one, for one epoch on some sequences.

        Parameters
        ----------
        X : array-like or list of array-like
            The sequences, in any form that the notes on the class list.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Their labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come; needed at the first call, unless ``y`` is multilabel.
        sample_weight : array-like of shape (n_samples,), number or None, default=None
            How much each sequence counts in the loss, also beside those of other calls: all weights
            twice as large make a call count twice.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As :meth:`fit`; if ``classes`` is missing, or is not as at the first call; if
            ``early_stopping`` is on, or ``learning_rate`` is one that must know when training ends.
        """
        one_label = np.ndim(y) < 2 or np.shape(y)[1] == 1
        if not self.__sklearn_is_fitted__() and classes is None and one_label:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        self._fit(X, y, sample_weight, partial=True, classes=classes)
        return self

    def predict(self, X: Any) -> Array:
        """Return the most probable label of each sequence.

        Parameters
        ----------
        X : array-like or list of array-like
            The sequences, in any form that the notes on the class list.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            As ``y`` was in ``fit``. A label of several is there when it is more probable than not.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError, TypeError
            If ``X`` is not as documented or does not go with what was fitted.
        """
        scores = self._run_network(X)  # before ``classes_``: it says when nothing is fitted
        if self._multilabel:
            return (scores > 0).astype(np.int64)
        labels: Array = self.classes_[self._logits(scores).argmax(axis=1)]
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
            Columns in the order of ``classes_``, of the precision ``dtype``. For multilabel targets
            the probability of each label by itself.

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As :meth:`predict`.
        """
        scores = self._run_network(X)
        return sigmoid(scores) if self._multilabel else softmax(self._logits(scores))

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
        scores = self._run_network(X)
        if self._multilabel:
            return log_softmax(_against_zero(scores.reshape(-1, 1)))[:, 1].reshape(scores.shape)
        return log_softmax(self._logits(scores))

    def _logits(self, scores: Array) -> Array:
        """Return a score for each class, also where there is one for two: the other's is 0 then."""
        return _against_zero(scores) if len(self.classes_) == 2 else scores

    def _encode(self, y: Any, *, first: bool, classes: Any = None, name: str = "y") -> Array:
        if hasattr(y, "toarray"):  # scikit-learn allows sparse indicators
            y = y.toarray()
        y = check_array(y, ensure_2d=False, dtype=None, input_name=name, estimator=self)
        if y.ndim == 2 and y.shape[1] > 1:
            return self._encode_indicators(y, first=first, classes=classes, name=name)
        labels = column_or_1d(y, warn=True)
        check_classification_targets(labels)
        if first:
            self._multilabel = False
            self.classes_ = np.unique(labels if classes is None else column_or_1d(classes))
        elif self._multilabel:
            raise ValueError(f"{name} must hold {len(self.classes_)} labels for each sequence, as in the first fit.")
        elif classes is not None and not np.array_equal(self.classes_, np.unique(classes)):
            raise ValueError(
                f"classes={classes!r} is not the same as on last call to partial_fit, was: {self.classes_!r}"
            )
        known = np.isin(labels, self.classes_)
        if not known.all():
            raise ValueError(
                f"{name} contains labels that are not among the classes {self.classes_}: {np.unique(labels[~known])}."
            )
        places: Array = np.searchsorted(self.classes_, labels).astype(np.int64)
        return places

    def _encode_indicators(self, y: Any, *, first: bool, classes: Any, name: str) -> Array:
        kind = type_of_target(y, input_name=name)
        if kind != "multilabel-indicator":
            raise ValueError(
                f"Unknown label type: {kind}. {name} must hold one label for each sequence, or for each sequence and "
                f"label 0 or 1; got an array of shape {y.shape}."
            )
        rows: Array = y.astype(np.float64)
        if self.class_weight is not None:
            raise ValueError("class_weight is not for multilabel targets; sample_weight can weigh their sequences.")
        if classes is not None and not np.array_equal(classes, np.arange(rows.shape[1])):
            raise ValueError(
                f"classes={classes!r} does not go with multilabel targets: their labels are columns of {name}."
            )
        if first:
            self._multilabel = True
            self.classes_ = np.arange(rows.shape[1])
        elif not self._multilabel or rows.shape[1] != len(self.classes_):
            kind = "one column for each of the labels" if self._multilabel else "one label for each sequence, of"
            raise ValueError(
                f"{name} has shape {rows.shape}, but must hold {kind} {self.classes_}, as in the first fit."
            )
        return rows

    def _get_row_weights(self, rows: Array, sample_weight: Array | None) -> Callable[[Array], Array | None]:
        weights = None
        if not self._multilabel:
            weights = weights_of_classes(self.class_weight, self.classes_, rows, sample_weight)
        return lambda rows: None if weights is None else weights[rows]

    def _strata(self, rows: Array) -> Array | None:
        return None if self._multilabel else rows

    def _adapt(self, training: Examples, *, first: bool) -> None:
        self.n_outputs_ = 1 if len(self.classes_) == 2 and not self._multilabel else len(self.classes_)

    @property
    def _is_logistic(self) -> bool:
        """Whether each score stands for a probability by itself."""
        return self._multilabel or len(self.classes_) == 2

    def _to_targets(self, examples: Examples) -> Examples:
        target = examples.target
        if self._is_logistic:
            target = target.reshape(len(target), -1).astype(self.dtype)
        return Examples(examples.sequences, target, examples.weight)

    def _get_loss(self) -> Loss:
        return get_loss("binary_cross_entropy" if self._is_logistic else "softmax_cross_entropy")


def _against_zero(scores: Array) -> Array:
    """Return the logits (0, score) whose softmax is the logistic function of a score."""
    return np.hstack([np.zeros_like(scores), scores])
