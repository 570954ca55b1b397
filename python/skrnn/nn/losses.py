"""Losses: the value and its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skrnn import _core
from skrnn.nn._checks import Array, check_choice, check_dtype, check_exact, check_floats

# (prediction (N, K), target, weight (N,) or None, d_prediction (N, K) or None) -> sum over rows.
Loss = Callable[[Array, Array, Array | None, Array | None], float]

LOSSES: dict[str, Loss] = {
    "softmax_cross_entropy": _core.softmax_cross_entropy,
    "squared_error": _core.squared_error,
}


def get_loss(name: str) -> Loss:
    """Return the loss of this name, without checks of its arguments but the core's."""
    return LOSSES[check_choice("loss", name, tuple(LOSSES))]


def softmax_cross_entropy(logits: Array, target: Any, weight: Array | None = None) -> tuple[float, Array]:
    """Score logits by the negative log-probability of the right class, summed over rows.

    Parameters
    ----------
    logits : ndarray of shape (N, C)
        Scores of the classes, of float32 or float64.
    target : array-like of int of shape (N,)
        The right class of each row, 0 to C - 1.
    weight : ndarray of shape (N,), default=None
        A factor for each row's loss; None means 1. With ``1 / N`` the result is the mean.

    Returns
    -------
    loss : float
        ``sum(-weight * log(softmax(logits)[target]))``, added up in float64.
    d_logits : ndarray of shape (N, C)
        Its gradient.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit, or a target is not a class.
    """
    logits = _check_prediction("logits", logits)
    classes = np.asarray(target)
    if classes.dtype.kind not in "iu":
        raise TypeError(f"target must be integers, got dtype {classes.dtype}")
    if classes.shape != logits.shape[:1]:
        raise ValueError(f"target must have shape {logits.shape[:1]}, got {classes.shape}")
    classes = np.ascontiguousarray(classes, dtype=np.int64)
    return _evaluate(_core.softmax_cross_entropy, logits, classes, weight)


def squared_error(prediction: Array, target: Array, weight: Array | None = None) -> tuple[float, Array]:
    """Score predictions by half their squared distance from the target, summed over rows.

    Parameters
    ----------
    prediction, target : ndarray of shape (N, K)
        Of one dtype, float32 or float64.
    weight : ndarray of shape (N,), default=None
        A factor for each row's loss; None means 1.

    Returns
    -------
    loss : float
        ``sum(weight * 0.5 * sum((prediction - target)**2, axis=1))``, added up in float64.
    d_prediction : ndarray of shape (N, K)
        Its gradient.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit.
    """
    prediction = _check_prediction("prediction", prediction)
    target = check_exact("target", target, prediction.dtype, prediction.shape)
    return _evaluate(_core.squared_error, prediction, np.ascontiguousarray(target), weight)


def softmax(logits: Array) -> Array:
    """Turn scores of classes into probabilities, row by row.

    Parameters
    ----------
    logits : ndarray of shape (N, C)
        Of float32 or float64.

    Returns
    -------
    ndarray of shape (N, C)

    Raises
    ------
    TypeError, ValueError
        If the dtype or the number of axes does not fit.
    """
    logits = _check_prediction("logits", logits)
    probabilities = np.empty_like(logits)
    _core.softmax(logits, probabilities)
    return probabilities


def log_softmax(logits: Array) -> Array:
    """Turn scores of classes into logarithms of probabilities, row by row.

    Finite also where :func:`softmax` is so small that it rounds to zero.

    Parameters
    ----------
    logits : ndarray of shape (N, C)
        Of float32 or float64.

    Returns
    -------
    ndarray of shape (N, C)

    Raises
    ------
    TypeError, ValueError
        If the dtype or the number of axes does not fit.
    """
    logits = _check_prediction("logits", logits)
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    powers = np.empty_like(shifted)
    _core.exp(shifted.reshape(-1), powers.reshape(-1))
    shifted -= np.log(powers.sum(axis=1, keepdims=True))
    return shifted.astype(logits.dtype)


def _check_prediction(name: str, value: Any) -> Array:
    dtype = check_dtype(getattr(value, "dtype", type(value)))
    return np.ascontiguousarray(check_floats(name, value, dtype, 2))


def _evaluate(loss: Loss, prediction: Array, target: Array, weight: Array | None) -> tuple[float, Array]:
    if weight is not None:
        weight = check_exact("weight", weight, prediction.dtype, prediction.shape[:1])
        weight = np.ascontiguousarray(weight)
    gradient = np.empty_like(prediction)
    return loss(prediction, target, weight, gradient), gradient
