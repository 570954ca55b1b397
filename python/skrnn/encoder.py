"""A sequence in, a vector of features out, for any estimator that wants a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from skrnn._base import Array, RecurrentEstimator
from skrnn._params import Choices, Dtypes
from skrnn._training import Examples
from skrnn.classifier import RNNClassifier
from skrnn.nn import Autoencoder, Dense, Embedding, NextStepNetwork, Pooling, Recurrent
from skrnn.nn.losses import Loss, get_loss
from skrnn.nn.network import EncoderNetwork
from skrnn.regressor import RNNRegressor

# Whose targets, loss and network an objective with a ``y`` has.
_PREDICTORS: dict[str, type[RNNClassifier] | type[RNNRegressor]] = {
    "classification": RNNClassifier,
    "regression": RNNRegressor,
}


class RNNEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, RecurrentEstimator):
    """Turn sequences into vectors of features with a recurrent network.

    Recurrent layers read each sequence step by step; ``transform`` returns the state in which they
    end, or what ``pooling`` makes of all states: as many numbers for every sequence, however long it
    is, for any scikit-learn estimator that wants a table. What the features are good for depends on
    the ``objective`` that they are trained for, with or without a target.

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
    objective : {"reconstruction", "next_step", "classification", "regression"}, \
            default="reconstruction"
        What the network is trained for; never guessed from ``y``. "reconstruction": to write the
        sequence down again from its features alone, last step first, by further recurrent layers
        like those that read, of one direction (the unconditional decoder of Srivastava, Mansimov and
        Salakhutdinov, "Unsupervised learning of video representations using LSTMs", 2015).
        "next_step": to predict each time step from those before it. "classification" and
        "regression": to predict ``y``, with the network of :class:`RNNClassifier` (log-loss) or
        :class:`RNNRegressor` (squared error). The first two ignore ``y``; they minimise half the
        squared error of numbers, and the log-loss of tokens.
    bidirectional : bool, default=False
        Whether half of the units (``hidden_size`` more) read each sequence from its end. Not for
        ``objective="next_step"``: they would see the step that is to be predicted.
    activation : {"tanh", "relu"}, default="tanh"
        Nonlinearity of the state.
    pooling : {"last", "mean", "max", "attention"}, default="last"
        What the features of a sequence are: the last state of the top layer (of each direction,
        where that direction ends), the mean or the maximum of its outputs over time, or their
        weighted mean with learned attention (Yang et al., "Hierarchical attention networks for
        document classification", 2016). "attention" is not for ``objective="next_step"``, which
        would not train it.
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
        "auto" takes the (weighted) mean length of the training sequences; None lets the forget gate
        of "lstm" begin at 1 and all other biases at 0.
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
        weights with the smallest one. They are ``X_val`` (and ``y_val``) of ``fit``, or else a part
        of the sequences that is held out.
    validation_fraction : float, default=0.1
        Part of the sequences to hold out, in (0, 1).
    validation_split : {"random", "last"}, default="random"
        Which to hold out: some at random (for classification in proportion to classes), or the last
        ones, as befits sequences in the order of time.
    n_iter_no_change : int, default=10
        See ``tol``.
    warm_start : bool, default=False
        Whether ``fit`` goes on with the weights that the last one left (and with the solver's memory,
        if it was on then, too) for up to ``max_iter`` epochs more; after one that was interrupted, for the rest of its
        epochs, bit for bit as if it had not been.
    tbptt_steps : int or None, default=None
        Truncated backpropagation through time: states are carried over whole sequences, gradients
        over so many steps at most, which saves memory and time. With ``pooling="last"`` these are
        the last steps of each sequence that is read; with another pooling, or with
        ``objective="next_step"``, it is cut into pieces of that length; so is what is written down.
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
        Numbers that the network computes in training: for each sequence as in
        :class:`RNNClassifier` and :class:`RNNRegressor`, or else for each time step.
    n_iter_ : int
        Epochs run.
    loss_curve_ : list of float
        Mean loss of each epoch on the training data, while the weights move. Without a target it is
        the mean over sequences, of which each has the mean over its time steps (and features).
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
        are such layers ``decoder.weight_ih_l0`` and so on, ``embedding.weight`` and
        ``pooling.weight``, ``pooling.bias`` and ``pooling.query``. Read-only.

    See Also
    --------
    RNNClassifier : Labels of sequences.
    RNNRegressor : Numbers for sequences.

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

    The features of a sequence do not depend on which others are in ``X``, to the last bit.

    Without a target every sequence counts alike, however long: its loss is the mean over its steps.
    With ``objective="next_step"`` sequences of one time step have nothing to predict, and are left
    out of training; ``transform`` takes them.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import Pipeline
    >>> from skrnn import RNNEncoder
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(rng.integers(5, 15), 2)) + rng.choice([-1, 1]) for _ in range(200)]
    >>> y = ["up" if x.mean() > 0 else "down" for x in X]
    >>> encoder = RNNEncoder("gru", hidden_size=8, max_iter=10, tol=None, random_state=0)
    >>> model = Pipeline([("encode", encoder), ("classify", LogisticRegression())])
    >>> model.fit(X[:150], y[:150]).score(X[150:], y[150:]) > 0.9
    True
    """

    _constraints: ClassVar = {
        **RecurrentEstimator._constraints,
        "objective": (Choices(("reconstruction", "next_step", *_PREDICTORS)),),
    }

    # Set by a fit.
    _fitted_objective: str
    _predictor: RNNClassifier | RNNRegressor

    def __init__(
        self,
        cell: str = "lstm",
        hidden_size: int = 64,
        num_layers: int = 1,
        *,
        objective: str = "reconstruction",
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
        self.objective = objective

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self._needs_y
        tags.target_tags.multi_output = self._needs_y
        # What comes out is of the dtype that was asked for, whatever went in.
        tags.transformer_tags.preserves_dtype = [np.dtype(self.dtype).name] if Dtypes().accepts(self.dtype) else []
        return tags

    def fit(
        self,
        X: Any,
        y: Any = None,
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
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            For ``objective="classification"`` or "regression" their targets, as
            :class:`RNNClassifier` or :class:`RNNRegressor` takes them; otherwise ignored.
        sample_weight : array-like of shape (n_samples,), number or None, default=None
            How much each sequence counts in the loss. In a full batch a weight of 2 is the same as
            the sequence twice, and a weight of 0 is always the same as the sequence left out.
        X_val : array-like, default=None
            What to validate on: ``validation_loss_curve_`` reports its loss, and
            ``early_stopping`` watches it. In a pipeline, ``transform_input=["X_val"]`` lets
            ``X_val`` pass through the same steps as ``X``.
        y_val : array-like, default=None
            The targets of ``X_val``, where ``objective`` has any; otherwise ignored.
        sample_weight_val : array-like of shape (n_val,), number or None, default=None
            How much each of them counts.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter, ``X``, ``y`` or a weight is not as documented; with
            ``objective="next_step"`` if no sequence has two time steps.

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

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None, *, classes: Any = None) -> Self:
        """Train the network that is there, or a new one, for one epoch on some sequences.

        Parameters
        ----------
        X : array-like or list of array-like
            The sequences, in any form that the notes on the class list.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            As in :meth:`fit`.
        sample_weight : array-like of shape (n_samples,), number or None, default=None
            How much each sequence counts in the loss, also beside those of other calls: all weights
            twice as large make a call count twice.
        classes : array-like of shape (n_classes,), default=None
            For ``objective="classification"`` all labels that will ever come; by default those of
            the first call.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As :meth:`fit`; if ``classes`` is given for another objective, or is not as at the first
            call; if ``early_stopping`` is on, or ``learning_rate`` is one that must know when training ends.
        """
        if classes is not None and self.objective != "classification":
            raise ValueError(f"classes is for objective='classification', but it is {self.objective!r}.")
        self._fit(X, y, sample_weight, partial=True, classes=classes)
        return self

    def transform(self, X: Any) -> Array:
        """Return the features of each sequence.

        Parameters
        ----------
        X : array-like or list of array-like
            The sequences, in any form that the notes on the class list.

        Returns
        -------
        ndarray of shape (n_samples, hidden_size), or (n_samples, 2 * hidden_size) if bidirectional
            Of the precision ``dtype``. As ``set_output`` says it may be a data frame instead.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError, TypeError
            If ``X`` is not as documented or does not go with what was fitted.
        """
        return self._run_network(X, "features")

    @property
    def _n_features_out(self) -> int:
        return self._network.config.output_size

    # ---- What is learned ---------------------------------------------------------------------------------------------

    @property
    def _needs_y(self) -> bool:
        return self.objective in _PREDICTORS

    def _check_parameters(self, partial: bool) -> None:
        super()._check_parameters(partial)
        if self.objective == "next_step" and self.bidirectional:
            raise ValueError(
                "objective='next_step' goes with bidirectional=False: the second direction would see the step that is "
                "to be predicted."
            )
        if self.objective == "next_step" and self.pooling == "attention":
            raise ValueError(
                "objective='next_step' does not go with pooling='attention': it looks at each step by itself, so that "
                "attention over steps would not be trained. pooling='mean' or 'max' has nothing to be trained."
            )
        goes_on = self.__sklearn_is_fitted__() and (partial or self.warm_start)
        if goes_on and self._fitted_objective != self.objective:
            raise ValueError(
                f"warm_start=True and partial_fit go on with the network of the last fit, but its objective was "
                f"{self._fitted_objective!r}, now {self.objective!r}. Set it back, or warm_start=False to begin anew."
            )
        self._fitted_objective = self.objective

    def _encode(self, y: Any, *, first: bool, classes: Any = None, name: str = "y") -> Array:
        if first:
            self._predictor = _PREDICTORS[self.objective](dtype=self.dtype)
        return self._predictor._encode(y, first=first, classes=classes, name=name)

    def _get_row_weights(self, rows: Array, sample_weight: Array | None) -> Callable[[Array], Array | None]:
        if self._needs_y:
            return self._predictor._get_row_weights(rows, sample_weight)
        return super()._get_row_weights(rows, sample_weight)

    def _strata(self, rows: Array) -> Array | None:
        return self._predictor._strata(rows) if self._needs_y else None

    def _adapt(self, training: Examples, *, first: bool) -> None:
        if self._needs_y:
            self._predictor._adapt(training, first=first)
            self.n_outputs_ = self._predictor.n_outputs_

    def _to_targets(self, examples: Examples) -> Examples:
        return self._predictor._to_targets(examples) if self._needs_y else examples

    def _get_loss(self) -> Loss:
        if self._needs_y:
            return self._predictor._get_loss()
        return get_loss("squared_error" if self.embedding_dim is None else "softmax_cross_entropy")

    def _fit_network(
        self, examples: Examples, validation: Examples | None, goes_on: bool, partial: bool, data: dict[str, Any]
    ) -> None:
        if self.objective == "next_step":
            examples = self._with_next_steps(examples, "X")
            validation = None if validation is None else self._with_next_steps(validation, "X_val")
        super()._fit_network(examples, validation, goes_on, partial, data)

    def _with_next_steps(self, examples: Examples, name: str) -> Examples:
        """Leave out sequences of one step, which have nothing to predict."""
        has_next = examples.sequences.lengths > 1
        if not has_next.any():
            which = "" if examples.weight is None else " that have a weight"
            table = " (each column of a table is one: it has 1 feature(s))" if self._fitted_on_table else ""
            raise ValueError(
                f"objective='next_step' predicts each time step from those before it, but all "
                f"sequences of {name}{which} are of one time step{table}."
            )
        return examples if has_next.all() else examples.subset(np.flatnonzero(has_next))

    def _put_together(
        self,
        recurrent: Recurrent,
        embedding: Embedding | None,
        pooling: Pooling | None,
        training: Examples,
        rng: np.random.Generator,
    ) -> EncoderNetwork:
        if self._needs_y:
            return super()._put_together(recurrent, embedding, pooling, training, rng)
        self.n_outputs_ = recurrent.config.input_size if embedding is None else embedding.num_embeddings
        rest: dict[str, Any] = {"embedding": embedding, "pooling": pooling, "tbptt_steps": self.tbptt_steps}
        if self.objective == "next_step":
            head = Dense(recurrent.output_size, self.n_outputs_, dtype=self.dtype, random_state=rng)
            return NextStepNetwork(recurrent, head, **rest)
        decoder = self._make_recurrent(recurrent.output_size, False, training, rng)
        head = Dense(decoder.output_size, self.n_outputs_, dtype=self.dtype, random_state=rng)
        return Autoencoder(recurrent, decoder, head, **rest)
