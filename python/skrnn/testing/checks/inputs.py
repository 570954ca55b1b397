"""Input: every way to write the same sequences means the same, and what is wrong is refused by name."""

from __future__ import annotations

import copy
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import SkipTest

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import get_tags

from skrnn.testing.checks._data import Array, NotAnArray, equal, forms, pad, problem, spoiled
from skrnn.testing.checks._harness import (
    answers,
    assert_close,
    assert_same_bits,
    checks,
    each_method,
    fresh,
    has,
    is_deterministic,
    partial_fit,
    refuses,
    refuses_nan,
    requires_y,
    takes_numbers_only,
    validates,
)

# ---------------------------------------------------------------------------------------------------------------------
# The same sequences, written in other ways
# ---------------------------------------------------------------------------------------------------------------------


def assert_read_alike(name: str, estimator: Any, X: Any, y: Any, others: dict[str, Any], y_others: Any = None) -> None:
    """Assert that the estimator learns and answers the same from ``X`` and from other ways to write it."""
    want = answers(fresh(estimator).fit(X, y), X)
    for what, other in others.items():
        try:
            model = fresh(estimator).fit(other, y if y_others is None else y_others)
            got = answers(model, other)
        except Exception as error:
            raise AssertionError(f"{name} does not read {what}: {type(error).__name__}: {error}") from error
        assert_same_bits(got, want, f"of {name} that was given {what}")


@checks()
def check_dtypes(name: str, estimator: Any) -> None:
    """Numbers of any precision are read, and the same numbers mean the same."""
    X, y = problem(estimator)
    X = [np.rint(4 * x) for x in X]
    for form, sequences in forms(X):
        want = answers(fresh(estimator).fit(sequences, y), sequences)
        for dtype in (np.float32, np.int64, np.int32):
            if np.issubdtype(dtype, np.integer) and form == "array padded with NaN":
                continue
            other = [x.astype(dtype) for x in sequences] if isinstance(sequences, list) else sequences.astype(dtype)
            got = answers(fresh(estimator).fit(other, y), other)
            # Labels may depend on the last bits where two classes are close, so numbers alone are compared.
            numbers = {method: value for method, value in want.items() if value[0].dtype.kind == "f"}
            assert_close(got, numbers, f"of {name} for a {form} of {np.dtype(dtype)}", rtol=1e-2, atol=1e-2)


@checks(is_deterministic)
def check_memory_layouts(name: str, estimator: Any) -> None:
    """Order in memory, strides and views do not matter."""
    X, y = problem(estimator)
    wide = [np.repeat(np.repeat(x, 2, axis=0), 3, axis=1) for x in X]
    lists = {
        "a list of Fortran-ordered arrays": [np.asfortranarray(x) for x in X],
        "a list of strided arrays": [x[::2, ::3] for x in wide],
        "a list of arrays that lie backwards": [x[::-1, ::-1].copy()[::-1, ::-1] for x in X],
        "a list of views of one array": [row[: len(x)] for row, x in zip(pad(X), X, strict=True)],
        "a tuple of arrays": tuple(X),
    }
    assert_read_alike(name, estimator, X, y, lists)
    for form, sequences in forms(X):
        if not isinstance(sequences, list):
            arrays = {
                f"a Fortran-ordered {form}": np.asfortranarray(sequences),
                f"a strided {form}": np.repeat(np.repeat(sequences, 2, axis=1), 3, axis=2)[:, ::2, ::3],
                f"a {form} that lies backwards": sequences[::-1, ::-1].copy()[::-1, ::-1],
                f"a {form} with time first in memory": sequences.transpose(1, 0, 2).copy().transpose(1, 0, 2),
            }
            assert_read_alike(name, estimator, sequences, y, arrays)


@contextmanager
def memory_mapped(arrays: list[Array]) -> Iterator[list[Array]]:
    """Let arrays lie in files, read-only, as joblib hands large ones to other processes."""
    with tempfile.TemporaryDirectory() as folder:
        mapped = []
        for k, array in enumerate(arrays):
            path = Path(folder) / f"{k}.npy"
            np.save(path, array)
            mapped.append(np.load(path, mmap_mode="r"))
        yield mapped
        del mapped


@checks(is_deterministic)
def check_readonly_memmap(name: str, estimator: Any) -> None:
    """Arrays that cannot be written to are read."""
    X, y = problem(estimator)
    for form, sequences in forms(X):
        if isinstance(sequences, list):
            with memory_mapped([*sequences, y]) as mapped:
                assert_read_alike(name, estimator, X, y, {"a list of memory maps": mapped[:-1]}, mapped[-1])
        else:
            with memory_mapped([sequences, y]) as mapped:
                assert_read_alike(name, estimator, sequences, y, {f"a memory map, {form}": mapped[0]}, mapped[1])


