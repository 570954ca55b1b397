"""Whole fits of an estimator, and one prediction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fits import epoch_job, sine_job
from grid import CELLS


def test_textbook_sine(benchmark: Any, n_threads: int) -> None:
    job = sine_job()
    job.check(benchmark.pedantic(job.fit_skrnn, rounds=3, warmup_rounds=1))


@pytest.mark.parametrize("cell", CELLS)
def test_epoch(benchmark: Any, cell: str, n_threads: int) -> None:
    job = epoch_job(cell)
    job.check(benchmark.pedantic(job.fit_skrnn, rounds=3, warmup_rounds=1))


def test_predict_one_short_sequence(benchmark: Any) -> None:
    job = sine_job()
    model = job.estimator().fit(job.X, job.y)
    answer = benchmark(model.predict, job.X[:1])
    np.testing.assert_array_equal(answer, model.predict(job.X)[:1])
