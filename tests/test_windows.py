"""SlidingWindows: every window where it says that it is, with what follows it, and none across two series."""

from __future__ import annotations

import datetime
import itertools
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, TimeSeriesSplit

from running import assert_same_bits
from skrnn import RNNRegressor
from skrnn.preprocessing import SlidingWindows, pad_sequences

OPTIONS = [
    options
    for options in itertools.product((1, 3), (0, 1, 2), (1, 2, 5), (0, 2))
    if options[1] or not options[3]  # a gap to nothing is refused
]


def naive(series: list[Any], window: int, horizon: int, stride: int, gap: int) -> list[tuple[Any, Any, int, int]]:
    """All of them, by the definition."""
    found = []
    for k, item in enumerate(series):
        for start in range(0, len(item), stride):
            end = start + window
            last = end + (gap + horizon if horizon else 0)
            if last <= len(item):
                found.append((item[start:end], item[end + gap : last], k, start))
    return found


@pytest.mark.parametrize(("window", "horizon", "stride", "gap"), OPTIONS)
def test_by_the_definition(window: int, horizon: int, stride: int, gap: int) -> None:
    rng = np.random.default_rng(0)
    series = [rng.normal(size=(t, 2)) for t in (9, 1, 13, 4)]
    X, y, groups, starts = SlidingWindows(window, horizon, stride, gap=gap).cut(series)
    want = naive(series, window, horizon, stride, gap)
    assert_same_bits(X, np.stack([w[0] for w in want]))
    if horizon:
        targets = np.stack([w[1] for w in want])
        assert_same_bits(y, targets[:, 0] if horizon == 1 else targets)
    else:
        assert y is None
    assert groups.tolist() == [w[2] for w in want]
    assert starts.tolist() == [w[3] for w in want]
    X[...] = 0  # a copy, which nothing else notices
    assert series[0].all()


def test_forms_of_series() -> None:
    long = np.random.default_rng(0).normal(size=(9, 2)).astype("float32")
    cutter = SlidingWindows(3)
    want = cutter.cut([long])
    assert want.X.dtype == np.float32
    for got in (cutter.cut(long), cutter.cut(long[np.newaxis]), cutter.cut((long,))):
        assert_same_bits(got.X, want.X)
        assert_same_bits(got.y, want.y)
    assert cutter.cut(long[:, 0]).X.shape == (6, 3, 1)
    assert cutter.cut(long[:, 0]).y.shape == (6,)  # type: ignore[union-attr]
    series = [long, long[:5]]
    for a, b in zip(cutter.cut(pad_sequences(series)), cutter.cut(series), strict=True):
        assert_same_bits(a, b)


def test_targets() -> None:
    pandas = pytest.importorskip("pandas")
    values = np.arange(24.0).reshape(8, 3)
    frame = pandas.DataFrame(values, columns=["a", "b", "c"])
    for target, columns in ((1, [1]), (-1, [2]), ("b", [1]), (["c", "a"], [2, 0]), ([1], [1]), (None, [0, 1, 2])):
        for horizon in (1, 2):
            X, y, _, starts = SlidingWindows(3, horizon, target=target).cut(frame)
            assert X.shape[2] == 3
            want = np.stack([values[s + 3 : s + 3 + horizon][:, columns] for s in starts])
            shape = [len(starts), *(n for n in want.shape[1:] if n > 1)]
            np.testing.assert_array_equal(y, want.reshape(shape))


def test_latest() -> None:
    series = [np.arange(5.0), np.arange(10.0, 13.0)]
    got = SlidingWindows(3, horizon=2).latest(series)
    assert got[:, :, 0].tolist() == [[2, 3, 4], [10, 11, 12]]
    with pytest.raises(ValueError, match=r"series\[1\] must have 4 steps \(window\), got 3"):
        SlidingWindows(4).latest(series)


def test_splits_that_do_not_leak() -> None:
    series = [np.arange(20.0), np.arange(100.0, 120.0), np.arange(200.0, 220.0)]
    X, y, groups, _ = SlidingWindows(4, 2).cut(series)
    for train, test in GroupKFold(3).split(X, y, groups):
        assert not set(X[train].ravel()) & set(X[test].ravel())
    horizon = 3
    X, y, _, _ = SlidingWindows(4, horizon).cut(np.arange(40.0))
    assert y is not None
    for train, test in TimeSeriesSplit(3, gap=horizon - 1).split(X):
        assert not set(y[train].ravel()) & set(y[test].ravel())


