"""Forward equals the reference: every cell, precision and instruction set, whatever the sizes and lengths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import reference
import torch_parity
from cases import Case, covering, expected, problem
from running import assert_same_bits, given, recurrent, states
from skrnn import _core
from skrnn.nn import Recurrent
from tolerances import assert_close, forward_tolerance

# Sizes around and between the widths of vectors (4, 8, 16 floats; half as many doubles) and of register tiles.
SMALL = [
    Case(**choice)
    for choice in covering(
        activation=["tanh", "relu", "linear"],
        input_size=[1, 3, 17],
        hidden_size=[1, 5, 16, 33, 70],
        num_layers=[1, 2, 3],
        bidirectional=[False, True],
        n_rows=[1, 2, 5, 7, 13],
        n_steps=[1, 2, 9],
        lengths=["full", "ragged", "zero"],
        with_state=[False, True],
    )
]
# Beyond one block of everything: more rows than a tile or a shard, sums longer than a panel, several panels of units.
LARGE = [
    Case(input_size=300, hidden_size=150, n_rows=45, n_steps=7, lengths="ragged", with_state=True),
    Case(input_size=2, hidden_size=259, n_rows=3, n_steps=40, lengths="ragged", num_layers=2),
    Case(input_size=65, hidden_size=64, n_rows=70, n_steps=3, bidirectional=True, with_state=False),
]
EMPTY = [
    Case(n_rows=0, n_steps=4),
    Case(n_rows=3, n_steps=0),
    Case(n_rows=0, n_steps=0, num_layers=2, bidirectional=True, with_state=False),
    Case(n_rows=0, n_steps=4, lengths="ragged"),
    Case(n_rows=3, n_steps=0, lengths="ragged"),
]


@pytest.mark.parametrize("case", SMALL + LARGE + EMPTY, ids=str)
def test_reference(cell: str, dtype: str, isa: str, case: Case) -> None:
    p = problem(cell, case)
    want_output, want_state = expected(cell, case)
    output, state = recurrent(p, dtype).forward(p.X.astype(dtype), lengths=p.lengths, state=given(p.state, dtype))
    assert output.dtype == dtype
    tolerance = forward_tolerance(p, dtype)
    assert_close(output, want_output, tolerance, "output")
    assert len(states(state)) == len(want_state)
    for got, want, name in zip(states(state), want_state, "hc", strict=False):
        assert got.dtype == dtype
        assert_close(got, want, tolerance, f"final {name}")
    assert not np.any(output[~p.mask()]), "the output beyond a row's length is zero"


@pytest.mark.parametrize(
    "case",
    [
        Case(**choice)
        for choice in covering(
            lengths=["full", "nonzero"],
            num_layers=[1, 2],
            bidirectional=[False, True],
            hidden_size=[5, 33],
            input_size=[3, 40],
            n_rows=[1, 6],
            n_steps=[1, 8],
            with_state=[False, True],
        )
    ],
    ids=str,
)
@pytest.mark.parametrize(("name", "activation"), torch_parity.SHARED)
def test_torch(name: str, activation: str, dtype: str, isa: str, case: Case) -> None:
    p = problem(name, replace(case, activation=activation))
    answer = torch_parity.run(p, dtype)
    output, state = recurrent(p, dtype).forward(p.X.astype(dtype), lengths=p.lengths, state=given(p.state, dtype))
    # Both sides round, each within the tolerance.
    tolerance = 2 * forward_tolerance(p, dtype)
    assert_close(output, answer.output, tolerance, "output")
    for got, want in zip(states(state), answer.state, strict=True):
        assert_close(got, want, tolerance, "final state")


def test_weights_have_the_names_and_shapes_of_pytorch(cell: str) -> None:
    for case in (Case(), Case(num_layers=3, bidirectional=True, input_size=2)):
        layer = Recurrent(cell=cell, **case.architecture())
        want = reference.weight_shapes(
            cell, case.input_size, case.hidden_size, case.num_layers, bidirectional=case.bidirectional
        )
        assert {name: w.shape for name, w in layer.weights.items()} == want
        assert list(layer.weights) == list(want), "in PyTorch's order"


def test_cells_describe_themselves_as_the_reference_does(cell: str) -> None:
    info = _core.cells()[cell]
    assert info.name == cell
    assert info.gate_names == reference.CELLS[cell].gates
    assert info.n_states == reference.CELLS[cell].n_states
    assert -1 <= info.forget_gate < len(info.gate_names)


def test_the_forget_gate_of_lstm_is_its_second() -> None:
    assert _core.cells()["lstm"].forget_gate == 1
    assert _core.cells()["gru"].forget_gate == -1


@pytest.fixture
def one_layer(cell: str, dtype: str, isa: str) -> tuple[_core.RecurrentWeights, Case]:
    case = Case(input_size=6, hidden_size=19, n_rows=9, n_steps=5, lengths="ragged")
    weights = problem(cell, case).weights
    return (
        _core.RecurrentWeights(cell, "tanh", *(w.astype(dtype) for w in weights.values())),
        case,
    )


def run_core(
    weights: _core.RecurrentWeights,
    x: np.ndarray,
    lengths: np.ndarray | None = None,
    state: list[np.ndarray] | None = None,
    *,
    reverse: bool = False,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The compiled layer into fresh arrays, which start as NaN so that whatever is not written shows."""
    n_rows, n_steps, _ = x.shape
    n_states = _core.cells()[weights.cell].n_states
    output = np.full((n_rows, n_steps, weights.hidden_size), np.nan, x.dtype)
    final = [np.full((n_rows, weights.hidden_size), np.nan, x.dtype) for _ in range(n_states)]
    weights.forward(x, lengths, reverse, state, output, final)
    return output, final


