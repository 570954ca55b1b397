"""Manners: what an estimator of sequences owes its parameters, its attributes and those who copy it."""

from __future__ import annotations

import copy
import pickle
import tempfile
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skrnn.testing.checks._data import forms, problem
from skrnn.testing.checks._harness import (
    answers,
    assert_same_bits,
    checks,
    each_method,
    fresh,
    has,
    is_deterministic,
    partial_fit,
    refuses,
    requires_fit,
)


@checks()
def check_three_d_array_tag(name: str, estimator: Any) -> None:
    """The tags say that 3-D arrays are taken."""
    assert get_tags(estimator).input_tags.three_d_array, (
        f"{name} does not set tags.input_tags.three_d_array in __sklearn_tags__"
    )


@checks()
def check_fit_returns_self(name: str, estimator: Any) -> None:
    """``fit`` takes every form and returns the estimator."""
    X, y = problem(estimator)
    for form, sequences in forms(X):
        model = fresh(estimator)
        assert model.fit(sequences, y) is model, f"{name}.fit of a {form} does not return self"


@checks()
def check_fit_score_takes_y(name: str, estimator: Any) -> None:
    """The methods that a pipeline calls with a target take it, second."""
    X, y = problem(estimator)
    for form, sequences in forms(X):
        model = fresh(estimator)
        for method in ("fit", "score", "fit_predict", "fit_transform"):
            function = getattr(model, method, None)
            if function is None:
                continue
            try:
                function(sequences, y)
            except TypeError as error:
                raise AssertionError(f"{name}.{method} does not take a {form} and y: {error}") from error
            names = [parameter for parameter in signature(function).parameters if parameter != "self"]
            assert names[1] in ("y", "Y"), f"the second argument of {name}.{method} is {names[1]!r}, not 'y'"


@checks(requires_fit)
def check_unfitted(name: str, estimator: Any) -> None:
    """Before ``fit`` every method raises NotFittedError, in every form of X."""
    X, _ = problem(estimator)
    for form, sequences in forms(X):
        for method, function in each_method(fresh(estimator)):
            with refuses(f"{name}.{method} of a {form} before fit", kinds=(NotFittedError,)):
                function(sequences)


@checks(requires_fit)
def check_is_fitted_after_fit(name: str, estimator: Any) -> None:
    """``sklearn.utils.validation.check_is_fitted`` knows before from after."""
    model = fresh(estimator)
    with refuses(f"{name} before fit, by check_is_fitted,", kinds=(NotFittedError,)):
        check_is_fitted(model)
    check_is_fitted(model.fit(*problem(estimator)))


@checks()
def check_parameters_unchanged(name: str, estimator: Any) -> None:
    """``fit`` leaves the parameters as they are, also inside."""
    import joblib  # a requirement of scikit-learn

    X, y = problem(estimator)
    for form, sequences in forms(X):
        model = fresh(estimator)
        before = copy.deepcopy(model.get_params())
        model.fit(sequences, y)
        for parameter, value in model.get_params().items():
            assert joblib.hash(value) == joblib.hash(before[parameter]), (
                f"{name}.fit of a {form} changes {parameter} from {before[parameter]!r} to {value!r}"
            )


@checks()
def check_only_fitted_attributes(name: str, estimator: Any) -> None:
    """``fit`` sets attributes that end or begin with an underscore, and no others."""
    X, y = problem(estimator)
    for form, sequences in forms(X):
        model = fresh(estimator)
        before = dict(vars(model))
        model.fit(sequences, y)
        for attribute, value in vars(model).items():
            if not (attribute.startswith("_") or attribute.endswith("_")):
                assert attribute in before, f"{name}.fit of a {form} adds the public attribute {attribute}"
                assert value is before[attribute], f"{name}.fit of a {form} replaces the public attribute {attribute}"


@checks()
def check_dict_unchanged(name: str, estimator: Any) -> None:
    """Methods that answer change nothing in the estimator: neither its attributes nor what they hold."""
    import joblib

    X, y = problem(estimator)
    model = fresh(estimator).fit(X, y)
    for form, sequences in forms(X):
        for method, function in each_method(model):
            attributes, contents = dict(vars(model)), joblib.hash(vars(model))
            function(sequences)
            now = vars(model)
            changed = [key for key in {*attributes, *now} if attributes.get(key) is not now.get(key)]
            assert not changed, f"{name}.{method} of a {form} changes {changed}"
            assert joblib.hash(now) == contents, f"{name}.{method} of a {form} changes what an attribute holds"


@checks(is_deterministic)
def check_clone(name: str, estimator: Any) -> None:
    """A clone has the parameters and nothing that was fitted, and learns the same."""
    X, y = problem(estimator)
    model = fresh(estimator).fit(X, y)
    other = clone(model)
    left = [attribute for attribute in vars(other) if attribute.endswith("_") and not attribute.startswith("_")]
    assert not left, f"a clone of {name} has the fitted attributes {left}"
    assert_same_bits(answers(other.fit(X, y), X), answers(model, X), f"of a clone of {name} fitted again")


