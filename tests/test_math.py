"""exp, sigmoid and tanh keep the bounds that cpp/kernels/math.h states, and their limits, signs and tails.

``pytest --exhaustive`` visits every float32 there is instead of a sample of a million.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from cases import Array
from running import assert_same_bits, same_bits
from skrnn import _core

HEADER = Path(__file__).parents[1] / "cpp" / "kernels" / "math.h"


def exact_sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


class Function(NamedTuple):
    name: str
    compute: Callable[[Array, Array], None]
    exact: Callable[[Array], Array]

    def __call__(self, x: Array) -> Array:
        out = np.full_like(x, 7)
        self.compute(x, out)
        return out


FUNCTIONS = (
    Function("exp", _core.exp, np.exp),
    Function("sigmoid", _core.sigmoid, exact_sigmoid),
    Function("tanh", _core.tanh, np.tanh),
)


@pytest.fixture(params=FUNCTIONS, ids=lambda f: f.name)
def function(request: pytest.FixtureRequest) -> Function:
    return request.param


def stated_bound(name: str, dtype: str) -> float:
    """The promise is written in one place, the header; this reads it there."""
    if not HEADER.exists():
        pytest.skip("the C++ sources are not beside the tests")
    row = re.search(rf"^//\s+{name}\s+([\d.]+)\s+([\d.]+)\s*$", HEADER.read_text(), re.MULTILINE)
    assert row, f"math.h states no bound for {name}"
    return float(row[1 if dtype == "float32" else 2])


def wide(dtype: str) -> type[np.floating]:
    """A precision in which NumPy's own functions may stand for the exact value: eleven bits more, or none at all."""
    if dtype == "float32":
        return np.float64
    if np.finfo(np.longdouble).nmant < 63:
        pytest.skip("no precision above float64 on this platform")
    return np.longdouble


def samples(dtype: str, *, exhaustive: bool) -> Iterator[Array]:
    """Blocks of numbers: over all exponents and both signs, subnormals included, then densely where things happen."""
    bits = np.dtype(dtype).itemsize * 8
    block = 1 << 20
    if dtype == "float32" and exhaustive:
        for start in range(0, 1 << 32, block):
            yield np.arange(start, start + block, dtype=np.uint32).view(np.float32)
        return
    # An odd stride through all bit patterns meets every exponent with ever different mantissas.
    stride = (1 << bits) // block + 3
    if dtype == "float32":
        yield (np.arange(block, dtype=np.uint64) * stride).astype(np.uint32).view(np.float32)
    else:
        yield (np.arange(block, dtype=np.uint64) * np.uint64(stride)).view(np.float64)
    edge = 90 if dtype == "float32" else 711
    yield np.linspace(-edge, edge, block).astype(dtype)
    yield np.linspace(-2, 2, block).astype(dtype)


def errors_in_ulp(function: Function, x: Array) -> tuple[Array, Array]:
    """Error of each value in units of the last place of the exact value, and where that value is a normal number."""
    dtype = x.dtype
    with np.errstate(all="ignore"):
        want = function.exact(x.astype(wide(dtype.name)))
        rounded = want.astype(dtype)
        ulp = np.spacing(np.abs(rounded)).astype(want.dtype)
        error = np.abs(function(x).astype(want.dtype) - want) / ulp
    normal = np.isfinite(rounded) & (np.abs(rounded) >= np.finfo(dtype).tiny)
    return error, normal


def test_error_is_within_the_stated_bound(
    function: Function, dtype: str, isa: str, pytestconfig: pytest.Config
) -> None:
    bound = stated_bound(function.name, dtype)
    worst, at = 0.0, 0.0
    for x in samples(dtype, exhaustive=pytestconfig.getoption("exhaustive")):
        x = x[np.isfinite(x)]
        error, normal = errors_in_ulp(function, x)
        error = np.where(normal, error, 0)
        if error.size and error.max() > worst:
            worst, at = float(error.max()), float(x[error.argmax()])
    assert worst <= bound, f"{worst:.3f} ulp at x = {at!r} ({at.hex()})"
    assert worst > 0.25, "no function is that good: the comparison is broken"


def test_where_the_exact_value_is_not_normal(function: Function, dtype: str, isa: str) -> None:
    """Below the normal numbers an error counts in units of the smallest number; above them there is only infinity."""
    tiny, smallest = np.finfo(dtype).tiny, np.finfo(dtype).smallest_subnormal
    for x in samples(dtype, exhaustive=False):
        x = x[np.isfinite(x)]
        with np.errstate(all="ignore"):
            want = function.exact(x.astype(wide(dtype)))
            rounded = want.astype(dtype)
        got = function(x)
        assert np.all(got[np.isinf(rounded)] == np.inf)
        low = np.abs(want) < tiny
        if function.name == "sigmoid":  # it may give up there and say 0
            assert np.all((got[low] >= 0) & (got[low] <= tiny))
        else:
            # The bound, and half a unit for the last rounding, of a result that is subnormal.
            allowed = (stated_bound(function.name, dtype) + 0.5) * smallest.astype(want.dtype)
            assert np.all(np.abs(got[low].astype(want.dtype) - want[low]) <= allowed)


