"""Metrics of forecasts: of quantiles, and of errors free of scale."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import mean_pinball_loss

from skrnn.metrics._forms import read_weights
from skrnn.nn._checks import check_choice, check_size

Array = NDArray[Any]


def mean_pinball(
    y_true: Any, y_pred: Any, *, quantiles: Any, sample_weight: Any = None, multioutput: str = "uniform_average"
) -> float | Array:
    """Return the mean pinball loss of several quantiles.

    With many levels, evenly spaced, twice this is close to the continuous ranked probability score.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
        What came.
    y_pred : array-like of shape (n_samples, n_quantiles) or (n_samples, n_outputs, n_quantiles)
        The predicted quantiles.
    quantiles : array-like of float of shape (n_quantiles,)
        Their levels, in [0, 1].
    sample_weight : array-like of shape (n_samples,), default=None
        A weight for each sample.
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        The mean over quantiles, or one loss for each.

    Returns
    -------
    float, or ndarray of shape (n_quantiles,) with "raw_values"

    Raises
    ------
    ValueError
        If a level is none, or the arguments do not go together.

    References
    ----------
    Koenker and Bassett, "Regression quantiles", Econometrica 46(1), 1978.

    Examples
    --------
    >>> from skrnn.metrics import mean_pinball
    >>> mean_pinball([1.0, 2.0], [[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]], quantiles=[0.1, 0.5, 0.9])
    0.06666666666666667
    """
    check_choice("multioutput", multioutput, ("uniform_average", "raw_values"))
    levels = np.asarray(quantiles, dtype=np.float64)
    if levels.ndim != 1 or len(levels) == 0:
        raise ValueError(f"quantiles must be a list of at least one level, got shape {levels.shape}")
    if not ((levels >= 0) & (levels <= 1)).all():
        raise ValueError(f"quantiles must be in the range [0, 1], got {levels.tolist()}")
    true, pred = np.asarray(y_true, dtype=np.float64), np.asarray(y_pred, dtype=np.float64)
    if true.ndim not in (1, 2):
        raise ValueError(f"y_true must have 1 or 2 dimensions, got {true.ndim}")
    if pred.shape != (*true.shape, len(levels)):
        raise ValueError(f"y_pred must have shape {(*true.shape, len(levels))}, the quantiles last, got {pred.shape}")
    losses = np.array(
        [
            mean_pinball_loss(true, pred[..., i], sample_weight=sample_weight, alpha=level)
            for i, level in enumerate(levels.tolist())
        ]
    )
    return losses if multioutput == "raw_values" else float(losses.mean())


def mean_absolute_scaled_error(
    y_true: Any, y_pred: Any, *, y_train: Any, m: int = 1, sample_weight: Any = None
) -> float:
    """Return the mean absolute error in units of what repeating the value of a season ago errs in training.

    Below 1 a forecast is better than that. It has no unit, so that errors of several series can
    be averaged: each is divided by its own series' scale.

    Parameters
    ----------
    y_true : array-like of shape (horizon,), or list of such
        What came: of one series, or of several.
    y_pred : like y_true
        The forecasts.
    y_train : array-like of shape (n_timesteps,), or list of such
        What came before, in the order of time: one for each series, longer than ``m``.
    m : int, default=1
        Steps of a season, such as 12 for months; 1 repeats the last value.
    sample_weight : array-like, default=None
        A weight for each step of one series of shape (horizon,), or for each of several series.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If the arguments do not go together, or if a series repeats itself in training without
        error, in which case there is no unit.

    References
    ----------
    Hyndman and Koehler, "Another look at measures of forecast accuracy", International Journal of
    Forecasting 22(4), 2006.

    Examples
    --------
    >>> from skrnn.metrics import mean_absolute_scaled_error
    >>> mean_absolute_scaled_error([6.0, 7.0], [6.5, 6.0], y_train=[1.0, 2.0, 4.0, 5.0])
    0.5625
    """
    m = check_size("m", m)
    several = not all(np.ndim(value) == 0 for value in y_true)
    if not several:
        y_true, y_pred, y_train = [y_true], [y_pred], [y_train]
    if not len(y_true) == len(y_pred) == len(y_train):
        raise ValueError(
            f"y_true, y_pred and y_train must hold equally many series, got {len(y_true)}, {len(y_pred)} and "
            f"{len(y_train)}"
        )
    errors = []
    for i, (true, pred, train) in enumerate(zip(y_true, y_pred, y_train, strict=True)):
        where = f"[{i}]" if several else ""
        a, b, before = (
            _series(f"y_true{where}", true),
            _series(f"y_pred{where}", pred),
            _series(f"y_train{where}", train),
        )
        if a.shape != b.shape:
            raise ValueError(f"y_pred{where} must have shape {a.shape} like y_true, got {b.shape}")
        if len(before) <= m:
            raise ValueError(f"y_train{where} must have more steps than a season, m={m}, got {len(before)}")
        scale = np.abs(before[m:] - before[:-m]).mean()
        if scale == 0.0:
            raise ValueError(
                f"y_train{where} repeats itself exactly after m={m} steps: its errors, by which to measure, are zero"
            )
        errors.append(np.abs(a - b) / scale)
    if not several:
        return float(np.average(errors[0], weights=read_weights(sample_weight, len(errors[0]))))
    weights = read_weights(sample_weight, len(errors))
    by_step = None if weights is None else np.repeat(weights, [len(error) for error in errors])
    return float(np.average(np.concatenate(errors), weights=by_step))


def _series(name: str, values: Any) -> Array:
    series = np.asarray(values, dtype=np.float64)
    if series.ndim != 1 or len(series) == 0:
        raise ValueError(f"{name} must be a series of at least one step, got shape {series.shape}")
    if not np.isfinite(series).all():
        raise ValueError(f"{name} must be finite, got {series[~np.isfinite(series)][0]}")
    return series