@checks()
def check_get_and_set_params(name: str, estimator: Any) -> None:
    """What ``set_params`` sets ``get_params`` gets, the very object, without a complaint before ``fit``."""
    model = clone(estimator)
    parameters = model.get_params(deep=False)
    deep = model.get_params(deep=True)
    assert parameters.items() <= deep.items(), f"{name}.get_params(deep=True) lacks what deep=False has"
    for parameter, value in parameters.items():
        for other in (object(), value):
            assert model.set_params(**{parameter: other}) is model, f"{name}.set_params does not return self"
            assert model.get_params(deep=False)[parameter] is other, (
                f"{name}.get_params does not return the {parameter} that set_params got"
            )


@checks()
def check_pickle(name: str, estimator: Any) -> None:
    """Pickled and deep-copied estimators answer the same."""
    X, y = problem(estimator)
    for form, sequences in forms(X):
        model = fresh(estimator).fit(sequences, y)
        want = answers(model, sequences)
        assert_same_bits(answers(pickle.loads(pickle.dumps(model)), sequences), want, f"of {name} unpickled, {form}")
        assert_same_bits(answers(copy.deepcopy(model), sequences), want, f"of {name} copied, {form}")


@checks()
def check_pickle_from_readonly_memmap(name: str, estimator: Any) -> None:
    """An estimator that joblib maps from a file, read-only, as it does for other processes, answers the same."""
    import joblib

    X, y = problem(estimator)
    model = fresh(estimator).fit(X, y)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.joblib"
        joblib.dump(model, path)
        other = joblib.load(path, mmap_mode="r")
        assert_same_bits(answers(other, X), answers(model, X), f"of {name} from a memory map")
        del other


@checks(is_deterministic)
def check_pipeline_consistency(name: str, estimator: Any) -> None:
    """In a pipeline of its own the estimator is the same."""
    X, y = problem(estimator)
    for form, sequences in forms(X):
        model = fresh(estimator).fit(sequences, y)
        pipeline = make_pipeline(fresh(estimator)).fit(sequences, y)
        what = f"of {name} in a pipeline, {form}"
        assert_same_bits(answers(pipeline, sequences), answers(model, sequences), what)
        if hasattr(model, "score"):
            assert pipeline.score(sequences, y) == model.score(sequences, y), f"score {what} differs"


@checks(is_deterministic)
def check_fit_idempotent(name: str, estimator: Any) -> None:
    """A second ``fit`` of the same estimator gives the same, whatever came between."""
    X, y = problem(estimator)
    others, y_others = problem(estimator, n_samples=12, n_features=3, seed=1)
    for form, sequences in forms(X):
        model = fresh(estimator).fit(sequences, y)
        want = answers(model, sequences)
        assert_same_bits(answers(model.fit(sequences, y), sequences), want, f"of {name} fitted twice, {form}")
        model.fit(others, y_others)
        assert_same_bits(answers(model.fit(sequences, y), sequences), want, f"of {name} fitted thrice, {form}")


@checks(is_deterministic, has("random_state"))
def check_global_random_state_unchanged(name: str, estimator: Any) -> None:
    """With a seed of its own, an estimator neither reads nor moves NumPy's global random state."""
    X, y = problem(estimator)
    state = np.random.get_state()  # noqa: NPY002
    try:
        results = []
        for seed in (1, 2):
            np.random.seed(seed)  # noqa: NPY002
            before = np.random.get_state()[1].copy()  # type: ignore[index] # noqa: NPY002
            results.append(answers(fresh(estimator).fit(X, y), X))
            after = np.random.get_state()[1]  # type: ignore[index] # noqa: NPY002
            assert np.array_equal(before, after), f"{name} draws from NumPy's global random state"
    finally:
        np.random.set_state(state)  # noqa: NPY002
    assert_same_bits(results[1], results[0], f"of {name} depends on NumPy's global random state")


@checks(has("max_iter"))
def check_n_iter(name: str, estimator: Any) -> None:
    """Who has ``max_iter`` says in ``n_iter_`` how many iterations it took."""
    X, y = problem(estimator)
    for form, sequences in forms(X):
        n_iter = np.asarray(fresh(estimator).fit(sequences, y).n_iter_)
        assert np.all(n_iter >= 1), f"{name}.n_iter_ after fit of a {form} is {n_iter}, not at least 1"


@checks(has("partial_fit"))
def check_partial_fit_returns_self(name: str, estimator: Any) -> None:
    """``partial_fit`` takes every form, first and later, and fits."""
    X, y = problem(estimator)
    for form, sequences in forms(X):
        model = fresh(estimator)
        for _ in range(2):
            assert partial_fit(model, sequences, y) is model, f"{name}.partial_fit of a {form} does not return self"
            check_is_fitted(model)
