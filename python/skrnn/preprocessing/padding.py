"""Sequences of different lengths as one array, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skrnn._params import Integers
from skrnn._sequences import as_list
from skrnn.preprocessing._steps import as_sequence, check_alike, is_nan

Array = NDArray[Any]


def pad_sequences(X: Any, *, value: Any = None, length: int | None = None, truncate: str = "pre") -> Array:
    """Put sequences into one array, each with padding after its last step.

    Parameters
    ----------
    X : list of arrays (T_i, F) or (T_i,)
        Sequences of numbers, tokens or labels. An array (n, T, F) or (n, T) is taken as padded already: its padding is
        cut off first.
    value : scalar, default=None
        What padding holds. By default NaN, or 0 for integers. The dtype of the result can hold it.
    length : int, default=None
        Number of time steps T of the result; by default the length of the longest sequence.
    truncate : {"pre", "post"}, default="pre"
        Where sequences longer than ``length`` lose steps: "pre" keeps the last steps, "post" the first.

    Returns
    -------
    padded : array (n, T, F), or (n, T) for sequences (T_i,)

    Raises
    ------
    TypeError, ValueError
        If an item of ``X`` is no sequence, or unlike the others.

    See Also
    --------
    unpad_sequences : The inverse.

    Notes
    -----
    Estimators take lists as they are, and spend no time on padding: this is for storage and for other software. They
    read (n, T, F) padded with NaN, and integer tokens (n, T) padded with 0. Univariate series (T_i,) need their axis of
    features there: ``pad_sequences(X)[:, :, np.newaxis]``.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.preprocessing import pad_sequences
    >>> pad_sequences([np.array([3, 1, 2]), np.array([4])])
    array([[3, 1, 2],
           [4, 0, 0]])
    >>> pad_sequences([np.array([3, 1, 2]), np.array([4])], length=2, value=-1)
    array([[ 1,  2],
           [ 4, -1]])
    """
    if truncate not in ("pre", "post"):
        raise ValueError(f"truncate must be 'pre' or 'post', got {truncate!r}.")
    if length is not None and not Integers(1).accepts(length):
        raise ValueError(f"length must be None or an int of at least 1, got {length!r}.")
    X = as_list(X)
    if not isinstance(X, list):
        X = unpad_sequences(X, value=value)
    if not X:
        raise ValueError("X must hold at least one sequence, got none.")
    items = [as_sequence(item, f"X[{k}]") for k, item in enumerate(X)]
    check_alike(items, "X")

    dtype = np.result_type(*{item.dtype for item in items})
    value = _default_value(dtype) if value is None else value
    n_steps = max(len(item) for item in items) if length is None else int(length)
    out = np.full((len(items), n_steps, *items[0].shape[1:]), value, dtype=_dtype_with(dtype, value))
    for row, item in zip(out, items, strict=True):
        kept = item[max(0, len(item) - n_steps) :] if truncate == "pre" else item[:n_steps]
        row[: len(kept)] = kept
    return out


def unpad_sequences(X: Any, *, value: Any = None) -> list[Array]:
    """Return the sequences of a padded array as a list, each of its own length.

    Parameters
    ----------
    X : array (n, T, F) or (n, T)
        Padded sequences.
    value : scalar, default=None
        What padding holds. By default NaN, or 0 for integers. Steps at the end of a sequence whose features are all
        equal to it are cut off.

    Returns
    -------
    sequences : list of arrays (T_i, F) or (T_i,)
        Copies, of the dtype of ``X``. A row that is all padding gives a sequence of no steps.

    Raises
    ------
    ValueError
        If ``X`` has another number of dimensions, or if ``value`` is None and ``X`` neither of floats nor of integers.

    See Also
    --------
    pad_sequences : The inverse.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.preprocessing import unpad_sequences
    >>> unpad_sequences(np.array([[3, 0, 2], [4, 0, 0]]))
    [array([3, 0, 2]), array([4])]
    """
    X = np.asarray(X)
    if X.ndim not in (2, 3):
        raise ValueError(f"X must have shape (n, n_timesteps, n_features) or (n, n_timesteps), got {X.shape}.")
    value = _default_value(X.dtype) if value is None else value
    is_padding: Array = is_nan(X) if _is_nan_scalar(value) else np.equal(X, value)
    if X.ndim == 3:
        is_padding = np.logical_and.reduce(is_padding, axis=2)
    from_end = np.pad(is_padding[:, ::-1], ((0, 0), (0, 1)))  # ends in a step that is none, so that argmin finds one
    lengths = X.shape[1] - np.argmin(from_end, axis=1)
    return [row[:length].copy() for row, length in zip(X, lengths, strict=True)]


def _default_value(dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "f":
        return np.nan
    if dtype.kind in "iu":
        return 0
    raise ValueError(f"value must be given for sequences of dtype {dtype}, got None: only numbers have a default.")


def _is_nan_scalar(value: Any) -> bool:
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def _dtype_with(dtype: np.dtype[Any], value: Any) -> np.dtype[Any]:
    """Return the smallest dtype that holds ``value`` as well."""
    if dtype.kind not in "biuf":
        return np.promote_types(dtype, np.asarray(value).dtype)
    if not isinstance(value, (bool, int, float, np.generic)) or np.asarray(value).dtype.kind not in "biuf":
        raise TypeError(f"value must be a number, like the sequences of dtype {dtype}, got {value!r}.")
    return np.promote_types(dtype, np.min_scalar_type(value))
