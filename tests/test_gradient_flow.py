"""The gradient between two time steps: by differences of what follows, and by the tape of the whole sequence."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from cases import Array, Case, Problem, covering, problem
from running import assert_same_bits, given, recurrent, states
from skrnn.nn import Recurrent, gradient_flow
from tolerances import assert_close, backward_tolerance

CASES = [
    Case(with_state=False, **choice)
    for choice in covering(
        activation=["tanh", "linear"],
        lengths=["full", "ragged"],
        n_steps=[1, 4],
        num_layers=[1, 3],
        input_size=[1, 4],
        hidden_size=[1, 3],
        n_rows=[1, 4],
    )
]


def d_features(p: Problem, dtype: str = "float64") -> Array:
    """The gradient for the last state of the top layer."""
    return p.d_state[0][-1].astype(dtype)


def single_layers(p: Problem) -> list[Recurrent]:
    """The layers of a problem, each for itself."""
    layers = []
    for k in range(p.case.num_layers):
        case = dataclasses.replace(p.case, num_layers=1, input_size=p.weights[f"weight_ih_l{k}"].shape[1])
        weights = {name[:-1] + "0": value for name, value in p.weights.items() if name.endswith(f"_l{k}")}
        layers.append(recurrent(dataclasses.replace(p, case=case, weights=weights)))
    return layers


class Bumped:
    """The loss of each row when ``h`` of one layer is moved after one step; both steps and layers are split by hand."""

    def __init__(self, p: Problem, with_output: bool) -> None:
        self.problem = p
        self.layers = single_layers(p)
        self.d_output = p.d_output if with_output else np.zeros_like(p.d_output)
        self.lengths = p.mask().sum(axis=1)

    def losses(self, layer: int, step: int, bump: Array) -> Array:
        below = self.problem.X
        for k, one in enumerate(self.layers):
            if k != layer:
                below, state = one.forward(below, self.lengths)
                continue
            head, state = one.forward(below[:, : step + 1], np.minimum(self.lengths, step + 1))
            there = (self.lengths > step)[:, np.newaxis] * bump
            head[:, step] += there
            h, *rest = states(state)
            state = given((h + there, *rest))
            if step + 1 < below.shape[1]:
                tail, state = one.forward(below[:, step + 1 :], np.maximum(self.lengths - step - 1, 0), state)
                head = np.concatenate([head, tail], axis=1)
            below = head
        last = states(state)[0][0]
        return (last * d_features(self.problem)).sum(axis=1) + (below * self.d_output).sum(axis=(1, 2))


def central(losses: Callable[[float], Array], h: float = 2e-3) -> Array:
    return (8 * (losses(h) - losses(-h)) - (losses(2 * h) - losses(-2 * h))) / (12 * h)


@pytest.mark.parametrize("with_output", [False, True], ids=["last", "every"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_norms_are_those_of_differences(cell: str, isa: str, case: Case, with_output: bool) -> None:
    p = problem(cell, case)
    d_output = p.d_output if with_output else None
    norms = gradient_flow(recurrent(p), p.X, d_features(p), p.lengths, d_output=d_output).norms
    assert norms.shape == (case.num_layers, case.n_rows, case.n_steps)
    bumped = Bumped(p, with_output)
    want = np.zeros_like(norms)
    for layer, step in np.ndindex(case.num_layers, case.n_steps):
        for direction in np.eye(case.hidden_size):
            want[layer, :, step] += central(lambda h: bumped.losses(layer, step, h * direction)) ** 2  # noqa: B023
    want = np.where(p.mask(), np.sqrt(want), np.nan)
    np.testing.assert_allclose(norms, want, rtol=5e-6, atol=1e-10)


@pytest.mark.parametrize("case", [*CASES, Case(num_layers=2, hidden_size=17, lengths="ragged", n_rows=7)], ids=str)
def test_the_rest_is_that_of_the_whole_tape(cell: str, dtype: str, isa: str, case: Case) -> None:
    p = problem(cell, case)
    layer, X, d_output = recurrent(p, dtype), p.X.astype(dtype), p.d_output.astype(dtype)
    flow = gradient_flow(layer, X, d_features(p, dtype), p.lengths, d_output=d_output)
    tape = layer.record(X, p.lengths)
    d_state = tuple(np.zeros_like(state) for state in states(tape.state))
    d_state[0][-1] = d_features(p, dtype)
    want = tape.backward(d_output, given(d_state, dtype))
    tolerance = backward_tolerance(p, dtype)
    assert_close(flow.X, want.X, tolerance)
    for got_state, want_state in zip(states(flow.state), states(want.state), strict=True):
        assert got_state.dtype == dtype
        assert_close(got_state, want_state, tolerance)
    assert set(flow.weights) == set(want.weights)
    for name, value in flow.weights.items():
        assert_close(value, want.weights[name], tolerance, name)


def test_a_row_does_not_notice_neighbours_and_padding(cell: str, dtype: str, isa: str) -> None:
    p = problem(cell, Case(num_layers=2, lengths="ragged", n_rows=6, hidden_size=5))
    layer, X, d_last, d_output = recurrent(p, dtype), p.X.astype(dtype), d_features(p, dtype), p.d_output.astype(dtype)
    norms = gradient_flow(layer, X, d_last, p.lengths, d_output=d_output).norms
    X[~p.mask()] = np.nan
    d_output[~p.mask()] = np.inf
    for row in range(len(X)):
        one = slice(row, row + 1)
        alone = gradient_flow(layer, X[one], d_last[one], p.lengths[one], d_output=d_output[one])
        assert_same_bits(alone.norms, norms[:, one])
    assert_same_bits(np.isnan(norms[0]), ~p.mask())


def test_dropout_is_left_out(rng: np.random.Generator) -> None:
    X, d_last = rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 4))
    plain, dropping = (
        Recurrent("gru", input_size=3, hidden_size=4, num_layers=2, dropout=rate, dtype="float64") for rate in (0, 0.5)
    )
    dropping.load_weights(plain.weights)
    want, got = gradient_flow(plain, X, d_last), gradient_flow(dropping, X, d_last)
    assert_same_bits(got.norms, want.norms)


def test_layer_norm_is_part_of_the_network(cell: str, rng: np.random.Generator) -> None:
    layer = Recurrent(cell, input_size=3, hidden_size=4, num_layers=2, layer_norm=True, dtype="float64")
    for name, weights in layer.weights.items():
        weights += 0.1 * rng.normal(size=weights.shape)
        assert np.ptp(weights) > 0, name
    X, d_last, lengths = rng.normal(size=(3, 5, 3)), rng.normal(size=(3, 4)), np.array([5, 2, 0])
    flow = gradient_flow(layer, X, d_last, lengths)
    tape = layer.record(X, lengths)
    d_state = tuple(np.zeros_like(state) for state in states(tape.state))
    d_state[0][-1] = d_last
    want = tape.backward(None, given(d_state))
    assert any(name.startswith("gain") for name in flow.weights)
    for name, value in {**flow.weights, "X": flow.X}.items():
        np.testing.assert_allclose(value, {**want.weights, "X": want.X}[name], rtol=1e-10, atol=1e-13, err_msg=name)


def test_zoneout_lets_gradients_through(cell: str, rng: np.random.Generator) -> None:
    """A state that is kept hands its gradient on as it is."""
    X, d_last = rng.normal(size=(4, 60, 3)), np.ones((4, 5))
    layer = Recurrent(cell, input_size=3, hidden_size=5, zoneout=0.999, dtype="float64")
    norms = gradient_flow(layer, X, d_last).norms[0]
    np.testing.assert_allclose(norms[:, -1], np.sqrt(5))
    # Of 4 rows x 60 steps x 5 units one in a thousand takes a new value: about one in all.
    assert (norms[:, 0] > 0.7 * norms[:, -1]).sum() >= 2


def test_errors_name_the_argument() -> None:
    layer = Recurrent("lstm", input_size=3, hidden_size=4, dtype="float64")
    X, d_last = np.zeros((2, 5, 3)), np.zeros((2, 4))
    both = Recurrent("lstm", input_size=3, hidden_size=4, bidirectional=True, dtype="float64")
    with pytest.raises(ValueError, match="recurrent must have one direction, but it is bidirectional"):
        gradient_flow(both, X, d_last)
    with pytest.raises(TypeError, match="recurrent must be a Recurrent, got FrozenRecurrent"):
        gradient_flow(layer.freeze(), X, d_last)
    with pytest.raises(ValueError, match="d_features and d_output are both None"):
        gradient_flow(layer, X, None)
    with pytest.raises(ValueError, match=r"d_features must have shape \(2, 4\), got \(2, 5\)"):
        gradient_flow(layer, X, np.zeros((2, 5)))
    with pytest.raises(ValueError, match=r"d_output must have shape \(2, 5, 4\), got \(2, 4\)"):
        gradient_flow(layer, X, None, d_output=d_last)
    with pytest.raises(TypeError, match="X has dtype float32"):
        gradient_flow(layer, X.astype("float32"), d_last)
    with pytest.raises(ValueError, match=r"X must have shape \(n_rows, n_steps, input_size=3\), got \(2, 5, 2\)"):
        gradient_flow(layer, X[:, :, :2], d_last)
    with pytest.raises(ValueError, match="lengths must be between 0 and the 5 time steps of X, got 6 at row 1"):
        gradient_flow(layer, X, d_last, [1, 6])
