"""The dense layer and the losses: values and gradients against NumPy, differences and PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from cases import Array
from running import assert_same_bits
from skrnn import _core
from skrnn.nn import (
    Dense,
    absolute_error,
    binary_cross_entropy,
    get_loss,
    huber,
    poisson,
    quantile,
    sigmoid,
    softmax,
    softmax_cross_entropy,
    squared_error,
)
from skrnn.testing import gradcheck
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
# Losses of each element
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ElementLoss:
    """The textbook's formula of one element, its slope, and how large the numbers are that cancel in them."""

    function: Callable[..., tuple[float, Array]]
    value: Callable[[Array, Array], Array]
    slope: Callable[[Array, Array], Array]
    torch: Callable[[Any, Any, Any], Any]
    target: Callable[[Array], Array] = np.asarray
    """From normal numbers."""
    size: Callable[[Array, Array], Array] = lambda p, y: 1 + np.abs(p - y)
    options: dict[str, Any] = field(default_factory=dict)


DELTA, LEVEL = 0.75, 0.875  # which float32 holds exactly


def pinball_torch(torch: Any, p: Any, y: Any) -> Any:
    return torch.maximum(LEVEL * (y - p), (1 - LEVEL) * (p - y)).sum()


ELEMENT_LOSSES: dict[str, ElementLoss] = {
    "squared_error": ElementLoss(
        squared_error,
        lambda p, y: 0.5 * (p - y) ** 2,
        lambda p, y: p - y,
        lambda torch, p, y: 0.5 * torch.nn.functional.mse_loss(p, y, reduction="sum"),
    ),
    "absolute_error": ElementLoss(
        absolute_error,
        lambda p, y: np.abs(p - y),
        lambda p, y: np.sign(p - y),
        lambda torch, p, y: torch.nn.functional.l1_loss(p, y, reduction="sum"),
    ),
    "huber": ElementLoss(
        huber,
        lambda p, y: np.where(np.abs(p - y) <= DELTA, 0.5 * (p - y) ** 2, DELTA * (np.abs(p - y) - DELTA / 2)),
        lambda p, y: np.clip(p - y, -DELTA, DELTA),
        lambda torch, p, y: torch.nn.functional.huber_loss(p, y, reduction="sum", delta=DELTA),
        options={"delta": DELTA},
    ),
    "quantile": ElementLoss(
        quantile,
        lambda p, y: np.maximum(LEVEL * (y - p), (1 - LEVEL) * (p - y)),
        lambda p, y: np.where(p > y, 1 - LEVEL, -LEVEL),
        pinball_torch,
        options={"quantiles": LEVEL},
    ),
    "poisson": ElementLoss(
        poisson,
        lambda p, y: np.exp(p) - y * p,
        lambda p, y: np.exp(p) - y,
        lambda torch, p, y: torch.nn.functional.poisson_nll_loss(p, y, reduction="sum"),
        target=lambda z: np.floor(4 * np.abs(z)),
        size=lambda p, y: np.exp(p) + np.abs(y * p) + y,
    ),
    "binary_cross_entropy": ElementLoss(
        binary_cross_entropy,
        lambda p, y: np.logaddexp(0, p) - y * p,
        lambda p, y: 1 / (1 + np.exp(-p)) - y,
        lambda torch, p, y: torch.nn.functional.binary_cross_entropy_with_logits(p, y, reduction="sum"),
        target=lambda z: np.clip(np.round(4 * np.abs(z)) / 4, 0, 1),
        size=lambda p, y: 1 + np.abs(p),
    ),
}