def test_special_values(dtype: str, isa: str) -> None:
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0], dtype)
    exp, sigmoid, tanh = (f(x) for f in FUNCTIONS)
    assert np.isnan([exp[0], sigmoid[0], tanh[0]]).all()
    assert_same_bits(exp[1:], np.array([np.inf, 0, 1, 1], dtype))
    assert_same_bits(sigmoid[1:], np.array([1, 0, 0.5, 0.5], dtype))
    assert_same_bits(tanh[1:], np.array([1, -1, 0, -0.0], dtype))


def test_nan_of_every_kind_stays_nan(function: Function, dtype: str, isa: str) -> None:
    info = np.finfo(dtype)
    unsigned = np.uint32 if dtype == "float32" else np.uint64
    infinity = np.array([np.inf], dtype).view(unsigned)[0]
    payload = np.array([1, 2, (1 << info.nmant) - 1, 1 << (info.nmant - 1)], unsigned)
    sign = unsigned(1 << (info.bits - 1))
    x = np.concatenate([infinity + payload, sign | (infinity + payload)]).view(dtype)
    assert np.isnan(x).all()
    assert np.isnan(function(x)).all()


def test_saturation_is_exact(dtype: str, isa: str) -> None:
    """Far out there is exactly 1, 0 and -1, and 1 - y * y or y * (1 - y) is exactly 0."""
    single = dtype == "float32"

    def beyond(edge: float) -> Array:
        return np.array([edge, 2 * edge, 1e4, 1e30, np.finfo(dtype).max, np.inf], dtype)

    x = beyond(9.02 if single else 19.07)
    assert np.all(_call(_core.tanh, x) == 1)
    assert np.all(_call(_core.tanh, -x) == -1)
    assert np.all(_call(_core.sigmoid, beyond(17.4 if single else 37.5)) == 1)  # ln(2 / eps)
    x = beyond(88.4 if single else 709.5)
    assert np.all(_call(_core.sigmoid, -x) == 0)
    assert np.all(_call(_core.exp, beyond(89 if single else 710)) == np.inf)
    assert np.all(_call(_core.exp, -beyond(104 if single else 746)) == 0)


def _call(compute: Callable[[Array, Array], None], x: Array) -> Array:
    out = np.full_like(x, 7)
    compute(x, out)
    return out


def test_ranges_and_derivatives(dtype: str, isa: str) -> None:
    """Values stay in range, so that derivatives taken from them, as training does, are never negative."""
    for x in samples(dtype, exhaustive=False):
        x = x[~np.isnan(x)]
        sigmoid, tanh = _call(_core.sigmoid, x), _call(_core.tanh, x)
        assert np.all((sigmoid >= 0) & (sigmoid <= 1))
        assert np.all((tanh >= -1) & (tanh <= 1))
        with np.errstate(under="ignore"):
            assert np.all(sigmoid * (1 - sigmoid) >= 0)
            assert np.all(1 - tanh * tanh >= 0)
        assert np.all(_call(_core.exp, x) >= 0)


def test_symmetries(dtype: str, isa: str) -> None:
    for x in samples(dtype, exhaustive=False):
        x = x[~np.isnan(x)]
        assert same_bits(_call(_core.tanh, -x), -_call(_core.tanh, x)), "tanh is odd, bit for bit"
        # Two values below 1, each within its bound of at most bound / 2 units of 1, and the rounding of the sum.
        bound = stated_bound("sigmoid", dtype)
        total = _call(_core.sigmoid, x) + _call(_core.sigmoid, -x)
        assert np.max(np.abs(total - 1)) <= (bound + 0.5) * np.finfo(dtype).eps


def test_never_falls_by_more_than_the_error(function: Function, dtype: str, isa: str) -> None:
    """Increasing, but for the noise that the bound leaves: two neighbours, each within the bound."""
    bound = stated_bound(function.name, dtype)
    for x in samples(dtype, exhaustive=False):
        x = np.sort(x[np.isfinite(x)])
        y = function(x)
        highest = np.maximum.accumulate(y)
        with np.errstate(invalid="ignore"):
            fall = highest - y
        finite = np.isfinite(highest)
        ulp = np.spacing(np.abs(highest[finite]))
        assert np.all(fall[finite] <= 2 * bound * ulp)
        assert np.all(y[~finite] == np.inf)


def test_tails_and_alignment(function: Function, dtype: str, isa: str) -> None:
    """Every length up to two of the widest vectors and one, starting anywhere: same bits, and nothing beyond."""
    lanes = 64 // np.dtype(dtype).itemsize
    x = np.linspace(-9, 9, 4 * lanes).astype(dtype)
    want = function(x)
    for offset in range(lanes + 1):
        for n in range(2 * lanes + 2):
            store = np.full(4 * lanes, 7, dtype)
            out = store[offset : offset + n]
            function.compute(x[offset : offset + n], out)
            assert same_bits(out, want[offset : offset + n]), (offset, n)
            assert np.all(store[:offset] == 7)
            assert np.all(store[offset + n :] == 7)
