"""Layers, their parameters and solvers work together, also when joined, copied and pickled."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cases import Array
from running import assert_same_bits, states
from skrnn import nn
from skrnn.nn import (
    SGD,
    Adam,
    Dense,
    FrozenRecurrent,
    Parameters,
    Recurrent,
    SequenceNetwork,
    Trainer,
    get_loss,
    orthogonal,
    squared_error,
)

COPIES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
}


@pytest.fixture(params=COPIES)
def copied(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return COPIES[request.param]


def batch(dtype: str = "float32") -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((9, 6, 3)).astype(dtype), rng.standard_normal((9, 2)).astype(dtype)


def network(cell: str = "lstm", dtype: str = "float32", **options: Any) -> SequenceNetwork:
    recurrent = Recurrent(cell, input_size=3, hidden_size=5, dtype=dtype, random_state=1, **options)
    return SequenceNetwork(recurrent, Dense(recurrent.output_size, 2, dtype=dtype, random_state=2))


# ---------------------------------------------------------------------------------------------------------------------
# A loop of one's own
# ---------------------------------------------------------------------------------------------------------------------


def test_one_layer_learns(cell: str, dtype: str) -> None:
    X, _ = batch(dtype)
    layer = Recurrent(cell, input_size=3, hidden_size=5, dtype=dtype)
    solver = Adam(layer.parameters, learning_rate=0.01)
    target = 0.5 * np.roll(X, 1, axis=1)[:, :, [0, 1, 2, 0, 1]]
    losses = []
    for _ in range(30):
        tape = layer.record(X)
        loss, d_output = squared_error(tape.output.reshape(-1, 5), target.reshape(-1, 5))
        gradients = tape.backward(d_output.reshape(tape.output.shape))
        np.testing.assert_array_equal(gradients.weights["bias_hh_l0"], gradients.parameters.views["bias_hh_l0"])
        solver.step(gradients.parameters)
        losses.append(loss)
    assert losses[-1] < 0.9 * losses[0]
    assert layer.parameters is solver.parameters
    with pytest.raises(TypeError, match="Parameters"):
        solver.step(gradients.weights)


@pytest.mark.parametrize("bidirectional", [False, True], ids=["uni", "bi"])
def test_joined_layers_learn_as_the_trainer_does(cell: str, bidirectional: bool) -> None:
    """The loop that users write and the one that the estimators run: the same bits."""
    X, target = batch()
    options = {"num_layers": 2, "bidirectional": bidirectional, "dropout": 0.3}
    ours, theirs = network(cell, **options), network(cell, **options)
    trainer = Trainer(ours, "squared_error", Adam(ours.parameters, max_grad_norm=0.1))
    recurrent, head = theirs.recurrent, theirs.head
    D = 2 if bidirectional else 1
    gradients = theirs.parameters.like()
    solver = Adam(theirs.parameters, max_grad_norm=0.1)
    share = np.full(len(X), 1 / target.size, np.float32)
    for step in range(4):
        trainer.step(X, None, target)
        body = recurrent.record(X, return_output=False, step=step)
        h, *others = states(body.state)
        top = head.record(np.hstack(list(h[-D:])))
        _, d_output = squared_error(top.output, target, share)
        d_state = [np.zeros_like(h), *map(np.zeros_like, others)]
        answer = top.backward(d_output, out=gradients)
        assert answer.parameters is gradients
        d_state[0][-D:] = np.hsplit(answer.X, D)
        body.backward(None, tuple(d_state) if others else d_state[0], out=gradients)
        solver.step(gradients)
    assert_same_bits(theirs.parameters.values, ours.parameters.values)


def test_out_must_fit() -> None:
    X, target = batch()
    joined = network()
    alone = Recurrent("lstm", input_size=3, hidden_size=5, random_state=1)
    assert set(joined.recurrent.record(X).backward(None).weights) == set(alone.weights), "without out: this layer"
    with pytest.raises(ValueError, match="names and shapes of the weights"):
        joined.recurrent.record(X).backward(None, out=alone.parameters.like())
    with pytest.raises(ValueError, match="the weights themselves"):
        joined.recurrent.record(X).backward(None, out=joined.parameters)
    with pytest.raises(TypeError, match="out must be a"):
        joined.head.record(X[:, 0, [0] * 5]).backward(target, out=joined.parameters.values)
    with pytest.raises(ValueError, match="out=gradients"):
        Adam(joined.parameters).step(joined.recurrent.record(X).backward(None).parameters)


def test_join() -> None:
    first, second = Dense(3, 2), Dense(3, 2, random_state=1)
    before = first.weights["weight"].copy()
    joint = Parameters.join({"a.": first, "b.": second})
    assert list(joint.views) == ["a.weight", "a.bias", "b.weight", "b.bias"]
    assert first.parameters is second.parameters is joint
    np.testing.assert_array_equal(first.weights["weight"], before)
    joint.values[:] = 7
    assert all((w == 7).all() for layer in (first, second) for w in layer.weights.values())
    with pytest.raises(ValueError, match="no layer"):
        Parameters.join({})
    with pytest.raises(ValueError, match="twice"):
        Parameters.join({"a.": first, "b.": first})
    with pytest.raises(ValueError, match=r"named 'xbias'|named 'xweight'"):
        Parameters.join({"x": first, "xb": Odd()})
    with pytest.raises(TypeError, match="must be a layer"):
        Parameters.join({"a.": first, "b.": first.weights})
    with pytest.raises(TypeError, match="same dtype"):
        Parameters.join({"a.": first, "b.": Dense(3, 2, dtype="float64")})


class Odd(Dense):
    """Its name ends where another's begins."""

    def __init__(self) -> None:
        super().__init__(1, 1)
        self._shapes = {"ias": (1,)}
        self._weights = {"ias": np.zeros(1, np.float32)}


