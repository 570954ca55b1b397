"""The training loop: epochs and batches, when to stop, what to report."""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from skrnn._sequences import Sequences
from skrnn.nn import DivergenceError, Trainer

Array = NDArray[Any]


@dataclass(frozen=True)
class Examples:
    """Sequences and what should come out for each."""

    sequences: Sequences
    target: Array

    def __len__(self) -> int:
        return len(self.sequences)

    def subset(self, rows: NDArray[np.int64]) -> Examples:
        """Return the examples ``rows``."""
        return Examples(self.sequences.subset(rows), self.target[rows])


@dataclass(frozen=True)
class Schedule:
    """How long to train and in which portions; the names are the estimators'."""

    batch_size: int
    max_iter: int
    shuffle: bool
    tol: float | None
    n_iter_no_change: int
    verbose: int
    hints: str
    """What to suggest when training diverges."""


@dataclass
class History:
    """What happened."""

    loss_curve: list[float] = field(default_factory=list)
    validation_loss_curve: list[float] = field(default_factory=list)
    best_loss: float = math.inf
    """The smallest validation loss, or training loss where nothing was held out."""


def train(
    trainer: Trainer,
    weights: Array,
    training: Examples,
    validation: Examples | None,
    schedule: Schedule,
    rng: np.random.Generator,
    n_hidden: int,
) -> History:
    """Train until the loss no longer improves, or for ``max_iter`` epochs.

    Parameters
    ----------
    trainer : Trainer
        Takes the steps.
    weights : ndarray
        The flat vector that the trainer moves. With validation examples it ends as it was when
        their loss was smallest.
    training, validation : Examples
        What to learn, and what to watch instead of the training loss.
    schedule : Schedule
        When to stop.
    rng : numpy.random.Generator
        Shuffles.
    n_hidden : int
        Numbers that the network keeps of a time step.

    Returns
    -------
    History
    """
    history = History()
    best_weights: Array | None = None
    epochs_without_improvement = 0
    started = time.perf_counter()
    try:
        for epoch in range(1, schedule.max_iter + 1):
            history.loss_curve.append(_run_epoch(trainer, training, schedule, rng))
            watched = history.loss_curve[-1]
            if validation is not None:
                watched = _evaluate(trainer, validation, n_hidden)
                history.validation_loss_curve.append(watched)

            if watched < history.best_loss - (schedule.tol or 0.0):
                epochs_without_improvement = 0
            else:
                epochs_without_improvement += 1
            if watched < history.best_loss:
                history.best_loss = watched
                if validation is not None:
                    best_weights = weights.copy()

            stop = schedule.tol is not None and epochs_without_improvement > schedule.n_iter_no_change
            is_last = stop or epoch == schedule.max_iter
            if schedule.verbose and (epoch % schedule.verbose == 0 or is_last):
                _report(epoch, schedule, history, time.perf_counter() - started)
            if stop:
                if schedule.verbose:
                    n = schedule.n_iter_no_change
                    print(f"Stopped: for more than {n} epochs the loss did not fall by tol={schedule.tol}")
                break
        else:
            if schedule.tol is not None:
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({schedule.max_iter}) reached and "
                    "the optimization hasn't converged yet.",
                    ConvergenceWarning,
                    stacklevel=4,
                )
        trainer.check_weights()
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=4)
    except DivergenceError as error:
        epoch = len(history.loss_curve) + 1
        message = f"Training diverged in epoch {epoch}: {error}. {schedule.hints}"
        if trainer.n_steps == 0:
            raise ValueError(message) from error
        warnings.warn(f"{message} The last good weights are kept.", ConvergenceWarning, stacklevel=4)
    if best_weights is not None:
        weights[:] = best_weights
    return history


def _run_epoch(trainer: Trainer, examples: Examples, schedule: Schedule, rng: np.random.Generator) -> float:
    """Take one step for each batch; return the mean loss of all examples."""
    n_examples = len(examples)
    order = rng.permutation(n_examples) if schedule.shuffle else np.arange(n_examples)
    total = 0.0
    for start in range(0, n_examples, schedule.batch_size):
        rows = order[start : start + schedule.batch_size]
        x, lengths = examples.sequences.batch(rows)
        total += trainer.step(x, lengths, examples.target[rows]) * len(rows)
    return total / n_examples


def _evaluate(trainer: Trainer, examples: Examples, n_hidden: int) -> float:
    """Return the mean loss of all examples."""
    total = 0.0
    for rows in examples.sequences.chunks(n_hidden):
        x, lengths = examples.sequences.batch(rows)
        total += trainer.evaluate(x, lengths, examples.target[rows]) * len(x)
    return total / len(examples)


def _report(epoch: int, schedule: Schedule, history: History, seconds: float) -> None:
    line = f"Epoch {epoch:>{len(str(schedule.max_iter))}}/{schedule.max_iter}"
    line += f"  loss {history.loss_curve[-1]:.5f}"
    if history.validation_loss_curve:
        line += f"  validation loss {history.validation_loss_curve[-1]:.5f}"
    print(f"{line}  {seconds:.1f} s", flush=True)
