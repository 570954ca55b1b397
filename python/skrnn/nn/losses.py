"""Losses: the value and its gradient."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from skrnn import _core
from skrnn.nn._checks import Array, check_choice, check_dtype, check_exact, check_floats

# (prediction (N, K), target, weight (N,) or None, d_prediction (N, K) or None) -> sum over rows.
Loss = Callable[[Array, Array, Array | None, Array | None], float]

LOSSES: dict[str, Callable[..., float]] = {
    "softmax_cross_entropy": _core.softmax_cross_entropy,
    "binary_cross_entropy": _core.binary_cross_entropy,
    "squared_error": _core.squared_error,
    "absolute_error": _core.absolute_error,
    "huber": _core.huber,
    "quantile": _core.quantile,
    "poisson": _core.poisson,
}


def get_loss(loss: str, **options: Any) -> Loss:
    """Return the loss of this name in the form that :class:`skrnn.nn.Trainer` calls.

    Parameters
    ----------
    loss : str
        "softmax_cross_entropy", "binary_cross_entropy", "squared_error", "absolute_error", "huber", "quantile" or
        "poisson": the losses that are functions of ``skrnn.nn`` as well.
    **options
        What some losses need besides: ``delta``, a float, of "huber"; ``quantiles``, an array (K,) of the dtype of the
        predictions, of "quantile".

    Returns
    -------
    callable
        ``loss(prediction, target, weight, d_prediction)`` returns the sum over rows, and writes its gradient into
        ``d_prediction`` unless that is None. It checks no more of its arguments than the core does.

    Raises
    ------
    ValueError
        If there is no such loss.
    TypeError
        If ``options`` are not those of the loss.
    """
    function = LOSSES[check_choice("loss", loss, tuple(LOSSES))]
    needed = {"huber": {"delta"}, "quantile": {"quantiles"}}.get(loss, set())
    if options.keys() != needed:
        raise TypeError(f"loss {loss!r} takes the options {sorted(needed)}, got {sorted(options)}")
    return functools.partial(function, **options) if options else function


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
    return _evaluate(_core.squared_error, *_check_pair(prediction, target), weight)


def absolute_error(prediction: Array, target: Array, weight: Array | None = None) -> tuple[float, Array]:
    """Score predictions by their distance from the target, summed over rows; its best guess is the median.

    Parameters
    ----------
    prediction, target, weight
        As for :func:`squared_error`.

    Returns
    -------
    loss : float
        ``sum(weight * sum(abs(prediction - target), axis=1))``, added up in float64.
    d_prediction : ndarray of shape (N, K)
        Its gradient; 0 where prediction and target agree.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit.
    """
    return _evaluate(_core.absolute_error, *_check_pair(prediction, target), weight)


def huber(prediction: Array, target: Array, weight: Array | None = None, *, delta: float = 1.0) -> tuple[float, Array]:
    """Score predictions by half their squared distance where it is small, else by a straight line.

    Outliers thus pull with a bounded force (Huber, "Robust estimation of a location parameter",
    1964).

    Parameters
    ----------
    prediction, target, weight
        As for :func:`squared_error`.
    delta : float, default=1.0
        The distance from which on the loss is straight, in the unit of the target.

    Returns
    -------
    loss : float
        The sum over all elements of ``weight * 0.5 * e**2`` where ``e = abs(prediction - target)`` is
        at most ``delta``, and of ``weight * delta * (e - delta / 2)`` elsewhere, in float64.
    d_prediction : ndarray of shape (N, K)
        Its gradient.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit, or ``delta`` is not positive and finite.
    """
    return _evaluate(get_loss("huber", delta=delta), *_check_pair(prediction, target), weight)


def quantile(
    prediction: Array, target: Array, weight: Array | None = None, *, quantiles: Any = 0.5
) -> tuple[float, Array]:
    """Score predictions of quantiles: the pinball loss.

    The best guess for a level q is exceeded by the target with probability 1 - q (Koenker and
    Bassett, "Regression quantiles", 1978).

    Parameters
    ----------
    prediction, target, weight
        As for :func:`squared_error`.
    quantiles : float or array-like of shape (K,), default=0.5
        The level of each column, in (0, 1); one number stands for all.

    Returns
    -------
    loss : float
        The sum over all elements of ``weight * max(q * (target - prediction), (1 - q) * (prediction -
        target))``, in float64; with q = 0.5 half the absolute error.
    d_prediction : ndarray of shape (N, K)
        Its gradient; 0 where prediction and target agree.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit, or a level lies outside (0, 1).
    """
    prediction, target = _check_pair(prediction, target)
    levels = np.asarray(quantiles, dtype=prediction.dtype)
    if levels.ndim == 0:
        levels = np.full(prediction.shape[1], levels)
    if levels.shape != prediction.shape[1:]:
        raise ValueError(f"quantiles must be a number or have shape {prediction.shape[1:]}, got {levels.shape}")
    return _evaluate(get_loss("quantile", quantiles=np.ascontiguousarray(levels)), prediction, target, weight)


def poisson(prediction: Array, target: Array, weight: Array | None = None) -> tuple[float, Array]:
    """Score logarithms of expected counts by the negative log-likelihood of Poisson's distribution.

    Parameters
    ----------
    prediction : ndarray of shape (N, K)
        Logarithms of the means, of float32 or float64.
    target : ndarray of shape (N, K)
        Counts or rates, at least 0, of the same dtype.
    weight : ndarray of shape (N,), default=None
        A factor for each row's loss; None means 1.

    Returns
    -------
    loss : float
        ``sum(weight * sum(exp(prediction) - target * prediction, axis=1))``, added up in float64;
        ``log(target!)``, which does not depend on the prediction, is left out.
    d_prediction : ndarray of shape (N, K)
        Its gradient.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit, or a target is negative.
    """
    prediction, target = _check_pair(prediction, target)
    _check_range("target", target, 0.0, np.inf)
    return _evaluate(_core.poisson, prediction, target, weight)


def binary_cross_entropy(logits: Array, target: Array, weight: Array | None = None) -> tuple[float, Array]:
    """Score logits of yes or no, one question per column, by the negative log-probability of the answers.

    Parameters
    ----------
    logits : ndarray of shape (N, K)
        Each column's logit of yes, of float32 or float64; :func:`sigmoid` makes them probabilities.
    target : ndarray of shape (N, K)
        1 for yes, 0 for no, or a probability in between, of the same dtype.
    weight : ndarray of shape (N,), default=None
        A factor for each row's loss; None means 1.

    Returns
    -------
    loss : float
        ``sum(weight * sum(log(1 + exp(logits)) - target * logits, axis=1))``, added up in float64.
        Neither large nor small logits make it overflow or cancel.
    d_logits : ndarray of shape (N, K)
        Its gradient, ``weight * (sigmoid(logits) - target)``.

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape does not fit, or a target lies outside [0, 1].
    """
    logits = _check_prediction("logits", logits)
    target = np.ascontiguousarray(check_exact("target", target, logits.dtype, logits.shape))
    _check_range("target", target, 0.0, 1.0)
    return _evaluate(_core.binary_cross_entropy, logits, target, weight)


def sigmoid(logits: Array) -> Array:
    """Turn logits into probabilities, element by element.

    Parameters
    ----------
    logits : ndarray of shape (N, K)
        Of float32 or float64.

    Returns
    -------
    ndarray of shape (N, K)

    Raises
    ------
    TypeError, ValueError
        If the dtype or the number of axes does not fit.
    """
    logits = _check_prediction("logits", logits)
    probabilities = np.empty_like(logits)
    _core.sigmoid(logits.reshape(-1), probabilities.reshape(-1))
    return probabilities


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


def _check_pair(prediction: Any, target: Any) -> tuple[Array, Array]:
    prediction = _check_prediction("prediction", prediction)
    return prediction, np.ascontiguousarray(check_exact("target", target, prediction.dtype, prediction.shape))


def _check_range(name: str, values: Array, low: float, high: float) -> None:
    outside = ~((values >= low) & (values <= high))
    if outside.any():
        row, column = np.unravel_index(int(outside.argmax()), values.shape)
        expected = f"at least {low:g}" if np.isinf(high) else f"between {low:g} and {high:g}"
        raise ValueError(f"{name} must be {expected}, got {values[row, column]} at row {row}, column {column}")


def _evaluate(loss: Loss, prediction: Array, target: Array, weight: Array | None) -> tuple[float, Array]:
    if weight is not None:
        weight = check_exact("weight", weight, prediction.dtype, prediction.shape[:1])
        weight = np.ascontiguousarray(weight)
    gradient = np.empty_like(prediction)
    return loss(prediction, target, weight, gradient), gradient
