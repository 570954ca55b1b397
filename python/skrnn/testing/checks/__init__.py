"""Checks of estimators that read sequences: the twins of scikit-learn's, which know tables alone."""

from __future__ import annotations

import unittest
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Literal

from sklearn.exceptions import SkipTestWarning

from skrnn.testing.checks import inputs, invariance, manners, targets, transformers, weights  # noqa: F401, they register
from skrnn.testing.checks._harness import CHECKS

__all__ = ["check_sequence_estimator", "sequence_checks"]

Status = Literal["passed", "failed", "xfail", "skipped"]


def sequence_checks(estimator: Any) -> Iterator[tuple[Any, partial[None]]]:
    """Yield the checks that apply to an estimator of sequences.

    They are the twins of scikit-learn's checks, which know tables alone, for sequences: 3-D arrays,
    lists of sequences of different lengths, and 3-D arrays padded with NaN. They hold an estimator
    to more where that is possible: what must not matter must not matter in the last bit.

    A check raises an exception where the estimator fails it, and ``unittest.SkipTest`` where it
    cannot be made, for lack of an optional package. Warnings count for nothing.

    Parameters
    ----------
    estimator : estimator
        An instance, as for :func:`sklearn.utils.estimator_checks.check_estimator`: configured to
        learn small problems fast. It is cloned, never fitted. Which checks apply is read from its
        methods, its parameters and its tags.

    Yields
    ------
    estimator : estimator
        The one that was passed.
    check : functools.partial
        Takes the estimator; ``check.func.__name__`` is its name.

    See Also
    --------
    check_sequence_estimator : Make them all.

    Notes
    -----
    An estimator of sequences, as the checks understand it,

    - sets the tag ``input_tags.three_d_array``;
    - takes an array (n_samples, n_timesteps, n_features), a list of arrays or data frames
      (n_timesteps, n_features) or (n_timesteps,) of any lengths, and an array in which shorter
      sequences end in time steps that are NaN altogether;
    - counts the features of a time step in ``n_features_in_``, and takes any number of time steps
      later;
    - answers for each sample in the same way, whatever else is in ``X`` and in whatever form.

    Examples
    --------
    Under pytest:

    >>> import pytest
    >>> from skrnn import RNNClassifier
    >>> from skrnn.testing import sequence_checks
    >>> model = RNNClassifier("gru", 8, max_iter=40, learning_rate_init=0.02, tol=None)
    >>> def name(value):
    ...     return getattr(value, "func", type(value)).__name__
    >>> @pytest.mark.parametrize(("estimator", "check"), sequence_checks(model), ids=name)
    ... def test_sequences(estimator, check):
    ...     check(estimator)
    """
    name = type(estimator).__name__
    for check, conditions in CHECKS:
        if all(condition(estimator) for condition in conditions):
            yield estimator, partial(check, name)


def check_sequence_estimator(
    estimator: Any,
    *,
    expected_failed_checks: Mapping[str, str] | None = None,
    on_skip: Literal["warn"] | None = "warn",
    on_fail: Literal["raise"] | None = "raise",
    callback: Callable[..., None] | None = None,
) -> list[dict[str, Any]]:
    """Check that an estimator treats sequences as scikit-learn's conventions treat tables.

    Parameters
    ----------
    estimator : estimator
        See :func:`sequence_checks`.
    expected_failed_checks : mapping of str to str, optional
        For the name of each check that may fail, why.
    on_skip : {"warn"} or None, default="warn"
        Whether a check that cannot be made gives a ``SkipTestWarning``.
    on_fail : {"raise"} or None, default="raise"
        Whether the first failure that is not expected ends the checks with its exception. With None
        look into the result.
    callback : callable, optional
        Called after each check with its result as keyword arguments; not together with
        ``on_fail="raise"``.

    Returns
    -------
    list of dict
        As from scikit-learn's ``check_estimator``, for each check ``estimator``, ``check_name``,
        ``exception`` (or None), ``status`` ("passed", "failed", "xfail" or "skipped"),
        ``expected_to_fail`` and ``expected_to_fail_reason``.

    Raises
    ------
    Exception
        What the first check that failed has raised, with ``on_fail="raise"``.
    TypeError
        If ``estimator`` is a class.
    ValueError
        If ``callback`` is given with ``on_fail="raise"``, or if ``expected_failed_checks`` names a
        check that is none of the estimator's.

    See Also
    --------
    sequence_checks : The checks one by one, for pytest.
    sklearn.utils.estimator_checks.check_estimator : The same for tables.

    Examples
    --------
    >>> from skrnn import RNNRegressor
    >>> from skrnn.testing import check_sequence_estimator
    >>> model = RNNRegressor("gru", 8, max_iter=40, learning_rate_init=0.02, tol=None)
    >>> results = check_sequence_estimator(model, on_skip=None)
    >>> {result["status"] for result in results} <= {"passed", "skipped"}
    True
    """
    if isinstance(estimator, type):
        raise TypeError(f"estimator must be an instance, got the class {estimator.__name__}")
    if on_fail == "raise" and callback is not None:
        raise ValueError("callback cannot be provided together with on_fail='raise'")
    expected = dict(expected_failed_checks or {})
    checks = {check.func.__name__: check for _, check in sequence_checks(estimator)}
    unknown = expected.keys() - checks.keys()
    if unknown:
        raise ValueError(f"expected_failed_checks names no check of {type(estimator).__name__}: {sorted(unknown)}")

    results = []
    for check_name, check in checks.items():
        exception: BaseException | None = None
        status: Status = "passed"
        try:
            check(estimator)
        except unittest.SkipTest as reason:
            exception, status = reason, "skipped"
            if on_skip == "warn":
                warnings.warn(f"{check_name} was skipped: {reason}", SkipTestWarning, stacklevel=2)
        except Exception as error:
            if on_fail == "raise" and check_name not in expected:
                raise
            exception, status = error, "xfail" if check_name in expected else "failed"
        result: dict[str, Any] = {
            "estimator": estimator,
            "check_name": check_name,
            "exception": exception,
            "status": status,
            "expected_to_fail": check_name in expected,
            "expected_to_fail_reason": expected.get(check_name),
        }
        results.append(result)
        if callback is not None:
            callback(**result)
    return results