def test_weights_cannot_be_replaced() -> None:
    """Only written to: another array under the name would not be what the solver moves."""
    layer = Dense(3, 2)
    for weights in (layer.weights, layer.parameters.views):
        with pytest.raises(TypeError, match="item assignment"):
            weights["bias"] = np.ones(2, np.float32)
    layer.weights["bias"][...] = 3
    assert (layer.parameters.values[-2:] == 3).all()


# ---------------------------------------------------------------------------------------------------------------------
# Copies
# ---------------------------------------------------------------------------------------------------------------------


def test_copied_parameters_are_views_of_their_own(copied: Callable[[Any], Any], dtype: str) -> None:
    parameters = Parameters({"bias": (5,), "weight": (4, 3)}, np.dtype(dtype))
    parameters.values[:] = np.arange(17)
    other = copied(parameters)
    assert_same_bits(other.values, parameters.values)
    assert other.decay_size == 12
    assert other.values.ctypes.data % 64 == 0
    other.values[:] = 0
    assert not any(view.any() for view in other.views.values())
    assert parameters.values.any()


def test_a_copied_network_trains_like_the_original(copied: Callable[[Any], Any], cell: str) -> None:
    X, target = batch()
    first = network(cell)
    second = copied(first)
    assert second.recurrent.parameters is second.head.parameters is second.parameters
    for one in (first, second):
        before = one.parameters.values.copy()
        trainer = Trainer(one, "squared_error", SGD(one.parameters))
        for _ in range(3):
            trainer.step(X, None, target)
        assert not np.array_equal(one.parameters.values, before)
        np.testing.assert_array_equal(one.recurrent.weights["bias_hh_l0"], one.parameters.views["bias_hh_l0"])
    assert_same_bits(second.parameters.values, first.parameters.values)
    assert_same_bits(second.freeze().forward(X), first.freeze().forward(X))


def test_a_copied_layer_and_solver_still_belong_together(copied: Callable[[Any], Any]) -> None:
    X, _ = batch()
    layer = Recurrent("gru", input_size=3, hidden_size=5)
    pair = layer, Adam(layer.parameters)
    results = []
    for one, solver in (pair, copied(pair)):
        tape = one.record(X)
        solver.step(tape.backward(np.ones_like(tape.output)).parameters)
        results.append(one.forward(X)[0])
    assert_same_bits(*results)


def test_frozen_layers_copy_what_they_are_given() -> None:
    layer = Recurrent("gru", input_size=3, hidden_size=5)
    frozen = FrozenRecurrent(layer.config, layer.weights)
    layer.weights["bias_hh_l0"][...] = 1  # still writable
    assert not frozen.weights["bias_hh_l0"].any()
    with pytest.raises(TypeError, match="item assignment"):
        frozen.weights["bias_hh_l0"] = layer.weights["bias_hh_l0"]


# ---------------------------------------------------------------------------------------------------------------------
# Parts that do not fit
# ---------------------------------------------------------------------------------------------------------------------


def test_parts_of_a_network_must_fit() -> None:
    recurrent = Recurrent("gru", input_size=3, hidden_size=5, bidirectional=True)
    with pytest.raises(ValueError, match=r"head\.input_size must be recurrent\.output_size=10, got 5"):
        SequenceNetwork(recurrent, Dense(5, 2))
    with pytest.raises(TypeError, match="head has dtype float64, but recurrent has float32"):
        SequenceNetwork(recurrent, Dense(10, 2, dtype="float64"))
    with pytest.raises(TypeError, match="head must be a Dense, got Recurrent"):
        SequenceNetwork(recurrent, recurrent)
    with pytest.raises(TypeError, match="recurrent must be a Recurrent, got FrozenRecurrent"):
        SequenceNetwork(recurrent.freeze(), Dense(10, 2))
    one = SequenceNetwork(recurrent, Dense(10, 2))
    with pytest.raises(ValueError, match="other weights"):
        Trainer(one, "squared_error", SGD(copy.deepcopy(one).parameters))


