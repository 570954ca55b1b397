"""Transformers: what comes out has the samples, the steps and the container of what went in."""

from __future__ import annotations

from typing import Any
from unittest import SkipTest

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from skrnn.testing.checks._data import forms, problem
from skrnn.testing.checks._harness import assert_same_bits, checks, fresh, has, is_deterministic, per_sample, refuses


@checks(has("transform"))
def check_transformer_general(name: str, estimator: Any) -> None:
    """``fit_transform`` is ``fit`` and ``transform``; there is one row, or one sequence, for each sample."""
    X, y = problem(estimator)
    for form, sequences in forms(X):
        model = fresh(estimator).fit(sequences, y)
        result = model.transform(sequences)
        assert len(result) == len(X), f"{name}.transform of a {form}: {len(result)} samples, not {len(X)}"
        if is_deterministic(estimator) and hasattr(model, "fit_transform"):
            want = {"fit_transform": per_sample(result)}
            for _ in range(2):
                got = {"fit_transform": per_sample(model.fit_transform(sequences, y))}
                assert_same_bits(got, want, f"of {name} instead of fit and transform, {form}")


@checks(has("transform"))
def check_transformer_container(name: str, estimator: Any) -> None:
    """Sequences come out as they went in: a list as a list, an array as an array, padding as padding."""
    X, y = problem(estimator)
    for form, sequences in forms(X):
        result = fresh(estimator).fit(sequences, y).transform(sequences)
        if not isinstance(result, (list, tuple)) and np.ndim(result) == 2:
            continue  # a vector for each sample
        assert isinstance(result, (list, tuple)) == isinstance(sequences, list), (
            f"{name}.transform of a {form} is a {type(result).__name__}"
        )
        lengths = [len(x) for x in per_sample(result)]
        expected = [len(x) for x in per_sample(sequences)]
        assert lengths == expected, f"{name}.transform of a {form}: {lengths} steps, not {expected}"


@checks(has("transform", "inverse_transform"))
def check_inverse_transform(name: str, estimator: Any) -> None:
    """``inverse_transform`` takes what ``transform`` gave; sequences come back in their sizes and their container."""
    X, y = problem(estimator)
    for form, sequences in forms(X):
        model = fresh(estimator).fit(sequences, y)
        result = model.inverse_transform(model.transform(sequences))
        assert isinstance(result, (list, tuple)) == isinstance(sequences, list), (
            f"{name}.inverse_transform of a {form} is a {type(result).__name__}"
        )
        shapes, expected = ([x.shape for x in per_sample(value)] for value in (result, sequences))
        assert shapes == expected, f"{name}.inverse_transform of a {form}: shapes {shapes}, not {expected}"


@checks(has("transform"))
def check_transformer_preserves_dtypes(name: str, estimator: Any) -> None:
    """What the tags say is preserved is preserved."""
    X, y = problem(estimator)
    for form, sequences in forms(X):
        for dtype in get_tags(estimator).transformer_tags.preserves_dtype:
            given = [x.astype(dtype) for x in sequences] if isinstance(sequences, list) else sequences.astype(dtype)
            for row in per_sample(fresh(estimator).fit(given, y).transform(given)):
                assert row.dtype == dtype, f"{name}.transform of a {form} of {dtype} has dtype {row.dtype}"


@checks(has("transform", "get_feature_names_out"))
def check_get_feature_names_out(name: str, estimator: Any) -> None:
    """There is a name for each feature that comes out, after ``fit``."""
    X, y = problem(estimator)
    model = fresh(estimator)
    if get_tags(estimator).requires_fit:
        with refuses(f"{name}.get_feature_names_out before fit", kinds=(NotFittedError,)):
            model.get_feature_names_out()
    for form, sequences in forms(X):
        model = fresh(estimator).fit(sequences, y)
        names = model.get_feature_names_out()
        n_features = per_sample(model.transform(sequences))[0].shape[-1]
        assert isinstance(names, np.ndarray), f"{name}.get_feature_names_out is no array but {type(names).__name__}"
        assert names.dtype == object, f"{name}.get_feature_names_out has dtype {names.dtype}, not object"
        assert len(set(names)) == len(names) == n_features, (
            f"{name}.get_feature_names_out gives {len(names)} names, of {len(set(names))} kinds, to the {n_features} "
            f"features of a {form}"
        )


@checks(has("transform", "set_output", "get_feature_names_out"))
def check_set_output(name: str, estimator: Any) -> None:
    """With ``set_output(transform="pandas")`` vectors become a data frame, and sequences stay what they are."""
    try:
        import pandas
    except ImportError as error:
        raise SkipTest("pandas is not installed") from error
    X, y = problem(estimator)
    for form, sequences in forms(X):
        plain = fresh(estimator).fit(sequences, y).transform(sequences)
        result = fresh(estimator).set_output(transform="pandas").fit(sequences, y).transform(sequences)
        if isinstance(plain, (list, tuple)) or np.ndim(plain) != 2:
            assert type(result) is type(plain), f"{name}.transform of a {form} becomes a {type(result).__name__}"
            continue
        assert isinstance(result, pandas.DataFrame), f"{name}.transform of a {form} is a {type(result).__name__}"
        names = list(fresh(estimator).fit(sequences, y).get_feature_names_out())
        assert list(result.columns) == names, f"{name}.transform of a {form} has the columns {list(result.columns)}"
