"""Pooling over time: mean, maximum and attention against NumPy and differences; a row's bits are its own."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from cases import Array
from running import assert_same_bits
from skrnn import _core
from skrnn.nn import Dense, Parameters, Pooling, PoolingConfig, Recurrent
from skrnn.nn.pooling import KINDS
from skrnn.nn.scratch import Scratch
from skrnn.testing import gradcheck
from tolerances import allowance, assert_close

SIZES = [(1, 1, 1, 1), (4, 1, 5, 3), (5, 9, 17, 33), (13, 30, 66, 7)]  # N, T, F, A


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def make(kind: str, n_features: int, units: int, dtype: str, rng: np.random.Generator) -> Pooling:
    layer = Pooling(kind, n_features, attention_size=units if kind == "attention" else None, dtype=dtype)
    for weight in layer.weights.values():
        weight[...] = rng.standard_normal(weight.shape) / weight.shape[-1] ** 0.5
    return layer


def batch(
    rng: np.random.Generator, n_rows: int, n_steps: int, n_features: int, dtype: str
) -> tuple[Array, Array, Array]:
    """Steps with NaN beyond each length, lengths of which the last is 0, and a gradient for the output."""
    X = rng.standard_normal((n_rows + 1, n_steps, n_features)).astype(dtype)
    lengths = rng.integers(1, n_steps + 1, n_rows + 1)
    lengths[-1] = 0
    X[np.arange(n_steps) >= lengths[:, None]] = np.nan
    return X, lengths, rng.standard_normal((n_rows + 1, n_features)).astype(dtype)


def reference(layer: Pooling, X: Array, lengths: Array, d_output: Array) -> dict[str, Array]:
    """Output and gradients in float64, row by row."""
    weights = {name: w.astype(np.float64) for name, w in layer.weights.items()}
    found = {"output": np.zeros(d_output.shape), "X": np.zeros(X.shape), "alpha": np.zeros(X.shape[:2])}
    found |= {name: np.zeros(w.shape) for name, w in weights.items()}
    for n, length in enumerate(lengths):
        x, d = X[n, :length].astype(np.float64), d_output[n].astype(np.float64)
        if length == 0:
            continue
        if layer.config.kind == "mean":
            found["output"][n] = x.mean(axis=0)
            found["X"][n, :length] = d / length
        elif layer.config.kind == "max":
            found["output"][n] = x.max(axis=0)
            found["X"][n, x.argmax(axis=0), np.arange(len(d))] = d
        else:
            u = np.tanh(x @ weights["weight"].T + weights["bias"])
            powers = np.exp(u @ weights["query"])
            alpha = powers / powers.sum()
            d_scores = alpha * (x @ d - alpha @ (x @ d))
            d_units = d_scores[:, None] * weights["query"] * (1 - u * u)
            found["alpha"][n, :length] = alpha
            found["output"][n] = alpha @ x
            found["X"][n, :length] = alpha[:, None] * d + d_units @ weights["weight"]
            found["weight"] += d_units.T @ x
            found["bias"] += d_units.sum(axis=0)
            found["query"] += d_scores @ u
    return found


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_values_and_gradients(
    dtype: str, isa: str, kind: str, size: tuple[int, int, int, int], rng: np.random.Generator
) -> None:
    n_rows, n_steps, n_features, units = size
    layer = make(kind, n_features, units, dtype, rng)
    X, lengths, d_output = batch(rng, n_rows, n_steps, n_features, dtype)
    want = reference(layer, X, lengths, d_output)
    tape = layer.record(X, lengths)
    assert_same_bits(layer.forward(X, lengths), tape.output)
    assert tape.output.dtype == dtype
    work = n_rows * n_steps * (n_features + units)
    one_row = allowance(n_steps * (n_features + units), dtype)
    assert_close(tape.output, want["output"], one_row, "output")
    if kind == "attention":
        assert tape.alpha is not None
        assert_close(tape.alpha, want["alpha"], one_row, "alpha")
        np.testing.assert_array_equal(tape.alpha == 0, np.arange(n_steps) >= lengths[:, None])
    else:
        assert tape.alpha is None
    gradients = tape.backward(d_output)
    # d . x, of the size of the root of F, is what the gradients of attention are made of
    scale = 1.0 if kind != "attention" else n_features**0.5
    assert_close(gradients.X, want["X"], scale * one_row, "X")
    assert set(gradients.weights) == set(layer.weights)
    for name, gradient in gradients.weights.items():
        assert_close(gradient, want[name], scale * n_rows**0.5 * allowance(work, dtype), name)
    with pytest.raises(RuntimeError, match="used up"):
        tape.backward(d_output)


def test_by_differences(isa: str, kind: str, rng: np.random.Generator) -> None:
    layer = make(kind, 3, 4, "float64", rng)
    X, lengths, d_output = batch(rng, 3, 4, 3, "float64")
    X = np.nan_to_num(X)
    gradients = layer.record(X, lengths).backward(d_output)

    def loss(_: Array) -> float:
        return float(np.sum(layer.forward(X, lengths) * d_output))

    gradcheck(loss, X, gradients.X)
    for name, weight in layer.weights.items():
        gradcheck(loss, weight, gradients.weights[name])


@pytest.mark.parametrize("where", ["alone", "padded", "neighbours"])
def test_the_bits_of_a_row_are_its_own(dtype: str, isa: str, kind: str, where: str, rng: np.random.Generator) -> None:
    layer = make(kind, 21, 18, dtype, rng)
    X, lengths, d_output = batch(rng, 7, 12, 21, dtype)
    tape = layer.record(X, lengths)
    output, alpha, d_x = tape.output, tape.alpha, tape.backward(d_output).X
    for n in (0, 3, 7):
        length = int(lengths[n])
        if where == "alone":
            x, own, d, at = X[n : n + 1, :length], None, d_output[n : n + 1], 0
        elif where == "padded":
            x = np.full((1, 31, 21), np.inf, dtype)
            x[0, :length] = X[n, :length]
            own, d, at = np.array([length]), d_output[n : n + 1], 0
        else:
            order = rng.permutation(8)
            x, own, d, at = X[order], lengths[order], d_output[order], int(np.flatnonzero(order == n)[0])
        again = layer.record(x, own)
        assert_same_bits(again.output[at], output[n])
        if alpha is not None:
            assert again.alpha is not None
            assert_same_bits(again.alpha[at, :length], alpha[n, :length])
        assert_same_bits(again.backward(d).X[at, :length], d_x[n, :length])


def test_threads(dtype: str, isa: str, kind: str, n_threads: int, rng: np.random.Generator) -> None:
    layer = make(kind, 37, 29, dtype, rng)
    X, lengths, d_output = batch(rng, 10, 13, 37, dtype)

    def everything() -> list[Array]:
        tape = layer.record(X, lengths)
        gradients = tape.backward(d_output)
        return [tape.output, gradients.X, gradients.parameters.values]

    several = everything()
    enough = _core.set_work_per_thread(1e12)
    try:
        one = everything()
    finally:
        _core.set_work_per_thread(enough)
    for got, want in zip(several, one, strict=True):
        assert_same_bits(got, want)


def test_max_takes_the_first_of_equals_and_lets_nan_through(dtype: str, isa: str) -> None:
    layer = Pooling("max", 2, dtype=dtype)
    X = np.array([[[1, -np.inf], [3, -np.inf], [3, -np.inf]], [[1, 5], [np.nan, 5], [2, 5]]], dtype)
    tape = layer.record(X)
    np.testing.assert_array_equal(tape.output, np.array([[3, -np.inf], [np.nan, 5]], dtype))
    d_x = tape.backward(np.array([[1, 2], [3, 4]], dtype)).X
    want = np.zeros_like(X)
    want[0, 1, 0], want[0, 0, 1], want[1, 1, 0], want[1, 0, 1] = 1, 2, 3, 4
    np.testing.assert_array_equal(d_x, want)


def test_attention_of_large_scores(dtype: str, isa: str) -> None:
    """Scores are moved before the exponential: a score of 1000 overflows neither precision."""
    layer = Pooling("attention", 1, dtype=dtype)
    layer.weights["weight"][...] = 100
    layer.weights["query"][...] = 1000
    tape = layer.record(np.array([[[-1], [1], [2]], [[-1], [-2], [-3]]], dtype))
    np.testing.assert_array_equal(tape.output, np.array([[1.5], [-2]], dtype))
    assert tape.alpha is not None
    np.testing.assert_allclose(tape.alpha, [[0, 0.5, 0.5], [1 / 3] * 3], rtol=4 * np.finfo(dtype).eps, atol=0)


def test_attention_torch(dtype: str, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    layer = make("attention", 6, 9, dtype, rng)
    X, lengths, d_output = batch(rng, 5, 8, 6, dtype)
    X = np.nan_to_num(X)
    x = torch.tensor(X, requires_grad=True)
    theirs = {name: torch.tensor(w, requires_grad=True) for name, w in layer.weights.items()}
    scores = torch.tanh(x @ theirs["weight"].T + theirs["bias"]) @ theirs["query"]
    real = torch.arange(8) < torch.tensor(lengths)[:, None]
    alpha = torch.softmax(scores[:5].masked_fill(~real[:5], -torch.inf), dim=1)  # but for the row without steps
    output = (alpha[:, :, None] * x[:5]).sum(dim=1)
    output.backward(torch.tensor(d_output[:5]))
    tape = layer.record(X, lengths)
    tolerance = 6**0.5 * allowance(8 * 15, dtype)
    assert_close(tape.output[:5], output.detach().numpy(), tolerance, "output")
    gradients = tape.backward(d_output)
    assert_close(gradients.X, x.grad.numpy(), tolerance, "X")
    for name, gradient in gradients.weights.items():
        assert_close(gradient, theirs[name].grad.numpy(), 5**0.5 * tolerance, name)


def test_rows_without_steps(dtype: str, isa: str, kind: str) -> None:
    layer = Pooling(kind, 3, dtype=dtype)
    for X, lengths in [
        (np.ones((2, 4, 3), dtype), [0, 0]),
        (np.ones((2, 0, 3), dtype), None),
        (np.ones((0, 4, 3), dtype), None),
    ]:
        tape = layer.record(X, lengths)
        assert_same_bits(tape.output, np.zeros((len(X), 3), dtype))
        gradients = tape.backward(np.ones((len(X), 3), dtype))
        assert_same_bits(gradients.X, np.zeros_like(X))
        assert not gradients.parameters.values.any()


def test_the_loop_that_keeps_its_memory(dtype: str, kind: str, rng: np.random.Generator) -> None:
    """The way of training loops gives the bits of the layer, in the same arrays again and again."""
    layer = make(kind, 5, 6, dtype, rng)
    config, scratch = layer.config, Scratch(layer.dtype, _core.Workspace())
    assert config == PoolingConfig(kind, 5, 6 if kind == "attention" else None)
    d_weights = layer.parameters.like()
    places = set()
    for n_rows in (6, 4, 6):
        X, lengths, d_output = batch(rng, n_rows, 7, 5, dtype)
        tape = layer.record(X, lengths)
        want = tape.backward(d_output)
        features, saved = config.pool(X, lengths, layer.weights, scratch)
        assert_same_bits(features, tape.output)
        d_x = config.backward(saved, d_output, d_weights.views, scratch)
        assert_same_bits(d_x, want.X)
        assert_same_bits(d_weights.values, want.parameters.values)
        places.add((features.ctypes.data, d_x.ctypes.data))
    assert len(places) == 1


def test_it_joins_other_layers(kind: str, rng: np.random.Generator) -> None:
    recurrent = Recurrent("lstm", input_size=3, hidden_size=4, bidirectional=True, dtype="float64")
    pooling = Pooling(kind, recurrent.output_size, dtype="float64")
    head = Dense(recurrent.output_size, 2, dtype="float64")
    parameters = Parameters.join({"": recurrent, "pooling.": pooling, "head.": head})
    gradients = parameters.like()
    X, lengths, _ = batch(rng, 4, 5, 3, "float64")
    d = rng.standard_normal((5, 2))

    def loss(_: Array) -> float:
        output, _state = recurrent.forward(X, lengths)
        return float(np.sum(head.forward(pooling.forward(output, lengths)) * d))

    body = recurrent.record(X, lengths)
    middle = pooling.record(body.output, lengths)
    top = head.record(middle.output)
    d_middle = top.backward(d, out=gradients).X
    d_body = middle.backward(d_middle, out=gradients).X
    body.backward(d_body, out=gradients)
    some = slice(None, None, 7)
    values = parameters.values

    def moved(part: Array) -> float:
        values[some] = part
        return loss(values)

    gradcheck(moved, values[some].copy(), gradients.values[some], rtol=1e-5, atol=1e-8)
    assert_same_bits(pickle.loads(pickle.dumps(pooling)).forward(body.output, lengths), middle.output)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="kind must be one of 'mean', 'max', 'attention', got 'last'"):
        Pooling("last", 3)
    with pytest.raises(ValueError, match="attention_size is for kind 'attention', got kind 'mean'"):
        Pooling("mean", 3, attention_size=3)
    with pytest.raises(ValueError, match="n_features must be greater than zero"):
        Pooling("mean", 0)
    layer = Pooling("attention", 3)
    with pytest.raises(ValueError, match=r"X must have shape \(n_rows, n_steps, 3\), got \(2, 4, 5\)"):
        layer.forward(np.zeros((2, 4, 5), np.float32))
    with pytest.raises(TypeError, match="X has dtype float64"):
        layer.forward(np.zeros((2, 4, 3)))
    with pytest.raises(ValueError, match="lengths must be between 0 and the 4"):
        layer.forward(np.zeros((2, 4, 3), np.float32), [1, 5])
    with pytest.raises(ValueError, match=r"d_output must have shape \(2, 3\)"):
        layer.record(np.zeros((2, 4, 3), np.float32)).backward(np.zeros((2, 4), np.float32))


def test_attention_has_as_many_units_as_features_unless_told() -> None:
    shapes = {name: w.shape for name, w in Pooling("attention", 5).weights.items()}
    assert shapes == {"weight": (5, 5), "bias": (5,), "query": (5,)}
    layer = Pooling("attention", 5, attention_size=2, random_state=1)
    assert layer.weights["weight"].shape == (2, 5)
    assert layer.weights["weight"].any()
    assert layer.weights["query"].any()
    assert not layer.weights["bias"].any()
    assert_same_bits(
        Pooling("attention", 5, attention_size=2, random_state=1).parameters.values, layer.parameters.values
    )
