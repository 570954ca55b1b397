"""What the estimators share: parameters, the forms of X, fitting a network, running it."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skrnn._callbacks import CallbackSupportMixin, run_with_callbacks
from skrnn._doc_link import DocLinkMixin
from skrnn._fitting import all_or_nothing
from skrnn._params import Booleans, Callbacks, Choices, Constraint, Dtypes, Instances, Integers, Reals, check_parameters
from skrnn._random import generator
from skrnn._sequences import Sequences, check_sequences, check_tokens
from skrnn._training import EpochHooks, Examples, Progress, Settings, train
from skrnn._warnings import warn
from skrnn._weights import check_sample_weight
from skrnn.nn import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Dense,
    Embedding,
    FrozenEncoder,
    NAdam,
    Parameters,
    Pooling,
    Recurrent,
    RMSprop,
    SequenceNetwork,
    Solver,
    Trainer,
)
from skrnn.nn.losses import Loss
from skrnn.nn.network import EncoderNetwork
from skrnn.nn.recurrent import CELLS
from skrnn.nn.schedules import make_schedule

Array = NDArray[Any]

_BOOLEAN = (Booleans(),)
_NONE = Instances((type(None),))

# Features whose values differ by less, or are larger (root mean square), deserve a word: they saturate, or say nothing.
_USUAL_SCALE = (1e-3, 10.0)


@dataclass
class TrainingState:
    """What a later fit needs to go on where this one stopped, bit for bit; plain data, so that pickles carry it."""

    weights: Array
    solver_name: str
    solver: dict[str, Any]
    rng: np.random.Generator
    progress: Progress
    n_samples: int
    held_out: NDArray[np.int64] | None
    """Which of them were held out."""


class RecurrentEstimator(CallbackSupportMixin, DocLinkMixin, BaseEstimator, ABC):
    """Base of the estimators that read a sequence and answer once.

    A subclass says how ``y`` becomes the targets of a loss (:meth:`_encode`), what the loss is
    (:meth:`_get_loss`), and decodes what :meth:`_run_network` returns.
    """

    _constraints: ClassVar[Mapping[str, tuple[Constraint, ...]]] = {
        "cell": (Choices(CELLS),),
        "hidden_size": (Integers(1),),
        "num_layers": (Integers(1),),
        "bidirectional": _BOOLEAN,
        "activation": (Choices(("tanh", "relu")),),
        "pooling": (Choices(("last", "mean", "max", "attention")),),
        "dropout": (Reals(0, 1),),
        "recurrent_dropout": (Reals(0, 1),),
        "zoneout": (Reals(0, 1),),
        "layer_norm": _BOOLEAN,
        "memory_steps": (Reals(0, closed_low=False), Choices(("auto",)), _NONE),
        "embedding_dim": (Integers(1), _NONE),
        "num_embeddings": (Integers(1), _NONE),
        "padding_idx": (Integers(0), _NONE),
        "solver": (Choices(("sgd", "adam", "adamw", "rmsprop", "adagrad", "nadam")),),
        "learning_rate": (
            Choices(("constant", "invscaling", "adaptive", "step", "exponential", "cosine", "onecycle")),
        ),
        "learning_rate_init": (Reals(0, closed_low=False),),
        "power_t": (Reals(0),),
        "decay_rate": (Reals(0, 1, closed_low=False, closed_high=True),),
        "decay_epochs": (Reals(0, closed_low=False),),
        "warmup_epochs": (Reals(0),),
        "momentum": (Reals(0, 1),),
        "nesterovs_momentum": _BOOLEAN,
        "beta_1": (Reals(0, 1),),
        "beta_2": (Reals(0, 1),),
        "epsilon": (Reals(0, closed_low=False),),
        "alpha": (Reals(0),),
        "max_grad_norm": (Reals(0, closed_low=False, closed_high=True), _NONE),
        "batch_size": (Integers(1), Choices(("auto",))),
        "max_iter": (Integers(1),),
        "shuffle": _BOOLEAN,
        "tol": (Reals(0), _NONE),
        "early_stopping": _BOOLEAN,
        "validation_fraction": (Reals(0, 1, closed_low=False),),
        "validation_split": (Choices(("random", "last")),),
        "n_iter_no_change": (Integers(1),),
        "warm_start": _BOOLEAN,
        "tbptt_steps": (Integers(1), _NONE),
        "random_state": (
            Integers(0),
            Instances((np.random.RandomState, np.random.Generator, type(None))),
        ),
        "verbose": (*_BOOLEAN, Integers(0)),
        "callbacks": (Callbacks(), _NONE),
        "dtype": (Dtypes(),),
    }

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
        warm_start: bool = False,
        tbptt_steps: int | None = None,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        verbose: bool | int = False,
        callbacks: list[Any] | None = None,
        dtype: str = "float32",
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.activation = activation
        self.pooling = pooling
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.zoneout = zoneout
        self.layer_norm = layer_norm
        self.memory_steps = memory_steps
        self.embedding_dim = embedding_dim
        self.num_embeddings = num_embeddings
        self.padding_idx = padding_idx
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.decay_rate = decay_rate
        self.decay_epochs = decay_epochs
        self.warmup_epochs = warmup_epochs
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.alpha = alpha
        self.max_grad_norm = max_grad_norm
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.tol = tol
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.validation_split = validation_split
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.tbptt_steps = tbptt_steps
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks
        self.dtype = dtype

    # Set by a fit.
    _network: FrozenEncoder
    _network_seed: int
    _training_state: TrainingState
    n_outputs_: int
    n_timesteps_seen_: tuple[int, int]
    history_: dict[str, list[float]]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_network")

    @property
    def weights_(self) -> Mapping[str, Array]:
        """Weights by PyTorch's names, read-only."""
        check_is_fitted(self)
        return self._network.weights

    # ---- What a subclass says ----------------------------------------------------------------------------------------

    @property
    def _needs_y(self) -> bool:
        """Whether there is something to learn besides the sequences; if not, ``y`` is ignored."""
        return True

    @abstractmethod
    def _encode(self, y: Any, *, first: bool, classes: Any = None, name: str = "y") -> Array:
        """Check ``y`` and return a row for each sequence; ``first`` unless a model is trained further."""

    def _get_row_weights(self, rows: Array, sample_weight: Array | None) -> Callable[[Array], Array | None]:
        """Learn from the rows to train on how much rows count besides their sample weights; return what tells it."""
        return lambda rows: None

    def _strata(self, rows: Array) -> Array | None:
        """Return the classes that a held-out part should hold in proportion, if any."""
        return None

    def _adapt(self, training: Examples, *, first: bool) -> None:
        """Learn from the targets to train on what :meth:`_to_targets` needs, and set ``n_outputs_``."""

    @abstractmethod
    def _to_targets(self, examples: Examples) -> Examples:
        """Turn encoded rows into what the loss compares the outputs with."""

    @abstractmethod
    def _get_loss(self) -> Loss:
        """Return the loss."""

    # ---- Fitting -----------------------------------------------------------------------------------------------------

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        *,
        partial: bool = False,
        classes: Any = None,
    ) -> None:
        """Fit, or train further: all of ``fit`` and ``partial_fit`` but their documentation."""
        with all_or_nothing(self):
            self._check_parameters(partial)
            goes_on = self.__sklearn_is_fitted__() and (partial or self.warm_start)
            if self._needs_y and y is None:
                raise ValueError(
                    f"This {type(self).__name__} estimator requires y to be passed, but the target y is None."
                )
            sequences = self._check_sequences(X, reset=not goes_on)
            weight = check_sample_weight(sample_weight, len(sequences))
            rows = self._check_y(sequences, y, first=not goes_on, classes=classes)
            row_weights = self._get_row_weights(rows, weight)
            examples = _weighted(sequences, rows, weight, row_weights(rows), "X")
            validation = self._check_validation(X_val, y_val, sample_weight_val, goes_on, row_weights)
            if not goes_on and self.embedding_dim is None:
                self._warn_of_scale(examples.sequences)
            metadata = {
                name: value
                for name, value in (
                    ("sample_weight", sample_weight),
                    ("X_val", X_val),
                    ("y_val", y_val),
                    ("sample_weight_val", sample_weight_val),
                )
                if value is not None
            }
            self._fit_network(examples, validation, goes_on, partial, {"X": X, "y": y, "metadata": metadata or None})

    def _check_parameters(self, partial: bool) -> None:
        check_parameters(self, self._constraints)
        if self.tbptt_steps is not None and self.bidirectional:
            raise ValueError(
                "tbptt_steps goes with bidirectional=False: states are carried from one piece of a sequence to the "
                "next, and the second direction would need those of the future."
            )
        if self.embedding_dim is None:
            for name in ("num_embeddings", "padding_idx"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name}={getattr(self, name)} goes with an embedding: set embedding_dim, too.")
        elif self.num_embeddings is not None and (self.padding_idx or 0) >= self.num_embeddings:
            raise ValueError(
                f"padding_idx={self.padding_idx} must be below num_embeddings={self.num_embeddings}, as all tokens."
            )
        if self.dropout > 0 and self.num_layers == 1:
            warn(
                f"dropout={self.dropout} is between layers, and does nothing with num_layers=1. recurrent_dropout is "
                "within a layer."
            )
        if self.learning_rate == "adaptive" and self.tol is None:
            raise ValueError(
                "learning_rate='adaptive' waits for training to stop for lack of improvement, which tol=None never "
                "says: set tol to a number."
            )
        if partial and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        if partial and self.learning_rate in ("adaptive", "cosine", "onecycle"):
            raise ValueError(
                f"partial_fit does not support learning_rate={self.learning_rate!r}, which must know when training "
                "ends."
            )

    def _check_sequences(self, X: Any, *, reset: bool, goes_on: bool = True) -> Sequences:
        """Check and convert ``X``; the tokens that there are, if any, are those of the network that ``goes_on``."""
        if self.embedding_dim is None:
            return check_sequences(self, X, np.dtype(self.dtype), reset=reset)
        known = self._network.num_embeddings if goes_on and not reset else self.num_embeddings
        return check_tokens(self, X, padding_idx=self.padding_idx, num_embeddings=known, reset=reset)

    def _check_validation(
        self,
        X_val: Any,
        y_val: Any,
        sample_weight_val: Any,
        goes_on: bool,
        row_weights: Callable[[Array], Array | None],
    ) -> Examples | None:
        """Check and convert what is given to validate on."""
        if X_val is None and y_val is None:
            if sample_weight_val is not None:
                raise ValueError("sample_weight_val is provided, but X_val and y_val were not provided.")
            return None
        if y_val is None and self._needs_y:
            raise ValueError("X_val is provided, but y_val was not provided.")
        if X_val is None:
            raise ValueError("y_val is provided, but X_val was not provided.")
        try:
            sequences = self._check_sequences(X_val, reset=False, goes_on=goes_on)
        except (TypeError, ValueError) as error:
            raise type(error)(f"X_val: {error}") from error
        weight = check_sample_weight(sample_weight_val, len(sequences), "sample_weight_val")
        rows = self._check_y(sequences, y_val, first=False, name="y_val")
        return _weighted(sequences, rows, weight, row_weights(rows), "X_val")

    def _check_y(self, sequences: Sequences, y: Any, **options: Any) -> Array:
        """Check ``y`` and return a row for each sequence."""
        if not self._needs_y:
            return np.empty((len(sequences), 0))
        rows = self._encode(y, **options)
        if len(rows) != len(sequences):
            name = options.get("name", "y")
            raise ValueError(
                f"Found input variables with inconsistent numbers of samples: {[len(sequences), len(rows)]}, of "
                f"{'X' if name == 'y' else 'X_val'} and {name}."
            )
        return rows

    def _fit_network(
        self, examples: Examples, validation: Examples | None, goes_on: bool, partial: bool, data: dict[str, Any]
    ) -> None:
        """Train a network, new or that of the last fit, and keep it with the attributes that tell how that went."""
        # A copy: a fit that fails leaves the one that is there as it was.
        state: TrainingState | None = copy.deepcopy(self.__dict__.get("_training_state")) if goes_on else None
        n_samples = len(examples)
        rng = generator(self.random_state) if state is None else state.rng
        held_out = None
        if validation is None and self.early_stopping:
            known = None if state is None or state.n_samples != n_samples else state.held_out
            examples, validation, held_out = self._split(examples, rng, known)
        self._adapt(examples, first=not goes_on)
        # Weights that are 1 on average change no learning rate. Parts of the data must be told apart, though.
        unit = 1.0 if partial else examples.mean_weight
        training = self._to_targets(examples).weighed(unit, self.dtype)
        if validation is not None:
            validation = self._to_targets(validation).weighed(validation.mean_weight, self.dtype)

        if not goes_on:
            self._network_seed = int(rng.integers(2**63))
        network = self._make_network(examples, validation, goes_on)
        settings = self._make_settings(len(training), partial, network.step_size)
        # A penalty belongs to the sum of losses: as in scikit-learn, more weight makes it matter less.
        decay = self.alpha / (settings.batch_size * unit)
        solver = self._make_solver(network.parameters, decay)
        progress = Progress() if state is None else state.progress
        if goes_on and state is None:
            progress.history = {name: list(curve) for name, curve in self.history_.items()}
        if goes_on:
            self._load_weights(network)
        if state is not None and state.solver_name == solver.name:
            solver.load_state(state.solver)
        resumes = state is not None and not partial and not progress.finished and state.n_samples == n_samples
        if progress.order is not None:
            resumes &= len(progress.order) == len(training)
        if state is not None and resumes:
            network.parameters.values[:] = state.weights  # where it stopped, which may not be the best so far
        else:
            trained = network.parameters.values.copy() if goes_on else None
            progress.begin_run(trained, epoch=len(progress.history["loss"]) if partial else 0)

        trainer = Trainer(network, self._get_loss(), solver)

        def training_state() -> TrainingState:
            weights = network.parameters.values.copy()
            left = replace(progress, finished=progress.finished or partial)  # nobody resumes a part of the data
            # What a solver remembers of a divergence is of no use.
            name, memory = ("", {}) if progress.diverged else (solver.name, solver.state())
            return TrainingState(weights, name, memory, rng, left, n_samples, held_out)

        def attributes() -> dict[str, Any]:
            """Return what an estimator has after the epoch in hand: callbacks may keep it, and a fit go on from it."""
            return {
                **self._fitted_attributes(network, progress),
                "_training_state": copy.deepcopy(training_state()),
            }

        def run(context: Any) -> Array:
            hooks = EpochHooks() if context is None else _Hooks(self, context, attributes, data)
            if context is not None:
                context.call_on_fit_task_begin(estimator=self, **data)
            kept = train(
                trainer,
                network.parameters.values,
                training,
                validation,
                settings,
                progress,
                rng,
                hooks,
                lambda: self._diagnose(training.sequences),
            )
            if progress.finished:
                network.parameters.values[:] = kept
                progress.best_weights = progress.begun_with = None
            if progress.finished and not (self.warm_start or partial):
                self.__dict__.pop("_training_state", None)
            else:
                self._training_state = training_state()
            network.parameters.values[:] = kept
            self._keep(network, progress)
            if context is not None:
                context.call_on_fit_task_end(estimator=self, reconstruction_attributes=dict, **data)
            return kept

        lengths = examples.sequences.lengths
        shortest, longest = int(lengths.min()), int(lengths.max())
        if goes_on:
            shortest, longest = min(shortest, self.n_timesteps_seen_[0]), max(longest, self.n_timesteps_seen_[1])
        self.n_timesteps_seen_ = shortest, longest
        run_with_callbacks(self, max(0, settings.max_iter - progress.epoch), run)

    def _keep(self, network: EncoderNetwork, progress: Progress) -> None:
        """Set what a fit leaves behind."""
        self.__dict__.update(self._fitted_attributes(network, progress))

    def _fitted_attributes(self, network: EncoderNetwork, progress: Progress) -> dict[str, Any]:
        history = {name: list(curve) for name, curve in progress.history.items()}
        loss = history["loss"]
        return {
            "n_iter_": len(loss),
            "history_": history,
            "loss_curve_": loss,
            "validation_loss_curve_": history["validation_loss"] or None,
            "loss_": loss[-1] if loss else math.inf,
            "best_loss_": min(loss, default=math.inf) if math.isinf(progress.best_loss) else progress.best_loss,
            "_network": network.freeze(),
        }

    def _split(
        self, examples: Examples, rng: np.random.Generator, known: NDArray[np.int64] | None
    ) -> tuple[Examples, Examples, NDArray[np.int64]]:
        """Return the examples to train on, those to hold out, and which these are; ``known`` where that is decided."""
        n = len(examples)
        if known is None:
            last = self.validation_split == "last"
            strata = None if last else self._strata(examples.target)
            known = _choose_held_out(n, self.validation_fraction, strata, rng, last=last)
        kept = np.setdiff1d(np.arange(n), known)
        return examples.subset(kept), examples.subset(known), known

    def _make_network(self, training: Examples, validation: Examples | None, goes_on: bool) -> EncoderNetwork:
        """Make the network with first weights, the same for the same ``_network_seed``."""
        sequences = training.sequences
        rng = np.random.default_rng(self._network_seed)
        embedding = None
        input_size = sequences.n_features
        if self.embedding_dim is not None:
            num_embeddings = self._network.num_embeddings if goes_on else self.num_embeddings
            if num_embeddings is None:
                tokens = [sequences.largest()] + ([] if validation is None else [validation.sequences.largest()])
                num_embeddings = 1 + int(max(*tokens, self.padding_idx or 0))
            input_size = int(self.embedding_dim)
            embedding = Embedding(
                num_embeddings, input_size, padding_idx=self.padding_idx, dtype=self.dtype, random_state=rng
            )
        recurrent = self._make_recurrent(input_size, bool(self.bidirectional), training, rng)
        size = recurrent.output_size
        pooling = None if self.pooling == "last" else Pooling(self.pooling, size, dtype=self.dtype, random_state=rng)
        return self._put_together(recurrent, embedding, pooling, training, rng)

    def _make_recurrent(
        self, input_size: int, bidirectional: bool, training: Examples, rng: np.random.Generator
    ) -> Recurrent:
        """Make recurrent layers as the parameters describe them."""
        memory_steps: Any = self.memory_steps
        if memory_steps == "auto":
            memory_steps = float(np.average(training.sequences.lengths, weights=training.weight))
        return Recurrent(
            self.cell,
            input_size=input_size,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            bidirectional=bidirectional,
            activation=self.activation,
            dropout=self.dropout,
            recurrent_dropout=self.recurrent_dropout,
            zoneout=self.zoneout,
            layer_norm=bool(self.layer_norm),
            memory_steps=memory_steps,
            dtype=self.dtype,
            random_state=rng,
        )

    def _put_together(
        self,
        recurrent: Recurrent,
        embedding: Embedding | None,
        pooling: Pooling | None,
        training: Examples,
        rng: np.random.Generator,
    ) -> EncoderNetwork:
        """Make a network of its lower layers and what this estimator wants on top of them."""
        head = Dense(recurrent.output_size, self.n_outputs_, dtype=self.dtype, random_state=rng)
        return SequenceNetwork(recurrent, head, embedding=embedding, pooling=pooling, tbptt_steps=self.tbptt_steps)

    def _load_weights(self, network: EncoderNetwork) -> None:
        """Copy the weights of the last fit into a network."""
        there = network.freeze()
        for name, old, new in (
            ("", *(replace(of.config, zoneout=0.0) for of in (self._network, there))),
            ("pooling: ", self._network.pooling, there.pooling),
            ("padding_idx: ", self._network.padding_idx, there.padding_idx),
            ("num_embeddings: ", self._network.num_embeddings, self.num_embeddings or there.num_embeddings),
            ("weights: ", *({n: w.shape for n, w in of.weights.items()} for of in (self._network, there))),
        ):
            if old != new:
                raise ValueError(
                    "warm_start=True and partial_fit go on with the network of the last fit, but its architecture was "
                    f"another ({name}{old}, now {new}). Set its parameters back, or warm_start=False to begin anew."
                )
        for name, view in network.parameters.views.items():
            view[...] = self._network.weights[name]

    def _make_solver(self, parameters: Parameters, decay: float) -> Solver:
        every = {
            "learning_rate": self.learning_rate_init,
            "decay": decay,
            "max_grad_norm": math.inf if self.max_grad_norm is None else self.max_grad_norm,
        }
        if self.solver == "sgd":
            return SGD(parameters, momentum=self.momentum, nesterov=self.nesterovs_momentum, **every)
        if self.solver == "rmsprop":
            return RMSprop(parameters, epsilon=self.epsilon, **every)
        if self.solver == "adagrad":
            return Adagrad(parameters, epsilon=self.epsilon, **every)
        adam = {"adam": Adam, "adamw": AdamW, "nadam": NAdam}[self.solver]
        made: Solver = adam(parameters, beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon, **every)
        return made

    def _make_settings(self, n_examples: int, partial: bool, step_size: int) -> Settings:
        # Small sets need many steps more than they need smooth ones.
        automatic = min(32, max(8, n_examples // 16))
        batch_size = automatic if self.batch_size == "auto" else int(self.batch_size)
        constant = self.learning_rate in ("constant", "adaptive") and self.warmup_epochs == 0
        schedule = make_schedule(
            self.learning_rate,
            max_iter=self.max_iter,
            power_t=self.power_t,
            decay_rate=self.decay_rate,
            decay_epochs=self.decay_epochs,
            warmup_epochs=self.warmup_epochs,
        )
        epochs_before = len(self.history_["loss"]) if partial and hasattr(self, "history_") else 0
        return Settings(
            batch_size=min(batch_size, n_examples),
            max_iter=epochs_before + 1 if partial else self.max_iter,
            shuffle=self.shuffle,
            tol=None if partial else self.tol,
            n_iter_no_change=self.n_iter_no_change,
            early_stopping=bool(self.early_stopping),
            verbose=int(self.verbose),
            learning_rate=self.learning_rate_init,
            schedule=None if constant else schedule,
            adaptive=self.learning_rate == "adaptive",
            n_hidden=step_size,
            resumable=not partial,
        )

    # ---- Advice ------------------------------------------------------------------------------------------------------

    def _warn_of_scale(self, sequences: Sequences) -> None:
        """Say so where features are of a size that no network likes."""
        size, spread = _scale(sequences)
        small, large = _USUAL_SCALE
        spread[spread <= 1e-6 * size] = np.inf  # constant but for rounding: nothing to learn from, no harm
        if size.max() > large:
            feature = int(size.argmax())
            what = f"large: the root mean square of feature {feature} is {size[feature]:.3g}"
        elif spread.min() < small:
            feature = int(spread.argmin())
            what = f"small: no two values of feature {feature} differ by more than {spread[feature]:.3g}"
        else:
            return
        tokens = sequences.n_features == 1 and not (sequences.sample(10) % 1).any()
        warn(
            f"Features of X are {what}. Networks train best on features of about unit variance: put "
            "skrnn.preprocessing.Stepwise(sklearn.preprocessing.StandardScaler()) before this "
            f"{type(self).__name__} in a pipeline{' (or set embedding_dim, if these are tokens)' if tokens else ''}."
        )

    def _diagnose(self, sequences: Sequences) -> str:
        """Say what the likely cause is when training diverges, and what else it may be."""
        causes = [f"a learning_rate_init that is too large (it is {self.learning_rate_init})"]
        if self.activation == "relu":
            causes.insert(0, "activation='relu', whose states have no bound ('tanh' is safer)")
        if self.embedding_dim is None:
            scale, _ = _scale(sequences)
            if scale.max() > _USUAL_SCALE[1]:
                feature = int(scale.argmax())
                causes.insert(
                    0,
                    f"features that are not scaled (the root mean square of feature {feature} is {scale[feature]:.3g})",
                )
        if self.max_grad_norm is None or math.isinf(self.max_grad_norm):
            causes.append("gradients that are not clipped (max_grad_norm)")
        others = f" It may also be {' or '.join(causes[1:])}." if len(causes) > 1 else ""
        return f"The likely cause is {causes[0]}.{others}"

    # ---- Running -----------------------------------------------------------------------------------------------------

    def _run_network(self, X: Any, what: str = "forward") -> Array:
        """Check ``X`` and return the outputs of the fitted network, (n_samples, n_outputs), or its "features"."""
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)  # raises; asked at every call, it would cost more than a small network
        network = self._network
        if network.num_embeddings is None:
            sequences = check_sequences(self, X, network.dtype, reset=False)
        else:
            sequences = check_tokens(
                self, X, padding_idx=network.padding_idx, num_embeddings=network.num_embeddings, reset=False
            )
        run: Callable[..., Array] = getattr(network, what)
        width = max(network.config.output_size, network.config.input_size)
        outputs = [run(*sequences.batch(rows)) for rows in sequences.chunks(width)]
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)


