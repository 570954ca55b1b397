"""Targets: labels of any type, numbers, several of either; and whether anything is learned."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import get_tags

from skrnn.testing.checks._data import Array, equal, forms, problem, target
from skrnn.testing.checks._harness import (
    answers,
    assert_same_bits,
    checks,
    each_method,
    fresh,
    is_deterministic,
    refuses,
)

# ---------------------------------------------------------------------------------------------------------------------
# Labels
# ---------------------------------------------------------------------------------------------------------------------


def has_one_output(estimator: Any) -> bool:
    """Whether y may have one axis."""
    return bool(get_tags(estimator).target_tags.single_output)


def takes_many_labels(estimator: Any) -> bool:
    """Whether it is a classifier that says so in its tags."""
    tags = get_tags(estimator).classifier_tags
    return tags is not None and bool(tags.multi_label)


@checks(is_classifier, has_one_output)
def check_classifiers_train(name: str, estimator: Any) -> None:
    """A classifier learns blobs, and its methods agree with one another."""
    X, y = problem(estimator, n_samples=90)
    for form, sequences in forms(X):
        for dtype in (np.float64, np.float32):
            given = [x.astype(dtype) for x in sequences] if isinstance(sequences, list) else sequences.astype(dtype)
            model = fresh(estimator, quick=False).fit(given, y)
            labels = model.predict(given)
            assert labels.shape == y.shape, f"{name}.predict of a {form} has shape {labels.shape}, not {y.shape}"
            if not get_tags(estimator).classifier_tags.poor_score:
                accuracy = np.mean(labels == y)
                assert accuracy > 0.83, f"{name} learns a {form} to an accuracy of {accuracy:.2f} only"
            assert_methods_agree(f"{name} for a {form}", model, given, labels)


def assert_methods_agree(what: str, model: Any, X: Any, labels: Array) -> None:
    """Assert that shares, their logarithms and scores belong to the labels."""
    n_classes = len(model.classes_)
    if hasattr(model, "predict_proba"):
        shares = model.predict_proba(X)
        assert shares.shape == (len(labels), n_classes), f"{what}: predict_proba has shape {shares.shape}"
        np.testing.assert_array_equal(model.classes_[shares.argmax(axis=1)], labels, err_msg=f"{what}: predict_proba")
        np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=0, atol=1e-5, err_msg=f"{what}: predict_proba")
        if hasattr(model, "predict_log_proba"):
            logarithms = model.predict_log_proba(X)
            np.testing.assert_allclose(
                np.exp(logarithms), shares, rtol=1e-4, atol=1e-6, err_msg=f"{what}: predict_log_proba"
            )
    if hasattr(model, "decision_function"):
        scores = model.decision_function(X)
        if n_classes == 2:
            assert scores.shape == labels.shape, f"{what}: decision_function has shape {scores.shape}"
            chosen = (scores > 0).astype(int)
        else:
            assert scores.shape == (len(labels), n_classes), f"{what}: decision_function has shape {scores.shape}"
            chosen = scores.argmax(axis=1)
        np.testing.assert_array_equal(model.classes_[chosen], labels, err_msg=f"{what}: decision_function")


@checks(is_classifier, has_one_output)
def check_classifiers_classes(name: str, estimator: Any) -> None:
    """Labels may be of any type; ``classes_`` has them in order, and ``predict`` answers with them."""
    X, y = problem(estimator)
    n_classes = len(np.unique(y))
    kinds = {
        "strings": np.array(["one", "two", "three"]),
        "objects": np.array(["one", "two", "three"], dtype=object),
        "negative integers": np.array([-1, 1, -3]),
        "floats": np.array([2.0, 0.0, 1.0]),
    }
    want = None
    for kind, names in kinds.items():
        names = np.sort(names[:n_classes])
        for form, sequences in forms(X):
            model = fresh(estimator).fit(sequences, names[y])
            assert np.array_equal(model.classes_, names), (
                f"{name}.classes_ of {kind} is {model.classes_}, not {names} ({form})"
            )
            labels = model.predict(sequences)
            assert labels.dtype.kind == names.dtype.kind, f"{name}.predict of {kind} has dtype {labels.dtype} ({form})"
            assert np.isin(labels, names).all(), f"{name}.predict of {kind} answers others ({form})"
        if is_deterministic(estimator):
            numbers = [np.searchsorted(names, labels)]
            assert want is None or np.array_equal(want, numbers), f"{name} learns {kind} in another way than strings"
            want = numbers
    if n_classes >= 2:
        two = fresh(estimator).fit(X, y > 0)
        assert two.predict(X).dtype == bool, f"{name}.predict of booleans has dtype {two.predict(X).dtype}"


@checks(is_classifier, has_one_output)
def check_classifiers_one_label(name: str, estimator: Any) -> None:
    """Where there is only one label it is the answer, unless the error says that one class is too few."""
    X, y = problem(estimator)
    for form, sequences in forms(X):
        with refuses(f"{name}.fit of a {form} with one label", "class", may_pass=True):
            model = fresh(estimator).fit(sequences, np.full(len(y), 5))
            labels = model.predict(sequences)
            if not (labels == 5).all():
                raise AssertionError(f"{name}, fitted with the label 5 alone, predicts {np.unique(labels)} ({form})")


def has_one_output_only(estimator: Any) -> bool:
    """Whether a column of targets is no target of its own kind."""
    tags = get_tags(estimator).target_tags
    supervised = is_classifier(estimator) or is_regressor(estimator)
    return bool(supervised and tags.single_output and not tags.multi_output)


@checks(has_one_output_only)
def check_y_column(name: str, estimator: Any) -> None:
    """A column as y is warned of and read as the vector that it is."""
    X, y = problem(estimator)
    for form, sequences in forms(X):
        model = fresh(estimator)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(sequences, y[:, np.newaxis])
        assert any(issubclass(warning.category, DataConversionWarning) for warning in caught), (
            f"{name}.fit of a {form} gives no DataConversionWarning for y of shape (n_samples, 1)"
        )
        if is_deterministic(estimator):
            want = answers(fresh(estimator).fit(sequences, y), sequences)
            assert_same_bits(answers(model, sequences), want, f"of {name} for y as a column, {form}")


@checks(takes_many_labels)
def check_multilabel(name: str, estimator: Any) -> None:
    """Several labels for each sequence: y may be an array, a list of lists or of arrays, and comes back as such."""
    X, y = problem(estimator, n_samples=30)
    labels = np.stack([y % 2, y > 0, np.arange(len(y)) % 5 == 0], axis=1).astype(np.int64)
    for form, sequences in forms(X):
        model = fresh(estimator).fit(sequences, labels)
        want = model.predict(sequences)
        assert isinstance(want, np.ndarray), f"{name}.predict of many labels is no array but {type(want).__name__}"
        assert want.shape == labels.shape, f"{name}.predict of many labels has shape {want.shape}, not {labels.shape}"
        assert want.dtype == labels.dtype, f"{name}.predict of many labels has dtype {want.dtype}, not {labels.dtype}"
        assert np.isin(want, (0, 1)).all(), f"{name}.predict of many labels answers others than 0 and 1 ({form})"
        if is_deterministic(estimator):
            for given in (labels.tolist(), list(labels)):
                got = fresh(estimator).fit(sequences, given).predict(sequences)
                assert np.array_equal(got, want), f"{name}.predict depends on the kind of list that y is ({form})"
                assert got.dtype == want.dtype, f"{name}.predict has another dtype for y as a list ({form})"
        if hasattr(model, "predict_proba"):
            shares = model.predict_proba(sequences)
            if isinstance(shares, list):  # of each label the shares of no and yes
                shapes = [share.shape for share in shares]
                assert shapes == [(len(y), 2)] * 3, f"{name}.predict_proba of many labels has shapes {shapes}"
                shares = np.stack([share[:, 1] for share in shares], axis=1)
            assert shares.shape == labels.shape, f"{name}.predict_proba of many labels has shape {shares.shape}"
            assert shares.dtype.kind == "f", f"{name}.predict_proba of many labels has dtype {shares.dtype}"
            assert ((shares >= 0) & (shares <= 1)).all(), f"{name}.predict_proba of many labels is not in [0, 1]"
            np.testing.assert_array_equal(shares > 0.5, want, err_msg=f"{name}.predict_proba and predict, {form}")


# ---------------------------------------------------------------------------------------------------------------------
# Numbers
# ---------------------------------------------------------------------------------------------------------------------


@checks(is_regressor)
def check_regressors_train(name: str, estimator: Any) -> None:
    """A regressor learns the mean of a sequence."""
    X, y = problem(estimator, n_samples=90)
    for form, sequences in forms(X):
        for dtype in (np.float64, np.float32):
            given = [x.astype(dtype) for x in sequences] if isinstance(sequences, list) else sequences.astype(dtype)
            model = fresh(estimator, quick=False).fit(given, y)
            values = model.predict(given)
            assert values.shape == y.shape, f"{name}.predict of a {form} has shape {values.shape}, not {y.shape}"
            if not get_tags(estimator).regressor_tags.poor_score:
                score = model.score(given, y)
                assert score > 0.5, f"{name} learns a {form} to an R squared of {score:.2f} only"


@checks(is_regressor, is_deterministic)
def check_regressors_int(name: str, estimator: Any) -> None:
    """Integers as y are the numbers that they are."""
    X, y = problem(estimator)
    integers = np.rint(10 * y).astype(np.int64)
    for form, sequences in forms(X):
        want = answers(fresh(estimator).fit(sequences, integers.astype(np.float64)), sequences)
        got = answers(fresh(estimator).fit(sequences, integers), sequences)
        assert_same_bits(got, want, f"of {name} for y of integers, {form}")


@checks(is_regressor)
def check_regressors_no_decision_function(name: str, estimator: Any) -> None:
    """A regressor has none of the methods of a classifier."""
    X, y = problem(estimator)
    model = fresh(estimator).fit(X, y)
    for method in ("decision_function", "predict_proba", "predict_log_proba"):
        assert not hasattr(model, method), f"{name} is a regressor and has {method}"


def takes_several_numbers(estimator: Any) -> bool:
    """Whether it is a regressor that says so in its tags."""
    return bool(is_regressor(estimator) and get_tags(estimator).target_tags.multi_output)


@checks(takes_several_numbers)
def check_regressor_multioutput(name: str, estimator: Any) -> None:
    """Several numbers for each sequence come back as so many columns of floats."""
    X, _ = problem(estimator, n_samples=90)
    y = target(estimator, np.stack([[x[:, 0].mean(), 100 * x[-1, 1], x[0, 0] - x[0, 1]] for x in X]))
    for form, sequences in forms(X):
        model = fresh(estimator, quick=False).fit(sequences, y)
        values = model.predict(sequences)
        assert values.shape == y.shape, f"{name}.predict of a {form} has shape {values.shape}, not {y.shape}"
        assert values.dtype == np.float64, f"{name}.predict of several targets has dtype {values.dtype}, not float64"
        assert model.score(equal(X) if form == "3-D array" else sequences, y) > 0 or (
            get_tags(estimator).regressor_tags.poor_score
        ), f"{name} learns less of several targets than their means ({form})"
        for method, function in each_method(model):
            assert len(function(sequences)) == len(X), f"{name}.{method} of a {form} answers for other samples"
