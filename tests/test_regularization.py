"""Recurrent dropout, zoneout and layer normalisation: alone and together, in every cell, against the reference and
against differences, with the masks that the layer says it used.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import reference
from cases import Array, Case, Problem, covering, problem
from running import assert_same_bits, given, recurrent, states, threads
from skrnn import _core
from skrnn.nn import Recurrent
from test_gradients import EPS, RTOL, central
from tolerances import assert_close, backward_tolerance, forward_tolerance

STEP = 4  # of training: it chooses the masks
ALL = {"recurrent_dropout": 0.4, "zoneout": 0.3, "layer_norm": True}


@dataclass(frozen=True)
class Regularized:
    """A case, and what is on."""

    case: Case
    recurrent_dropout: float = 0.0
    zoneout: float = 0.0
    layer_norm: bool = False

    def __str__(self) -> str:
        on = f"drop{self.recurrent_dropout}-zone{self.zoneout}" + ("-norm" if self.layer_norm else "")
        return f"{self.case}-{on}"

    def options(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "case"}


def regularized(seed: int, **axes: Any) -> list[Regularized]:
    """Cases that cover the axes, which may be those of a ``Case``; what has nothing on is left to other files."""
    techniques: dict[str, Any] = {"recurrent_dropout": [0.0, 0.4], "zoneout": [0.0, 0.3], "layer_norm": [False, True]}
    found = []
    for choice in covering(seed, **techniques, **axes):
        on = {name: choice.pop(name) for name in techniques}
        if any(on.values()):
            found.append(Regularized(Case(**choice), **on))
    return found


def network(p: Problem, dtype: str, *, dropout: float = 0.0, **options: Any) -> Recurrent:
    """The layer of a problem, with its weights; gains are drawn around 1, or less where gates have no bounds."""
    layer = Recurrent(p.cell, dtype=dtype, random_state=7, dropout=dropout, **p.case.architecture(), **options)
    rng = np.random.default_rng(5)
    for name, weights in layer.weights.items():
        drawn = (0.2 if p.case.activation == "linear" else 1) * (1 + 0.3 * rng.standard_normal(weights.shape))
        weights[...] = p.weights.get(name, drawn)
    return layer


def expected(layer: Recurrent, p: Problem, *, recorded: bool) -> tuple[Array, tuple[Array, ...]]:
    """What the reference makes of it in float64, with the masks of the layer or, for inference, on average."""
    masks: dict[str, Any] = {"zoneout": layer.config.zoneout or None}
    if recorded:
        masks = layer.masks(STEP, *p.X.shape[:2])._asdict()
        masks = {name: m.astype(float) if isinstance(m, np.ndarray) else m for name, m in masks.items()}
    return reference.run(
        p.cell,
        p.case.activation,
        {name: weights.astype(float) for name, weights in layer.weights.items()},
        p.X,
        p.lengths,
        p.state,
        num_layers=p.case.num_layers,
        bidirectional=p.case.bidirectional,
        **masks,
    )


# ---------------------------------------------------------------------------------------------------------------------
# Forward
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "r",
    regularized(
        0,
        activation=["tanh", "relu", "linear"],
        input_size=[1, 17],
        hidden_size=[1, 5, 16, 33],
        num_layers=[1, 2],
        bidirectional=[False, True],
        n_rows=[1, 2, 7],
        n_steps=[1, 6],
        lengths=["full", "ragged", "zero"],
        with_state=[False, True],
    ),
    ids=str,
)
def test_reference(cell: str, dtype: str, isa: str, r: Regularized) -> None:
    p = problem(cell, r.case)
    layer = network(p, dtype, dropout=0.2 if r.case.num_layers > 1 else 0.0, **r.options())
    X, state = p.X.astype(dtype), given(p.state, dtype)
    # Where the variance of sums is small, as it may be with few units, normalising magnifies what rounding has done to
    # them: by up to one over the root of the number that is added to it.
    tolerance = forward_tolerance(p, dtype) * (1e-5**-0.5 if r.layer_norm else 1)
    tape = layer.record(X, p.lengths, state, step=STEP)
    frozen = layer.freeze().forward(X, p.lengths, state)
    computed = layer.forward(X, p.lengths, state)
    assert_same_bits(frozen[0], computed[0])
    for (output, final), recorded in (((tape.output, tape.state), True), (computed, False)):
        want_output, want_final = expected(layer, p, recorded=recorded)
        assert_close(output, want_output, tolerance, f"output, recorded: {recorded}")
        for got, want in zip(states(final), want_final, strict=True):
            assert_close(got, want, tolerance, f"final state, recorded: {recorded}")
        assert not np.any(output[~p.mask()])


@pytest.mark.parametrize(("n_rows", "n_steps", "lengths"), [(0, 3, "full"), (3, 0, "full"), (3, 4, "zero")])
def test_nothing_to_do(cell: str, dtype: str, isa: str, n_rows: int, n_steps: int, lengths: str) -> None:
    """No rows, no steps, no steps of any row: states pass through, and no weight has a gradient."""
    p = problem(cell, Case(n_rows=n_rows, n_steps=n_steps, lengths=lengths))
    layer = network(p, dtype, **ALL)
    X, d_output = p.X.astype(dtype), p.d_output.astype(dtype)
    state, d_state = given(p.state, dtype), given(p.d_state, dtype)
    tape = layer.record(X, p.lengths, state, step=STEP)
    grads = tape.backward(d_output, d_state)
    for got, want in ((tape.state, state), (layer.forward(X, p.lengths, state)[1], state), (grads.state, d_state)):
        for one, other in zip(states(got), states(want), strict=True):
            assert_same_bits(one, other)
    assert not np.any(grads.parameters.values)
    assert not np.any(grads.X)


def test_recurrent_dropout_alone_is_for_training_only(cell: str, dtype: str, isa: str) -> None:
    p = problem(cell, Case(hidden_size=19, lengths="ragged"))
    X = p.X.astype(dtype)
    want, _ = recurrent(p, dtype).forward(X, p.lengths)
    layer = network(p, dtype, recurrent_dropout=0.5)
    assert_same_bits(layer.forward(X, p.lengths)[0], want)
    assert not np.array_equal(layer.record(X, p.lengths, step=STEP).output, want)


def test_what_is_off_changes_no_bit(cell: str, dtype: str, isa: str) -> None:
    """A rate too small for anything to happen takes the other loop: the same numbers, in the same bits."""
    case = Case(hidden_size=37, input_size=11, n_rows=9, n_steps=7, lengths="ragged")
    p = problem(cell, case)
    X, state = p.X.astype(dtype), given(p.state, dtype)
    d_output, d_state = p.d_output.astype(dtype), given(p.d_state, dtype)
    answers = []
    for layer in (recurrent(p, dtype), network(p, dtype, recurrent_dropout=1e-30)):
        tape = layer.record(X, p.lengths, state, step=STEP)
        grads = tape.backward(d_output, d_state)
        answers.append([tape.output, *states(tape.state), grads.X, *states(grads.state), grads.parameters.values])
    for one, other in zip(*answers, strict=True):
        assert_same_bits(other, one)


# ---------------------------------------------------------------------------------------------------------------------
# Gradients
# ---------------------------------------------------------------------------------------------------------------------


class Recorded:
    """A regularised network in float64 with all that its loss depends on, each array free to be moved."""

    def __init__(self, p: Problem, **options: Any) -> None:
        self.p = p
        self.layer = network(p, "float64", **options)
        self.X = p.X.copy()
        self.state = None if p.state is None else tuple(s.copy() for s in p.state)

    def record(self) -> Any:
        return self.layer.record(self.X, self.p.lengths, given(self.state), step=STEP)

    def terms(self) -> list[Array]:
        tape = self.record()
        pairs = zip((tape.output, *states(tape.state)), (self.p.d_output, *self.p.d_state), strict=True)
        return [value * d for value, d in pairs]

    def loss(self) -> float:
        return float(sum(np.sum(term) for term in self.terms()))

    def noise(self, h: float) -> float:
        return 8 * EPS * float(sum(np.sum(np.abs(term)) for term in self.terms())) / h

    def arrays(self) -> dict[str, Array]:
        # Where U h is zero, nothing is linear around it but within the small number that is added to variances.
        return {**self.layer.weights, "X": self.X, **dict(zip("hc", self.state or (), strict=False))}

    def gradients(self) -> dict[str, Array]:
        grads = self.record().backward(self.p.d_output, given(self.p.d_state))
        return {**grads.weights, "X": grads.X, **dict(zip("hc", states(grads.state), strict=False))}

    def difference(self, array: Array, direction: Array, h: float) -> float:
        at = array.copy()

        def moved(step: float) -> float:
            array[...] = at + step * direction
            return self.loss()

        try:
            return central(moved, h)
        finally:
            array[...] = at


@pytest.mark.parametrize(
    "r",
    regularized(
        1,
        activation=["tanh", "linear"],
        input_size=[2, 17],
        hidden_size=[3, 16, 33],
        num_layers=[1, 2],
        bidirectional=[False, True],
        n_rows=[1, 7],
        n_steps=[1, 5],
        lengths=["full", "ragged"],
        with_state=[False, True],
    ),
    ids=str,
)
def test_random_directions(cell: str, isa: str, r: Regularized, rng: np.random.Generator) -> None:
    n = Recorded(problem(cell, r.case), dropout=0.2 if r.case.num_layers > 1 else 0.0, **r.options())
    gradients, h = n.gradients(), 2e-4
    noise = n.noise(h)
    for name, array in n.arrays().items():
        for _ in range(2):
            direction = rng.standard_normal(array.shape)
            direction /= np.linalg.norm(direction)
            got = float(np.sum(gradients[name] * direction))
            want = n.difference(array, direction, h)
            assert abs(got - want) <= RTOL * float(np.linalg.norm(gradients[name])) + noise, name


@pytest.mark.parametrize("options", [{k: v} for k, v in ALL.items()] + [ALL], ids=["drop", "zone", "norm", "all"])
def test_every_element(cell: str, isa: str, options: dict[str, Any]) -> None:
    n = Recorded(problem(cell, Case(input_size=2, hidden_size=3, n_rows=3, n_steps=3, lengths="ragged")), **options)
    gradients, h = n.gradients(), 2e-4
    noise = n.noise(h)
    for name, array in n.arrays().items():
        numerical = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            direction = np.zeros_like(array)
            direction[index] = 1
            numerical[index] = n.difference(array, direction, h)
        np.testing.assert_allclose(gradients[name], numerical, rtol=RTOL, atol=2 * noise, err_msg=name)


# More rows and steps than a tile, a piece of backward or a block of the weight gradients, and odd sizes.
BATCH = Case(input_size=13, hidden_size=37, n_rows=17, n_steps=23, lengths="ragged", bidirectional=True)


def everything(p: Problem, dtype: str, *, checkpoint_steps: int | None = None, **options: Any) -> dict[str, Array]:
    layer = network(p, dtype, **options)
    tape = layer.record(
        p.X.astype(dtype), p.lengths, given(p.state, dtype), step=STEP, checkpoint_steps=checkpoint_steps
    )
    assert tape.nbytes > 0
    grads = tape.backward(p.d_output.astype(dtype), given(p.d_state, dtype))
    assert tape.nbytes == 0
    inferred, final = layer.forward(p.X.astype(dtype), p.lengths, given(p.state, dtype))
    found = {**grads.weights, "X": grads.X, "output": tape.output, "inferred": inferred}
    for kind, arrays in (("final", tape.state), ("initial", grads.state), ("inferred", final)):
        found |= {f"{kind} {i}": array for i, array in enumerate(states(arrays))}
    return found


def test_float32_follows_float64(cell: str, isa: str) -> None:
    p = problem(cell, BATCH)
    # With so many units no part of the sums deviates by less than a sixteenth, but for those of h = 0, which are exact.
    want, tolerance = everything(p, "float64", **ALL), 16 * backward_tolerance(p, "float32")
    for name, got in everything(p, "float32", **ALL).items():
        assert_close(got.astype("float64"), want[name], tolerance, name)


# ---------------------------------------------------------------------------------------------------------------------
# Bits
# ---------------------------------------------------------------------------------------------------------------------


def test_threads_and_checkpoints_change_no_bit(cell: str, dtype: str, isa: str) -> None:
    p = problem(cell, BATCH)
    with threads(1):
        want = everything(p, dtype, **ALL)
    for n, checkpoint_steps in ((2, None), (3, 4), (7, 1), (1, 23)):
        with threads(n):
            for name, got in everything(p, dtype, checkpoint_steps=checkpoint_steps, **ALL).items():
                assert_same_bits(got, want[name], f"{name}, {n} threads, segments of {checkpoint_steps}")


@pytest.mark.parametrize("poison", [0.0, np.nan])
def test_a_row_knows_neither_neighbours_nor_padding(cell: str, dtype: str, isa: str, poison: float) -> None:
    """The first rows of a batch are the same rows when the others are gone, or longer, or the padding is."""
    p = problem(cell, BATCH)
    assert p.lengths is not None
    assert p.state is not None
    layer = network(p, dtype, **ALL)
    d_output, d_state = p.d_output.astype(dtype), p.d_state
    X = p.X.astype(dtype)
    X[~p.mask()] = poison
    tape = layer.record(X, p.lengths, given(p.state, dtype), step=STEP)
    grads = tape.backward(d_output, given(d_state, dtype))
    for n_rows in (1, 2, 8):
        lengths = p.lengths[:n_rows]
        longest = int(lengths.max())
        few = layer.record(
            X[:n_rows, :longest], lengths, given(tuple(s[:, :n_rows] for s in p.state), dtype), step=STEP
        )
        few_grads = few.backward(d_output[:n_rows, :longest], given(tuple(s[:, :n_rows] for s in d_state), dtype))
        assert_same_bits(few.output, tape.output[:n_rows, :longest])
        assert_same_bits(few_grads.X, grads.X[:n_rows, :longest])
        for one, other in ((few.state, tape.state), (few_grads.state, grads.state)):
            for got, want in zip(states(one), states(other), strict=True):
                assert_same_bits(got, want[:, :n_rows])


def test_inference_of_a_row_alone(cell: str, dtype: str, isa: str) -> None:
    """Where nothing is drawn, a row may also move within the batch."""
    p = problem(cell, BATCH)
    assert p.lengths is not None
    layer = network(p, dtype, zoneout=0.3, layer_norm=True).freeze()
    X = p.X.astype(dtype)
    want, _ = layer.forward(X, p.lengths)
    for rows in ([16], [3, 0], [5, 5, 9, 11, 2]):
        got, _ = layer.forward(X[rows], p.lengths[rows])
        assert_same_bits(got, want[rows])


def test_a_row_gone_wild_harms_no_other(cell: str, dtype: str, isa: str) -> None:
    p = problem(cell, BATCH)
    assert p.lengths is not None
    layer = network(p, dtype, **ALL)
    wild = int(np.argmax(p.lengths))
    others = np.arange(len(p.X)) != wild
    answers = []
    for value in (0.5, np.nan):
        X = p.X.astype(dtype)
        X[wild] = value
        with np.errstate(all="ignore"):
            tape = layer.record(X, p.lengths, step=STEP)
            grads = tape.backward(p.d_output.astype(dtype))
        answers.append([tape.output[others], grads.X[others]])
    for tame, harmed in zip(*answers, strict=True):
        assert_same_bits(harmed, tame)


def test_pickles_and_frozen_layers_keep_what_is_on(cell: str) -> None:
    p = problem(cell, Case(lengths="ragged"))
    X = p.X.astype("float32")
    layer = network(p, "float32", **ALL)
    copied = pickle.loads(pickle.dumps(layer))
    assert copied.config == layer.config
    assert_same_bits(copied.record(X, step=1).output, layer.record(X, step=1).output)
    frozen = layer.freeze()
    for one in (frozen, pickle.loads(pickle.dumps(frozen))):
        assert_same_bits(one.forward(X)[0], layer.forward(X)[0])


# ---------------------------------------------------------------------------------------------------------------------
# Masks
# ---------------------------------------------------------------------------------------------------------------------


def threefry(key: tuple[int, int], counter: tuple[int, int], rounds: int) -> tuple[int, int]:
    """Threefry-2x32 as published, one pair of words at a time."""
    low = 0xFFFFFFFF
    keys = (*key, key[0] ^ key[1] ^ 0x1BD11BDA)
    x, y = (counter[0] + keys[0]) & low, (counter[1] + keys[1]) & low
    for i in range(rounds):
        left = (13, 15, 26, 6, 17, 29, 16, 24)[i % 8]
        x = (x + y) & low
        y = ((y << left | y >> (32 - left)) & low) ^ x
        if i % 4 == 3:
            s = i // 4 + 1
            x, y = (x + keys[s % 3]) & low, (y + keys[(s + 1) % 3] + s) & low
    return x, y


def test_words_are_those_of_threefry(isa: str) -> None:
    # Known answers of Random123 for 20 rounds.
    assert threefry((0, 0), (0, 0), 20) == (0x6B200159, 0x99BA4EFE)
    assert threefry((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, 20) == (0x1CB996FC, 0xBB002BE7)
    for key, counter in ((0, 0), (0x0123456789ABCDEF, 7), (2**64 - 1, 2**32 - 1)):
        words = np.empty((2, 37), np.uint32)
        _core.random_words(key, counter, words)
        want = [threefry((key & 0xFFFFFFFF, key >> 32), (i, counter), 13) for i in range(37)]
        np.testing.assert_array_equal(words, np.transpose(want))


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.8])
def test_masks_have_the_right_shares(rate: float) -> None:
    n_rows, n_steps, hidden_size = 60, 20, 50
    layer = Recurrent("lstm", input_size=1, hidden_size=hidden_size, recurrent_dropout=rate, zoneout=rate)
    masks = layer.masks(0, n_rows, n_steps)
    assert masks.dropout == ()
    assert masks.recurrent is not None
    assert masks.zoneout is not None
    assert set(np.unique(masks.recurrent)) == {0, np.float32(1 / (1 - rate))}
    for drawn in (masks.recurrent[0] == 0, masks.zoneout[:, 0]):
        # Shares of independent draws scatter by this; five of it, in all and along each axis.
        deviation = np.sqrt(rate * (1 - rate))
        assert abs(drawn.mean() - rate) < 5 * deviation / np.sqrt(drawn.size)
        for axis in range(drawn.ndim):
            means = drawn.mean(axis=tuple(a for a in range(drawn.ndim) if a != axis))
            assert np.max(np.abs(means - rate)) < 5 * deviation / np.sqrt(drawn.size / means.size)
        # Neighbours along each axis are alike no more often than chance has it.
        alike = rate**2 + (1 - rate) ** 2
        for axis in range(drawn.ndim):
            pairs = np.moveaxis(drawn, axis, 0)
            same = pairs[1:] == pairs[:-1]
            assert abs(same.mean() - alike) < 5 * 0.5 * np.sqrt(2 / same.size)


def test_masks_are_a_function_of_seed_step_unit_and_place() -> None:
    options = {"input_size": 2, "hidden_size": 40, "num_layers": 2, "bidirectional": True}
    on = {"recurrent_dropout": 0.5, "zoneout": 0.5}

    def masks(step: int = 0, n_rows: int = 6, n_steps: int = 5, seed: int = 0, dtype: str = "float32") -> list[Array]:
        got = Recurrent("lstm", **options, **on, random_state=seed, dtype=dtype).masks(step, n_rows, n_steps)
        assert got.recurrent is not None
        assert got.zoneout is not None
        return [got.recurrent != 0, got.zoneout]

    recurrent, zoneout = masks()
    for mask, axis in ((recurrent, 0), (zoneout, 0), (zoneout, 1)):  # each unit, and each state, has its own
        parts = np.moveaxis(mask, axis, 0)
        assert all(0.3 < np.mean(parts[i] == parts[j]) < 0.7 for i in range(len(parts)) for j in range(i))
    fewer_recurrent, fewer_zoneout = masks(n_rows=3, n_steps=2)
    assert_same_bits(fewer_recurrent, recurrent[:, :3])
    assert_same_bits(fewer_zoneout, zoneout[:, :, :3, :2])
    for same in (masks(), masks(dtype="float64")):
        assert_same_bits(same[0], recurrent)
        assert_same_bits(same[1], zoneout)
    for other in (masks(step=1), masks(seed=1)):
        assert 0.3 < np.mean(other[0] == recurrent) < 0.7
        assert 0.45 < np.mean(other[1] == zoneout) < 0.55


def test_zoneout_keeps_what_the_mask_says(dtype: str, isa: str) -> None:
    """A cell that forgets everything shows, at each step, the last input whose value it took."""
    layer = Recurrent("rnn", input_size=5, hidden_size=5, activation="linear", zoneout=0.5, dtype=dtype)
    for name, weights in layer.weights.items():
        weights[...] = np.eye(5) if name.startswith("weight_ih") else 0
    X = np.arange(1, 1 + 3 * 6 * 5, dtype=dtype).reshape(3, 6, 5)
    kept = layer.masks(STEP, 3, 6).zoneout
    assert kept is not None
    want, before = np.empty_like(X), np.zeros((3, 5), dtype)
    for t in range(6):
        want[:, t] = before = np.where(kept[0, 0, :, t], before, X[:, t])
    assert_same_bits(layer.record(X, step=STEP).output, want)


def test_expectation_is_the_mean_of_many_draws() -> None:
    """For a linear network it is exact: the mean over steps of training scatters around it."""
    p = problem("rnn", Case(activation="linear", hidden_size=6, n_rows=2, n_steps=4))
    layer = network(p, "float64", zoneout=0.3, recurrent_dropout=0.3)
    want, _ = layer.forward(p.X, state=given(p.state))
    drawn = np.array([layer.record(p.X, state=given(p.state), step=step).output for step in range(600)])
    error = drawn.std(axis=0) / np.sqrt(len(drawn))
    assert np.all(np.abs(drawn.mean(axis=0) - want) < 5 * error + 1e-12)
    assert np.all(error > 0)


# ---------------------------------------------------------------------------------------------------------------------
# Layer normalisation
# ---------------------------------------------------------------------------------------------------------------------


def test_normalised_layers_do_not_see_scale_and_shift(cell: str, isa: str) -> None:
    """Of all weights of a product together; where there is enough variance for the small number added to it."""
    p = problem(cell, Case(hidden_size=21, n_rows=5))
    layer = network(p, "float64", layer_norm=True)
    want, _ = layer.forward(p.X, state=given(p.state))
    for name, weights in layer.weights.items():
        if name.startswith("weight"):
            weights *= 1e6
    scaled, _ = layer.forward(p.X, state=given(p.state))
    np.testing.assert_allclose(scaled, want, atol=1e-3)
    for name, weights in layer.weights.items():
        if name.startswith("weight"):
            weights *= 1e3
    again, _ = layer.forward(p.X, state=given(p.state))
    np.testing.assert_allclose(again, scaled, atol=1e-9)


def test_gains_are_weights_without_decay(cell: str) -> None:
    layer = Recurrent(cell, input_size=3, hidden_size=5, num_layers=2, bidirectional=True, layer_norm=True)
    want = reference.weight_shapes(cell, 3, 5, 2, bidirectional=True, layer_norm=True)
    assert {name: w.shape for name, w in layer.weights.items()} == want
    assert list(layer.weights) == list(want)
    gains = [w for name, w in layer.weights.items() if name.startswith("gain")]
    assert len(gains) == 8
    assert all(np.all(gain == 1) for gain in gains)
    assert layer.parameters.decay_size == sum(w.size for w in layer.weights.values() if w.ndim == 2)


# ---------------------------------------------------------------------------------------------------------------------
# Refusals
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["recurrent_dropout", "zoneout"])
def test_rates_that_are_none(name: str) -> None:
    for wrong in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match=f"{name} must be in the range"):
            Recurrent("gru", input_size=2, hidden_size=2, **{name: wrong})
    for wrong in ("a", None, True):
        with pytest.raises(TypeError, match=f"{name} must be a number"):
            Recurrent("gru", input_size=2, hidden_size=2, **{name: wrong})
    with pytest.raises(ValueError, match="step must be given"):
        Recurrent("gru", input_size=2, hidden_size=2, **{name: 0.5}).record(np.ones((1, 2, 2), "float32"))


def test_layer_norm_is_a_bool() -> None:
    with pytest.raises(TypeError, match="layer_norm must be a bool, got int"):
        Recurrent("gru", input_size=2, hidden_size=2, layer_norm=1)


def test_masks_of_impossible_batches() -> None:
    layer = Recurrent("gru", input_size=2, hidden_size=2, zoneout=0.5)
    for wrong in ((-1, 2, 2), (0, -1, 2), (0, 2, -1)):
        with pytest.raises(ValueError, match="must be at least 0"):
            layer.masks(*wrong)


def test_the_core_refuses_gains_that_do_not_fit() -> None:
    def ones(*shape: int) -> Array:
        return np.ones(shape, "float32")

    arrays = [ones(4, 2), ones(4, 4), ones(4), ones(4)]
    with pytest.raises(TypeError, match="gain_hh must be an array"):
        _core.RecurrentWeights("rnn", "tanh", *arrays, ones(4))
    with pytest.raises(TypeError, match="gain_hh must be None without layer normalisation"):
        _core.RecurrentWeights("rnn", "tanh", *arrays, None, ones(4))
    with pytest.raises(ValueError, match="gain_ih"):
        _core.RecurrentWeights("rnn", "tanh", *arrays, ones(5), ones(4))
    for wrong in (1.0, -0.5, float("nan")):
        with pytest.raises(ValueError, match=r"zoneout must be in the range \[0, 1\)"):
            _core.RecurrentWeights("rnn", "tanh", *arrays, zoneout=wrong)
    plain = _core.RecurrentWeights("rnn", "tanh", *arrays, training=True)
    with pytest.raises(ValueError, match=r"recurrent_dropout must be in the range \[0, 1\)"):
        plain.record(ones(1, 1, 2), None, False, None, None, None, None, 0, 1.0)
    tape = plain.record(ones(1, 1, 2), None, False, None, None, None)
    with pytest.raises(TypeError, match="d_gain_ih must be None"):
        tape.backward(None, None, None, None, *arrays, ones(4), ones(4))
    normalizing = _core.RecurrentWeights("rnn", "tanh", *arrays, ones(4), ones(4), training=True)
    tape = normalizing.record(ones(1, 1, 2), None, False, None, None, None)
    with pytest.raises(TypeError, match="d_gain_ih must be an array"):
        tape.backward(None, None, None, None, *arrays)
    with pytest.raises(TypeError, match="out must be an array of uint32"):
        _core.random_words(0, 0, ones(2, 3))