def test_a_network_learns_from_them() -> None:
    series = np.sin(0.3 * np.arange(120))
    cutter = SlidingWindows(8)
    X, y, _, _ = cutter.cut(series[:-1])
    model = RNNRegressor("gru", hidden_size=8, max_iter=40, tol=None, learning_rate_init=0.02, random_state=0)
    model.fit(X[:80], y[:80])
    assert model.score(X[80:], y[80:]) > 0.9
    assert abs(model.predict(cutter.latest(series[:-1]))[0] - series[-1]) < 0.3


def test_parameters_are_scikit_learn_s() -> None:
    cutter = SlidingWindows(5, target=["a"])
    assert clone(cutter).set_params(stride=2).get_params() == {**cutter.get_params(), "stride": 2}


@pytest.mark.parametrize(
    ("options", "series", "text"),
    [
        ({"window": 0}, np.zeros(9), "The 'window' parameter of SlidingWindows must be an int in the range"),
        ({"window": 3, "horizon": -1}, np.zeros(9), "The 'horizon' parameter"),
        ({"window": 3, "stride": 0}, np.zeros(9), "The 'stride' parameter"),
        ({"window": 3, "gap": 0.5}, np.zeros(9), "The 'gap' parameter"),
        ({"window": 3, "horizon": 2, "gap": 1}, [np.zeros(5), np.zeros(2)], "must have 6 steps .*got 5 in the longest"),
        ({"window": 3}, [], "at least one series, got none"),
        ({"window": 3}, [1.0, 2.0], r"series\[0\] must have shape"),
        ({"window": 3}, [np.zeros((5, 1)), np.zeros((5, 2))], r"series\[1\] has shape \(5, 2\), but series\[0\]"),
        ({"window": 3, "target": 2}, np.zeros((9, 2)), "target must name a feature, a number below 2: got 2"),
        ({"window": 3, "target": "a"}, np.zeros((9, 2)), "target must name a feature, a number below 2: got 'a'"),
        ({"window": 3, "target": []}, np.zeros((9, 2)), "target must name at least one feature"),
        ({"window": 3, "target": True}, np.zeros((9, 2)), "The 'target' parameter"),
        ({"window": 3, "target": [True]}, np.zeros((9, 2)), "target must name a feature, .* got True"),
        ({"window": 3, "horizon": 0, "gap": 4}, np.zeros(9), "gap must be 0 with horizon=0, .* got 4"),
        ({"window": 3, "horizon": 0, "target": 0}, np.zeros(9), "target must be None with horizon=0, .* got 0"),
    ],
)
def test_bad_input(options: dict[str, Any], series: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        SlidingWindows(**options).cut(series)


def test_columns_of_data_frames_must_be_numbers() -> None:
    when = [datetime.datetime(2024, 1, day) for day in range(1, 6)]
    for name in ("pandas", "polars"):
        library = pytest.importorskip(name)
        for odd, text in ((when, "'b' holds dates"), (["x"] * 5, "holds strings or dates in column 'b'")):
            for series in (
                library.DataFrame({"a": range(5), "b": odd}),
                [library.DataFrame({"a": range(5), "b": odd})],
            ):
                with pytest.raises(TypeError, match=rf"series\[0\] is not .*{text}"):
                    SlidingWindows(2).cut(series)
        mixed = library.DataFrame({"a": [0.5] * 5, "b": [True, False] * 2 + [True]})
        assert SlidingWindows(2).cut(mixed).X.dtype == np.float64


def test_a_column_may_have_any_name() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"column_names": range(5), "b": range(5, 10)})
    y = SlidingWindows(2, target="b").cut(frame).y
    assert y is not None
    assert y.tolist() == [7, 8, 9]


def test_frames_of_other_columns() -> None:
    pandas = pytest.importorskip("pandas")
    frames = [pandas.DataFrame({"a": range(5)}), pandas.DataFrame({"b": range(5)})]
    with pytest.raises(ValueError, match=r"series\[1\] has other columns than series\[0\]: expected \['a'\]"):
        SlidingWindows(2).cut(frames)