def test_losses_of_a_trainer() -> None:
    """By name, unless they have options; get_loss makes the others, and agrees with the function of the name."""
    rng = np.random.default_rng(0)
    network = SequenceNetwork(Recurrent("gru", input_size=3, hidden_size=5), Dense(5, 2))
    X, y = rng.normal(size=(4, 6, 3)).astype("float32"), rng.normal(size=(4, 2)).astype("float32")
    output = network.freeze().forward(X)
    for name, options in (
        ("softmax_cross_entropy", {}),
        ("binary_cross_entropy", {}),
        ("squared_error", {}),
        ("absolute_error", {}),
        ("poisson", {}),
        ("huber", {"delta": 0.5}),
        ("quantile", {"quantiles": np.array([0.1, 0.9], dtype="float32")}),
    ):
        target = np.arange(4) % 2 if name == "softmax_cross_entropy" else np.abs(y) % 1
        want = getattr(nn, name)(output, target, **options)[0] / target.size
        assert get_loss(name, **options)(output, target, None, None) / target.size == want
        trainer = Trainer(network, get_loss(name, **options), SGD(network.parameters))
        assert trainer.evaluate(X, None, target) == pytest.approx(want, rel=1e-5)
        if options:
            with pytest.raises(TypeError, match=f"'{name}' takes the options"):
                Trainer(network, name, SGD(network.parameters))
        else:
            named = Trainer(network, name, SGD(network.parameters))
            assert named.evaluate(X, None, target) == trainer.evaluate(X, None, target)
    with pytest.raises(ValueError, match="loss must be one of"):
        Trainer(network, "hinge", SGD(network.parameters))


@pytest.mark.parametrize("dtype", [None, "float16", int, np.dtype(">f4")])
def test_dtypes_that_are_none(dtype: Any) -> None:
    with pytest.raises(ValueError, match="dtype must be 'float32' or 'float64'"):
        Dense(3, 2, dtype=dtype)


# ---------------------------------------------------------------------------------------------------------------------
# First values
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 31, 32, 33, 64, 200])
def test_orthogonal(size: int) -> None:
    q = orthogonal(size, np.random.default_rng(size))
    assert q.shape == (size, size)
    assert q.dtype == np.float64
    np.testing.assert_allclose(q @ q.T, np.eye(size), rtol=0, atol=1e-12)
    assert_same_bits(orthogonal(size, np.random.default_rng(size)), q)
    assert size == 1 or not np.array_equal(orthogonal(size, np.random.default_rng(size + 1)), q)


def test_orthogonal_is_the_qr_decomposition_with_a_positive_diagonal() -> None:
    """Of the Gaussian matrix drawn: that makes it uniform among all orthogonal ones."""
    gaussian = np.random.default_rng(5).standard_normal((70, 70))
    theirs, triangle = np.linalg.qr(gaussian.T)
    want = (theirs * np.sign(np.diag(triangle))).T
    np.testing.assert_allclose(orthogonal(70, np.random.default_rng(5)), want, rtol=0, atol=1e-10)


def test_load_weights(cell: str) -> None:
    """By name, all or nothing: what PyTorch calls a state_dict."""
    layer = Recurrent(cell, input_size=3, hidden_size=5, num_layers=2, bidirectional=True, random_state=0)
    twin = Recurrent(cell, input_size=3, hidden_size=5, num_layers=2, bidirectional=True, random_state=1)
    X = np.ones((2, 4, 3), np.float32)
    assert not np.array_equal(twin.forward(X)[0], layer.forward(X)[0])
    before = {name: array.copy() for name, array in twin.weights.items()}

    good = dict(layer.weights)
    for bad in (
        {name: array for name, array in good.items() if name != "bias_hh_l1"},
        {**good, "weight_hr_l0": np.zeros((5, 5))},
        {**good, "bias_hh_l1": np.zeros(3)},
    ):
        with pytest.raises(ValueError, match=r"weights|names"):
            twin.load_weights(bad)
        assert all(np.array_equal(twin.weights[name], before[name]) for name in before)

    twin.load_weights({name: array.astype(np.float64).tolist() for name, array in good.items()})
    np.testing.assert_array_equal(twin.forward(X)[0], layer.forward(X)[0])
    with pytest.raises(AttributeError):
        twin.weights = good


def test_a_solver_of_weights_that_moved_away_says_so() -> None:
    recurrent, dense = Recurrent("rnn", input_size=3, hidden_size=5), Dense(5, 2)
    solver = Adam(recurrent.parameters)
    gradients = recurrent.parameters.like()
    solver.step(gradients)
    Parameters.join({"a.": recurrent, "b.": dense})
    with pytest.raises(RuntimeError, match="joined"):
        solver.step(gradients)
