"""From aeon's order of axes to ours, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skrnn._sequences import as_list
from skrnn.preprocessing._steps import as_sequence, is_nan
from skrnn.preprocessing.padding import unpad_sequences

Array = NDArray[Any]


def from_aeon(X: Any) -> Any:
    """Turn collections of time series as aeon has them into sequences as they are here.

    Parameters
    ----------
    X : array (n, n_channels, n_timepoints) or (n, n_timepoints), or list of arrays (n_channels, n_timepoints_i)
        The axes are never guessed from sizes: time is always last.

    Returns
    -------
    X : array (n, n_timesteps, n_features) or (n, n_timesteps), or list of arrays (n_timesteps_i, n_features)

    Raises
    ------
    ValueError
        If the number of dimensions is another.

    See Also
    --------
    to_aeon : The inverse.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.preprocessing import from_aeon
    >>> from_aeon(np.zeros((10, 3, 50))).shape
    (10, 50, 3)
    """
    X = as_list(X)
    if isinstance(X, list):
        return _transpose_each(X, "(n_channels, n_timepoints)")
    return _transpose(X, "(n, n_channels, n_timepoints) or (n, n_timepoints)")


def to_aeon(X: Any) -> Any:
    """Turn sequences into collections of time series as aeon has them.

    Parameters
    ----------
    X : array (n, n_timesteps, n_features) or (n, n_timesteps), or list of (n_timesteps_i, n_features) or \
            (n_timesteps_i,)
        Sequences.

    Returns
    -------
    X : array (n, n_channels, n_timepoints) or (n, n_timepoints), or list of arrays (n_channels, n_timepoints_i)
        An array that holds padding becomes a list, which is aeon's form of series of unequal length; there NaN would
        mean a missing value.

    Raises
    ------
    ValueError
        If the number of dimensions is another.

    See Also
    --------
    from_aeon : The inverse.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.preprocessing import to_aeon
    >>> [x.shape for x in to_aeon([np.zeros((50, 3)), np.zeros(40)])]
    [(3, 50), (1, 40)]
    """
    X = as_list(X)
    if not isinstance(X, list):
        X = np.asarray(X)
        if X.ndim == 3 and X.shape[1] > 0 and is_nan(X[:, -1]).all(axis=1).any():
            X = unpad_sequences(X, value=np.nan)
    if isinstance(X, list):
        return _transpose_each(X, None)
    return _transpose(X, "(n, n_timesteps, n_features) or (n, n_timesteps)")


def _transpose(X: Any, expected: str) -> Array:
    X = np.asarray(X)
    if X.ndim not in (2, 3):
        raise ValueError(f"X must have shape {expected}, or be a list of series: got shape {X.shape}.")
    return X.copy() if X.ndim == 2 else np.ascontiguousarray(X.transpose(0, 2, 1))


def _transpose_each(X: list[Any], expected: str | None) -> list[Array]:
    """Transpose each series; ``expected`` is the one shape that it may have, None if it may be (T_i,) too."""
    items = [as_sequence(item, f"X[{k}]") for k, item in enumerate(X)]
    for k, item in enumerate(items):
        if item.ndim == 1 and expected is not None:
            raise ValueError(f"X[{k}] must have shape {expected}, got {item.shape}.")
    return [np.ascontiguousarray(np.atleast_2d(item.T)) for item in items]