@pytest.fixture(params=ELEMENT_LOSSES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def pair(rng: np.random.Generator, loss: ElementLoss, *shape: int) -> tuple[Array, Array]:
    return 2 * draw(rng, *shape), loss.target(draw(rng, *shape))


@pytest.mark.parametrize("shape", [*SHAPES, (3, 150)], ids=str)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_element_loss(
    dtype: str, isa: str, name: str, shape: tuple[int, int], weighted: bool, rng: np.random.Generator
) -> None:
    loss = ELEMENT_LOSSES[name]
    prediction, target = pair(rng, loss, *shape)
    weight = np.abs(draw(rng, shape[0])) if weighted else None
    factor = (np.ones(shape[0]) if weight is None else weight)[:, None]
    arguments = [None if a is None else a.astype(dtype) for a in (prediction, target, weight)]
    value, gradient = loss.function(*arguments, **loss.options)

    eps = float(np.finfo(dtype).eps)
    # A difference is rounded once and an exponential 1.5 times; then come at most four more roundings, each of a number
    # not larger than `size`, or its square. Sums are in float64: one more rounding of theirs for every column.
    size = loss.size(prediction, target)
    rounding = 8 * eps + shape[1] * np.finfo(np.float64).eps
    assert isinstance(value, float)
    assert abs(value - np.sum(factor * loss.value(prediction, target))) <= rounding * np.sum(
        factor * size * np.maximum(size, 1)
    )
    assert gradient.dtype == dtype
    difference = np.abs(gradient - factor * loss.slope(prediction, target))
    assert np.all(difference <= 8 * eps * factor * size), np.max(difference / (eps * factor * size))

    options = {key: np.full(shape[1], v, dtype) if key == "quantiles" else v for key, v in loss.options.items()}
    assert get_loss(name, **options)(*arguments, None) == value, "the loss alone is the same"


def test_element_loss_by_differences(isa: str, name: str, rng: np.random.Generator) -> None:
    loss = ELEMENT_LOSSES[name]
    prediction, target = pair(rng, loss, 3, 7)
    if name in ("absolute_error", "huber", "quantile"):  # keep clear of kinks, at which there is no difference to take
        prediction = target + rng.choice([-2.5, -0.6, -0.1, 0.2, 0.5, 1.5], target.shape)
    weight = np.array([0.5, 2.0, 1.0])
    _, gradient = loss.function(prediction, target, weight, **loss.options)
    gradcheck(lambda p: loss.function(p, target, weight, **loss.options)[0], prediction, gradient)


def test_element_loss_torch(dtype: str, isa: str, name: str, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    loss = ELEMENT_LOSSES[name]
    prediction, target = pair(rng, loss, 12, 5)
    value, gradient = loss.function(prediction.astype(dtype), target.astype(dtype), **loss.options)
    theirs = torch.tensor(prediction, requires_grad=True)
    their_loss = loss.torch(torch, theirs, torch.tensor(target))
    their_loss.backward()
    eps = float(np.finfo(dtype).eps)
    size = loss.size(prediction, target)
    assert abs(value - their_loss.item()) <= 9 * eps * np.sum(size * np.maximum(size, 1))  # as above
    assert np.all(np.abs(gradient - theirs.grad.numpy()) <= 9 * eps * size)


def test_element_loss_does_not_know_its_neighbours(dtype: str, isa: str, name: str, rng: np.random.Generator) -> None:
    """The bits of a row are its own, and those of an element's gradient too."""
    loss = ELEMENT_LOSSES[name]
    prediction, target = (a.astype(dtype) for a in pair(rng, loss, 9, 77))
    value, gradient = loss.function(prediction, target, **loss.options)
    rows = 0.0
    for n in range(9):
        row_value, row = loss.function(prediction[n : n + 1], target[n : n + 1], **loss.options)
        assert_same_bits(row[0], gradient[n])
        rows += row_value
    assert rows == value
    for k in (0, 5, 63, 64, 76):
        _, column = loss.function(prediction[:, k : k + 1], target[:, k : k + 1], **loss.options)
        assert_same_bits(column[:, 0], gradient[:, k])


def test_element_loss_of_nan(dtype: str, isa: str, name: str) -> None:
    """A network that has diverged must not look as if it fitted."""
    loss = ELEMENT_LOSSES[name]
    prediction, target = np.zeros((2, 3), dtype), np.ones((2, 3), dtype)
    prediction[1, 1] = np.nan
    value, gradient = loss.function(prediction, target, **loss.options)
    assert np.isnan(value)
    np.testing.assert_array_equal(np.isnan(gradient), np.isnan(prediction))


def test_kinks(dtype: str, isa: str) -> None:
    """Where there is no derivative: 0, which every kink here has among its subgradients. Huber's has none."""
    y = np.array([[0.0, 2.0, -1.5]], dtype)
    for function in (absolute_error, quantile):
        value, gradient = function(y, y)
        assert value == 0
        np.testing.assert_array_equal(gradient, np.zeros_like(y))
    value, gradient = huber(y + np.array([[2, -2, 2]], dtype), y, delta=2.0)
    assert value == 6
    np.testing.assert_array_equal(gradient, np.array([[2, -2, 2]], dtype))


def test_quantile_has_a_level_for_each_column(dtype: str, isa: str) -> None:
    prediction, target = np.array([[1, 1, 1], [-1, -1, -1]], dtype), np.zeros((2, 3), dtype)
    levels = [0.25, 0.5, 0.875]
    value, gradient = quantile(prediction, target, quantiles=levels)
    np.testing.assert_array_equal(gradient, np.array([1 - np.array(levels), -np.array(levels)], dtype))
    assert value == 3.0
    half, _ = quantile(prediction, target)
    assert half == 0.5 * absolute_error(prediction, target)[0]


def test_binary_cross_entropy_of_extremes(dtype: str, isa: str) -> None:
    """A certainty costs next to nothing, but not nothing; a certain mistake costs the logit."""
    logits = np.array([[20, -20, 20, -20, 1e4, -1e4, 1e4, 0]], dtype)
    target = np.array([[1, 0, 0, 1, 1, 0, 0, 1]], dtype)
    small = np.log1p(np.exp(-20.0))
    want = np.array([small, small, 20 + small, 20 + small, 0, 0, 1e4, np.log(2)])
    less_likely = 1 / (1 + np.exp(20.0))
    slope = np.array([-less_likely, less_likely, 1 - less_likely, less_likely - 1, 0, 0, 1, -0.5])
    eps = float(np.finfo(dtype).eps)
    for k in range(logits.shape[1]):
        value, gradient = binary_cross_entropy(logits[:, k : k + 1], target[:, k : k + 1])
        assert value == pytest.approx(want[k], rel=8 * eps, abs=0)
        assert gradient[0, 0] == pytest.approx(slope[k], rel=8 * eps, abs=0)
    value, gradient = binary_cross_entropy(logits, target)
    assert value == pytest.approx(want.sum(), rel=8 * eps)
    many = np.zeros((1, 5000), dtype)  # a product of this many factors would overflow
    assert binary_cross_entropy(many, many)[0] == pytest.approx(5000 * np.log(2), rel=1e-12)


def test_binary_cross_entropy_is_that_of_two_classes(isa: str, rng: np.random.Generator) -> None:
    logits, target = draw(rng, 20, 1), rng.integers(0, 2, (20, 1))
    value, gradient = binary_cross_entropy(logits, target.astype(np.float64))
    want, both = softmax_cross_entropy(np.hstack([np.zeros_like(logits), logits]), target[:, 0])
    assert value == pytest.approx(want, rel=1e-14)
    np.testing.assert_allclose(gradient[:, 0], both[:, 1], rtol=1e-13)


def test_sigmoid(dtype: str, isa: str, rng: np.random.Generator) -> None:
    logits = (5 * draw(rng, 7, 5)).astype(dtype)
    got = sigmoid(logits)
    assert (got.dtype, got.shape) == (logits.dtype, logits.shape)
    # sigmoid has a bound of 2.5 ulp; numbers just above a power of two have the largest.
    np.testing.assert_allclose(got, 1 / (1 + np.exp(-logits.astype(np.float64))), rtol=3 * np.finfo(dtype).eps)
    _, gradient = binary_cross_entropy(logits, np.zeros_like(logits))
    np.testing.assert_allclose(gradient, got, rtol=8 * np.finfo(dtype).eps)


def test_what_is_no_target_or_option_is_refused() -> None:
    p, one = np.zeros((2, 3)), np.ones((2, 3))
    with pytest.raises(ValueError, match=r"target must be at least 0, got -1\.0 at row 1, column 2"):
        poisson(p, np.where(np.arange(6).reshape(2, 3) == 5, -1.0, 1.0))
    for bad in (-0.1, 1.5, np.nan):
        with pytest.raises(ValueError, match="target must be between 0 and 1"):
            binary_cross_entropy(p, bad * one)
    for bad in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="delta must be positive and finite"):
            huber(p, one, delta=bad)
    for bad in (0.0, 1.0, -0.5, np.nan, [0.5, 0.5, 1.0]):
        with pytest.raises(ValueError, match="quantiles must lie between 0 and 1"):
            quantile(p, one, quantiles=bad)
    with pytest.raises(ValueError, match=r"quantiles must be a number or have shape \(3,\)"):
        quantile(p, one, quantiles=[0.5, 0.5])
    with pytest.raises(TypeError, match="target has dtype float32"):
        absolute_error(p, one.astype(np.float32))
    with pytest.raises(ValueError, match="loss must be one of"):
        get_loss("hubert")
    with pytest.raises(TypeError, match=r"'huber' takes the options \['delta'\]"):
        get_loss("huber")
    with pytest.raises(TypeError, match=r"'poisson' takes the options \[\]"):
        get_loss("poisson", delta=1.0)
