"""Problems made up are the problems of the papers."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest

import skrnn.datasets
from running import assert_same_bits
from skrnn import RNNClassifier, RNNRegressor
from skrnn.datasets import make_adding_problem, make_copy_memory, make_sine

GENERATORS: list[tuple[Any, dict[str, Any]]] = [
    (make_adding_problem, {"n_timesteps": 7}),
    (make_copy_memory, {"delay": 3, "n_recall": 2}),
    (make_copy_memory, {"delay": 3, "target": "first"}),
    (make_copy_memory, {"delay": 3, "target": "all", "one_hot": False}),
    (make_sine, {}),
    (make_sine, {"independent": True, "horizon": 3}),
]


@pytest.mark.parametrize(("make", "arguments"), GENERATORS)
def test_the_random_state_decides(make: Any, arguments: dict[str, Any]) -> None:
    for new in (lambda seed: seed, np.random.RandomState, np.random.default_rng):
        (X, y), (same_X, same_y), (other_X, _) = (make(20, random_state=new(s), **arguments) for s in (1, 1, 2))
        assert_same_bits(X, same_X)
        assert_same_bits(y, same_y)
        assert not np.array_equal(X, other_X)
        assert len(X) == len(y) == 20
    np.random.seed(3)  # noqa: NPY002 - None is NumPy's global state, as everywhere in scikit-learn
    first = make(20, **arguments)[0]
    np.random.seed(3)  # noqa: NPY002
    assert_same_bits(make(20, **arguments)[0], first)


@pytest.mark.parametrize("n_timesteps", [2, 7, 20])
def test_adding_problem(n_timesteps: int) -> None:
    X, y = make_adding_problem(4000, n_timesteps, random_state=0)
    assert X.shape == (4000, n_timesteps, 2)
    assert y.shape == (4000,)
    assert X.dtype == y.dtype == np.float64
    numbers, marks = X[:, :, 0], X[:, :, 1]
    assert ((numbers >= 0) & (numbers < 1)).all()
    assert set(np.unique(marks)) <= {0.0, 1.0}
    half = n_timesteps // 2
    assert (marks[:, :half].sum(axis=1) == 1).all()
    assert (marks[:, half:].sum(axis=1) == 1).all()
    assert (marks.sum(axis=0) > 0).all()  # every step is marked somewhere
    np.testing.assert_array_equal(y, (numbers * marks).sum(axis=1))
    # The mean of 4000 squares of variance 1/36 - 1/180 or so: four standard errors.
    assert abs(np.mean((y - 1) ** 2) - 1 / 6) < 4 * 0.2 / np.sqrt(4000)


@pytest.mark.parametrize(("delay", "n_symbols", "n_recall"), [(1, 2, 1), (5, 8, 3), (50, 3, 10)])
def test_copy_memory(delay: int, n_symbols: int, n_recall: int) -> None:
    sizes: dict[str, Any] = {"delay": delay, "n_symbols": n_symbols, "n_recall": n_recall, "random_state": 0}
    X, y = make_copy_memory(300, one_hot=False, **sizes)
    blank, delimiter = n_symbols, n_symbols + 1
    assert X.shape == y.shape == (300, 2 * n_recall + delay)
    symbols = X[:, :n_recall]
    assert np.unique(symbols).tolist() == list(range(n_symbols))
    rest = X[:, n_recall:]
    assert (rest == np.where(np.arange(rest.shape[1]) == delay - 1, delimiter, blank)).all()
    assert (y[:, : n_recall + delay] == blank).all()
    np.testing.assert_array_equal(y[:, n_recall + delay :], symbols)

    hot, _ = make_copy_memory(300, **sizes)
    assert (hot.sum(axis=2) == 1).all()
    np.testing.assert_array_equal(hot.argmax(axis=2), X)
    for target in ("first", "all"):
        short, answer = make_copy_memory(300, one_hot=False, target=target, **sizes)
        np.testing.assert_array_equal(short, X[:, : n_recall + delay])  # up to the delimiter, which asks
        assert (short[:, -1] == delimiter).all()
        if target == "first":
            np.testing.assert_array_equal(answer, symbols[:, 0])
        else:
            assert answer.shape == (300, n_recall * n_symbols)
            assert answer.sum() == 300 * n_recall
            np.testing.assert_array_equal(answer.reshape(-1, n_recall, n_symbols).argmax(axis=2), symbols)


@pytest.mark.parametrize("horizon", [1, 3])
def test_sine_is_one_series_in_windows(horizon: int) -> None:
    X, y = make_sine(500, 10, horizon=horizon, period=20.0, noise=0.2, random_state=0)
    assert X.shape == (500, 10, 1)
    assert y.shape == ((500,) if horizon == 1 else (500, horizon))
    y = y.reshape(500, horizon)
    windows = np.concatenate([X[:, :, 0], y], axis=1)
    np.testing.assert_array_equal(windows[1:, :-1], windows[:-1, 1:])
    series = np.concatenate([windows[0], windows[1:, -1]])
    noise = series - np.sin(2 * np.pi / 20 * np.arange(len(series)))
    assert 0.18 < noise.std() < 0.22  # four standard errors of 510 are 0.025
    assert X.flags.owndata
    assert X.flags.writeable


def test_independent_sines() -> None:
    X, y = make_sine(300, 8, period=16.0, noise=0.0, independent=True, random_state=0)
    np.testing.assert_allclose(y, -X[:, 0, 0], atol=1e-12)  # half a wave later
    assert X[:, 0, 0].min() < -0.95
    assert X[:, 0, 0].max() > 0.95
    assert len(np.unique(X[:, 0, 0])) == 300


def test_estimators_take_them() -> None:
    settings: dict[str, Any] = {"hidden_size": 8, "learning_rate_init": 0.02, "tol": None, "random_state": 0}
    X, y = make_copy_memory(200, delay=3, n_recall=1, n_symbols=4, target="first", random_state=0)
    assert RNNClassifier("gru", max_iter=15, **settings).fit(X, y).score(X, y) == 1.0
    X, y = make_copy_memory(200, delay=2, n_recall=2, n_symbols=2, target="all", random_state=0)
    scores = RNNRegressor("gru", max_iter=20, **settings).fit(X, y).predict(X).reshape(-1, 2, 2)
    assert (scores.argmax(axis=2) == y.reshape(-1, 2, 2).argmax(axis=2)).mean() > 0.95
    X, y = make_sine(100, 10, random_state=0)
    assert RNNRegressor("gru", max_iter=30, **settings).fit(X, y).score(X, y) > 0.9


@pytest.mark.parametrize(
    ("make", "arguments", "kind", "message"),
    [
        (make_adding_problem, {"n_samples": 0}, ValueError, "n_samples must be greater than zero, got 0"),
        (make_adding_problem, {"n_samples": 2.5}, TypeError, "n_samples must be an integer, got float"),
        (make_adding_problem, {"n_timesteps": 1}, ValueError, "n_timesteps must be at least 2, got 1"),
        (make_copy_memory, {"delay": 0}, ValueError, "delay must be greater than zero, got 0"),
        (make_copy_memory, {"n_symbols": 1}, ValueError, "n_symbols must be at least 2, got 1"),
        (make_copy_memory, {"target": "last"}, ValueError, "target must be one of 'steps', 'first', 'all', got 'last'"),
        (make_copy_memory, {"one_hot": 1}, TypeError, "one_hot must be a bool, got int"),
        (make_sine, {"horizon": 0}, ValueError, "horizon must be greater than zero, got 0"),
        (make_sine, {"period": 0}, ValueError, "period must be greater than zero, got 0"),
        (make_sine, {"noise": -0.1}, ValueError, r"noise must be in the range \[0, inf\), got -0.1"),
        (make_sine, {"noise": np.nan}, ValueError, r"noise must be in the range \[0, inf\), got nan"),
        (make_sine, {"noise": "much"}, TypeError, "noise must be a number, got str"),
        (make_sine, {"independent": None}, TypeError, "independent must be a bool, got NoneType"),
    ],
)
def test_errors_name_the_argument(make: Any, arguments: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        make(**arguments)


def test_docstrings() -> None:
    result = doctest.testmod(skrnn.datasets)
    assert result.attempted > 5
    assert result.failed == 0
