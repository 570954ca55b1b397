"""The shapes that every timing here is taken on, and the problems drawn from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

CELLS = ("rnn", "gru", "lstm")
GATES = {"rnn": 1, "gru": 3, "lstm": 4}


@dataclass(frozen=True)
class Shape:
    """One row of the grid: sizes of a network and of the batch it reads."""

    name: str
    batch: int
    steps: int
    input_size: int
    hidden_size: int
    num_layers: int = 1
    bidirectional: bool = False
    ragged: bool = False


GRID = {
    shape.name: shape
    for shape in (
        Shape("step", 1, 1, 64, 128),  # streaming, from Python
        Shape("row-small", 1, 100, 64, 128),  # latency
        Shape("row-large", 1, 100, 256, 256),
        Shape("tutorial", 32, 10, 1, 50),  # the textbook sine wave
        Shape("small", 32, 100, 16, 64),  # a typical estimator
        Shape("medium", 64, 100, 64, 128),  # typical training
        Shape("large", 64, 100, 256, 256),
        Shape("huge", 128, 50, 512, 512),  # near the limit
        Shape("stacked", 32, 100, 128, 256, num_layers=2),
        Shape("bidirectional", 64, 100, 64, 128, bidirectional=True),
        Shape("ragged", 64, 100, 64, 128, ragged=True),  # real data: lengths from 10 to 100
    )
}


@dataclass(frozen=True)
class Problem:
    """A cell, a shape, and data drawn for them: the same for every contender."""

    cell: str
    shape: Shape

    @cached_property
    def X(self) -> Array:
        s = self.shape
        return self._draw(0, (s.batch, s.steps, s.input_size)) * self.mask

    @cached_property
    def d_output(self) -> Array:
        """The gradient of the loss with respect to the output; zero beyond each row's length."""
        s = self.shape
        return self._draw(1, (s.batch, s.steps, s.hidden_size * self.directions)) * self.mask

    @cached_property
    def lengths(self) -> Array | None:
        s = self.shape
        return np.random.default_rng(2).integers(10, s.steps + 1, s.batch) if s.ragged else None

    @cached_property
    def mask(self) -> Array:
        """(N, T, 1): one inside a row, zero beyond its length."""
        s = self.shape
        ends = np.full(s.batch, s.steps) if self.lengths is None else self.lengths
        return (np.arange(s.steps) < ends[:, None]).astype(np.float32)[..., None]

    @property
    def directions(self) -> int:
        return 2 if self.shape.bidirectional else 1

    @property
    def forward_flops(self) -> float:
        """Of the matrix products; padding is no work. A training step counts three times as many."""
        s = self.shape
        steps = float(self.mask.sum())
        above = self.directions * s.hidden_size
        inputs = s.input_size + (s.num_layers - 1) * above + s.num_layers * s.hidden_size
        return 2.0 * GATES[self.cell] * s.hidden_size * inputs * self.directions * steps

    @staticmethod
    def _draw(stream: int, size: tuple[int, ...]) -> Array:
        return np.random.default_rng([stream, *size]).standard_normal(size, dtype=np.float32)
