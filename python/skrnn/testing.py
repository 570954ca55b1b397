"""Helpers for tests of code that computes with skrnn, and of skrnn itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skrnn import _core

Array = NDArray[Any]

__all__ = ["available_isas", "gradcheck", "num_threads", "use_isa"]


def available_isas() -> tuple[str, ...]:
    """Return the instruction sets that were compiled and that this processor can run."""
    return _core.available_isas()


@contextmanager
def use_isa(name: str) -> Iterator[None]:
    """Choose the instruction set of objects made, and functions called, inside the context.

    Parameters
    ----------
    name : str
        One of :func:`available_isas`.

    Raises
    ------
    ValueError
        If it is none of them.
    """
    before = _core.get_isa()
    _core.set_isa(name)
    try:
        yield
    finally:
        _core.set_isa(before)


@contextmanager
def num_threads(n: int) -> Iterator[None]:
    """Let calls inside the context use at most ``n`` threads.

    Parameters
    ----------
    n : int
        At least 1; or 0 for no cap.
    """
    before = _core.set_num_threads(n)
    try:
        yield
    finally:
        _core.set_num_threads(before)


def gradcheck(
    function: Callable[[Array], float],
    x: Array,
    analytic: Array,
    *,
    step: float = 1e-3,
    rtol: float = 5e-6,
    atol: float = 1e-9,
) -> Array:
    """Compare a gradient with central differences of fourth order.

    Parameters
    ----------
    function : callable
        Maps an array like ``x`` to a number.
    x : ndarray of float64
        Where to differentiate. Its elements are moved in place and put back, so ``function`` may
        as well look at ``x`` itself, for example at the weights of a layer.
    analytic : ndarray of the shape of ``x``
        The gradient to check.
    step : float, default=1e-3
        The distance of neighbouring points.
    rtol, atol : float, default=5e-6 and 1e-9
        How far each element may be off, relatively and absolutely (the sum of both).

    Returns
    -------
    ndarray of the shape of ``x``
        The numerical gradient.

    Raises
    ------
    AssertionError
        If the two differ.
    TypeError
        If ``x`` is not of float64: nothing else is precise enough.
    """
    if x.dtype != np.float64:
        raise TypeError(f"x must have dtype float64, got {x.dtype}")
    numerical = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        center = x[index]
        values = []
        try:
            for offset in (-2.0, -1.0, 1.0, 2.0):
                x[index] = center + offset * step
                values.append(function(x))
        finally:
            x[index] = center
        far_left, left, right, far_right = values
        numerical[index] = (8.0 * (right - left) - (far_right - far_left)) / (12.0 * step)
    np.testing.assert_allclose(analytic, numerical, rtol=rtol, atol=atol)
    return numerical
