"""The definition of correct is itself correct: by numbers worked out on paper, and by PyTorch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import reference
import torch_parity
from cases import Case, covering, draw_weights, expected, problem

EPS = np.finfo(np.float64).eps

# Every nonlinearity is given a multiple of ln 3, because there it is a fraction:
# sigmoid(ln 3) = 3/4, sigmoid(0) = 1/2, sigmoid(-ln 3) = 1/4, tanh(ln 3) = 4/5, tanh(ln 3 / 2) = 1/2.
LN3 = math.log(3)


def gate(p: float) -> tuple[float, float, float, float]:
    """(W, U, b, d) in multiples of ln 3 such that W x + b + U h + d = p ln 3 for x = h = 2."""
    return p / 4, p / 4, p / 4, -p / 4


# cell: (W, U, b, d) of every gate in multiples of ln 3, states before, states after; x = h = 2.
ON_PAPER = {
    "rnn": ([gate(1)], (2.0,), (0.8,)),
    # i = 3/4, f = 1/2, g = 1/2, o = 1/4. c' = c / 2 + 3/8 comes to ln 3 / 2, so h' = 1/4 * 1/2.
    "lstm": ([gate(1), gate(0), gate(0.5), gate(-1)], (2.0, LN3 - 0.75), (0.125, LN3 / 2)),
    # r = 3/4, z = 1/4. n: 1/2 - 1/4 from below, r * (1/2 + 1/2) from before. h' = 3/4 * 4/5 + 1/4 * 2.
    "gru": ([gate(1), gate(-1), (0.25, 0.25, -0.25, 0.5)], (2.0,), (1.1,)),
    # r h = 3/2. n: 1/2 - 1/4 from below, 2/3 * 3/2 - 1/4 from before.
    "gru_reset_before": ([gate(1), gate(-1), (0.25, 2 / 3, -0.25, -0.25)], (2.0,), (1.1,)),
    # f = 3/4, n as above. h' = 1/4 * 2 + 3/4 * 4/5.
    "mgu": ([gate(1), (0.25, 2 / 3, -0.25, -0.25)], (2.0,), (1.1,)),
}


@pytest.mark.parametrize("name", ON_PAPER)
def test_one_step_on_paper(name: str) -> None:
    rows, before, after = ON_PAPER[name]
    W, U, b, d = LN3 * np.array(rows).T
    weights = dict(zip(reference.PARTS, (W[:, None], U[:, None], b, d), strict=True))
    w = reference.Weights.of(reference.CELLS[name], **weights)
    state = tuple(np.array([s]) for s in before)
    got = reference.CELLS[name].step(w, np.array([2.0]), state, reference.ACTIVATIONS["tanh"])
    # About ten operations on numbers of order 1.
    np.testing.assert_allclose(np.concatenate(got), after, rtol=0, atol=10 * EPS)


def test_relu_replaces_tanh_and_nothing_else() -> None:
    # LSTM with x = h = 2 and c = 1: i = 3/4, f = 1/4, o = 1/2 as ever. g = relu(ln 3) = ln 3, c' = 1/4 + 3/4 ln 3,
    # and h' = 1/2 relu(c').
    W, U, b, d = LN3 * np.array([gate(1), gate(-1), gate(1), gate(0)]).T
    w = reference.Weights.of(reference.Lstm, W[:, None], U[:, None], b, d)
    state = (np.array([2.0]), np.array([1.0]))
    h, c = reference.Lstm.step(w, np.array([2.0]), state, reference.ACTIVATIONS["relu"])
    np.testing.assert_allclose(c, 0.25 + 0.75 * LN3, rtol=0, atol=10 * EPS)
    np.testing.assert_allclose(h, 0.5 * (0.25 + 0.75 * LN3), rtol=0, atol=10 * EPS)
    # A negative candidate is cut off.
    w = reference.Weights.of(reference.Rnn, *(np.array([[-1.0]]), np.array([[1.0]]), np.zeros(1), np.zeros(1)))
    (h,) = reference.Rnn.step(w, np.array([3.0]), (np.array([2.0]),), reference.ACTIVATIONS["relu"])
    assert h == 0


def test_linear_is_arithmetic_on_integers() -> None:
    # GRU with r = 2, z = 3, recurrent part 5, input part -4 and h = 7: n = -4 + 2 * 5 = 6, h' = (1 - 3) * 6 + 3 * 7.
    W = np.array([[2], [3], [-4]])
    U = np.array([[0], [0], [1]])
    w = reference.Weights.of(reference.Gru, W, U, np.array([0, 0, 0]), np.array([0, 0, -2]))
    (h,) = reference.Gru.step(w, np.array([1]), (np.array([7]),), reference.ACTIVATIONS["linear"])
    assert h.dtype.kind == "i"
    assert h == (1 - 3) * 6 + 3 * 7


def test_gates_are_independent_blocks_of_rows() -> None:
    """A hidden size above 1: rows of gate k are k*H .. (k+1)*H - 1, and units do not mix but through U."""
    rng = np.random.default_rng(0)
    for name, cell in reference.CELLS.items():
        weights = draw_weights(name, 2, 3, rng=rng)
        diagonal = np.tile(np.eye(3), (len(cell.gates), 1))
        weights["weight_hh_l0"] = weights["weight_hh_l0"] * diagonal
        x, state = rng.standard_normal(2), tuple(rng.standard_normal((cell.n_states, 3)))
        w = reference.Weights.of(cell, *weights.values())
        f = reference.ACTIVATIONS["tanh"]
        together = cell.step(w, x, state, f)
        for unit in range(3):
            alone = {key: value[unit::3] for key, value in weights.items()}
            alone["weight_hh_l0"] = alone["weight_hh_l0"][:, [unit]]
            w_alone = reference.Weights.of(cell, *alone.values())
            got = cell.step(w_alone, x, tuple(s[[unit]] for s in state), f)
            # Dot products of at most 3 terms, summed in whatever order.
            np.testing.assert_allclose(np.concatenate(got), [s[unit] for s in together], rtol=0, atol=10 * EPS)


@pytest.mark.parametrize("name", reference.CELLS)
def test_loop_over_time(name: str) -> None:
    """Each row is what the cell makes of its own steps, read in its own order; nothing else exists."""
    p = problem(name, Case(bidirectional=True, lengths="ragged", n_rows=6))
    assert p.lengths is not None
    assert {0, 1, 6} <= set(p.lengths.tolist())
    output, final = expected(name, p.case)
    assert p.state is not None
    f = reference.ACTIVATIONS["tanh"]
    for direction, suffix in enumerate(("l0", "l0_reverse")):
        w = reference.Weights.of(reference.CELLS[name], *(p.weights[f"{part}_{suffix}"] for part in reference.PARTS))
        columns = slice(5 * direction, 5 * (direction + 1))
        for n, length in enumerate(p.lengths):
            state = tuple(s[direction, n] for s in p.state)
            for t in range(length) if direction == 0 else range(length - 1, -1, -1):
                state = reference.CELLS[name].step(w, p.X[n, t], state, f)
                np.testing.assert_array_equal(output[n, t, columns], state[0])
            np.testing.assert_array_equal([s[direction, n] for s in final], state)
            np.testing.assert_array_equal(output[n, length:], 0)


def test_empty_rows_keep_their_state() -> None:
    p = problem("lstm", Case(lengths="zero", num_layers=2, bidirectional=True))
    output, final = expected("lstm", p.case)
    assert p.state is not None
    np.testing.assert_array_equal(output, 0)
    np.testing.assert_array_equal(final, p.state)


TORCH_CASES = [
    Case(lengths=lengths, **choice)
    for lengths in ("full", "nonzero")
    for choice in covering(
        num_layers=[1, 2, 3],
        bidirectional=[False, True],
        hidden_size=[1, 5],
        input_size=[1, 3],
        n_steps=[1, 6],
        with_state=[False, True],
    )
]


@pytest.mark.parametrize("case", TORCH_CASES, ids=str)
@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_torch(name: str, case: Case) -> None:
    answer = torch_parity.run(problem(name, case))
    output, state = expected(name, case)
    # Both in float64, values of order 1, at most 3 layers of 6 steps whose errors the weights do not amplify: the two
    # may differ by the rounding of some hundred operations, and differ by 1e-3 and more if a definition differs.
    tolerance = 500 * EPS
    np.testing.assert_allclose(answer.output, output, rtol=0, atol=tolerance)
    for got, want in zip(answer.state, state, strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=tolerance)


def test_torch_relu() -> None:
    case = Case(activation="relu", lengths="nonzero", num_layers=2, bidirectional=True)
    answer = torch_parity.run(problem("rnn", case))
    output, _ = expected("rnn", case)
    np.testing.assert_allclose(answer.output, output, rtol=0, atol=500 * EPS)  # as above


@pytest.mark.parametrize("name", ["gru_reset_before", "mgu"])
def test_torch_by_hand(name: str) -> None:
    """The cells that PyTorch lacks, written with its operations, from the papers' equations rather than from ours."""
    torch = pytest.importorskip("torch")
    p = problem(name, Case(hidden_size=5, n_steps=6))
    output, _ = expected(name, p.case)
    assert p.state is not None
    W, U, b, d = (torch.tensor(p.weights[f"{part}_l0"]) for part in reference.PARTS)
    X, h = torch.tensor(p.X), torch.tensor(p.state[0][0])

    def linear(k: int, x: Any, s: Any) -> Any:
        rows = slice(5 * k, 5 * (k + 1))
        return torch.addmm(b[rows] + d[rows], torch.cat([x, s], 1), torch.cat([W, U], 1)[rows].T)

    for t in range(X.shape[1]):
        x = X[:, t]
        first = torch.sigmoid(linear(0, x, h))  # reset gate, or forget gate
        if name == "gru_reset_before":
            keep = torch.sigmoid(linear(1, x, h))
            h = torch.lerp(torch.tanh(linear(2, x, first * h)), h, keep)
        else:
            h = torch.lerp(h, torch.tanh(linear(1, x, first * h)), first)
        np.testing.assert_allclose(h.numpy(), output[:, t], rtol=0, atol=500 * EPS)  # as above


def test_covering_covers() -> None:
    """Our selection of cases keeps its promise: every pair of values of every two axes occurs."""
    axes = {"a": [1, 2, 3], "b": "xy", "c": [True, False], "d": [0.1, 0.2, 0.3, 0.4]}
    rows = list(covering(**axes))
    for first in axes:
        for second in axes:
            if first != second:
                met = {(row[first], row[second]) for row in rows}
                assert met == {(i, j) for i in axes[first] for j in axes[second]}
    assert len(rows) < 3 * 2 * 2 * 4 / 2