@checks()
def check_input_unchanged(name: str, estimator: Any) -> None:
    """Neither ``fit`` nor any answer writes to X or y."""
    X, y = problem(estimator)
    for form, sequences in forms(X):
        given, target = copy.deepcopy((sequences, y))

        def assert_unchanged(
            method: str, form: str = form, now: Any = (given, target), old: Any = (sequences, y)
        ) -> None:
            pairs = zip([*now[0], now[1]], [*old[0], old[1]], strict=True)
            assert all(array.tobytes() == before.tobytes() for array, before in pairs), (
                f"{name}.{method} changes the {form} or the y that it is given"
            )

        model = fresh(estimator).fit(given, target)
        assert_unchanged("fit")
        for method, function in each_method(model):
            function(given)
            assert_unchanged(method)


@checks(is_deterministic)
def check_data_not_an_array(name: str, estimator: Any) -> None:
    """What can be turned into an array is read as one."""
    X, y = problem(estimator)
    not_arrays = {"a list of what is no array": [NotAnArray(x) for x in X]}
    assert_read_alike(name, estimator, X, y, not_arrays, NotAnArray(y))
    for form, sequences in forms(X):
        if not isinstance(sequences, list):
            not_array = {f"what is no array, {form}": NotAnArray(sequences)}
            assert_read_alike(name, estimator, sequences, y, not_array, NotAnArray(y))


@checks(is_deterministic)
def check_nested_lists(name: str, estimator: Any) -> None:
    """Lists of lists of lists are read, and y as a list; so are arrays of objects that are sequences."""
    X, y = problem(estimator)
    objects = np.empty(len(X), dtype=object)
    objects[:] = X
    nested = {"a list of lists": [x.tolist() for x in X], "an array of sequences": objects}
    assert_read_alike(name, estimator, X, y, nested, y.tolist())
    rows = equal(X)
    assert_read_alike(name, estimator, rows, y, {"equally long lists of lists": rows.tolist()}, y.tolist())


@checks()
def check_dtype_object(name: str, estimator: Any) -> None:
    """Objects that are numbers are read as numbers; others are refused."""
    X, y = problem(estimator)
    others = {"a list of arrays of objects": [x.astype(object) for x in X]}
    if is_deterministic(estimator):
        assert_read_alike(name, estimator, X, y, others)
        rows = equal(X)
        assert_read_alike(name, estimator, rows, y, {"a 3-D array of objects": rows.astype(object)})
    if takes_numbers_only(estimator) and validates(estimator):
        for form, sequences in forms(X):
            wrong: Any = [x.astype(object) for x in X] if isinstance(sequences, list) else sequences.astype(object)
            wrong[3][0, 0] = {"foo": "bar"}
            with refuses(f"a {form} that holds a dict", "number", kinds=(TypeError, ValueError)):
                fresh(estimator).fit(wrong, y)


def data_frames(X: list[Array], library: str) -> list[Any]:
    """Return sequences as data frames with named columns."""
    try:
        frames = __import__(library)
    except ImportError as error:
        raise SkipTest(f"{library} is not installed") from error
    return [frames.DataFrame({f"feature {k}": x[:, k] for k in range(x.shape[1])}) for x in X]


def assert_reads_frames(name: str, estimator: Any, library: str) -> None:
    """Assert that a list of data frames is read as a list of arrays, and that their column names are kept."""
    X, y = problem(estimator)
    frames = data_frames(X, library)
    assert_read_alike(name, estimator, X, y, {f"a list of {library} data frames": frames})
    model = fresh(estimator).fit(frames, y)
    assert list(model.feature_names_in_) == ["feature 0", "feature 1"], f"{name}.feature_names_in_ are others"
    renamed = [frame.rename(**_renaming(library)) for frame in frames]
    for method, function in each_method(model):
        with refuses(f"{name}.{method} of data frames with other column names", "feature names"):
            function(renamed)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            function(X)
        assert any("feature names" in str(warning.message) for warning in caught), (
            f"{name}.{method} does not warn of arrays after fit of data frames with column names"
        )


def _renaming(library: str) -> dict[str, Any]:
    names = {"feature 1": "another"}
    return {"columns": names} if library == "pandas" else {"mapping": names}


@checks(is_deterministic)
def check_pandas_data_frames(name: str, estimator: Any) -> None:
    """A list of pandas data frames is a list of sequences with named features; a series is a target."""
    assert_reads_frames(name, estimator, "pandas")
    import pandas

    X, y = problem(estimator)
    if y.ndim == 1:
        series = pandas.Series(y, index=np.arange(len(y))[::-1])
        assert_read_alike(name, estimator, X, y, {"y as a series": X}, series)


