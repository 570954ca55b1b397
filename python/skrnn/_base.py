"""What the estimators share: parameters, the forms of X, fitting a network, running it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skrnn._params import Choices, Constraint, Instances, Integers, Reals, check_parameters
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
from skrnn.nn.recurrent import ACTIVATIONS, CELLS

Array = NDArray[Any]

_BOOLEAN = (Instances((bool, np.bool_)),)


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
        "activation": (Choices(ACTIVATIONS),),
        "dropout": (Reals(0, 1),),
        "solver": (Choices(("sgd", "adam", "adamw", "rmsprop")),),
        "learning_rate_init": (Reals(0, closed_low=False),),
        "momentum": (Reals(0, 1),),
        "nesterovs_momentum": _BOOLEAN,
        "beta_1": (Reals(0, 1),),
        "beta_2": (Reals(0, 1),),
        "epsilon": (Reals(0, closed_low=False),),
        "alpha": (Reals(0),),
        "max_grad_norm": (Reals(0, closed_low=False), Instances((type(None),))),
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
        "dtype": (Choices(("float32", "float64")),),
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

    def _begin_fit(self, X: Any, y: Any) -> Sequences:
        """Begin a fit: check the parameters and ``X``, and that ``y`` is there."""
        check_parameters(self, self._constraints)
        if y is None:
            raise ValueError(f"This {type(self).__name__} estimator requires y to be passed, but the target y is None.")
        return check_sequences(self, X, np.dtype(self.dtype), reset=True)

    def _train(
        self,
        sequences: Sequences,
        target: Array,
        n_outputs: int,
        loss: str,
        stratify: Array | None = None,
    ) -> SequenceNetwork:
        """Train a new network and set the attributes that tell how that went.

        Parameters
        ----------
        sequences : Sequences
            From :meth:`_begin_fit`.
        target : ndarray
            What ``loss`` compares the outputs with.
        n_outputs : int
            Units of the output layer.
        loss : str
            A name from ``skrnn.nn.losses``.
        stratify : ndarray, default=None
            Classes to keep in proportion when holding out examples.

        Returns
        -------
        SequenceNetwork
            For :meth:`_keep`.
        """
        rng = _generator(self.random_state)
        recurrent = Recurrent(
            self.cell,
            input_size=sequences.n_features,
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

        training, validation = Examples(sequences, target), None
        if self.early_stopping:
            training, validation = _hold_out(training, self.validation_fraction, stratify, rng)
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
        return network

    def _keep(self, network: SequenceNetwork) -> None:
        """Keep what :meth:`_train` returned as the fitted network."""
        self._network = network.freeze()
        self.weights_ = self._network.weights

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
        network: FrozenSequenceNetwork | None = getattr(self, "_network", None)
        if network is None:
            check_is_fitted(self)
            raise AssertionError("a fitted estimator holds a network")
        sequences = check_sequences(self, X, network.dtype, reset=False)
        outputs = [network.forward(*sequences.batch(rows)) for rows in sequences.chunks(network.config.output_size)]
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)


def _generator(random_state: Any) -> np.random.Generator:
    """Return the generator that a ``random_state`` stands for."""
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31, size=4))
    return np.random.default_rng(random_state)


def _hold_out(
    examples: Examples, fraction: float, stratify: Array | None, rng: np.random.Generator
) -> tuple[Examples, Examples]:
    """Split at random; return what is left and what is held out."""
    from sklearn.model_selection import train_test_split  # slow to import, rarely needed

    kept, held_out = train_test_split(
        np.arange(len(examples)),
        test_size=fraction,
        stratify=stratify,
        random_state=int(rng.integers(2**31)),
    )
    return examples.subset(kept), examples.subset(held_out)
