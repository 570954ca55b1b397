"""What the estimators share: parameters, the forms of X, fitting a network, running it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skrnn._params import Booleans, Choices, Constraint, Dtypes, Instances, Integers, Reals, check_parameters
from skrnn._sequences import Sequences, check_sequences
from skrnn._training import Examples, Schedule, train
from skrnn.nn import (
    SGD,
    Adam,
    AdamW,
    Dense,
    FrozenSequenceNetwork,
    Parameters,
    Recurrent,
    RMSprop,
    SequenceNetwork,
    Solver,
    Trainer,
)
from skrnn.nn.recurrent import CELLS

Array = NDArray[Any]

_BOOLEAN = (Booleans(),)


class RecurrentEstimator(BaseEstimator):
    """Base of the estimators that read a sequence and answer once.

    A subclass encodes ``y`` in ``fit``, calls :meth:`_fit_network` and decodes what
    :meth:`_run_network` returns.
    """

    _constraints: ClassVar[Mapping[str, tuple[Constraint, ...]]] = {
        "cell": (Choices(CELLS),),
        "hidden_size": (Integers(1),),
        "num_layers": (Integers(1),),
        "bidirectional": _BOOLEAN,
        "activation": (Choices(("tanh", "relu")),),
        "dropout": (Reals(0, 1),),
        "solver": (Choices(("sgd", "adam", "adamw", "rmsprop")),),
        "learning_rate_init": (Reals(0, closed_low=False),),
        "momentum": (Reals(0, 1),),
        "nesterovs_momentum": _BOOLEAN,
        "beta_1": (Reals(0, 1),),
        "beta_2": (Reals(0, 1),),
        "epsilon": (Reals(0, closed_low=False),),
        "alpha": (Reals(0),),
        "max_grad_norm": (Reals(0, closed_low=False, closed_high=True), Instances((type(None),))),
        "batch_size": (Integers(1), Choices(("auto",))),
        "max_iter": (Integers(1),),
        "shuffle": _BOOLEAN,
        "tol": (Reals(0), Instances((type(None),))),
        "early_stopping": _BOOLEAN,
        "validation_fraction": (Reals(0, 1, closed_low=False),),
        "n_iter_no_change": (Integers(1),),
        "random_state": (
            Integers(0),
            Instances((np.random.RandomState, np.random.Generator, type(None))),
        ),
        "verbose": (*_BOOLEAN, Integers(0)),
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
        dropout: float = 0.0,
        solver: str = "adam",
        learning_rate_init: float = 0.005,
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
        n_iter_no_change: int = 10,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        verbose: bool | int = False,
        dtype: str = "float32",
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.activation = activation
        self.dropout = dropout
        self.solver = solver
        self.learning_rate_init = learning_rate_init
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
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state
        self.verbose = verbose
        self.dtype = dtype

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

    def _begin_fit(self, X: Any, y: Any) -> Sequences:
        """Begin a fit: check the parameters and ``X``, and that ``y`` is there."""
        check_parameters(self, self._constraints)
        if y is None:
            raise ValueError(f"This {type(self).__name__} estimator requires y to be passed, but the target y is None.")
        return check_sequences(self, X, np.dtype(self.dtype), reset=True)

    def _split(
        self, examples: Examples, rng: np.random.Generator, stratify: Array | None = None
    ) -> tuple[Examples, Examples | None]:
        """Return the examples to train on, and those to hold out if any; ``stratify`` keeps classes in proportion."""
        if not self.early_stopping:
            return examples, None
        return _hold_out(examples, self.validation_fraction, stratify, rng)

    def _train(
        self,
        training: Examples,
        validation: Examples | None,
        n_outputs: int,
        loss: str,
        rng: np.random.Generator,
    ) -> None:
        """Train a new network and keep it, with the attributes that tell how that went.

        Parameters
        ----------
        training, validation : Examples
            From :meth:`_split`, the targets as ``loss`` compares them with the outputs.
        n_outputs : int
            Units of the output layer.
        loss : str
            A name from ``skrnn.nn.losses``.
        rng : numpy.random.Generator
            Draws the first weights and shuffles.
        """
        recurrent = Recurrent(
            self.cell,
            input_size=training.sequences.n_features,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            bidirectional=bool(self.bidirectional),
            activation=self.activation,
            dropout=self.dropout,
            dtype=self.dtype,
            random_state=rng,
        )
        head = Dense(recurrent.output_size, n_outputs, dtype=self.dtype, random_state=rng)
        network = SequenceNetwork(recurrent, head)

        schedule = self._make_schedule(len(training))
        solver = self._make_solver(network.parameters, schedule.batch_size)
        history = train(
            Trainer(network, loss, solver),
            network.parameters.values,
            training,
            validation,
            schedule,
            rng,
            recurrent.output_size,
        )
        self.n_outputs_ = n_outputs
        self.n_iter_ = len(history.loss_curve)
        self.loss_curve_ = history.loss_curve
        self.loss_ = history.loss_curve[-1] if history.loss_curve else math.inf
        self.best_loss_ = history.best_loss
        self.validation_loss_curve_ = history.validation_loss_curve if validation is not None else None
        self._network: FrozenSequenceNetwork = network.freeze()

    def _make_solver(self, parameters: Parameters, batch_size: int) -> Solver:
        max_grad_norm = math.inf if self.max_grad_norm is None else self.max_grad_norm
        every = {
            "learning_rate": self.learning_rate_init,
            "decay": self.alpha / batch_size,
            "max_grad_norm": max_grad_norm,
        }
        if self.solver == "sgd":
            return SGD(parameters, momentum=self.momentum, nesterov=self.nesterovs_momentum, **every)
        if self.solver == "rmsprop":
            return RMSprop(parameters, epsilon=self.epsilon, **every)
        adam = {"adam": Adam, "adamw": AdamW}[self.solver]
        return adam(parameters, beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon, **every)

    def _make_schedule(self, n_examples: int) -> Schedule:
        # Small sets need many steps more than they need smooth ones.
        automatic = min(32, max(8, n_examples // 16))
        batch_size = automatic if self.batch_size == "auto" else int(self.batch_size)
        hints = (
            "The usual causes are inputs that are not scaled and a learning_rate_init that is too "
            f"large (it is {self.learning_rate_init})."
        )
        if self.activation == "relu":
            hints += " The states of activation='relu' have no bound: 'tanh' is safer."
        return Schedule(
            batch_size=min(batch_size, n_examples),
            max_iter=self.max_iter,
            shuffle=self.shuffle,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            verbose=int(self.verbose),
            hints=hints,
        )

    def _run_network(self, X: Any) -> Array:
        """Check ``X`` and return the outputs of the fitted network, (n_samples, n_outputs)."""
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)  # raises; asked at every call, it would cost more than a small network
        network = self._network
        sequences = check_sequences(self, X, network.dtype, reset=False)
        outputs = [network.forward(*sequences.batch(rows)) for rows in sequences.chunks(network.config.output_size)]
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)


@contextmanager
def all_or_nothing(estimator: RecurrentEstimator) -> Iterator[None]:
    """Put all attributes back when a fit fails, so that none is left from a model that never was."""
    before = estimator.__dict__.copy()
    try:
        yield
    except BaseException:
        estimator.__dict__ = before
        raise


def generator(random_state: Any) -> np.random.Generator:
    """Return the generator that a ``random_state`` stands for; None is NumPy's global state, as in scikit-learn."""
    if random_state is None or isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(check_random_state(random_state).randint(2**31, size=4))
    return np.random.default_rng(random_state)


def _hold_out(
    examples: Examples, fraction: float, stratify: Array | None, rng: np.random.Generator
) -> tuple[Examples, Examples]:
    """Split at random; return what is left and what is held out."""
    from sklearn.model_selection import train_test_split  # slow to import, rarely needed

    n_held_out = math.ceil(fraction * len(examples))
    n_kept = len(examples) - n_held_out
    held = f"validation_fraction={fraction} holds out {n_held_out} of {len(examples)} sequences"
    if n_kept == 0:
        raise ValueError(f"{held}, so that none is left to train on.")
    if stratify is not None:
        counts = np.unique(stratify, return_counts=True)[1]
        if counts.min() < 2:
            raise ValueError(f"{held}, stratified by class, so each class needs two sequences, but one has only one.")
        if min(n_held_out, n_kept) < len(counts):
            raise ValueError(
                f"{held} and leaves {n_kept}; both parts need at least one of each of the {len(counts)} classes."
            )
    kept, held_out = train_test_split(
        np.arange(len(examples)),
        test_size=n_held_out,
        stratify=stratify,
        random_state=int(rng.integers(2**31)),
    )
    return examples.subset(kept), examples.subset(held_out)