@checks(is_deterministic)
def check_polars_data_frames(name: str, estimator: Any) -> None:
    """A list of polars data frames is a list of sequences with named features."""
    assert_reads_frames(name, estimator, "polars")


# ---------------------------------------------------------------------------------------------------------------------
# Features
# ---------------------------------------------------------------------------------------------------------------------


@checks(validates)
def check_n_features_in(name: str, estimator: Any) -> None:
    """``n_features_in_`` counts the features of a time step, and is there after ``fit`` alone."""
    X, y = problem(estimator)
    for form, sequences in forms(X):
        model = fresh(estimator)
        assert not hasattr(model, "n_features_in_"), f"{name} has n_features_in_ before fit"
        model.fit(sequences, y)
        assert model.n_features_in_ == 2, (
            f"{name}.n_features_in_ after fit of a {form} with 2 features at each step is {model.n_features_in_}"
        )


@checks(validates)
def check_n_features_in_after_fitting(name: str, estimator: Any) -> None:
    """Other numbers of features are refused later, with scikit-learn's text."""
    X, y = problem(estimator)
    model = fresh(estimator).fit(X, y)
    text = r"X has 1 features, but \w+ is expecting 2 features as input"
    for form, sequences in forms([x[:, :1] for x in X]):
        for method, function in each_method(model):
            with refuses(f"{name}.{method} of a {form} with 1 feature instead of 2", text):
                function(sequences)
        if hasattr(model, "score"):
            with refuses(f"{name}.score of a {form} with 1 feature instead of 2", text):
                model.score(sequences, y)


@checks(validates, has("partial_fit"))
def check_partial_fit_n_features(name: str, estimator: Any) -> None:
    """So they are by a later ``partial_fit``."""
    X, y = problem(estimator)
    model = partial_fit(fresh(estimator), X, y)
    for form, sequences in forms([x[:, :1] for x in X]):
        with refuses(f"{name}.partial_fit of a {form} with 1 feature instead of 2", "1 feature.* 2 feature"):
            partial_fit(model, sequences, y)


@checks(validates)
def check_features_of_each_sequence(name: str, estimator: Any) -> None:
    """All sequences of a list must have one number of features; the error names the first that has not."""
    X, y = problem(estimator)
    wrong = [*X[:5], X[5][:, :1], *X[6:]]
    for what, function in _fit_and_ask(estimator, X, y):
        with refuses(f"{name}.{what} of a list whose item 5 has 1 feature and the others 2", r"(X\[|sample )5\b"):
            function(wrong)


# ---------------------------------------------------------------------------------------------------------------------
# What is refused
# ---------------------------------------------------------------------------------------------------------------------


def _fit_and_ask(estimator: Any, X: Any, y: Any) -> list[tuple[str, Any]]:
    """Return ``fit`` of a new estimator, and each method of one that is fitted."""
    model = fresh(estimator).fit(X, y)
    return [("fit", lambda Z: fresh(estimator).fit(Z, y)), *each_method(model)]


@checks(validates, refuses_nan)
def check_nan_and_infinity(name: str, estimator: Any) -> None:
    """Not-a-number and infinity are refused; the error names the sample and the step."""
    X, y = problem(estimator)
    sample = next(k for k, x in enumerate(X) if k > 2 and len(x) > 3)
    for form, sequences in forms(X):
        for what, function in _fit_and_ask(estimator, sequences, y):
            for value, word in ((np.nan, "NaN"), (np.inf, "inf"), (-np.inf, "inf")):
                text = rf"(?=.*{word})(?=.*(X\[|[Ss]ample ){sample}\b)(?=.*[Ss]tep 2\b)"
                with refuses(f"{name}.{what} of a {form} with {value} in sample {sample} at step 2", text):
                    function(spoiled(sequences, sample, 2, value))


@checks(validates, refuses_nan)
def check_gaps_in_padding(name: str, estimator: Any) -> None:
    """Steps that are NaN are padding at the end of a sequence alone; a sequence of padding alone is refused."""
    X, y = problem(estimator)
    sample = next(k for k, x in enumerate(X) if k > 2 and len(x) > 3)
    padded = pad(X)
    gap, nothing = padded.copy(), padded.copy()
    gap[sample, 1] = np.nan
    nothing[sample] = np.nan
    where = rf"(?=.*NaN)(?=.*(X\[|[Ss]ample ){sample}\b)"
    for what, function in _fit_and_ask(estimator, padded, y):
        with refuses(f"{name}.{what} of sample {sample} with NaN at step 1, but not at its end", where):
            function(gap)
        with refuses(f"{name}.{what} of sample {sample} that is nothing but padding", where):
            function(nothing)


