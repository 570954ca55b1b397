"""Schedules of the learning rate: the factor on the initial rate as a function of the epoch.

A schedule is called with the time since training began, in epochs: 0.0 before the first step, 1.5 in the middle of the
second epoch. It remembers nothing, so training that goes on after a pause goes on with the same rates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from skrnn.nn._checks import check_choice

_WARMUP_START = 0.01
"""What a warm-up begins with: not with 0, at which the first step would move nothing."""


class Schedule(Protocol):
    """The factor on the initial learning rate at a time in epochs."""

    def __call__(self, epoch: float, /) -> float:
        """Return the factor."""


@dataclass(frozen=True)
class Constant:
    """Always 1."""

    def __call__(self, epoch: float, /) -> float:
        """Return the factor."""
        return 1.0


@dataclass(frozen=True)
class InverseScaling:
    """``1 / (1 + epoch) ** power_t``: what scikit-learn calls "invscaling", by epochs."""

    power_t: float = 0.5

    def __call__(self, epoch: float, /) -> float:
        """Return the factor."""
        return math.pow(1.0 + epoch, -self.power_t)


@dataclass(frozen=True)
class Step:
    """``decay_rate ** floor(epoch / decay_epochs)``: as ``torch.optim.lr_scheduler.StepLR``."""

    decay_rate: float
    decay_epochs: float

    def __call__(self, epoch: float, /) -> float:
        """Return the factor."""
        return math.pow(self.decay_rate, math.floor(epoch / self.decay_epochs))


@dataclass(frozen=True)
class Exponential:
    """``decay_rate ** (epoch / decay_epochs)``."""

    decay_rate: float
    decay_epochs: float

    def __call__(self, epoch: float, /) -> float:
        """Return the factor."""
        return math.pow(self.decay_rate, epoch / self.decay_epochs)


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from 1 to ``final_factor`` at ``end``, and ``final_factor`` from there on.

    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017, without
    restarts.
    """

    end: float
    final_factor: float = 0.0

    def __call__(self, epoch: float, /) -> float:
        """Return the factor."""
        return _cosine(1.0, self.final_factor, epoch / self.end)


@dataclass(frozen=True)
class OneCycle:
    """Half a cosine up, from ``1 / div`` to 1, and half a cosine down, to ``1 / (div * final_div)`` at ``end``.

    The initial rate is the largest (Smith and Topin, "Super-convergence: very fast training of
    neural networks using large learning rates", 2018; shape and constants are those of
    ``torch.optim.lr_scheduler.OneCycleLR``).
    """

    end: float
    rise: float = 0.3
    """The share of the time that goes upwards."""
    div: float = 25.0
    final_div: float = 1e4

    def __call__(self, epoch: float, /) -> float:
        """Return the factor."""
        peak = self.rise * self.end
        if epoch < peak:
            return _cosine(1.0 / self.div, 1.0, epoch / peak)
        return _cosine(1.0, 1.0 / (self.div * self.final_div), (epoch - peak) / (self.end - peak))


@dataclass(frozen=True)
class WarmUp:
    """A straight line from 1 % of what ``then`` begins with to that, over ``epochs``; then ``then``.

    Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017.
    """

    epochs: float
    then: Schedule

    def __call__(self, epoch: float, /) -> float:
        """Return the factor."""
        if epoch >= self.epochs:
            return self.then(epoch - self.epochs)
        return self.then(0.0) * (_WARMUP_START + (1.0 - _WARMUP_START) * epoch / self.epochs)


def _cosine(first: float, last: float, share: float) -> float:
    """Go from ``first`` to ``last``."""
    return last + 0.5 * (first - last) * (1.0 + math.cos(math.pi * min(share, 1.0)))


KINDS = ("constant", "invscaling", "adaptive", "step", "exponential", "cosine", "onecycle")


def make_schedule(
    kind: str,
    *,
    max_iter: float,
    power_t: float = 0.5,
    decay_rate: float = 0.5,
    decay_epochs: float = 10.0,
    final_factor: float = 0.0,
    warmup_epochs: float = 0.0,
) -> Schedule:
    """Return the schedule of this name.

    Parameters
    ----------
    kind : {"constant", "invscaling", "adaptive", "step", "exponential", "cosine", "onecycle"}
        The shape. "adaptive" is up to the training loop, which looks at losses; here it is constant.
    max_iter : float
        How many epochs training takes: where "cosine" and "onecycle" end.
    power_t : float, default=0.5
        The exponent of "invscaling"; at least 0.
    decay_rate : float, default=0.5
        What the factor is multiplied with in ``decay_epochs``, by "step" at once and by
        "exponential" bit by bit; in (0, 1].
    decay_epochs : float, default=10.0
        See ``decay_rate``; positive.
    final_factor : float, default=0.0
        Where "cosine" ends; in [0, 1].
    warmup_epochs : float, default=0.0
        How long the factor first rises, along a straight line from 1 % of the schedule's first
        value to that value. The schedule begins when the warm-up ends, and still ends at
        ``max_iter``. At least 0 and less than ``max_iter``.

    Returns
    -------
    callable
        ``schedule(epoch)`` returns the factor on the initial rate at a time in epochs.

    Raises
    ------
    ValueError
        If there is no such kind, or a number is out of its range.
    """
    check_choice("learning_rate", kind, KINDS)
    for name, value, fits, expected in (
        ("max_iter", max_iter, max_iter > 0, "positive"),
        ("power_t", power_t, power_t >= 0, "at least 0"),
        ("decay_rate", decay_rate, 0 < decay_rate <= 1, "in the range (0, 1]"),
        ("decay_epochs", decay_epochs, decay_epochs > 0, "positive"),
        ("final_factor", final_factor, 0 <= final_factor <= 1, "in the range [0, 1]"),
        (
            "warmup_epochs",
            warmup_epochs,
            0 <= warmup_epochs < max_iter,
            f"in the range [0, max_iter={max_iter})",
        ),
    ):
        if not fits:
            raise ValueError(f"{name} must be {expected}, got {value}")
    end = float(max_iter - warmup_epochs)
    schedules: dict[str, Schedule] = {
        "constant": Constant(),
        "adaptive": Constant(),
        "invscaling": InverseScaling(power_t),
        "step": Step(decay_rate, decay_epochs),
        "exponential": Exponential(decay_rate, decay_epochs),
        "cosine": Cosine(end, final_factor),
        "onecycle": OneCycle(end),
    }
    return WarmUp(warmup_epochs, schedules[kind]) if warmup_epochs > 0 else schedules[kind]
