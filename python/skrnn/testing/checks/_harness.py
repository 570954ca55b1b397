"""What a check is, to which estimators it applies, and what checks have in common."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

Array = NDArray[Any]
Check = Callable[[str, Any], None]
Condition = Callable[[Any], bool]

# All checks in the order of their definition, each with the conditions under which it applies.
CHECKS: list[tuple[Check, tuple[Condition, ...]]] = []

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "score_samples", "transform")


def checks(*conditions: Condition) -> Callable[[Check], Check]:
    """Make a function a check of those estimators that fulfil all conditions. Warnings are no failures."""

    def register(function: Check) -> Check:
        @wraps(function)
        def check(name: str, estimator: Any) -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                function(name, estimator)

        CHECKS.append((check, conditions))
        return check

    return register


# ---------------------------------------------------------------------------------------------------------------------
# Conditions
# ---------------------------------------------------------------------------------------------------------------------


def is_deterministic(estimator: Any) -> bool:
    """Whether two fits with the same seed should give the same."""
    return not get_tags(estimator).non_deterministic


def validates(estimator: Any) -> bool:
    """Whether bad input should be refused."""
    return not get_tags(estimator).no_validation


def requires_fit(estimator: Any) -> bool:
    """Whether there is nothing to ask before ``fit``."""
    return bool(get_tags(estimator).requires_fit)


def requires_y(estimator: Any) -> bool:
    """Whether ``fit`` is nothing without a target."""
    return bool(get_tags(estimator).target_tags.required)


def refuses_nan(estimator: Any) -> bool:
    """Whether NaN is padding or an error, and never a value."""
    return not get_tags(estimator).input_tags.allow_nan


def takes_numbers_only(estimator: Any) -> bool:
    """Whether strings should be refused."""
    tags = get_tags(estimator).input_tags
    return not (tags.string or tags.categorical)


def has(*names: str) -> Condition:
    """Whether there are these methods or parameters."""
    return lambda estimator: all(hasattr(estimator, name) for name in names)


def takes_sample_weight(estimator: Any) -> bool:
    """Whether ``fit`` does."""
    return bool(has_fit_parameter(estimator, "sample_weight"))


# ---------------------------------------------------------------------------------------------------------------------
# Fitting and asking
# ---------------------------------------------------------------------------------------------------------------------


def fresh(estimator: Any, *, quick: bool = True) -> Any:
    """Return an unfitted copy with fixed seeds.

    Where nothing depends on how well it learns, ``quick``, it is trained for three iterations if it
    has a ``max_iter``.
    """
    copy = clone(estimator)
    parameters = copy.get_params()
    changes: dict[str, Any] = {key: 0 for key in parameters if key == "random_state" or key.endswith("__random_state")}
    if parameters.get("warm_start"):
        changes["warm_start"] = False
    if quick:
        changes |= {
            key: min(value, 3)
            for key, value in parameters.items()
            if (key == "max_iter" or key.endswith("__max_iter")) and isinstance(value, int)
        }
    return copy.set_params(**changes)


def partial_fit(estimator: Any, X: Any, y: Array) -> Any:
    """Call ``partial_fit``, with the classes where there are any."""
    if is_classifier(estimator):
        return estimator.partial_fit(X, y, classes=np.unique(y))
    return estimator.partial_fit(X, y)


def answers(estimator: Any, X: Any) -> dict[str, list[Array]]:
    """Return what each method says about each sample."""
    return {method: per_sample(getattr(estimator, method)(X)) for method in METHODS if hasattr(estimator, method)}


def per_sample(result: Any) -> list[Array]:
    """Return the parts of a result that belong to each sample, without padding."""
    if hasattr(result, "toarray"):
        result = result.toarray()
    if isinstance(result, (list, tuple)):
        return [np.asarray(item) for item in result]
    rows = list(np.asarray(result))
    if rows and rows[0].ndim >= 2 and rows[0].dtype.kind == "f":
        ends = [np.flatnonzero(~np.isnan(row).all(axis=tuple(range(1, row.ndim)))) for row in rows]
        rows = [row[: end[-1] + 1 if len(end) else 0] for row, end in zip(rows, ends, strict=True)]
    return rows


def assert_same_bits(got: dict[str, list[Array]], want: dict[str, list[Array]], what: str) -> None:
    """Compare answers: equal shapes, dtypes and bits."""
    for method, expected in want.items():
        results = got[method]
        assert len(results) == len(expected), f"{method} {what}: {len(results)} results, not {len(expected)}"
        for sample, (result, reference) in enumerate(zip(results, expected, strict=True)):
            where = f"{method} {what}: sample {sample}"
            assert result.shape == reference.shape, f"{where} has shape {result.shape}, not {reference.shape}"
            assert result.dtype == reference.dtype, f"{where} has dtype {result.dtype}, not {reference.dtype}"
            same = (
                np.array_equal(result, reference) if result.dtype.hasobject else result.tobytes() == reference.tobytes()
            )
            assert same, f"{where} differs in its bits: {result} is not {reference}"


def assert_close(
    got: dict[str, list[Array]], want: dict[str, list[Array]], what: str, rtol: float, atol: float
) -> None:
    """Compare answers: equal labels, numbers nearly so."""
    for method, expected in want.items():
        for result, reference in zip(got[method], expected, strict=True):
            if reference.dtype.kind in "fc":
                np.testing.assert_allclose(result, reference, rtol=rtol, atol=atol, err_msg=f"{method} {what}")
            else:
                assert np.array_equal(result, reference), f"{method} {what}: {result} is not {reference}"


@contextmanager
def refuses(
    what: str, pattern: str = "", *, kinds: tuple[type[Exception], ...] = (ValueError,), may_pass: bool = False
) -> Iterator[None]:
    """Demand an error of one of some kinds whose text matches ``pattern``."""
    try:
        yield
    except kinds as error:
        if not re.search(pattern, str(error), re.DOTALL):
            raise AssertionError(f"{what}: the text of the error should match {pattern!r}. It is: {error}") from error
    except Exception as error:
        expected = " or ".join(kind.__name__ for kind in kinds)
        raise AssertionError(f"{what}: {expected} expected, got {type(error).__name__}: {error}") from error
    else:
        if not may_pass:
            raise AssertionError(f"{what} should be refused, but there was no error")


def each_method(estimator: Any) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    """Yield the name of each method that reads ``X`` alone, and the method."""
    for method in METHODS:
        if hasattr(estimator, method):
            yield method, getattr(estimator, method)
