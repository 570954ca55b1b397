"""scikit-learn's tools around our estimators, on every form of X: each works, or refuses as the guide says."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn import calibration, ensemble, inspection, model_selection, multiclass, multioutput, semi_supervised
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from cases import Array
from running import assert_same_bits
from skrnn import RNNClassifier, RNNRegressor
from skrnn.preprocessing import Stepwise

GUIDE = Path(__file__).parents[1] / "docs" / "guide" / "scikit_learn.md"
N = 36

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning"),
    pytest.mark.filterwarnings("ignore:scipy.optimize:DeprecationWarning"),  # an older scikit-learn with a newer SciPy
]


def classifier(**options: Any) -> RNNClassifier:
    return RNNClassifier("gru", 4, max_iter=2, tol=None, random_state=0, **options)


def regressor(**options: Any) -> RNNRegressor:
    return RNNRegressor("gru", 4, max_iter=2, tol=None, random_state=0, **options)


def forms() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, 6, 2))
    return {"table": X[:, :, 0].copy(), "array": X, "list": [x[: 3 + n % 4] for n, x in enumerate(X)]}


VALUES = forms()["array"][:, :3, 0].sum(axis=1)
LABELS = (VALUES > 0).astype(int)
THREE_LABELS = np.arange(N) % 3
SEVERAL_LABELS = np.stack([LABELS, np.arange(N) % 2], axis=1)
SEVERAL_VALUES = np.stack([VALUES, -VALUES], axis=1)
GROUPS = np.arange(N) % 6


# ---------------------------------------------------------------------------------------------------------------------
# What works with what
# ---------------------------------------------------------------------------------------------------------------------


def fitted(estimator: Any, y: Array) -> Callable[[Any], None]:
    """Fit, predict and score."""

    def use(X: Any) -> None:
        model = clone(estimator).fit(X, y)
        assert np.shape(model.predict(X))[0] == N
        assert np.isfinite(model.score(X, y))

    return use


def split(function: Callable[..., Any], **options: Any) -> Callable[[Any], None]:
    """Call a function that fits on some samples and asks about others."""

    def use(X: Any) -> None:
        result = function(classifier(), X, LABELS, cv=2, **options)
        for part in result.values() if isinstance(result, dict) else [result]:
            for array in part if isinstance(part, tuple) else [part]:
                assert np.isfinite(array).all()

    return use


def split_by(splitter: Any, groups: Array | None = GROUPS) -> Callable[[Any], None]:
    def use(X: Any) -> None:
        assert np.isfinite(cross_val_score(classifier(), X, LABELS, cv=splitter, groups=groups)).all()

    return use


def permutation_importance(X: Any) -> None:
    result = inspection.permutation_importance(classifier().fit(X, LABELS), X, LABELS, n_repeats=2, random_state=0)
    assert result.importances.shape == (6, 2)


def train_test_split(X: Any) -> None:
    train, test, y_train, y_test = model_selection.train_test_split(X, LABELS, stratify=LABELS, random_state=0)
    assert len(classifier().fit(train, y_train).predict(test)) == len(y_test)


SIZES = {"hidden_size": [2, 3]}
TWO_CLASSIFIERS = [("a", classifier()), ("b", classifier(num_layers=2))]
TWO_REGRESSORS = [("a", regressor()), ("b", regressor(num_layers=2))]

TOOLS: dict[str, Callable[[Any], None]] = {
    "train_test_split": train_test_split,
    "cross_val_score": split(cross_val_score),
    "cross_val_predict": split(cross_val_predict, method="predict_proba"),
    "cross_validate": split(model_selection.cross_validate, return_train_score=True),
    "learning_curve": split(model_selection.learning_curve, train_sizes=[0.6, 1.0], shuffle=True, random_state=0),
    "validation_curve": split(model_selection.validation_curve, param_name="hidden_size", param_range=[2, 3]),
    "permutation_test_score": split(model_selection.permutation_test_score, n_permutations=2),
    "GridSearchCV": fitted(GridSearchCV(classifier(), SIZES, cv=2), LABELS),
    "RandomizedSearchCV": fitted(model_selection.RandomizedSearchCV(classifier(), SIZES, cv=2, n_iter=2), LABELS),
    "HalvingGridSearchCV": fitted(
        model_selection.HalvingGridSearchCV(
            classifier(), SIZES, cv=2, resource="max_iter", min_resources=1, max_resources=3
        ),
        LABELS,
    ),
    "HalvingRandomSearchCV": fitted(
        model_selection.HalvingRandomSearchCV(classifier(), SIZES, cv=2, n_candidates=2, random_state=0), LABELS
    ),
    "TimeSeriesSplit": split_by(model_selection.TimeSeriesSplit(3), groups=None),
    "GroupKFold": split_by(model_selection.GroupKFold(3)),
    "StratifiedGroupKFold": split_by(model_selection.StratifiedGroupKFold(3)),
    "LeaveOneGroupOut": split_by(model_selection.LeaveOneGroupOut()),
    "Pipeline": fitted(make_pipeline("passthrough", classifier()), LABELS),
    "TransformedTargetRegressor": fitted(
        TransformedTargetRegressor(regressor(), func=np.arcsinh, inverse_func=np.sinh), VALUES
    ),
    "CalibratedClassifierCV": fitted(calibration.CalibratedClassifierCV(classifier(), cv=2), LABELS),
    "TunedThresholdClassifierCV": fitted(model_selection.TunedThresholdClassifierCV(classifier(), cv=2), LABELS),
    "FixedThresholdClassifier": fitted(model_selection.FixedThresholdClassifier(classifier()), LABELS),
    "VotingClassifier": fitted(ensemble.VotingClassifier(TWO_CLASSIFIERS, voting="soft"), LABELS),
    "VotingRegressor": fitted(ensemble.VotingRegressor(TWO_REGRESSORS), VALUES),
    "StackingClassifier": fitted(ensemble.StackingClassifier(TWO_CLASSIFIERS, cv=2), LABELS),
    "StackingRegressor": fitted(ensemble.StackingRegressor(TWO_REGRESSORS, cv=2), VALUES),
    "OneVsRestClassifier": fitted(multiclass.OneVsRestClassifier(classifier()), THREE_LABELS),
    "MultiOutputClassifier": fitted(multioutput.MultiOutputClassifier(classifier()), SEVERAL_LABELS),
    "MultiOutputRegressor": fitted(multioutput.MultiOutputRegressor(regressor()), SEVERAL_VALUES),
    "AdaBoostRegressor": fitted(ensemble.AdaBoostRegressor(regressor(), n_estimators=2), VALUES),
    "BaggingClassifier": fitted(ensemble.BaggingClassifier(classifier(), 2, random_state=0), LABELS),
    "BaggingRegressor": fitted(ensemble.BaggingRegressor(regressor(), 2, random_state=0), VALUES),
    "OneVsOneClassifier": fitted(multiclass.OneVsOneClassifier(classifier()), THREE_LABELS),
    "OutputCodeClassifier": fitted(multiclass.OutputCodeClassifier(classifier(), random_state=0), THREE_LABELS),
    "ClassifierChain": fitted(multioutput.ClassifierChain(classifier()), SEVERAL_LABELS),
    "RegressorChain": fitted(multioutput.RegressorChain(regressor()), SEVERAL_VALUES),
    "SelfTrainingClassifier": fitted(
        semi_supervised.SelfTrainingClassifier(classifier()), np.where(np.arange(N) % 4 == 0, -1, LABELS)
    ),
    "permutation_importance": permutation_importance,
    "AdaBoostClassifier": fitted(
        ensemble.AdaBoostClassifier(classifier().set_params(max_iter=30), n_estimators=2), LABELS
    ),
}

# What whoever tries it all the same is told.
REFUSALS = {
    "table": "doesn't support sample_weight",
    "array": "Found array with dim 3|doesn't support sample_weight",
    "list": "setting an array element with a sequence",
}


def table_of_the_guide() -> list[tuple[str, str, str]]:
    """(tool, form, "yes" or "no") for each cell."""
    cells = []
    for line in GUIDE.read_text(encoding="utf-8").splitlines():
        row = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(row) == 4:
            for tool in re.findall(r"`(\w+)`", row[0]):
                cells += [(tool, form, verdict) for form, verdict in zip(REFUSALS, row[1:], strict=True)]
    return cells


def test_the_guide_has_all_tools() -> None:
    tools = [tool for tool, form, _ in table_of_the_guide() if form == "list"]
    assert sorted(tools) == sorted(TOOLS)


@pytest.mark.parametrize(("tool", "form", "verdict"), table_of_the_guide())
def test_what_works_with_what(tool: str, form: str, verdict: str) -> None:
    X = forms()[form]
    if verdict == "yes":
        TOOLS[tool](X)
    else:
        assert verdict == "no"
        with pytest.raises(ValueError, match=REFUSALS[form]):
            TOOLS[tool](X)


def test_flattened_sequences_go_where_only_tables_go() -> None:
    """The guide's way around: what it does not run itself."""
    padded = np.full((N, 6, 2), np.nan)
    for row, x in zip(padded, forms()["list"], strict=True):
        row[: len(x)] = x
    equal = forms()["array"].reshape(N, -1)
    for estimator, y, table in (
        (ensemble.BaggingClassifier(unflattened(classifier()), 2, random_state=0), LABELS, padded.reshape(N, -1)),
        (ensemble.BaggingRegressor(unflattened(regressor()), 2, random_state=0), VALUES, padded.reshape(N, -1)),
        (multiclass.OneVsOneClassifier(unflattened(classifier())), THREE_LABELS, padded.reshape(N, -1)),
        (multiclass.OutputCodeClassifier(unflattened(classifier()), random_state=0), THREE_LABELS, equal),
        (multioutput.ClassifierChain(unflattened(classifier(), 1)), SEVERAL_LABELS, equal),
        (multioutput.RegressorChain(unflattened(regressor(), 1)), SEVERAL_VALUES, equal),
    ):
        fitted(estimator, y)(table)


