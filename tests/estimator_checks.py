"""scikit-learn's checks of estimators, and their twins for sequences, on every estimator of the package.

    python tests/estimator_checks.py

counts for each estimator what passed, what fails and is declared so, and what was skipped, with the reasons. It fails
if anything else fails, if what is declared to fail does not, or if too few checks ran to mean something.
test_scikit_learn.py runs the same table under pytest; ``nox -s estimator_checks`` runs this program on the oldest
scikit-learn that is supported and on the newest.
"""

from __future__ import annotations

import os
import sys
import unittest
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

if __name__ == "__main__":
    os.environ["SCIPY_ARRAY_API"] = "1"  # read when SciPy is imported; without it scikit-learn skips a check

import sklearn
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils import estimator_checks as scikit_learn
from sklearn.utils import get_tags

import skrnn
from skrnn import RNNClassifier, RNNEncoder, RNNRegressor
from skrnn.preprocessing import Stepwise, Tokenizer
from skrnn.testing import check_sequence_estimator


@dataclass(frozen=True)
class Checked:
    """An estimator as the checks get it: small and quick, and trained enough for those that ask for accuracy."""

    estimator: Any
    least: int
    """So many of scikit-learn's checks must pass. Of an estimator that takes no 2-D arrays it makes hardly any."""
    least_of_sequences: int = 48
    """So many of the checks for sequences must pass; 0 if it does not take sequences of numbers, and none is made."""
    declared: Mapping[str, str] = field(default_factory=dict)
    """Names of scikit-learn's checks that fail, and why they may. They must fail, so that none outlives its reason."""
    declared_of_sequences: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        objective = getattr(self.estimator, "objective", None)
        return type(self.estimator).__name__ + (f", {objective}" if objective else "")


# Full batches in float64: what a weight of 2 and a sequence that comes twice have in common, to seven digits.
_SETTINGS = {
    "hidden_size": 16,
    "max_iter": 60,
    "tol": None,
    "learning_rate_init": 0.02,
    "batch_size": 10**6,
    "dtype": "float64",
    "random_state": 0,
}

# Of features none asks whether they are any good.
_SHORT = {**_SETTINGS, "max_iter": 5}

CHECKED = (
    Checked(RNNClassifier("gru", **_SETTINGS), least=66),
    Checked(RNNRegressor("gru", **_SETTINGS), least=60),
    Checked(RNNEncoder("gru", objective="reconstruction", **_SHORT), least=60),
    Checked(
        RNNEncoder("gru", objective="next_step", **_SHORT),
        least=60,
        declared_of_sequences={"check_fit_one_time_step": "a sequence of one time step has no next one to learn from"},
    ),
    Checked(RNNEncoder("gru", objective="classification", **_SHORT), least=60),
    Checked(RNNEncoder("gru", objective="regression", **_SHORT), least=60),
    Checked(Stepwise(MinMaxScaler()), least=50, least_of_sequences=46),
    Checked(Tokenizer(), least=9, least_of_sequences=0),
)


# Checks that need no X: scikit-learn leaves them out, too, where 2-D arrays are not taken.
CHECKS_WITHOUT_DATA = (
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
)

# Checks that scikit-learn makes of its own estimators but not of others'. Not all versions have all of them.
MORE_CHECKS = ("check_dataframe_column_names_consistency",)
MORE_CHECKS_OF_NAMES = (
    "check_get_feature_names_out_error",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
)
MORE_CHECKS_OF_OUTPUT = (
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_global_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_set_output_transform_polars",
)


def more_checks(estimator: Any) -> Iterator[tuple[Any, Callable[[Any], None]]]:
    """Yield what ``estimator_checks_generator`` leaves out, in its form."""
    if get_tags(estimator).input_tags.two_d_array:
        names = [*MORE_CHECKS]
        names += MORE_CHECKS_OF_NAMES if hasattr(estimator, "get_feature_names_out") else ()
        names += MORE_CHECKS_OF_OUTPUT if hasattr(estimator, "set_output") else ()
    else:
        names = [*CHECKS_WITHOUT_DATA]
    for name in names:
        if hasattr(scikit_learn, name):
            yield estimator, partial(getattr(scikit_learn, name), type(estimator).__name__)


def run_more_checks(estimator: Any, declared: Mapping[str, str]) -> list[dict[str, Any]]:
    """Make them, with results in the form of ``check_estimator``."""
    results = []
    for _, check in more_checks(estimator):
        name = check.func.__name__
        result = {"check_name": name, "exception": None, "status": "passed", "expected_to_fail": name in declared}
        try:
            check(estimator)
        except unittest.SkipTest as reason:
            result |= {"exception": reason, "status": "skipped"}
        except Exception as error:
            result |= {"exception": error, "status": "xfail" if name in declared else "failed"}
        results.append(result)
    return results


def report(title: str, results: list[dict[str, Any]], declared: Mapping[str, str], least: int) -> list[str]:
    """Print the counts; return what is wrong."""
    having = {
        status: [result for result in results if result["status"] == status]
        for status in ("passed", "xfail", "skipped", "failed")
    }
    surprises = [result["check_name"] for result in having["passed"] if result["expected_to_fail"]]
    counts = f"{len(having['passed'])} passed, {len(having['xfail'])} declared, {len(having['skipped'])} skipped"
    print(f"  {title}: {counts}, {len(having['failed'])} failed")
    for result in having["xfail"]:
        print(f"    declared  {result['check_name']}: {declared[result['check_name']]}")
    for result in having["skipped"]:
        print(f"    skipped   {result['check_name']}: {result['exception']}")
    faults = [f"{result['check_name']}: {result['exception']!r}" for result in having["failed"]]
    faults += [f"{name} is declared to fail and passes" for name in surprises]
    faults += [
        f"there is no {name}, which is declared to fail"
        for name in declared
        if name not in {result["check_name"] for result in results}
    ]
    if len(having["passed"]) < least:
        faults.append(f"only {len(having['passed'])} checks passed; {least} are the least that mean something")
    for fault in faults:
        print(f"    WRONG     {fault}")
    return faults


def main() -> int:
    warnings.simplefilter("ignore")  # most checks provoke some
    print(f"scikit-rnn {skrnn.__version__}, scikit-learn {sklearn.__version__}")
    faults = []
    for checked in CHECKED:
        print(checked)
        estimator, declared = checked.estimator, checked.declared
        results = scikit_learn.check_estimator(
            estimator, expected_failed_checks=dict(declared), on_fail=None, on_skip=None
        )
        results += run_more_checks(estimator, declared)
        faults += report("scikit-learn's checks", results, declared, checked.least)

        if checked.least_of_sequences == 0:
            print("  checks for sequences: none, it takes others than those of numbers")
            continue
        declared = checked.declared_of_sequences
        results = check_sequence_estimator(estimator, expected_failed_checks=declared, on_fail=None, on_skip=None)
        faults += report("checks for sequences", results, declared, checked.least_of_sequences)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
