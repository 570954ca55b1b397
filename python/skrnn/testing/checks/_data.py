"""Small problems for the checks, and the forms in which sequences come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_regressor
from sklearn.utils import get_tags

Array = NDArray[Any]
Sequences = list[Array]

LONGEST = 7


def blobs(n_samples: int, n_features: int, n_classes: int, *, seed: int = 0) -> tuple[Sequences, Array]:
    """Return sequences of 1 to ``LONGEST`` steps around one centre for each class, and the classes in turn."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n_samples) % n_classes
    centres = np.zeros((n_classes, n_features))
    if n_features == 1:
        centres[:, 0] = np.linspace(-2, 2, n_classes)
    else:
        angles = 2 * np.pi * np.arange(n_classes) / n_classes
        centres[:, 0], centres[:, 1] = 2 * np.cos(angles), 2 * np.sin(angles)
    lengths = rng.integers(1, LONGEST + 1, n_samples)
    lengths[:2] = LONGEST, 1  # both are there, however few samples
    return [
        c + 0.4 * rng.standard_normal((n, n_features)) for c, n in zip(centres[labels], lengths, strict=True)
    ], labels


def problem(estimator: Any, n_samples: int = 24, n_features: int = 2, *, seed: int = 0) -> tuple[Sequences, Array]:
    """Return sequences of different lengths, and targets that the estimator may get and can learn."""
    tags = get_tags(estimator)
    n_classes = 2 if tags.classifier_tags is not None and not tags.classifier_tags.multi_class else 3
    X, labels = blobs(n_samples, n_features, n_classes, seed=seed)
    y = np.array([x.mean() + x[:, 0].mean() for x in X]) if is_regressor(estimator) else labels
    if tags.input_tags.positive_only:
        X = [np.abs(x) for x in X]
    return X, target(estimator, y)


def target(estimator: Any, y: Array) -> Array:
    """Return ``y`` with the signs and the number of axes that the estimator's tags ask for."""
    tags = get_tags(estimator).target_tags
    if tags.positive_only:
        y = y - y.min() + 1
    return y[:, np.newaxis] if tags.multi_output and not tags.single_output else y


def pad(X: Sequences, n_steps: int | None = None) -> Array:
    """Return an array (n_samples, n_steps, n_features) in which the sequences end in steps that are NaN."""
    padded = np.full((len(X), n_steps or max(map(len, X)), X[0].shape[1]), np.nan)
    for row, x in zip(padded, X, strict=True):
        row[: len(x)] = x
    return padded


def equal(X: Sequences, n_steps: int = LONGEST) -> Array:
    """Return an array in which each sequence goes on from its beginning, until all are of one length."""
    return np.stack([x[np.arange(n_steps) % len(x)] for x in X])


def forms(X: Sequences) -> Iterator[tuple[str, Any]]:
    """Yield the name and the value of each form in which an estimator of sequences takes them."""
    yield "3-D array", equal(X)
    yield "list of sequences", list(X)
    yield "array padded with NaN", pad(X)


def spoiled(X: Any, sample: int, step: int, value: float) -> Any:
    """Return a copy of any of the forms with one number replaced."""
    copy = [x.copy() for x in X] if isinstance(X, list) else X.copy()
    copy[sample][step, -1] = value
    return copy


class NotAnArray:
    """What can be turned into an array and is none: no shape, no length, no items."""

    def __init__(self, data: Any) -> None:
        self._data = np.asarray(data)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self._data, dtype=dtype)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        if function.__name__ == "may_share_memory":
            return True
        raise TypeError(f"numpy.{function.__name__} was called with what is not an array")
