"""Padding and aeon's order of axes: there and back again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from running import assert_same_bits
from skrnn import RNNClassifier
from skrnn.preprocessing import from_aeon, pad_sequences, to_aeon, unpad_sequences


def ragged(dtype: str, *shape: int) -> list[Any]:
    rng = np.random.default_rng(0)
    return [rng.integers(1, 100, size=(t, *shape)).astype(dtype) for t in (3, 1, 5, 2)]


@pytest.mark.parametrize("shape", [(), (1,), (3,)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8"])
def test_there_and_back(dtype: str, shape: tuple[int, ...]) -> None:
    X = ragged(dtype, *shape)
    for length in (None, 5, 8):
        padded = pad_sequences(X, length=length)
        assert padded.shape == (4, length or 5, *shape)
        assert padded.dtype == dtype
        for row, x in zip(padded, X, strict=True):
            assert_same_bits(row[: len(x)], x)
            rest = row[len(x) :]
            assert np.isnan(rest).all() if dtype.startswith("float") else (rest == 0).all()
        back = unpad_sequences(padded)
        for got, x in zip(back, X, strict=True):
            assert_same_bits(got, x)
        back[0][...] = 7
        assert (padded[0, 0] == X[0][0]).all()  # copies


def test_truncation() -> None:
    X = [np.arange(1, 6), np.arange(1, 3)]
    assert pad_sequences(X, length=3).tolist() == [[3, 4, 5], [1, 2, 0]]
    assert pad_sequences(X, length=3, truncate="post").tolist() == [[1, 2, 3], [1, 2, 0]]


def test_what_is_padded_already() -> None:
    """Its padding counts as no step: the last real steps are kept."""
    X = ragged("float64", 2)
    want = pad_sequences(X, length=2)
    assert_same_bits(pad_sequences(pad_sequences(X, length=9), length=2), want)
    assert_same_bits(
        pad_sequences(pad_sequences(X, value=-1), value=-1, length=4), pad_sequences(X, value=-1, length=4)
    )


@pytest.mark.parametrize(
    ("dtype", "value", "result"),
    [
        ("int64", np.nan, "float64"),
        ("int64", -1, "int64"),
        ("uint8", -1, "int16"),
        ("float32", 0, "float32"),
        ("bool", 0, "uint8"),
    ],
)
def test_the_dtype_holds_the_value(dtype: str, value: Any, result: str) -> None:
    padded = pad_sequences([np.ones(2, dtype), np.ones(1, dtype)], value=value)
    assert padded.dtype == result
    np.testing.assert_array_equal(padded, [[1, 1], [1, value]])


def test_labels() -> None:
    X = [np.array(["noun", "verb"]), np.array(["adverb"])]
    padded = pad_sequences(X, value="")
    assert padded.tolist() == [["noun", "verb"], ["adverb", ""]]
    assert [x.tolist() for x in unpad_sequences(padded, value="")] == [["noun", "verb"], ["adverb"]]


def test_rows_of_nothing() -> None:
    assert [len(x) for x in unpad_sequences(np.array([[0, 0], [1, 0]]))] == [0, 1]
    assert pad_sequences([np.zeros((0, 2)), np.ones((1, 2))]).shape == (2, 1, 2)


def test_estimators_read_it() -> None:
    X, y = ragged("float64", 2), [0, 1, 0, 1]
    X = [x / 100 for x in X]
    model = RNNClassifier("rnn", hidden_size=4, max_iter=2, tol=None, random_state=0).fit(X, y)
    assert_same_bits(model.predict_proba(pad_sequences(X)), model.predict_proba(X))


@pytest.mark.parametrize(
    ("options", "X", "text"),
    [
        ({"truncate": "start"}, [np.zeros(2)], "truncate must be 'pre' or 'post', got 'start'"),
        ({"length": 0}, [np.zeros(2)], "length must be None or an int of at least 1, got 0"),
        ({}, [], "at least one sequence"),
        ({}, [np.zeros(2), np.zeros((2, 1))], r"X\[1\] has shape \(2, 1\), but X\[0\] has shape \(2,\)"),
        ({}, [np.array(["a"])], "value must be given for sequences of dtype"),
        ({"value": "x"}, [np.zeros(2)], "value must be a number"),
        ({}, np.zeros(3), r"X must have shape \(n, n_timesteps, n_features\)"),
    ],
)
def test_bad_input(options: dict[str, Any], X: Any, text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text):
        pad_sequences(X, **options)


# ---------------------------------------------------------------------------------------------------------------------
# aeon
# ---------------------------------------------------------------------------------------------------------------------


def test_aeon_s_axes() -> None:
    theirs = np.random.default_rng(0).normal(size=(4, 3, 5))  # cases, channels, time
    ours = from_aeon(theirs)
    assert ours.shape == (4, 5, 3)
    assert ours[2, 4, 1] == theirs[2, 1, 4]
    assert ours.flags.c_contiguous
    assert_same_bits(to_aeon(ours), theirs)
    assert_same_bits(from_aeon(list(theirs))[3], ours[3])
    flat = theirs[:, 0]
    assert_same_bits(from_aeon(flat), flat)  # univariate series of equal length are the same there
    assert_same_bits(to_aeon(flat), flat)


def test_aeon_s_series_of_unequal_length_are_lists() -> None:
    X = ragged("float64", 2)
    theirs = to_aeon(X)
    assert [x.shape for x in theirs] == [(2, 3), (2, 1), (2, 5), (2, 2)]
    for a, b, c in zip(to_aeon(pad_sequences(X)), theirs, from_aeon(theirs), strict=True):
        assert_same_bits(a, b)
        assert_same_bits(c.T, a)
    assert to_aeon([np.arange(3.0)])[0].shape == (1, 3)


def test_aeon_s_axes_are_not_guessed() -> None:
    with pytest.raises(ValueError, match=r"X\[0\] must have shape \(n_channels, n_timepoints\), got \(3,\)"):
        from_aeon([np.zeros(3)])
    with pytest.raises(ValueError, match=r"X must have shape \(n, n_channels, n_timepoints\) or .* got shape \(3,\)"):
        from_aeon(np.zeros(3))