def reshaped(table: Array, n_features: int) -> Array:
    return np.asarray(table).reshape(len(table), -1, n_features)


def unflattened(model: Any, n_features: int = 2) -> Pipeline:
    from sklearn.preprocessing import FunctionTransformer

    return make_pipeline(FunctionTransformer(reshaped, kw_args={"n_features": n_features}), model)


# ---------------------------------------------------------------------------------------------------------------------
# Pipelines that are searched, in other processes and threads
# ---------------------------------------------------------------------------------------------------------------------


def search(n_jobs: int | None) -> Any:
    pipeline = Pipeline([("scale", Stepwise(StandardScaler())), ("model", classifier())])
    grid = {
        "scale__transformer__with_mean": [False, True],
        "model__cell": ["rnn", "gru"],
        "model__hidden_size": [3, 5],
    }
    return GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs)


@pytest.mark.filterwarnings("ignore:Features of X are large")  # on purpose: there is a choice not to centre them
def test_a_pipeline_is_searched_in_two_processes() -> None:
    """Twice with the same result, bit for bit, which is that of one process."""
    X = [100 + 10 * x for x in forms()["list"]]
    alone = search(None).fit(X, LABELS)
    for _ in range(2):
        found = search(2).fit(X, LABELS)
        assert found.best_params_ == alone.best_params_
        for key, values in alone.cv_results_.items():
            if key.endswith("_score"):
                np.testing.assert_array_equal(found.cv_results_[key], values, err_msg=key)
        assert_same_bits(found.predict_proba(X), alone.predict_proba(X))


