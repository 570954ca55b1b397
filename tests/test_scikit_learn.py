"""scikit-learn's checks, and their twins for sequences, on every estimator of estimator_checks.py."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
from sklearn.exceptions import SkipTestWarning
from sklearn.utils.estimator_checks import estimator_checks_generator

import estimator_checks
from estimator_checks import CHECKED, Checked, more_checks, report
from skrnn import RNNClassifier
from skrnn.testing import sequence_checks

Pair = tuple[Any, Callable[[Any], None]]


def name(value: Any) -> str:
    """Of the class of an estimator, or of a check, which comes as ``functools.partial``."""
    return value.func.__name__ if hasattr(value, "func") else type(value).__name__


def table_checks(estimator: Any) -> list[Pair]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)  # where no 2-D arrays are taken
        return [*estimator_checks_generator(estimator), *more_checks(estimator)]


def marked(pairs: Iterable[Pair], declared: Mapping[str, str]) -> list[Any]:
    """As scikit-learn's ``parametrize_with_checks`` does it: what is declared to fail must."""
    return [
        pytest.param(*pair, marks=pytest.mark.xfail(reason=declared[name(pair[1])]))
        if name(pair[1]) in declared
        else pair
        for pair in pairs
    ]


@pytest.mark.parametrize(
    ("estimator", "check"),
    [pair for checked in CHECKED for pair in marked(table_checks(checked.estimator), checked.declared)],
    ids=name,
)
def test_scikit_learn_checks(estimator: Any, check: Callable[[Any], None]) -> None:
    with warnings.catch_warnings():
        # Skipped checks are those of features that an estimator does not claim to have.
        warnings.simplefilter("default")
        check(estimator)


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pair
        for checked in CHECKED
        if checked.least_of_sequences
        for pair in marked(sequence_checks(checked.estimator), checked.declared_of_sequences)
    ],
    ids=name,
)
def test_sequence_checks(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


@pytest.mark.parametrize("checked", CHECKED, ids=str)
def test_the_checks_were_really_collected(checked: Checked) -> None:
    """An estimator that claims to take no 2-D arrays passes by not being checked. Ours is."""
    assert len(table_checks(checked.estimator)) >= checked.least >= 8
    assert len(list(sequence_checks(checked.estimator))) >= checked.least_of_sequences
    assert len(checked.declared) + len(checked.declared_of_sequences) <= 2


def result(check_name: str, status: str, *, expected_to_fail: bool = False) -> dict[str, Any]:
    return {"check_name": check_name, "status": status, "exception": None, "expected_to_fail": expected_to_fail}


def test_the_program_tells_right_from_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    fine = [
        result("check_a", "passed"),
        result("check_b", "xfail", expected_to_fail=True),
        result("check_c", "skipped"),
    ]
    assert report("checks", fine, {"check_b": "a reason"}, least=1) == []
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "checks: 1 passed, 1 declared, 1 skipped, 0 failed"
    assert "check_b: a reason" in lines[1]
    assert "check_c" in lines[2]
    assert len(report("checks", fine, {"check_b": "a reason"}, least=2)) == 1, "too few"
    assert len(report("checks", [*fine, result("check_d", "failed")], {"check_b": ""}, least=1)) == 1
    assert len(report("checks", [result("check_b", "passed", expected_to_fail=True)], {"check_b": ""}, least=1)) == 1
    assert len(report("checks", fine, {"check_b": "", "check_e": "gone"}, least=1)) == 1


def test_the_program_fails_where_a_check_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Forgetful(RNNClassifier):
        def fit(self, X: Any, y: Any) -> Any:
            super().fit(X, y)

    quick = Forgetful("rnn", 2, max_iter=1, tol=None, random_state=0)
    monkeypatch.setattr(estimator_checks, "CHECKED", (Checked(quick, least=1, least_of_sequences=1),))
    assert estimator_checks.main() == 1
    out = capsys.readouterr().out
    assert "scikit-learn" in out
    assert "WRONG     check_estimators_fit_returns_self" in out
    assert "WRONG     check_fit_returns_self" in out
