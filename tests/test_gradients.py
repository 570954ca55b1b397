"""Gradients are proven, not believed: by differences of the forward pass, by PyTorch, and by themselves in float32.

The loss is always sum(output * d_output) + sum(state * d_state), so every output and every state counts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

import reference
import torch_parity
from cases import Array, Case, Problem, covering, problem
from running import assert_same_bits, given, recurrent, states, threads
from skrnn import _core
from skrnn.nn import Recurrent
from skrnn.testing import gradcheck
from tolerances import assert_close, backward_tolerance

EPS = np.finfo(np.float64).eps
RTOL = 5e-6


# ---------------------------------------------------------------------------------------------------------------------
# Differences
# ---------------------------------------------------------------------------------------------------------------------


def central(loss: Callable[[float], float], h: float) -> float:
    """Derivative at 0 by central differences of fourth order: error h^4/30 of the fifth derivative, plus rounding."""
    return (8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h)


class Network:
    """A recurrent network in float64 with all that its loss depends on, each array free to be moved."""

    def __init__(self, p: Problem) -> None:
        self.problem = p
        self.layer = recurrent(p, "float64")
        self.X = p.X.copy()
        zeros = tuple(np.zeros_like(d) for d in p.d_state)
        self.state = tuple(s.copy() for s in (p.state if p.state is not None else zeros))
        # The steps are such that the truncation error is far below RTOL: a fifth derivative of 1000 times the first
        # would still be fine at 2e-3. A ReLU bends, so its pre-activations must stay on their side: a smaller step.
        self.h = 1e-4 if p.case.activation == "relu" else 2e-3

    def loss(self) -> float:
        p = self.problem
        output, state = self.layer.forward(self.X, lengths=p.lengths, state=given(self.state))
        total = float(np.sum(output * p.d_output))
        for s, d in zip(states(state), p.d_state, strict=True):
            total += float(np.sum(s * d))
        return total

    def noise(self) -> float:
        """What rounding of the loss does to a difference: a few roundings of each of its terms, over h."""
        p = self.problem
        output, state = self.layer.forward(self.X, lengths=p.lengths, state=given(self.state))
        total = float(np.sum(np.abs(output * p.d_output)))
        for s, d in zip(states(state), p.d_state, strict=True):
            total += float(np.sum(np.abs(s * d)))
        return 8 * EPS * total / self.h

    def gradients(self) -> dict[str, Array]:
        """What ``backward`` says: by the names of the weights, and X, h and c."""
        p = self.problem
        tape = self.layer.record(self.X, lengths=p.lengths, state=given(self.state))
        d_state = p.d_state if len(p.d_state) > 1 else p.d_state[0]
        grads = tape.backward(p.d_output, d_state)
        assert set(grads.weights) == set(self.layer.weights)
        found = {**grads.weights, "X": grads.X}
        return found | dict(zip("hc", states(grads.state), strict=False))

    def arrays(self) -> dict[str, Array]:
        found = {**self.layer.weights, "X": self.X}
        if self.problem.case.activation != "relu" or self.problem.case.with_state:
            # At a cell state of exactly zero a ReLU has no derivative.
            found |= dict(zip("hc", self.state, strict=False))
        return found

    def difference(self, array: Array, direction: Array) -> float:
        at = array.copy()

        def loss(step: float) -> float:
            array[...] = at + step * direction
            return self.loss()

        try:
            return central(loss, self.h)
        finally:
            array[...] = at


def off_the_kinks(cell: str, case: Case) -> Problem:
    """For ReLU: the first seed for which every pre-activation keeps away from 0, where no derivative exists."""
    if case.activation != "relu":
        return problem(cell, case)
    closest = np.inf

    def watched(x: Array) -> Array:
        nonlocal closest
        # An exact zero is a cell state that no candidate has reached, and none is about to reach.
        closest = min(closest, np.min(np.abs(x[x != 0]), initial=np.inf))
        return reference.relu(x)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(reference.ACTIVATIONS, "relu", reference.Activation(reference.sigmoid, watched))
        for seed in range(1000):
            p = problem(cell, dataclasses.replace(case, seed=seed))
            closest = np.inf
            reference.run(
                cell,
                case.activation,
                p.weights,
                p.X,
                p.lengths,
                p.state,
                num_layers=case.num_layers,
                bidirectional=case.bidirectional,
            )
            if closest > 2e-3:  # twenty steps
                return p
    raise AssertionError("no seed keeps away from the kinks")


# Every element of every array of these is moved.
ELEMENTWISE = [
    Case(**choice)
    for choice in covering(
        activation=["tanh", "relu", "linear"],
        lengths=["full", "ragged", "zero"],
        n_steps=[1, 4],
        num_layers=[1, 2],
        bidirectional=[False, True],
        input_size=[1, 3],
        hidden_size=[1, 3],
        n_rows=[1, 3],
        with_state=[False, True],
    )
]
# These are too large for that; every array is moved along directions drawn at random, which see every element at once.
ALONG_DIRECTIONS = [
    Case(**choice)
    for choice in covering(
        activation=["tanh", "linear"],
        lengths=["full", "ragged"],
        n_steps=[1, 5],
        num_layers=[1, 2, 3],
        bidirectional=[False, True],
        input_size=[5, 17],
        hidden_size=[5, 16, 33, 70],
        n_rows=[2, 7, 13],
        with_state=[False, True],
    )
]
# More packed steps, rows and columns than one block or tile of the products that make the weight gradients.
LARGE = [
    Case(input_size=70, hidden_size=37, n_rows=50, n_steps=9, lengths="ragged"),
    Case(input_size=3, hidden_size=130, n_rows=9, n_steps=40, lengths="ragged", bidirectional=True),
]


@pytest.mark.parametrize("case", ELEMENTWISE, ids=str)
def test_every_element(cell: str, isa: str, case: Case) -> None:
    network = Network(off_the_kinks(cell, case))
    gradients, noise = network.gradients(), network.noise()
    for name, array in network.arrays().items():
        numerical = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            direction = np.zeros_like(array)
            direction[index] = 1
            numerical[index] = network.difference(array, direction)
        assert gradients[name].shape == array.shape
        np.testing.assert_allclose(gradients[name], numerical, rtol=RTOL, atol=noise, err_msg=name)


@pytest.mark.parametrize("case", ALONG_DIRECTIONS + LARGE, ids=str)
def test_random_directions(cell: str, isa: str, case: Case, rng: np.random.Generator) -> None:
    network = Network(problem(cell, case))
    gradients, noise = network.gradients(), network.noise()
    for name, array in network.arrays().items():
        for _ in range(3):
            direction = rng.standard_normal(array.shape)
            direction /= np.linalg.norm(direction)
            got = float(np.sum(gradients[name] * direction))
            want = network.difference(array, direction)
            # A directional derivative may cancel to nearly nothing, so the error is measured by the whole gradient.
            scale = float(np.linalg.norm(gradients[name]))
            assert abs(got - want) <= RTOL * scale + noise, name


# ---------------------------------------------------------------------------------------------------------------------
# Other precisions, other libraries
# ---------------------------------------------------------------------------------------------------------------------


def gradients_of(p: Problem, dtype: str) -> dict[str, Array]:
    tape = recurrent(p, dtype).record(p.X.astype(dtype), lengths=p.lengths, state=given(p.state, dtype))
    grads = tape.backward(p.d_output.astype(dtype), given(p.d_state, dtype))
    for array in (grads.X, *states(grads.state), *grads.weights.values()):
        assert array.dtype == dtype
    return {**grads.weights, "X": grads.X, **dict(zip("hc", states(grads.state), strict=False))}


@pytest.mark.parametrize("case", ALONG_DIRECTIONS + LARGE, ids=str)
def test_float32_follows_float64(cell: str, isa: str, case: Case) -> None:
    p = problem(cell, case)
    want = gradients_of(p, "float64")
    tolerance = backward_tolerance(p, "float32")
    for name, got in gradients_of(p, "float32").items():
        assert_close(got.astype("float64"), want[name], tolerance, name)


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
def test_torch(name: str, activation: str, isa: str, case: Case) -> None:
    p = problem(name, dataclasses.replace(case, activation=activation))
    answer = torch_parity.run(p)
    got = gradients_of(p, "float64")
    want = {
        **answer.grad_weights,
        "X": answer.grad_X,
        **dict(zip("hc", answer.grad_state, strict=False)),
    }
    assert set(got) == set(want)
    for name, value in got.items():
        assert_close(value, want[name], 2 * backward_tolerance(p, "float64"), name)


# ---------------------------------------------------------------------------------------------------------------------
# Padding, and the manners of a tape
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e38], ids=str)
@pytest.mark.parametrize("bidirectional", [False, True], ids=["uni", "bi"])
def test_padding_is_neither_read_nor_given_a_gradient(
    cell: str, dtype: str, isa: str, poison: float, bidirectional: bool
) -> None:
    case = Case(lengths="ragged", num_layers=2, bidirectional=bidirectional, n_rows=7, hidden_size=9)
    p = problem(cell, case)
    X, d_output = p.X.copy(), p.d_output.copy()
    X[~p.mask()] = poison
    d_output[~p.mask()] = poison
    poisoned = dataclasses.replace(p, X=X, d_output=d_output)
    want, got = gradients_of(p, dtype), gradients_of(poisoned, dtype)
    for name, value in got.items():
        assert_same_bits(value, want[name], name)
    assert np.all(got["X"][~p.mask()] == 0)


def test_empty_rows_pass_the_gradient_of_their_state_through(cell: str, isa: str) -> None:
    p = problem(cell, Case(lengths="zero"))
    got = gradients_of(p, "float64")
    assert_same_bits(got["h"], p.d_state[0])
    if len(p.d_state) == 2:
        assert_same_bits(got["c"], p.d_state[1])
    for name in [*p.weights, "X"]:
        assert not np.any(got[name]), name


def test_a_tape_is_played_once(cell: str, dtype: str) -> None:
    p = problem(cell, Case())
    tape = recurrent(p, dtype).record(p.X.astype(dtype))
    d_output = p.d_output.astype(dtype)
    tape.backward(d_output)
    with pytest.raises(RuntimeError, match="backward"):
        tape.backward(d_output)


def test_parts_of_the_loss_may_be_absent(cell: str, dtype: str, isa: str) -> None:
    """No gradient of the state means zeros, no gradient of the output means zeros; the two parts add up."""
    p = problem(cell, Case(lengths="ragged", num_layers=2))
    layer, X = recurrent(p, dtype), p.X.astype(dtype)
    d_output, d_state = p.d_output.astype(dtype), given(p.d_state, dtype)
    zero_state = given(tuple(np.zeros_like(d) for d in p.d_state), dtype)

    def grads(a: Array | None, b: object) -> dict[str, Array]:
        found = layer.record(X, lengths=p.lengths, state=given(p.state, dtype)).backward(a, b)
        return {**found.weights, "X": found.X}

    no_state, no_output = grads(d_output, None), grads(None, d_state)
    for name, value in grads(d_output, zero_state).items():
        assert_same_bits(value, no_state[name], name)
    for name, value in grads(np.zeros_like(d_output), d_state).items():
        assert_same_bits(value, no_output[name], name)
    tolerance = 2 * backward_tolerance(p, dtype)
    for name, value in grads(d_output, d_state).items():
        assert_close(no_state[name] + no_output[name], value, tolerance, name)


def test_a_workspace_changes_nothing(cell: str, dtype: str, isa: str) -> None:
    """Tapes of several sizes take turns in the same memory; every answer is that of fresh memory."""
    workspace = _core.Workspace()
    for case in (Case(n_rows=9, n_steps=8), Case(n_rows=2, lengths="ragged"), Case(n_rows=9, n_steps=3)):
        p = problem(cell, case)
        arrays = [w.astype(dtype) for w in p.weights.values()]
        weights = _core.RecurrentWeights(cell, "tanh", *arrays, training=True)
        answers = []
        for memory in (None, workspace):
            X, d_output = p.X.astype(dtype), p.d_output.astype(dtype)
            output, d_X = np.full_like(d_output, np.nan), np.full_like(X, np.nan)
            tape = weights.record(X, p.lengths, False, None, output, None, memory)
            grads = [np.full_like(a, np.nan) for a in arrays]
            tape.backward(d_output, None, d_X, None, *grads)
            answers.append([output, d_X, *grads])
        for fresh, reused in zip(*answers, strict=True):
            assert_same_bits(reused, fresh)
    assert workspace.nbytes > 0


CHECKPOINTED = [
    Case(**choice)
    for choice in covering(
        5,
        hidden_size=(1, 7, 33),
        n_steps=(1, 2, 11),
        lengths=("full", "ragged", "zero"),
        bidirectional=(False, True),
        num_layers=(1, 2),
        n_rows=(1, 9),
        with_state=(False, True),
    )
]


@pytest.mark.parametrize("case", CHECKPOINTED, ids=str)
@pytest.mark.parametrize("n_threads", [1, 3])
def test_checkpoints_save_memory_and_nothing_else(cell: str, case: Case, n_threads: int, dtype: str, isa: str) -> None:
    """What backward computes again has the bits that were thrown away, however long the segments are."""
    p = problem(cell, case)
    X, d_output = p.X.astype(dtype), p.d_output.astype(dtype)
    state, d_state = given(p.state, dtype), given(p.d_state, dtype)

    def play(steps: int | None) -> tuple[dict[str, Array], int]:
        layer = recurrent(p, dtype)  # a new one, which has no memory to spare yet
        tape = layer.record(X, p.lengths, state, checkpoint_steps=steps)
        size = tape.nbytes
        grads = tape.backward(d_output, d_state)
        assert tape.nbytes == 0
        named = {**grads.weights, "X": grads.X, "output": tape.output}
        for kind, got in (("final", tape.state), ("initial", grads.state)):
            named |= {f"{kind} {i}": array for i, array in enumerate(states(got))}
        return named, size

    with threads(n_threads):
        want, whole = play(None)
        for steps in {1, 2, 3, case.n_steps, case.n_steps + 1}:
            got, size = play(steps)
            for name, value in want.items():
                assert_same_bits(got[name], value, f"{name}, segments of {steps}")
            if case.n_steps == 11 and steps == 3 and case.lengths == "full":
                assert size < 0.75 * whole


def test_checkpoints_keep_the_sign_of_what_vanishes(cell: str, dtype: str, isa: str) -> None:
    """A product that underflows to -0 must not meet a +0 at the border of a segment that is not there without it."""
    case = Case(
        activation="linear", hidden_size=31, input_size=5, n_rows=9, n_steps=8, lengths="ragged", seed=31
    )  # a seed with which it once happened to the GRU in float32, where multiply-adds are fused
    p = problem(cell, case)
    layer, X = recurrent(p, dtype), p.X.astype(dtype)
    d_output = (p.d_output * 1e-6 * np.finfo(dtype).tiny).astype(dtype)
    want, got = (layer.record(X, p.lengths, checkpoint_steps=steps).backward(d_output) for steps in (None, 1))
    assert_same_bits(got.X, want.X)
    assert_same_bits(got.parameters.values, want.parameters.values)


@pytest.mark.parametrize("wrong", [0, -1, 2.0, True])
def test_checkpoint_steps_that_are_none(wrong: object) -> None:
    p = problem("rnn", Case())
    with pytest.raises((TypeError, ValueError), match="checkpoint_steps"):
        recurrent(p, "float32").record(p.X.astype("float32"), checkpoint_steps=wrong)


def test_gradients_add_up_when_asked(cell: str, dtype: str, isa: str) -> None:
    """``add_to_d_x`` is how two directions share one gradient of their common input."""
    p = problem(cell, Case(lengths="ragged", n_rows=7))
    arrays = [w.astype(dtype) for w in p.weights.values()]
    weights = _core.RecurrentWeights(cell, "tanh", *arrays, training=True)
    X, d_output = p.X.astype(dtype), p.d_output.astype(dtype)

    def input_gradient(start: Array, *, add: bool) -> Array:
        got = start.copy()
        tape = weights.record(X, p.lengths, True, None, None, None)
        grads = [np.empty_like(a) for a in arrays]
        tape.backward(d_output, None, got, None, *grads, add_to_d_x=add)
        return got

    alone = input_gradient(np.full_like(X, np.nan), add=False)
    start = np.arange(X.size, dtype=dtype).reshape(X.shape)
    added = input_gradient(start, add=True)
    # Within the rows: one more rounding or one fewer, as the sum may be fused. Beyond them nothing is touched.
    assert_close(added, start + alone, 4 * float(np.finfo(dtype).eps), "d_X")
    assert_same_bits(added[~p.mask()], start[~p.mask()])


# ---------------------------------------------------------------------------------------------------------------------
# Dropout between layers
# ---------------------------------------------------------------------------------------------------------------------


def doubling_pair(rate: float, n_features: int, dtype: str, **options: object) -> Recurrent:
    """Two linear layers that pass their input on, so that the output is the input times the mask between them."""
    layer = Recurrent(
        cell="rnn",
        activation="linear",
        input_size=n_features,
        hidden_size=n_features,
        num_layers=2,
        dropout=rate,
        dtype=dtype,
        **options,
    )
    for name, weights in layer.weights.items():
        weights[...] = np.eye(n_features) if name.startswith("weight_ih") else 0
    return layer


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_dropout_drops_the_right_share_and_scales_the_rest(rate: float, dtype: str) -> None:
    layer = doubling_pair(rate, 50, dtype)
    X = np.ones((40, 30, 50), dtype)
    mask = layer.record(X, step=0).output
    kept = np.dtype(dtype).type(1 / (1 - rate))
    assert set(np.unique(mask)) == {0, kept}
    # 60000 draws: the share of zeros has a standard deviation of at most 0.5 / sqrt(60000) = 0.002; five of them.
    assert abs(np.mean(mask == 0) - rate) < 0.0102
    # No pattern along rows, steps or units: their means scatter as independent draws would.
    for axes in ((1, 2), (0, 2), (0, 1)):
        means = np.mean(mask == 0, axis=axes)
        n = mask.size / means.size
        assert np.max(np.abs(means - rate)) < 5 * np.sqrt(rate * (1 - rate) / n)


def test_dropout_is_for_training_only(cell: str, dtype: str) -> None:
    p = problem(cell, Case(num_layers=2))
    X = p.X.astype(dtype)
    plain = recurrent(p, dtype)
    dropping = Recurrent(cell=cell, dtype=dtype, dropout=0.5, **p.case.architecture())
    for name, weights in plain.weights.items():
        dropping.weights[name][...] = weights
    want, _ = plain.forward(X)
    for output in (dropping.forward(X)[0], dropping.freeze().forward(X)[0]):
        assert_same_bits(output, want)
    assert not np.array_equal(dropping.record(X, step=0).output, want)


def test_dropout_is_a_function_of_seed_and_step(dtype: str) -> None:
    X = np.ones((9, 7, 20), dtype)
    layer = doubling_pair(0.5, 20, dtype, random_state=3)
    first = layer.record(X, step=4).output
    assert_same_bits(layer.record(X, step=4).output, first)
    assert_same_bits(doubling_pair(0.5, 20, dtype, random_state=3).record(X, step=4).output, first)
    assert not np.array_equal(layer.record(X, step=5).output, first)
    assert not np.array_equal(doubling_pair(0.5, 20, dtype, random_state=4).record(X, step=4).output, first)


def test_dropout_wants_to_know_the_step(dtype: str) -> None:
    X = np.ones((2, 3, 4), dtype)
    with pytest.raises(ValueError, match="step must be given"):
        doubling_pair(0.5, 4, dtype).record(X)
    for wrong in ("1", 0.5, True):
        with pytest.raises(TypeError, match="step must be an integer"):
            doubling_pair(0.5, 4, dtype).record(X, step=wrong)
    with pytest.raises(ValueError, match="step must be at least 0"):
        doubling_pair(0.5, 4, dtype).record(X, step=-1)
    for wrong in ("a", None, True):
        with pytest.raises(TypeError, match="dropout must be a number"):
            doubling_pair(wrong, 4, dtype)
    with pytest.raises(ValueError, match="dropout must be in the range"):
        doubling_pair(float("nan"), 4, dtype)


def test_dropout_of_each_layer_is_its_own() -> None:
    masks = Recurrent(cell="rnn", input_size=2, hidden_size=2, num_layers=3, dropout=0.5).dropout
    shape = (50, 8, 5)
    first, second = (masks.mask(0, layer, shape, np.dtype("float32")) for layer in (0, 1))
    # Two fair coins agree half of the time: 2000 draws, standard deviation 0.011, five of them.
    assert abs(np.mean(first == second) - 0.5) < 0.056


def test_dropout_of_a_row_does_not_depend_on_others(cell: str, dtype: str, rng: np.random.Generator) -> None:
    """Neither on how many there are, nor on how long they are: not even on the longest, which decides the shape."""
    rates = {"dropout": 0.3, "recurrent_dropout": 0.3, "zoneout": 0.3}
    layer = Recurrent(cell=cell, input_size=3, hidden_size=5, num_layers=3, dtype=dtype, random_state=0, **rates)
    X = rng.standard_normal((4, 9, 3)).astype(dtype)
    want = layer.record(X[:2, :4], lengths=[4, 3], step=7).output
    got = layer.record(X, lengths=[4, 3, 9, 5], step=7).output
    assert_same_bits(got[0, :4], want[0])
    assert_same_bits(got[1, :3], want[1, :3])
    assert not np.array_equal(layer.record(X, step=8).output, layer.record(X, step=7).output)


@pytest.mark.parametrize("bidirectional", [False, True], ids=["uni", "bi"])
def test_gradients_pass_through_dropout(cell: str, isa: str, bidirectional: bool, rng: np.random.Generator) -> None:
    """The same masks on the way back; checked by differences of the recorded pass, whose masks stay the same."""
    case = Case(num_layers=3, bidirectional=bidirectional, lengths="ragged", with_state=False)
    p = problem(cell, case)
    layer = Recurrent(cell=cell, dtype="float64", dropout=0.4, **case.architecture())
    for name, weights in p.weights.items():
        layer.weights[name][...] = weights
    X = p.X.copy()

    def loss() -> float:
        return float(np.sum(layer.record(X, lengths=p.lengths, step=2).output * p.d_output))

    tape = layer.record(X, lengths=p.lengths, step=2)
    noise = 8 * EPS * float(np.sum(np.abs(tape.output * p.d_output))) / 2e-3
    grads = tape.backward(p.d_output)
    for name, array in {**layer.weights, "X": X}.items():
        gradient = grads.X if name == "X" else grads.weights[name]
        direction = rng.standard_normal(array.shape)
        direction /= np.linalg.norm(direction)
        at = array.copy()

        def moved(step: float) -> float:
            array[...] = at + step * direction  # noqa: B023
            return loss()

        want = central(moved, 2e-3)
        array[...] = at
        got = float(np.sum(gradient * direction))
        assert abs(got - want) <= RTOL * float(np.linalg.norm(gradient)) + noise, name


def test_gradcheck_puts_back_what_it_moved() -> None:
    x = np.array([1.0, 2.0])
    np.testing.assert_allclose(gradcheck(lambda v: float(np.sum(v**2)), x, 2 * x), 2 * x, rtol=1e-6)
    with pytest.raises(AssertionError):
        gradcheck(lambda v: float(np.sum(v**2)), x, x)
    with pytest.raises(ZeroDivisionError):
        gradcheck(lambda _: 1 / 0, x, x)
    np.testing.assert_array_equal(x, [1.0, 2.0])
