"""scikit-learn's checks, and their twins for sequences, on every estimator of estimator_checks.py."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from estimator_checks import CHECKED, Checked, more_checks
from skrnn.testing import sequence_checks

ESTIMATORS = [checked.estimator for checked in CHECKED]


def declared(estimator: Any) -> dict[str, str]:
    (checked,) = (checked for checked in CHECKED if checked.estimator is estimator)
    return dict(checked.declared)


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=declared)
def test_scikit_learn_checks(estimator: Any, check: Callable[[Any], None]) -> None:
    with warnings.catch_warnings():
        # Skipped checks are those of features that an estimator does not claim to have.
        warnings.simplefilter("default")
        check(estimator)


def name(value: Any) -> str:
    return value.func.__name__ if hasattr(value, "func") else type(value).__name__


def marked(pairs: Iterable[tuple[Any, Any]], reasons: Mapping[str, str]) -> list[Any]:
    """As scikit-learn's decorator marks its own checks: what is declared to fail must."""
    return [
        pytest.param(*pair, marks=pytest.mark.xfail(reason=reasons[name(pair[1])]))
        if name(pair[1]) in reasons
        else pair
        for pair in pairs
    ]


@pytest.mark.parametrize(
    ("estimator", "check"),
    [param for checked in CHECKED for param in marked(more_checks(checked.estimator), checked.declared)],
    ids=name,
)
def test_more_scikit_learn_checks(estimator: Any, check: Callable[[Any], None]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        check(estimator)


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        param
        for checked in CHECKED
        for param in marked(sequence_checks(checked.estimator), checked.declared_of_sequences)
    ],
    ids=name,
)
def test_sequence_checks(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


@pytest.mark.parametrize("checked", CHECKED, ids=str)
def test_the_checks_were_really_collected(checked: Checked) -> None:
    """An estimator that claims to take no 2-D arrays passes by not being checked. Ours is."""
    assert len(list(estimator_checks_generator(checked.estimator))) >= checked.least
    assert len(list(sequence_checks(checked.estimator))) >= checked.least_of_sequences
    assert len(checked.declared) + len(checked.declared_of_sequences) <= 2
