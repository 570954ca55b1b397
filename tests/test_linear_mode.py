"""With every nonlinearity taken away, small integers stay integers, and then nothing is rounded.

So every instruction set and both precisions must give the same numbers as integer arithmetic does, exactly: one
operand read twice, one tail lane too many or one gradient of padding would show. Derivatives are exact too: the
reference runs on dual numbers a + b e with e*e = 0, whose second parts are derivatives along a direction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
import pytest

import reference
from cases import Array, Case, Problem, State, problem
from running import given, recurrent, states

# Sizes with tails for every vector width; lengths with 0, 1 and T; more rows than a tile.
CASES = [
    Case("linear", input_size=17, hidden_size=33, n_rows=13, n_steps=4, lengths="ragged"),
    Case("linear", input_size=3, hidden_size=70, n_rows=7, n_steps=3, bidirectional=True),
    Case("linear", input_size=1, hidden_size=5, n_rows=5, n_steps=5, num_layers=2, lengths="ragged"),
    Case("linear", input_size=40, hidden_size=129, n_rows=2, n_steps=2, num_layers=3),
    Case("linear", input_size=9, hidden_size=8, n_rows=45, n_steps=9, lengths="ragged"),
]

# Sums of products of forward and backward values must stay below 2^24, where float32 ends to hold every integer.
# Forward values below 2^8 leave room for that; the tests check that it was enough.
LARGEST_FORWARD = 2**8
LARGEST_GRADIENT = 2**22


@dataclass(frozen=True)
class Dual:
    """a + b e, e*e = 0."""

    a: int
    b: int

    def __add__(self, other: Any) -> Dual:
        other = dual(other)
        return Dual(self.a + other.a, self.b + other.b)

    def __mul__(self, other: Any) -> Dual:
        other = dual(other)
        return Dual(self.a * other.a, self.a * other.b + self.b * other.a)

    def __rsub__(self, other: Any) -> Dual:
        return dual(other) + self * -1

    def __sub__(self, other: Any) -> Dual:
        return self + dual(other) * -1

    __radd__ = __add__
    __rmul__ = __mul__


def dual(x: Any) -> Dual:
    return x if isinstance(x, Dual) else Dual(int(x), 0)


def dual_array(value: Array, direction: Array) -> Array:
    out = np.empty(value.shape, dtype=object)
    for index in np.ndindex(value.shape):
        out[index] = Dual(int(value[index]), int(direction[index]))
    return out


def run_reference(p: Problem) -> tuple[Array, State]:
    return reference.run(
        p.cell,
        "linear",
        p.weights,
        p.X,
        p.lengths,
        p.state,
        num_layers=p.case.num_layers,
        bidirectional=p.case.bidirectional,
    )


def draw_integers(rng: np.random.Generator, shape: tuple[int, ...], density: float) -> Array:
    """-1 and 1, and 0 in all but a share of the places."""
    sign = rng.integers(0, 2, shape) * 2 - 1
    return sign * (rng.random(shape) < density)


@cache
def integer_problem(cell: str, case: Case) -> Problem:
    """The problem of a case in integers: weights so sparse that products of gates do not run away."""
    drawn = problem(cell, case)
    for attempt in range(200):
        rng = np.random.default_rng(attempt)
        density = 0.97**attempt

        integers = partial(draw_integers, rng)
        p = replace(
            drawn,
            weights={
                name: integers(w.shape, density if w.ndim == 1 else density * 2 / w.shape[1])
                for name, w in drawn.weights.items()
            },
            X=integers(drawn.X.shape, 0.7),
            state=tuple(integers(s.shape, 0.5) for s in drawn.d_state),
            d_output=integers(drawn.d_output.shape, 0.3),
            d_state=tuple(integers(s.shape, 0.5) for s in drawn.d_state),
        )
        output, state = run_reference(p)
        if max(np.abs(a).max() for a in (output, *state)) < LARGEST_FORWARD:
            assert np.mean(output[p.mask()] != 0) > 0.1, "too sparse to prove anything"
            return p
    raise AssertionError(f"no integer problem found for {cell} with {case}")


def gradients(p: Problem, dtype: str) -> dict[str, Array]:
    tape = recurrent(p, dtype).record(p.X.astype(dtype), lengths=p.lengths, state=given(p.state, dtype))
    grads = tape.backward(p.d_output.astype(dtype), given(p.d_state, dtype))
    return {**grads.weights, "X": grads.X, **dict(zip("hc", states(grads.state), strict=False))}


def exact(array: Array) -> Array:
    """As integers, which they must be."""
    rounded = np.rint(array)
    np.testing.assert_array_equal(array, rounded)
    return rounded.astype(np.int64)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_forward(cell: str, dtype: str, isa: str, case: Case) -> None:
    p = integer_problem(cell, case)
    want_output, want_state = run_reference(p)
    assert want_output.dtype == np.int64
    output, state = recurrent(p, dtype).forward(p.X.astype(dtype), lengths=p.lengths, state=given(p.state, dtype))
    np.testing.assert_array_equal(exact(output), want_output)
    for got, want in zip(states(state), want_state, strict=True):
        np.testing.assert_array_equal(exact(got), want)


@cache
def derivatives(cell: str, case: Case) -> tuple[tuple[dict[str, Array], int], ...]:
    """Directions in the space of all that the loss depends on, and its exact derivative along each of them.

    One wrong element of a gradient goes unnoticed by one direction if it happens to be 0 there or to be cancelled by
    another one: less than once in a hundred. There are four directions.
    """
    p = integer_problem(cell, case)
    assert p.state is not None
    rng = np.random.default_rng(7)
    found = []
    for _ in range(4):
        arrays = {**p.weights, "X": p.X, **dict(zip("hc", p.state, strict=False))}
        direction = {name: rng.integers(-99, 100, a.shape) for name, a in arrays.items()}
        moved = {name: dual_array(a, direction[name]) for name, a in arrays.items()}
        output, state = run_reference(
            replace(
                p,
                weights={name: moved[name] for name in p.weights},
                X=moved["X"],
                state=tuple(moved[name] for name in "hc"[: len(p.state)]),
            )
        )
        loss = Dual(0, 0)
        for values, weight in zip((output, *state), (p.d_output, *p.d_state), strict=True):
            loss += np.sum(values * weight)
        found.append((direction, loss.b))
    return tuple(found)


@pytest.mark.parametrize("case", CASES[1:3], ids=str)
def test_gradients_are_the_exact_derivatives(cell: str, dtype: str, isa: str, case: Case) -> None:
    got = {name: exact(a) for name, a in gradients(integer_problem(cell, case), dtype).items()}
    assert max(np.abs(a).max() for a in got.values()) < LARGEST_GRADIENT
    for direction, derivative in derivatives(cell, case):
        assert sum(int(np.sum(got[name] * direction[name])) for name in got) == derivative


@cache
def anchor(cell: str, case: Case) -> dict[str, Array]:
    """The gradients in float64 on whatever instruction set comes first."""
    return {name: exact(a) for name, a in gradients(integer_problem(cell, case), "float64").items()}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_agree_across_instruction_sets(cell: str, dtype: str, isa: str, case: Case) -> None:
    want = anchor(cell, case)
    assert max(np.abs(a).max() for a in want.values()) < LARGEST_GRADIENT
    assert any(np.any(a) for a in want.values())
    for name, got in gradients(integer_problem(cell, case), dtype).items():
        np.testing.assert_array_equal(exact(got), want[name], err_msg=name)