@pytest.mark.parametrize("form", forms())
def test_threads_of_joblib(form: str) -> None:
    X = forms()[form]
    want = cross_val_predict(classifier(), X, LABELS, cv=3, method="predict_proba")
    with joblib.parallel_config(backend="threading", n_jobs=3):
        assert_same_bits(cross_val_predict(classifier(), X, LABELS, cv=3, method="predict_proba"), want)
        model = ensemble.VotingClassifier(TWO_CLASSIFIERS, voting="soft", n_jobs=2).fit(X, LABELS)
    serial = ensemble.VotingClassifier(TWO_CLASSIFIERS, voting="soft").fit(X, LABELS)
    assert_same_bits(model.predict_proba(X), serial.predict_proba(X))


def test_a_searched_pipeline_is_saved() -> None:
    X = forms()["list"]
    found = search(None).fit(X, LABELS)
    file = io.BytesIO()
    joblib.dump(found, file)
    file.seek(0)
    again = joblib.load(file)
    assert again.best_params_ == found.best_params_
    assert_same_bits(again.predict_proba(X), found.predict_proba(X))


def test_failed_fits_are_counted_not_hidden() -> None:
    """A parameter that is wrong in a grid is reported by the search with our text."""
    X = forms()["list"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = GridSearchCV(classifier(), {"hidden_size": [0, 3]}, cv=2).fit(X, LABELS)
    assert found.best_params_ == {"hidden_size": 3}
    assert any("'hidden_size' parameter of RNNClassifier" in str(warning.message) for warning in caught)
