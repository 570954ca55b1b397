"""sequences_from_frame: long tables of every library give the same sequences."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from running import assert_same_bits
from skrnn.preprocessing import Stepwise, sequences_from_frame

pytest.importorskip("narwhals")

DATA: dict[str, list[Any]] = {
    "id": ["b", "a", "b", "c", "a", "b"],
    "day": [2, 1, 1, 1, 1, 2],
    "hour": [0, 5, 9, 1, 4, 3],
    "x": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
    "n": [10, 11, 12, 13, 14, 15],
    "tag": ["p", "q", "r", "s", "t", "u"],
    "label": ["B", "A", "B", "C", "A", "B"],
}


@pytest.fixture(params=["pandas", "polars", "pyarrow"])
def table(request: pytest.FixtureRequest) -> Callable[..., Any]:
    library = pytest.importorskip(request.param)
    make = library.table if request.param == "pyarrow" else library.DataFrame
    return lambda **changed: make({**DATA, **changed})


def numbers(sequences: Any) -> Any:
    return [np.asarray(s).tolist() for s in sequences]


def test_features_labels_and_ids(table: Callable[..., Any]) -> None:
    df = table()
    X, y, ids = sequences_from_frame(df, "id", order=["day", "hour"], columns=["n", "x"], y="label")
    assert numbers(X) == [[[12, 2], [10, 0], [15, 5]], [[14, 4], [11, 1]], [[13, 3]]]  # in order of appearance
    assert all(x.dtype == np.float64 for x in X)
    assert list(ids) == ["b", "a", "c"]
    assert y is not None
    assert list(y) == ["B", "A", "C"]


def test_rows_that_order_does_not_tell_apart_stay(table: Callable[..., Any]) -> None:
    X = sequences_from_frame(table(), "id", order="day", columns=["n"]).X
    assert numbers(X) == [[[12], [10], [15]], [[11], [14]], [[13]]]
    assert X[0].dtype == np.int64
    X, y, _ = sequences_from_frame(table(), "id", columns=["n"])
    assert numbers(X) == [[[10], [12], [15]], [[11], [14]], [[13]]]
    assert y is None


def test_several_ids(table: Callable[..., Any]) -> None:
    X, y, ids = sequences_from_frame(table(), ["id", "day"], order="hour", columns="n", y="label")
    assert numbers(X) == [[10, 15], [14, 11], [12], [13]]
    assert ids.tolist() == [["b", 2], ["a", 1], ["b", 1], ["c", 1]]
    assert y is not None
    assert list(y) == ["B", "A", "B", "C"]


def test_one_column_of_anything(table: Callable[..., Any]) -> None:
    X = sequences_from_frame(table(), "id", order="hour", columns="tag").X
    assert numbers(X) == [["p", "u", "r"], ["t", "q"], ["s"]]


def test_all_other_columns(table: Callable[..., Any]) -> None:
    df = table(tag=[True, False] * 3)
    X = sequences_from_frame(df, "id", order=["day", "hour"], y="label").X
    assert numbers(X)[1] == [[4, 14, 1], [1, 11, 0]]


def test_missing_values_are_nan(table: Callable[..., Any]) -> None:
    X = sequences_from_frame(table(n=[10, None, 12, 13, 14, 15]), "id", columns=["x", "n"]).X
    np.testing.assert_array_equal(X[1], [[1, np.nan], [4, 14]])


def test_frames_out(table: Callable[..., Any]) -> None:
    df = table()
    X = sequences_from_frame(df, "id", order=["day", "hour"], columns=["x", "tag"], as_frames=True).X
    assert all(type(x) is type(df) for x in X)
    assert [len(x) for x in X] == [3, 2, 1]
    assert numbers(X)[1] == [[4.0, "t"], [1.0, "q"]]
    encode = make_column_transformer((StandardScaler(), [0]), (OneHotEncoder(), [1]))
    if type(df).__module__.startswith("pandas"):  # what transformers read is up to them
        assert [x.shape for x in Stepwise(encode).fit_transform(X)] == [(3, 7), (2, 7), (1, 7)]


def test_against_pandas_group_by() -> None:
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    df = pandas.DataFrame(rng.normal(size=(500, 2)), columns=["a", "b"])
    df["when"] = pandas.Timestamp("2024-01-01") + pandas.to_timedelta(rng.permutation(500), "h")
    df["who"] = rng.integers(0, 40, 500)
    groups = df.sort_values("when").groupby("who", sort=False)
    for changed in (df, df.set_index(df.index[::-1]), df.astype({"who": "category"})):  # an index says nothing
        X, _, ids = sequences_from_frame(changed, "who", order="when", columns=["a", "b"])
        assert list(ids) == df["who"].drop_duplicates().tolist()
        for x, k in zip(X, ids, strict=True):
            assert_same_bits(x, groups.get_group(k)[["a", "b"]].to_numpy())


@pytest.mark.parametrize(
    ("options", "changed", "text"),
    [
        ({"by": "who"}, {}, r"by must name columns of df, which are \['id', .*got 'who'"),
        ({"by": "id", "order": "when"}, {}, "order must name columns of df"),
        ({"by": "id", "columns": ["z"]}, {}, "columns must name columns of df"),
        ({"by": "id", "y": "target"}, {}, "y must name columns of df"),
        ({"by": "id", "columns": []}, {}, "columns must name at least one column"),
        ({"by": "id"}, {}, "Column 'tag' must be numeric, got"),
        ({"by": "id", "columns": ["x"], "y": "n"}, {}, r"Column 'n' \(y\) must have one value .*in sequence b"),
        (
            {"by": "id", "columns": ["x"], "y": ["label", "n"]},
            {},
            r"y must be the name of one column, got \['label', 'n'",
        ),
        (
            {"by": "id", "columns": ["n"], "y": "x"},
            {"x": [0, 1, 2, None, 4, 5]},
            r"Column 'x' \(y\) must have a value .* none in row 3",
        ),
        (
            {"by": "id", "columns": ["x"], "y": "label"},
            {"label": ["B", "A", "B", None, "A", "B"]},
            r"Column 'label' \(y\) must have a value .* none in row 3",
        ),
        ({"by": "id"}, {"id": ["a", None, "a", "a", "b", "b"]}, r"Column 'id' \(by\) .* got none in row 1"),
        ({"by": "id", "order": "x"}, {"x": [0, 1, 2, None, 4, 5]}, r"Column 'x' \(order\) .* got none in row 3"),
    ],
)
def test_bad_input(table: Callable[..., Any], options: dict[str, Any], changed: dict[str, Any], text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text):
        sequences_from_frame(table(**changed), **options)


def test_other_things_than_data_frames() -> None:
    with pytest.raises(TypeError, match=r"df must be a data frame .*got ndarray"):
        sequences_from_frame(np.zeros((3, 3)), "id")
    polars = pytest.importorskip("polars")
    with pytest.raises(TypeError, match=r"got LazyFrame\. A lazy frame has to be collected first"):
        sequences_from_frame(polars.LazyFrame(DATA), "id")
    with pytest.raises(ValueError, match="at least one row"):
        sequences_from_frame(polars.DataFrame(DATA)[:0], "id", columns=["x"])


def test_without_narwhals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "narwhals", None)
    with pytest.raises(ImportError, match=r"sequences_from_frame needs narwhals.*scikit-rnn\[frames\]"):
        sequences_from_frame(None, "id")
