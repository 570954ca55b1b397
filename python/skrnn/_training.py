"""The training loop: epochs and batches, when to stop, what to report; interrupted, it goes on where it stopped."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from skrnn._sequences import Rows, Sequences
from skrnn._warnings import warn
from skrnn.nn import DivergenceError, Trainer

Array = NDArray[Any]

# The rate below which learning_rate="adaptive" gives up, and what it divides by; those of scikit-learn's MLP.
_SMALLEST_RATE = 1e-6
_ADAPTIVE_DIVISOR = 5.0


@dataclass(frozen=True)
class Examples:
    """Sequences, what should come out for each, and how much each counts (None: alike).

    Where the sequences themselves say what should come out, targets are of no columns, (N, 0).
    """

    sequences: Sequences
    target: Array
    weight: Array | None = None

    def __len__(self) -> int:
        return len(self.sequences)

    def subset(self, rows: NDArray[np.int64]) -> Examples:
        """Return the examples ``rows``."""
        weight = None if self.weight is None else self.weight[rows]
        return Examples(self.sequences.subset(rows), self.target[rows], weight)

    def batch(self, rows: Rows) -> tuple[Array, NDArray[np.int64] | None, Array, Array | None]:
        """Return the examples ``rows`` as a trainer takes them: sequences, lengths, targets and weights."""
        weight = None if self.weight is None else self.weight[rows]
        return *self.sequences.batch(rows), self.target[rows], weight

    @property
    def mean_weight(self) -> float:
        """How much each counts on average."""
        return 1.0 if self.weight is None else float(self.weight.mean())

    def weighed(self, unit: float, dtype: Any) -> Examples:
        """Return the same with weights counted in ``unit``, in the precision ``dtype``."""
        if self.weight is None:
            return self
        return Examples(self.sequences, self.target, (self.weight / unit).astype(dtype))


@dataclass(frozen=True)
class Settings:
    """How to train; the names are the estimators'."""

    batch_size: int
    max_iter: int
    shuffle: bool
    tol: float | None
    n_iter_no_change: int
    early_stopping: bool
    verbose: int
    learning_rate: float
    schedule: Callable[[float], float] | None
    """A factor for the rate at each epoch, counted in fractions; None for 1."""
    adaptive: bool
    n_hidden: int
    """Numbers that the network keeps of a time step."""
    resumable: bool
    """Whether another fit can go on where this one is interrupted."""


@dataclass
class Progress:
    """What changes during training besides the weights, the solver and the random numbers: plain data."""

    history: dict[str, list[float]] = field(
        default_factory=lambda: {
            name: [] for name in ("loss", "validation_loss", "learning_rate", "gradient_norm", "seconds")
        }
    )
    epoch: int = 0
    """Whole epochs of this run, which a later run counts anew."""
    best_loss: float = math.inf
    """The smallest validation loss, or training loss where nothing was held out."""
    best_weights: Array | None = None
    """Those of which ``best_loss`` is the loss; before there are any, those that a run sets out with, if trained.

    A validation loss is of the weights after the epoch. A training loss is gathered while they move, and a last step
    may have ruined them: it stands for the weights that the epoch began with.
    """
    begun_with: Array | None = None
    """The weights that the epoch in hand began with, if trained."""
    epochs_without_improvement: int = 0
    rate_factor: float = 1.0
    finished: bool = False
    diverged: bool = False
    # Of the epoch in hand:
    order: NDArray[np.int64] | None = None
    position: int = 0
    total: float = 0.0
    norm: float = 0.0
    seconds: float = 0.0

    def begin_run(self, trained: Array | None, epoch: int = 0) -> None:
        """Count epochs from ``epoch`` on, and what the best of them is anew; ``trained`` weights are what is there."""
        self.epoch, self.epochs_without_improvement = epoch, 0
        self.best_loss, self.best_weights = math.inf, trained
        self.rate_factor = 1.0
        self.finished = self.diverged = False
        self.order = None

    def begin_epoch(self, order: NDArray[np.int64], weights: Array) -> None:
        """Set out on a new epoch."""
        self.order, self.position = order, 0
        trained = self.epoch > 0 or self.best_weights is not None
        self.begun_with = weights.copy() if trained else None
        self.total = self.norm = self.seconds = 0.0


