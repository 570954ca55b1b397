"""Weights: of samples, and of classes."""

from __future__ import annotations

from typing import Any
from unittest import SkipTest

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import get_tags
from sklearn.utils.class_weight import compute_class_weight

from skrnn.testing.checks._data import NotAnArray, blobs, forms, problem, target
from skrnn.testing.checks._harness import (
    answers,
    assert_close,
    assert_same_bits,
    checks,
    fresh,
    has,
    is_deterministic,
    refuses,
    takes_sample_weight,
)
from skrnn.testing.checks.targets import has_one_output

# ---------------------------------------------------------------------------------------------------------------------
# sample_weight
# ---------------------------------------------------------------------------------------------------------------------


@checks(takes_sample_weight, is_deterministic)
def check_sample_weight_kinds(name: str, estimator: Any) -> None:
    """Weights may be an array, a list, or what can be turned into an array; ones and None are the same."""
    X, y = problem(estimator)
    weight = 1.0 + np.arange(len(X)) % 3
    for form, sequences in forms(X):
        want = answers(fresh(estimator).fit(sequences, y, sample_weight=weight), sequences)
        kinds = {
            "a list": weight.tolist(),
            "an array of integers": weight.astype(int),
            "an array of float32": weight.astype(np.float32),
            "what is no array": NotAnArray(weight),
        }
        for kind, given in kinds.items():
            got = answers(fresh(estimator).fit(sequences, y, sample_weight=given), sequences)
            assert_same_bits(got, want, f"of {name} with sample_weight as {kind}, {form}")
        plain = answers(fresh(estimator).fit(sequences, y), sequences)
        for given in (None, np.ones(len(X))):
            got = answers(fresh(estimator).fit(sequences, y, sample_weight=given), sequences)
            assert_same_bits(
                got, plain, f"of {name} with sample_weight {'None' if given is None else 'of ones'}, {form}"
            )


@checks(takes_sample_weight, is_deterministic)
def check_sample_weight_series(name: str, estimator: Any) -> None:
    """Weights may be a pandas series, whose index does not matter."""
    try:
        import pandas
    except ImportError as error:
        raise SkipTest("pandas is not installed") from error
    X, y = problem(estimator)
    weight = 1.0 + np.arange(len(X)) % 3
    series = pandas.Series(weight, index=np.arange(len(X))[::-1])
    want = answers(fresh(estimator).fit(X, y, sample_weight=weight), X)
    got = answers(fresh(estimator).fit(X, y, sample_weight=series), X)
    assert_same_bits(got, want, f"of {name} with sample_weight as a series")


@checks(takes_sample_weight)
def check_sample_weight_shape(name: str, estimator: Any) -> None:
    """Weights that are not one finite number for each sample, or all zero, are refused."""
    X, y = problem(estimator)
    n = len(X)
    wrong = {
        "twice as many weights as samples": np.ones(2 * n),
        "too few weights": np.ones(n - 1),
        "two columns of weights": np.ones((n, 2)),
        "a weight that is NaN": np.where(np.arange(n) == 3, np.nan, 1.0),
        "a weight that is infinite": np.where(np.arange(n) == 3, np.inf, 1.0),
    }
    for form, sequences in forms(X):
        for what, weight in wrong.items():
            with refuses(f"{name}.fit of a {form} with {what}"):
                fresh(estimator).fit(sequences, y, sample_weight=weight)
        with refuses(f"{name}.fit of a {form} with weights that are all zero", "(weight.*zero)|(zero.*weight)"):
            fresh(estimator).fit(sequences, y, sample_weight=np.zeros(n))


@checks(takes_sample_weight)
def check_sample_weight_unchanged(name: str, estimator: Any) -> None:
    """``fit`` does not write to the weights."""
    X, y = problem(estimator)
    for form, sequences in forms(X):
        weight = 1.0 + np.arange(len(X)) % 3
        before = weight.copy()
        fresh(estimator).fit(sequences, y, sample_weight=weight)
        assert np.array_equal(weight, before), f"{name}.fit of a {form} changes sample_weight"
        weight.flags.writeable = False
        fresh(estimator).fit(sequences, y, sample_weight=weight)


