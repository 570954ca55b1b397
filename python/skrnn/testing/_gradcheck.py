"""Gradients against differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


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