class EpochHooks:
    """What the caller wants to do around each epoch; this one wants nothing."""

    def begin(self) -> None:
        """Before an epoch."""

    def end(self) -> bool:
        """After an epoch; return whether to stop."""
        return False


def train(
    trainer: Trainer,
    weights: Array,
    training: Examples,
    validation: Examples | None,
    settings: Settings,
    progress: Progress,
    rng: np.random.Generator,
    hooks: EpochHooks,
    diagnose: Callable[[], str],
) -> Array:
    """Train until the loss no longer improves, for ``max_iter`` epochs, or until Ctrl-C.

    Parameters
    ----------
    trainer : Trainer
        Takes the steps.
    weights : ndarray
        The flat vector that the trainer moves.
    training, validation : Examples
        What to learn, and what else to watch.
    settings : Settings
        How.
    progress : Progress
        Where to begin; tells in the end where training stopped.
    rng : numpy.random.Generator
        Shuffles.
    hooks : EpochHooks
        Called around each epoch.
    diagnose : callable
        Says what the likely cause of a divergence is.

    Returns
    -------
    ndarray
        The weights to keep: those with the smallest loss under early stopping or where training
        diverged, else the last.

    Raises
    ------
    ValueError
        If training diverges while no weights are better than those of a new network.
    """
    interrupts: list[int] = []
    try:
        with _deferred(interrupts):
            _run(trainer, weights, training, validation, settings, progress, rng, hooks, interrupts)
        if not progress.finished:
            raise KeyboardInterrupt
        trainer.check_weights()
        if interrupts:
            warn("Training interrupted by user, but in its last step: it is complete.")
    except KeyboardInterrupt:
        if len(interrupts) > 1:
            raise
        best = settings.early_stopping and progress.best_weights is not None
        which = "best epoch" if best else "steps"
        advice = "; with warm_start=True, fit on the same data goes on from here" if settings.resumable else ""
        warn(f"Training interrupted by user. The model is that of the {which} so far{advice}.")
    except DivergenceError as error:
        message = f"Training diverged in epoch {len(progress.history['loss']) + 1}: {error}. {diagnose()}"
        if progress.best_weights is None:
            raise ValueError(message) from error
        progress.finished = progress.diverged = True
        warn(f"{message} The last good weights, those with the smallest loss so far, are kept.", ConvergenceWarning)
    if (settings.early_stopping or progress.diverged) and progress.best_weights is not None:
        return progress.best_weights
    return weights


def _run(
    trainer: Trainer,
    weights: Array,
    training: Examples,
    validation: Examples | None,
    settings: Settings,
    progress: Progress,
    rng: np.random.Generator,
    hooks: EpochHooks,
    interrupts: list[int],
) -> None:
    """Run epochs; ends early when ``interrupts`` is no longer empty."""
    history = progress.history
    sets_out = progress.order is None and progress.best_loss == math.inf
    if sets_out and progress.best_weights is not None and settings.early_stopping and validation is not None:
        progress.best_loss = _evaluate(trainer, validation, settings.n_hidden)  # of the model that is there
    while progress.epoch < settings.max_iter and not progress.finished:
        if progress.order is None:
            n = len(training)
            progress.begin_epoch(rng.permutation(n) if settings.shuffle else np.arange(n), weights)
        hooks.begin()
        started = time.perf_counter()
        complete = _run_epoch(trainer, training, settings, progress, interrupts)
        if complete:
            watched = loss = progress.total / len(training)
            if validation is not None:
                validation_loss = _evaluate(trainer, validation, settings.n_hidden)
                if settings.early_stopping:
                    watched = validation_loss
                    if not math.isfinite(watched):
                        raise DivergenceError("the validation loss is not finite")
                history["validation_loss"].append(validation_loss)
            history["loss"].append(loss)
        progress.seconds += time.perf_counter() - started
        if not complete:
            return
        history["learning_rate"].append(trainer.solver.learning_rate)
        history["gradient_norm"].append(progress.norm / math.ceil(len(training) / settings.batch_size))
        history["seconds"].append(progress.seconds)
        progress.order = None
        progress.epoch += 1
        progress.finished = _judge(watched, weights, settings, progress)
        if settings.verbose and (progress.epoch % settings.verbose == 0 or progress.finished):
            _report(progress, settings)
        if progress.finished and settings.tol is not None:
            _say_why(progress, settings)
        if hooks.end():
            progress.finished = True
        if interrupts:
            return
    progress.finished = True


