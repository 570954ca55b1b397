"""How much each sequence counts: sample weights and class weights."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array, compute_class_weight

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
    if isinstance(sample_weight, str):
        raise ValueError(f"{name} must be a number for each sequence, or one for all, got {sample_weight!r}.")
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


def weights_of_classes(
    class_weight: Any, classes: Array, labels: NDArray[np.int64], sample_weight: Array | None
) -> Array | None:
    """Return how much the sequences of each class count.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        As in scikit-learn.
    classes : ndarray of shape (n_classes,)
        All classes.
    labels : ndarray of shape (n_samples,)
        The place of each sequence's class among them.
    sample_weight : ndarray of shape (n_samples,) or None
        From :func:`check_sample_weight`; "balanced" counts a sequence by its weight.

    Returns
    -------
    ndarray of float64 of shape (n_classes,), or None

    Raises
    ------
    ValueError
        If one is negative or not finite, or classes are missing in ``class_weight`` while others in it are unknown.
    """
    if class_weight is None:
        return None
    if class_weight == "balanced":
        counts = np.bincount(labels, weights=sample_weight, minlength=len(classes))
        there = counts > 0
        balanced: Array = np.divide(counts.sum() / there.sum(), counts, out=np.ones(len(classes)), where=there)
        return balanced
    weights: Array = compute_class_weight(class_weight, classes=classes, y=classes).astype(np.float64)
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        raise ValueError(
            f"class_weight must be finite and not negative, got {weights[wrong][0]} for class "
            f"{classes[wrong].tolist()[0]!r}."
        )
    return weights
