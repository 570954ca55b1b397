"""Checks of arguments, and the texts of their errors: strict, nothing is converted silently."""

from __future__ import annotations

from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def is_integer(value: Any) -> TypeGuard[int | np.integer[Any]]:
    """Whether ``value`` is an integer, Python's or NumPy's; a bool is none."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether ``value`` is an integer or a float, Python's or NumPy's; a bool is neither."""
    return is_integer(value) or isinstance(value, (float, np.floating))


def check_size(name: str, value: Any, *, low: int = 1) -> int:
    """Return ``value`` as an ``int`` when it is an integer from ``low`` on."""
    if not is_integer(value):
        raise TypeError(f"{name} must be an integer, got {type(value).__name__}")
    if value < low:
        raise ValueError(f"{name} must be {'greater than zero' if low == 1 else f'at least {low}'}, got {value}")
    return int(value)


def check_rate(name: str, value: Any) -> float:
    """Return ``value`` as a ``float`` when it is a number in [0, 1)."""
    if not is_number(value):
        raise TypeError(f"{name} must be a number, got {type(value).__name__}")
    if not 0.0 <= value < 1.0:
        raise ValueError(f"{name} must be in the range [0, 1), got {value}")
    return float(value)


def check_bool(name: str, value: Any) -> bool:
    """Return ``value`` as a ``bool`` when it is one."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be a bool, got {type(value).__name__}")
    return bool(value)


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Return ``value`` when it is one of ``choices``."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value


def check_dtype(dtype: Any) -> np.dtype[Any]:
    """Return the native float32 or float64 that ``dtype`` names."""
    for known in (np.dtype(np.float32), np.dtype(np.float64)):
        if dtype is not None and dtype == known:  # None would stand for float64
            return known
    raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")


def check_floats(name: str, value: Any, dtype: np.dtype[Any], ndim: int) -> Array:
    """Return ``value`` when it is an array of this dtype and number of axes, which may be strided.

    Only the layout in memory is adapted: the last axis becomes contiguous where it is not.
    """
    _check_array(name, value, dtype)
    if value.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimensions, got {value.ndim} (shape {value.shape})")
    strided = value.strides[-1] != value.itemsize and value.shape[-1] > 1
    checked: Array = np.array(value, order="C") if strided or not value.flags.aligned else value
    return checked


def check_exact(name: str, value: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """Return ``value`` when it is an array of exactly this dtype and shape, C-contiguous."""
    _check_array(name, value, dtype)
    if value.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {value.shape}")
    flags = value.flags
    in_order = flags.c_contiguous and flags.aligned
    checked: Array = value if in_order else np.require(value, requirements=("C", "A"))
    return checked


def _check_array(name: str, value: Any, dtype: np.dtype[Any]) -> None:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be a NumPy array, got {type(value).__name__}")
    if value.dtype != dtype:
        raise TypeError(
            f"{name} has dtype {value.dtype}, but the weights are {dtype}: use {name}.astype({dtype.name!r})"
        )


def check_lengths(lengths: Any, n_rows: int, n_steps: int) -> NDArray[np.int64] | None:
    """Return ``lengths`` as int64 when each row's is in 0..n_steps; None stands for full rows."""
    if lengths is None:
        return None
    checked = np.asarray(lengths)
    if checked.dtype.kind not in "iu":
        raise TypeError(f"lengths must be integers, got dtype {checked.dtype}")
    if checked.shape != (n_rows,):
        raise ValueError(f"lengths must have shape {(n_rows,)}, got {checked.shape}")
    outside = (checked < 0) | (checked > n_steps)
    if outside.any():
        row = int(outside.argmax())
        raise ValueError(
            f"lengths must be between 0 and the {n_steps} time steps of X, got {checked[row]} at row {row}"
        )
    return np.ascontiguousarray(checked, dtype=np.int64)
