"""What the tests compute on: networks and batches drawn at random, and selections that cover without exploding."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

import reference

Array = np.ndarray[Any, Any]
State = tuple[Array, ...]


def covering(seed: int = 0, **axes: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Choices from the axes such that every pair of values of every two axes occurs together at least once.

    Bugs of kernels live where two things meet (an odd hidden size and a reverse direction, say), rarely where five do.
    The full product of our axes has many thousands of members; this has about as many as the product of the two
    longest axes.
    """
    rng = np.random.default_rng(seed)
    names = list(axes)
    missing = {
        (a, i, b, j)
        for a, b in itertools.combinations(names, 2)
        for i in range(len(axes[a]))
        for j in range(len(axes[b]))
    }

    def pairs(at: Mapping[str, int]) -> set[tuple[str, int, str, int]]:
        return {(a, at[a], b, at[b]) for a, b in itertools.combinations(names, 2)}

    while missing:
        a, i, b, j = min(missing)  # one pair that must come in, the rest of the row chosen among a few at random
        candidates = [{name: int(rng.integers(len(axes[name]))) for name in names} | {a: i, b: j} for _ in range(20)]
        best = max(candidates, key=lambda at: len(pairs(at) & missing))
        missing -= pairs(best)
        yield {name: axes[name][best[name]] for name in names}


@dataclass(frozen=True)
class Case:
    """One network and one batch, but for the cell, the precision and the instruction set, which are fixtures."""

    activation: str = "tanh"
    input_size: int = 3
    hidden_size: int = 5
    num_layers: int = 1
    bidirectional: bool = False
    n_rows: int = 4
    n_steps: int = 6
    lengths: str = "full"
    """"full": no lengths given; "ragged": unsorted, with 0, 1 and T among them; "nonzero": the
    same without 0; "zero": all rows empty."""
    with_state: bool = True
    seed: int = field(default=0, compare=True)

    def __str__(self) -> str:
        direction = "bi" if self.bidirectional else "uni"
        state = "state" if self.with_state else "zeros"
        return (
            f"{self.activation}-I{self.input_size}-H{self.hidden_size}-L{self.num_layers}{direction}"
            f"-N{self.n_rows}-T{self.n_steps}{self.lengths}-{state}"
        )

    def architecture(self) -> dict[str, Any]:
        """The arguments of ``Recurrent`` that a case decides."""
        return {
            "activation": self.activation,
            "input_size": self.input_size,
            "hidden_size": self.hidden_size,
            "num_layers": self.num_layers,
            "bidirectional": self.bidirectional,
        }


def draw_lengths(kind: str, n_rows: int, n_steps: int, rng: np.random.Generator) -> Array | None:
    if kind == "full":
        return None
    if kind == "zero":
        return np.zeros(n_rows, dtype=np.int64)
    shortest = {"ragged": 0, "nonzero": 1}[kind]
    lengths = rng.integers(shortest, n_steps + 1, size=n_rows)
    # In this order, so that a batch of one row keeps a full one.
    special = [n_steps, shortest, min(1, n_steps)][:n_rows]
    lengths[: len(special)] = special
    return rng.permutation(lengths).astype(np.int64)


@dataclass(frozen=True)
class Problem:
    """The arrays of a case. All are float64 whose values float32 holds exactly, so one reference serves both."""

    cell: str
    case: Case
    weights: dict[str, Array]
    X: Array
    lengths: Array | None
    state: State | None
    d_output: Array
    d_state: State

    @property
    def n_directions(self) -> int:
        return 2 if self.case.bidirectional else 1

    def mask(self) -> Array:
        """True where a step belongs to its row: (N, T)."""
        n_rows, n_steps, _ = self.X.shape
        lengths = np.full(n_rows, n_steps) if self.lengths is None else self.lengths
        return np.arange(n_steps) < lengths[:, None]


def _draw(rng: np.random.Generator, shape: tuple[int, ...], scale: float = 1.0) -> Array:
    return (scale * rng.standard_normal(shape)).astype(np.float32).astype(np.float64)


def draw_weights(
    cell: str,
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    *,
    bidirectional: bool = False,
    scale: float = 1.0,
    rng: np.random.Generator,
) -> dict[str, Array]:
    """Weights of the size a trained network has: each pre-activation is of order 1, whatever the sizes."""
    shapes = reference.weight_shapes(cell, input_size, hidden_size, num_layers, bidirectional=bidirectional)
    return {
        name: _draw(rng, shape, scale * (0.3 if len(shape) == 1 else 0.8 / np.sqrt(shape[1])))
        for name, shape in shapes.items()
    }


@cache
def problem(cell: str, case: Case) -> Problem:
    rng = np.random.default_rng([case.seed, case.hidden_size, case.n_rows, case.n_steps])
    D = 2 if case.bidirectional else 1
    weights = draw_weights(
        cell,
        case.input_size,
        case.hidden_size,
        case.num_layers,
        bidirectional=case.bidirectional,
        # Gates without bounds multiply: what grows so fast would say more about the growth than about the kernels.
        scale=0.2 if case.activation == "linear" else 1.0,
        rng=rng,
    )
    n_states = reference.CELLS[cell].n_states
    state_shape = (case.num_layers * D, case.n_rows, case.hidden_size)
    state = tuple(_draw(rng, state_shape, 0.5) for _ in range(n_states))
    return Problem(
        cell=cell,
        case=case,
        weights=weights,
        X=_draw(rng, (case.n_rows, case.n_steps, case.input_size)),
        lengths=draw_lengths(case.lengths, case.n_rows, case.n_steps, rng),
        state=state if case.with_state else None,
        d_output=_draw(rng, (case.n_rows, case.n_steps, D * case.hidden_size)),
        d_state=tuple(_draw(rng, state_shape) for _ in range(n_states)),
    )


@cache
def expected(cell: str, case: Case) -> tuple[Array, State]:
    """What the reference makes of a case, in float64. Read-only: it is shared by many tests."""
    p = problem(cell, case)
    output, state = reference.run(
        cell,
        case.activation,
        p.weights,
        p.X,
        p.lengths,
        p.state,
        num_layers=case.num_layers,
        bidirectional=case.bidirectional,
    )
    for array in (output, *state):
        array.flags.writeable = False
    return output, state