class _Hooks(EpochHooks):
    """Tells callbacks of each epoch."""

    def __init__(
        self,
        estimator: RecurrentEstimator,
        context: Any,
        attributes: Callable[[], dict[str, Any]],
        data: dict[str, Any],
    ) -> None:
        self._estimator = estimator
        self._root = context
        self._attributes = attributes
        self._data = data
        self._epoch: Any = None

    def begin(self) -> None:
        self._epoch = self._root.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(
            estimator=self._estimator, reconstruction_attributes=self._attributes, **self._data
        )

    def end(self) -> bool:
        stop = self._epoch.call_on_fit_task_end(
            estimator=self._estimator, reconstruction_attributes=self._attributes, **self._data
        )
        return bool(stop)


def _scale(sequences: Sequences) -> tuple[Array, Array]:
    """Return root mean square, and largest less smallest, of each feature; from some sequences where there are many."""
    steps = sequences.sample(100)  # more would cost as much as many a step of training
    return np.sqrt(np.square(steps, dtype=np.float64).mean(axis=0)), np.ptp(steps, axis=0)


def _weighted(
    sequences: Sequences, rows: Array, sample_weight: Array | None, row_weight: Array | None, name: str
) -> Examples:
    """Return examples, without those of no weight: they might as well not be there."""
    weight = row_weight if sample_weight is None else sample_weight
    if sample_weight is not None and row_weight is not None:
        weight = sample_weight * row_weight
    examples = Examples(sequences, rows, weight)
    if weight is None or weight.all():
        return examples
    if not weight.any():
        raise ValueError(f"sample_weight and class_weight together leave no sequence of {name} any weight.")
    return examples.subset(np.flatnonzero(weight))


def _choose_held_out(
    n_samples: int, fraction: float, strata: Array | None, rng: np.random.Generator, *, last: bool
) -> NDArray[np.int64]:
    """Choose the sequences to hold out: the last ones, or some at random."""
    from sklearn.model_selection import train_test_split  # slow to import, rarely needed

    n_held_out = math.ceil(fraction * n_samples)
    n_kept = n_samples - n_held_out
    held = f"validation_fraction={fraction} holds out {n_held_out} of {n_samples} sequences"
    if n_kept == 0:
        raise ValueError(f"{held}, so that none is left to train on.")
    if last:
        return np.arange(n_kept, n_samples)
    if strata is not None:
        counts = np.unique(strata, return_counts=True)[1]
        if counts.min() < 2:
            raise ValueError(f"{held}, stratified by class, so each class needs two sequences, but one has only one.")
        if min(n_held_out, n_kept) < len(counts):
            raise ValueError(
                f"{held} and leaves {n_kept}; both parts need at least one of each of the {len(counts)} classes."
            )
    _, held_out = train_test_split(
        np.arange(n_samples),
        test_size=n_held_out,
        stratify=strata,
        random_state=int(rng.integers(2**31)),
    )
    return np.sort(held_out)
