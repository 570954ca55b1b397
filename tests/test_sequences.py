"""The one form in which all sequences reach the network: what is read of them costs no more than they hold."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from skrnn import RNNClassifier
from skrnn._sequences import Sequences, check_sequences


def read(X: Any) -> Sequences:
    return check_sequences(RNNClassifier(), X, np.dtype(np.float32), reset=True)


def ragged(lengths: list[int], n_features: int = 2) -> list[Any]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(n, n_features)).astype("float32") for n in lengths]


def padded(X: list[Any]) -> Any:
    grid = np.full((len(X), max(map(len, X)), X[0].shape[1]), np.nan, dtype="float32")
    for row, x in zip(grid, X, strict=True):
        row[: len(x)] = x
    return grid


@pytest.mark.parametrize("form", [list, padded])
@pytest.mark.parametrize("lengths", [[3, 1, 7, 2, 7], [4, 4, 4, 4, 4]], ids=["ragged", "equal"])
def test_steps_of_some_sequences(form: Any, lengths: list[int]) -> None:
    X = ragged(lengths)
    sequences = read(form(X))
    for n, rows in ((1, [0]), (2, [0, 4]), (3, [0, 2, 4]), (5, range(5)), (9, range(5))):
        np.testing.assert_array_equal(sequences.sample(n), np.concatenate([X[row] for row in rows]))
    rows = np.array([3, 1, 1])
    np.testing.assert_array_equal(sequences.subset(rows).sample(9), np.concatenate([X[row] for row in rows]))


@pytest.mark.parametrize("form", [list, padded])
def test_the_largest_of_the_sequences_that_there_are(form: Any) -> None:
    X = [np.full((1 + k % 3, 1), k, dtype="float32") for k in range(2500)]
    sequences = read(form(X))
    assert sequences.largest() == 2499
    assert sequences.subset(np.array([7, 1200, 3])).largest() == 1200
    assert read(np.arange(12.0).reshape(2, 3, 2)).largest() == 11


def test_one_long_sequence_among_short_ones_costs_its_own_length() -> None:
    X = ragged([10] * 999 + [20_000], n_features=4)
    sequences = read(X)
    n_bytes = sum(x.nbytes for x in X)
    tracemalloc.start()
    try:
        for look in (sequences.largest, lambda: sequences.sample(1000), lambda: sequences.sample(500)):
            tracemalloc.reset_peak()
            look()
            assert tracemalloc.get_traced_memory()[1] < 4 * n_bytes  # with padding it was 1000 times as much
    finally:
        tracemalloc.stop()