def test_reverse_is_the_forward_pass_over_reversed_rows(one_layer, dtype: str) -> None:
    weights, case = one_layer
    p = problem(weights.cell, case)
    assert p.lengths is not None
    X = p.X.astype(dtype)
    output, final = run_core(weights, X, p.lengths, reverse=True)
    backwards = np.zeros_like(X)
    for n, length in enumerate(p.lengths):
        backwards[n, :length] = X[n, :length][::-1]
    other, other_final = run_core(weights, backwards, p.lengths)
    for n, length in enumerate(p.lengths):
        assert_same_bits(output[n, :length], other[n, :length][::-1], f"row {n}")
        assert not np.any(output[n, length:])
    assert_same_bits(final, other_final)


@pytest.mark.parametrize("reverse", [False, True])
def test_strides(one_layer, dtype: str, reverse: bool) -> None:
    """Rows and steps of X and of the output may lie anywhere; values and bits are those of packed arrays."""
    weights, case = one_layer
    p = problem(weights.cell, case)
    X = p.X.astype(dtype)
    N, T, I = X.shape  # noqa: E741
    want, want_final = run_core(weights, X, p.lengths, reverse=reverse)

    time_major = np.ascontiguousarray(X.transpose(1, 0, 2)).transpose(1, 0, 2)
    wide = np.full((N, 2 * T, I + 3), np.nan, dtype)
    wide[:, ::2, 1 : I + 1] = X
    backwards = np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1]
    for layout in (time_major, wide[:, ::2, 1 : I + 1], backwards):
        got, got_final = run_core(weights, layout, p.lengths, reverse=reverse)
        assert_same_bits(got, want)
        assert_same_bits(got_final, want_final)
    one_row = np.broadcast_to(X[:1], X.shape)  # a stride of zero
    got, _ = run_core(weights, one_row, reverse=reverse)
    assert_same_bits(got, np.broadcast_to(got[:1], got.shape))

    H = weights.hidden_size
    store = np.full((T, N, 2 * H + 1), 7, dtype)
    weights.forward(X, p.lengths, reverse, None, store.transpose(1, 0, 2)[:, :, H : 2 * H], None)
    assert_same_bits(store[:, :, H : 2 * H].transpose(1, 0, 2), want)
    assert np.all(store[:, :, :H] == 7), "written before the output"
    assert np.all(store[:, :, 2 * H :] == 7), "written behind the output"


def test_outputs_nobody_wants_change_nothing(one_layer, dtype: str) -> None:
    weights, case = one_layer
    p = problem(weights.cell, case)
    assert p.state is not None
    X, state = p.X.astype(dtype), [s[0].astype(dtype) for s in p.state]
    want, want_final = run_core(weights, X, p.lengths, state)
    final = [np.full_like(s, np.nan) for s in state]
    weights.forward(X, p.lengths, False, state, None, final)
    assert_same_bits(final, want_final)
    output = np.full_like(want, np.nan)
    weights.forward(X, p.lengths, False, state, output, None)
    assert_same_bits(output, want)
    weights.forward(X, p.lengths, False, state, None, None)  # pointless, but no error


def test_nothing_given_is_written_to(one_layer, dtype: str) -> None:
    weights, case = one_layer
    p = problem(weights.cell, case)
    assert p.state is not None
    X, state = p.X.astype(dtype), [s[0].astype(dtype) for s in p.state]
    for array in (X, p.lengths, *state):
        array.flags.writeable = False  # a kernel does not see this, but the bindings must accept it
    copies = [array.copy() for array in (X, p.lengths, *state)]
    run_core(weights, X, p.lengths, state)
    for array, copy in zip((X, p.lengths, *state), copies, strict=True):
        assert_same_bits(array, copy)


def test_lengths_of_all_steps_equal_no_lengths(one_layer, dtype: str) -> None:
    weights, case = one_layer
    X = problem(weights.cell, case).X.astype(dtype)
    N, T, _ = X.shape
    want, want_final = run_core(weights, X)
    got, got_final = run_core(weights, X, np.full(N, T, dtype=np.int64))
    assert_same_bits(got, want)
    assert_same_bits(got_final, want_final)


def test_two_halves_make_a_whole(one_layer, dtype: str) -> None:
    """The final state of the first steps is the initial state of the rest, bit for bit."""
    weights, case = one_layer
    X = problem(weights.cell, case).X.astype(dtype)
    want, want_final = run_core(weights, X)
    first, state = run_core(weights, X[:, :2])
    rest, final = run_core(weights, X[:, 2:], None, state)
    assert_same_bits(np.concatenate([first, rest], axis=1), want)
    assert_same_bits(final, want_final)