@checks(takes_sample_weight, is_deterministic)
def check_sample_weight_equivalence(name: str, estimator: Any) -> None:
    """A weight of 0 removes a sample, and a whole number repeats it. Learning in small batches cannot fulfil this."""
    X, y = problem(estimator, n_samples=15)
    times = np.random.default_rng(0).integers(0, 4, len(X))
    times[:3] = 0, 2, 1  # both are there
    repeated = [x for x, n in zip(X, times, strict=True) for _ in range(n)]
    for form, sequences in forms(X):
        others = dict(forms(repeated))[form]
        want = answers(fresh(estimator).fit(others, y.repeat(times, axis=0)), sequences)
        got = answers(fresh(estimator).fit(sequences, y, sample_weight=times), sequences)
        single = any(rows[0].dtype == np.float32 for rows in want.values())
        what = f"of {name}: sample_weight of whole numbers and samples repeated so many times, {form}"
        assert_close(got, want, what, rtol=1e-4 if single else 1e-7, atol=1e-5 if single else 1e-9)


@checks(takes_sample_weight, is_classifier, has_one_output)
def check_classifiers_one_label_sample_weights(name: str, estimator: Any) -> None:
    """Where weights leave one label it is the answer, unless the error says that one class is too few."""
    X, _ = problem(estimator)
    y = np.arange(len(X)) % 2
    for form, sequences in forms(X):
        with refuses(f"{name}.fit of a {form}, one label by weights,", r"\bclass", may_pass=True):
            model = fresh(estimator, quick=False).fit(sequences, y, sample_weight=y.astype(float))
            if not (model.predict(sequences) == 1).all():
                raise AssertionError(f"{name}: weights leave the label 1 alone, and others are predicted ({form})")


# ---------------------------------------------------------------------------------------------------------------------
# class_weight
# ---------------------------------------------------------------------------------------------------------------------


@checks(is_classifier, has_one_output, has("class_weight"))
def check_class_weight(name: str, estimator: Any) -> None:
    """A class of great weight is predicted nearly always where nothing else is to be learned."""
    X, y = problem(estimator, n_samples=60)
    noise = np.random.default_rng(0)
    X = [noise.standard_normal(x.shape) for x in X]
    weight = {int(label): 1e-4 for label in np.unique(y)} | {0: 1000.0}
    for form, sequences in forms(X):
        model = fresh(estimator, quick=False).set_params(class_weight=weight).fit(sequences, y)
        share = np.mean(model.predict(sequences) == 0)
        assert share > 0.87 or get_tags(estimator).classifier_tags.poor_score, (
            f"{name} predicts class 0 of {form} in {share:.0%} of noise, although class_weight is {weight}"
        )


@checks(is_classifier, has_one_output, has("class_weight"), is_deterministic)
def check_class_weight_balanced(name: str, estimator: Any) -> None:
    """'balanced' weights classes by how rare they are; a class that is not in the dict weighs 1."""
    X, labels = blobs(24, 2, 2)
    y = target(estimator, np.where(np.arange(24) % 4 == 0, labels, 1))
    y[:2] = 0, 1
    classes = np.unique(y)
    computed = dict(zip(classes.tolist(), compute_class_weight("balanced", classes=classes, y=y), strict=True))
    for form, sequences in forms(X):
        want = answers(fresh(estimator).set_params(class_weight=computed).fit(sequences, y), sequences)
        got = answers(fresh(estimator).set_params(class_weight="balanced").fit(sequences, y), sequences)
        assert_same_bits(got, want, f"of {name} with class_weight='balanced' and with the same as a dict, {form}")
        whole = answers(fresh(estimator).set_params(class_weight={0: 2.0, 1: 1.0}).fit(sequences, y), sequences)
        part = answers(fresh(estimator).set_params(class_weight={0: 2.0}).fit(sequences, y), sequences)
        assert_same_bits(part, whole, f"of {name} with class_weight that leaves a class out, {form}")
        if takes_sample_weight(estimator):
            each = np.where(y == 0, 2.0, 1.0)
            got = answers(fresh(estimator).fit(sequences, y, sample_weight=each), sequences)
            assert_same_bits(got, whole, f"of {name} with class_weight and with the same as sample_weight, {form}")
