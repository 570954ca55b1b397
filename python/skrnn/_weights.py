"""How much each sequence counts: sample weights and class weights."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array, compute_sample_weight

Array = NDArray[Any]


def check_sample_weight(sample_weight: Any, n_samples: int, name: str = "sample_weight") -> Array | None:
    """Check and convert sample weights.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), number or None
        What the user gave. A number weighs all alike.
    n_samples : int
        How many there must be.
    name : str
        What to call it in errors.

    Returns
    -------
    ndarray of float64 of shape (n_samples,), or None

    Raises
    ------
    ValueError
        If the shape is another, one is negative or not finite, or all are zero.
    """
    if sample_weight is None:
        return None
    if isinstance(sample_weight, numbers.Real):
        sample_weight = np.full(n_samples, sample_weight)
    weight: Array = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name=name, copy=True)
    if weight.ndim != 1:
        raise ValueError(f"{name} must be 1D array or scalar, got an array of shape {weight.shape}")
    if len(weight) != n_samples:
        raise ValueError(f"{name}.shape == {weight.shape}, expected {(n_samples,)}!")
    if (weight < 0).any():
        raise ValueError(f"Negative values in {name}: {weight.min()} at index {weight.argmin()}")
    if not weight.any():
        raise ValueError(f"{name} must contain at least one weight that is not zero.")
    return weight


def with_class_weight(class_weight: Any, labels: Array, sample_weight: Array | None) -> Array | None:
    """Multiply sample weights by those of the classes.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        As in scikit-learn. "balanced" counts sequences, whatever their sample weights.
    labels : ndarray of shape (n_samples,)
        The class of each sequence.
    sample_weight : ndarray of shape (n_samples,) or None
        From :func:`check_sample_weight`.

    Returns
    -------
    ndarray of float64 of shape (n_samples,), or None
    """
    if class_weight is None:
        return sample_weight
    weight: Array = compute_sample_weight(class_weight, labels)
    weight = weight if sample_weight is None else weight * sample_weight
    if not weight.any():
        raise ValueError("class_weight and sample_weight together leave no weight that is not zero.")
    return weight