def _run_epoch(
    trainer: Trainer, examples: Examples, settings: Settings, progress: Progress, interrupts: list[int]
) -> bool:
    """Take one step for each batch that is left of the epoch; return whether none is left."""
    n_examples, batch_size = len(examples), settings.batch_size
    rate = settings.learning_rate * progress.rate_factor
    trainer.solver.learning_rate = rate
    order = progress.order
    assert order is not None
    while progress.position < n_examples:
        if interrupts:
            return False
        rows = order[progress.position : progress.position + batch_size]
        if settings.schedule is not None:
            epoch = progress.epoch + progress.position / n_examples
            trainer.solver.learning_rate = rate * settings.schedule(epoch)
        progress.total += trainer.step(*examples.batch(rows)) * len(rows)
        progress.norm += trainer.gradient_norm
        progress.position += batch_size
    return True


def _judge(watched: float, weights: Array, settings: Settings, progress: Progress) -> bool:
    """Compare the epoch with the best so far; return whether training is finished."""
    if watched < progress.best_loss - (settings.tol or 0.0):
        progress.epochs_without_improvement = 0
    else:
        progress.epochs_without_improvement += 1
    if watched < progress.best_loss:
        progress.best_loss = watched
        progress.best_weights = weights.copy() if settings.early_stopping else progress.begun_with
    if settings.tol is not None and progress.epochs_without_improvement > settings.n_iter_no_change:
        if not settings.adaptive or settings.learning_rate * progress.rate_factor <= _SMALLEST_RATE:
            return True
        progress.rate_factor /= _ADAPTIVE_DIVISOR
        progress.epochs_without_improvement = 0
    return progress.epoch == settings.max_iter


def _say_why(progress: Progress, settings: Settings) -> None:
    """Tell whether training ended because nothing was gained, or too early."""
    if progress.epochs_without_improvement > settings.n_iter_no_change:
        if settings.verbose:
            print(
                f"Stopped: for more than {settings.n_iter_no_change} epochs the loss did not fall by tol={settings.tol}"
            )
        return
    warn(
        f"Stochastic Optimizer: Maximum iterations ({settings.max_iter}) reached and "
        "the optimization hasn't converged yet.",
        ConvergenceWarning,
    )


@contextmanager
def _deferred(interrupts: list[int]) -> Iterator[None]:
    """Let Ctrl-C wait until the step in hand is complete, so that training can go on from there bit for bit.

    It fills the list instead. A second one does not wait. Where it is not Python's own handler that
    answers, or in another thread than the main one, nothing is changed.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def handle(number: int, frame: Any) -> None:
        interrupts.append(number)
        if len(interrupts) > 1:
            signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _evaluate(trainer: Trainer, examples: Examples, n_hidden: int) -> float:
    """Return the mean loss of all examples."""
    total = 0.0
    for rows in examples.sequences.chunks(n_hidden):
        batch = examples.batch(rows)
        total += trainer.evaluate(*batch) * len(batch[0])
    return total / len(examples)


def _report(progress: Progress, settings: Settings) -> None:
    history = progress.history
    line = f"Epoch {progress.epoch:>{len(str(settings.max_iter))}}/{settings.max_iter}"
    line += f"  loss {history['loss'][-1]:.5f}"
    if history["validation_loss"]:
        line += f"  validation loss {history['validation_loss'][-1]:.5f}"
    print(f"{line}  {sum(history['seconds']):.1f} s", flush=True)
