"""The dense layer and the losses: values and gradients against NumPy, differences and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from cases import Array
from running import assert_same_bits
from skrnn import _core
from skrnn.nn import Dense, softmax, softmax_cross_entropy, squared_error
from tolerances import allowance, assert_close

SIZES = [(1, 1, 1), (1, 7, 3), (5, 3, 1), (13, 33, 17), (67, 130, 70), (300, 9, 5)]  # N, I, O
SHAPES = [(1, 1), (1, 5), (7, 2), (13, 33), (40, 100)]  # N, C


def draw(rng: np.random.Generator, *shape: int) -> Array:
    """Float64 numbers that float32 holds exactly, so that one expectation serves both precisions."""
    return rng.standard_normal(shape).astype(np.float32).astype(np.float64)


# ---------------------------------------------------------------------------------------------------------------------
# Dense
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_dense(dtype: str, isa: str, size: tuple[int, int, int], rng: np.random.Generator) -> None:
    n_rows, n_in, n_out = size
    dense = Dense(n_in, n_out, dtype=dtype)
    X, d_output = draw(rng, n_rows, n_in), draw(rng, n_rows, n_out)
    weight, bias = draw(rng, n_out, n_in), draw(rng, n_out)
    dense.weights["weight"][...] = weight
    dense.weights["bias"][...] = bias

    tape = dense.record(X.astype(dtype))
    # The largest sum has this many terms; sums of products of normal numbers are of the size of their root.
    assert_close(tape.output, X @ weight.T + bias, n_in**0.5 * allowance(n_in, dtype), "output")
    assert_same_bits(dense.forward(X.astype(dtype)), tape.output)
    grads = tape.backward(d_output.astype(dtype))
    assert_close(grads.X, d_output @ weight, n_out**0.5 * allowance(n_out, dtype), "X")
    tolerance = n_rows**0.5 * allowance(n_rows, dtype)
    assert_close(grads.weights["weight"], d_output.T @ X, tolerance, "weight")
    assert_close(grads.weights["bias"], d_output.sum(axis=0), tolerance, "bias")


def test_dense_without_bias(dtype: str, isa: str, rng: np.random.Generator) -> None:
    X, weight = draw(rng, 9, 21).astype(dtype), draw(rng, 5, 21).astype(dtype)
    out, with_zeros = np.empty((9, 5), dtype), np.empty((9, 5), dtype)
    _core.dense_forward(X, weight, None, out)
    _core.dense_forward(X, weight, np.zeros(5, dtype), with_zeros)
    np.testing.assert_array_equal(out, with_zeros)
    d_weight, d_X = np.empty_like(weight), np.empty_like(X)
    _core.dense_backward(X, weight, out, d_X, d_weight, None)
    d_weight_alone = np.empty_like(weight)
    _core.dense_backward(X, weight, out, None, d_weight_alone, None)
    assert_same_bits(d_weight_alone, d_weight)


def test_dense_on_integers(dtype: str, isa: str, rng: np.random.Generator) -> None:
    """Exact where arithmetic is: every instruction set, both precisions."""
    X, weight = rng.integers(-9, 10, (37, 65)), rng.integers(-9, 10, (41, 65))
    bias, d_out = rng.integers(-9, 10, 41), rng.integers(-9, 10, (37, 41))
    out, d_X = np.empty((37, 41), dtype), np.empty((37, 65), dtype)
    d_weight, d_bias = np.empty((41, 65), dtype), np.empty(41, dtype)
    _core.dense_forward(X.astype(dtype), weight.astype(dtype), bias.astype(dtype), out)
    _core.dense_backward(X.astype(dtype), weight.astype(dtype), d_out.astype(dtype), d_X, d_weight, d_bias)
    np.testing.assert_array_equal(out, X @ weight.T + bias)
    np.testing.assert_array_equal(d_X, d_out @ weight)
    np.testing.assert_array_equal(d_weight, d_out.T @ X)
    np.testing.assert_array_equal(d_bias, d_out.sum(axis=0))


# ---------------------------------------------------------------------------------------------------------------------
# Softmax and cross-entropy
# ---------------------------------------------------------------------------------------------------------------------


def exact_softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_softmax(dtype: str, isa: str, shape: tuple[int, int], rng: np.random.Generator) -> None:
    logits = 5 * draw(rng, *shape)
    got = softmax(logits.astype(dtype))
    assert got.dtype == dtype
    eps = float(np.finfo(dtype).eps)
    # exp has its own bound of 1.5 ulp, twice, and logits of up to 20 are rounded to the precision before.
    np.testing.assert_allclose(got, exact_softmax(logits), rtol=(20 + shape[1]) * eps, atol=0)
    np.testing.assert_allclose(got.sum(axis=1), 1, rtol=0, atol=(4 + shape[1]) * eps)


def test_softmax_of_extremes(dtype: str, isa: str) -> None:
    logits = np.array([[1e4, 0, -1e4], [-1e30, -1e30, -1e30], [88, 88, 88], [0, -np.inf, 0]], dtype)
    want = np.array([[1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [1 / 3, 1 / 3, 1 / 3], [0.5, 0, 0.5]])
    np.testing.assert_allclose(softmax(logits), want, rtol=4 * np.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_cross_entropy(dtype: str, isa: str, shape: tuple[int, int], weighted: bool, rng: np.random.Generator) -> None:
    logits = 5 * draw(rng, *shape)
    target = rng.integers(0, shape[1], shape[0])
    weight = np.abs(draw(rng, shape[0])) if weighted else None
    loss, d_logits = softmax_cross_entropy(
        logits.astype(dtype), target, None if weight is None else weight.astype(dtype)
    )
    factor = np.ones(shape[0]) if weight is None else weight
    shares = exact_softmax(logits)
    rows = -np.log(shares[np.arange(shape[0]), target])
    eps = float(np.finfo(dtype).eps)
    # The sum of powers is rounded C times in the precision; the logarithm and the sum over rows are in float64.
    assert isinstance(loss, float)
    assert abs(loss - np.sum(factor * rows)) <= (4 + shape[1]) * eps * np.sum(factor * (1 + rows))
    want = factor[:, None] * (shares - np.eye(shape[1])[target])
    assert_close(d_logits, want, (20 + shape[1]) * eps, "d_logits")  # as softmax


def test_cross_entropy_without_gradient(dtype: str, isa: str, rng: np.random.Generator) -> None:
    logits = draw(rng, 9, 5).astype(dtype)
    target = rng.integers(0, 5, 9)
    want, _ = softmax_cross_entropy(logits, target)
    assert _core.softmax_cross_entropy(logits, target, None, None) == want


def test_cross_entropy_of_extremes(dtype: str, isa: str) -> None:
    """A certain mistake costs the difference of the logits, not infinity; a certainty costs nothing."""
    logits = np.array([[1e4, 0.0], [1e4, 0.0]], dtype)
    loss, d_logits = softmax_cross_entropy(logits, np.array([1, 0]))
    assert loss == 1e4
    np.testing.assert_array_equal(d_logits, np.array([[1, -1], [0, 0]], dtype))


def test_cross_entropy_torch(dtype: str, isa: str, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    logits = draw(rng, 21, 10)
    target = rng.integers(0, 10, 21)
    loss, d_logits = softmax_cross_entropy(logits.astype(dtype), target)
    theirs = torch.tensor(logits, requires_grad=True)
    their_loss = torch.nn.functional.cross_entropy(theirs, torch.tensor(target), reduction="sum")
    their_loss.backward()
    eps = float(np.finfo(dtype).eps)
    assert abs(loss - their_loss.item()) <= 14 * eps * their_loss.item()  # as above
    assert_close(d_logits, theirs.grad.numpy(), 30 * eps, "d_logits")


# ---------------------------------------------------------------------------------------------------------------------
# Squared error
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_squared_error(dtype: str, isa: str, shape: tuple[int, int], weighted: bool, rng: np.random.Generator) -> None:
    prediction, target = draw(rng, *shape), draw(rng, *shape)
    weight = np.abs(draw(rng, shape[0])) if weighted else None
    loss, d_prediction = squared_error(
        prediction.astype(dtype),
        target.astype(dtype),
        None if weight is None else weight.astype(dtype),
    )
    factor = (np.ones(shape[0]) if weight is None else weight)[:, None]
    want = np.sum(factor * 0.5 * (prediction - target) ** 2)
    eps = float(np.finfo(dtype).eps)
    # A difference is rounded once, relative to itself; its square twice as much; all sums are in float64.
    assert abs(loss - want) <= 4 * eps * want
    np.testing.assert_allclose(d_prediction, factor * (prediction - target), rtol=2 * eps, atol=0)
    alone = _core.squared_error(
        prediction.astype(dtype),
        target.astype(dtype),
        None if weight is None else weight.astype(dtype),
        None,
    )
    assert alone == loss


def test_squared_error_torch(dtype: str, isa: str, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    prediction, target = draw(rng, 12, 3), draw(rng, 12, 3)
    loss, d_prediction = squared_error(prediction.astype(dtype), target.astype(dtype))
    theirs = torch.tensor(prediction, requires_grad=True)
    their_loss = 0.5 * torch.nn.functional.mse_loss(theirs, torch.tensor(target), reduction="sum")
    their_loss.backward()
    eps = float(np.finfo(dtype).eps)
    assert abs(loss - their_loss.item()) <= 4 * eps * loss  # as above
    np.testing.assert_allclose(d_prediction, theirs.grad.numpy(), rtol=2 * eps, atol=0)