@checks(validates)
def check_empty_data_messages(name: str, estimator: Any) -> None:
    """No samples, no time steps and no features are each refused by name."""
    X, y = problem(estimator)
    rows = equal(X)
    empty: list[tuple[str, str, Any]] = [
        ("a 3-D array", "sample", rows[:0]),
        ("a 3-D array", "step", rows[:, :0]),
        ("a 3-D array", "feature", rows[:, :, :0]),
        ("a list", "sample", []),
        ("a list", "step", [*X[:5], X[5][:0], *X[6:]]),
        ("a list", "feature", [x[:, :0] for x in X]),
    ]
    model = fresh(estimator).fit(X, y)
    for form, axis, wrong in empty:
        text = rf"0 (time )?{axis}"
        with refuses(f"{name}.fit of {form} with 0 {axis}s", text):
            fresh(estimator).fit(wrong, y[: len(wrong)])
        for method, function in each_method(model):
            with refuses(f"{name}.{method} of {form} with 0 {axis}s", text):
                function(wrong)


@checks(validates)
def check_complex_data(name: str, estimator: Any) -> None:
    """Complex numbers are refused with scikit-learn's text."""
    X, y = problem(estimator)
    for form, sequences in forms(X):
        wrong = [x + 1j for x in sequences] if isinstance(sequences, list) else sequences + 1j
        for what, function in _fit_and_ask(estimator, sequences, y):
            with refuses(f"{name}.{what} of a {form} of complex numbers", "Complex data not supported"):
                function(wrong)


@checks(validates, takes_numbers_only)
def check_strings(name: str, estimator: Any) -> None:
    """Words are refused."""
    X, y = problem(estimator)
    wrong = {
        "a list of arrays of words": [np.full(x.shape, "word") for x in X],
        "a list of lists of words": [np.full(x.shape, "word").tolist() for x in X],
        "a 3-D array of words": np.full(equal(X).shape, "word"),
        "a list of words": ["word"] * len(X),
    }
    for form, sequences in wrong.items():
        for what, function in _fit_and_ask(estimator, X, y):
            with refuses(f"{name}.{what} of {form}", "string|number|str", kinds=(TypeError, ValueError)):
                function(sequences)


@checks(validates)
def check_sparse_sequences(name: str, estimator: Any) -> None:
    """A list of sparse arrays is read, or refused as such."""
    from scipy import sparse  # a requirement of scikit-learn

    X, y = problem(estimator)
    for kind in (sparse.csr_array, sparse.csr_matrix, sparse.coo_array):
        what = f"{name}.fit of a list of {kind.__name__}"
        with refuses(what, "[Ss]parse", kinds=(TypeError, ValueError), may_pass=True):
            fresh(estimator).fit([kind(x) for x in X], y)


@checks(validates)
def check_too_many_dimensions(name: str, estimator: Any) -> None:
    """Samples, time, features: a fourth axis is refused, and so are sequences of three."""
    X, y = problem(estimator)
    for what, function in _fit_and_ask(estimator, X, y):
        with refuses(f"{name}.{what} of a 4-D array", r"\b(4|dim)"):
            function(equal(X)[..., np.newaxis])
        with refuses(f"{name}.{what} of a list of 3-D arrays", r"\b(3|dim|shape)"):
            function([x[..., np.newaxis] for x in X])
        with refuses(f"{name}.{what} of a list of numbers", "[Rr]eshape|[Ee]xpected|shape"):
            function([1.0] * len(X))


@checks(validates, requires_y)
def check_consistent_length(name: str, estimator: Any) -> None:
    """As many targets as sequences, no fewer and no more."""
    X, y = problem(estimator)
    for form, sequences in forms(X):
        for wrong in (y[:-1], np.concatenate([y, y])):
            with refuses(f"{name}.fit of a {form}, {len(X)} sequences with {len(wrong)} targets"):
                fresh(estimator).fit(sequences, wrong)


@checks(validates, requires_y)
def check_y(name: str, estimator: Any) -> None:
    """No target where one is required, and targets that are not finite, are refused."""
    X, y = problem(estimator)
    missing = "requires y to be passed, but the target y is None|y should be a 1d array"
    for form, sequences in forms(X):
        with refuses(f"{name}.fit of a {form} with y=None", missing):
            fresh(estimator).fit(sequences, None)
        for value in (np.nan, np.inf):
            wrong = y.astype(float)
            wrong[3] = value
            with refuses(f"{name}.fit of a {form} with {value} in y"):
                fresh(estimator).fit(sequences, wrong)
    if is_classifier(estimator) and get_tags(estimator).target_tags.single_output:
        with refuses(f"{name}.fit with labels that are numbers of a continuum", "Unknown label type|continuous"):
            fresh(estimator).fit(X, np.linspace(0, 1, len(X)) ** 2 + 0.1)
