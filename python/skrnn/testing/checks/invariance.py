"""What must not matter, to the last bit: order, neighbours, padding, form, threads. And sizes at the edge."""

from __future__ import annotations

from typing import Any

import numpy as np

from skrnn.testing._computing import share_all_work
from skrnn.testing.checks._data import LONGEST, equal, forms, pad, problem
from skrnn.testing.checks._harness import (
    answers,
    assert_same_bits,
    checks,
    each_method,
    fresh,
    is_deterministic,
    refuses,
)


@checks(is_deterministic)
def check_sample_order_invariance(name: str, estimator: Any) -> None:
    """Samples in another order get the same answers."""
    X, y = problem(estimator)
    order = np.random.default_rng(0).permutation(len(X))
    for form, sequences in forms(X):
        model = fresh(estimator).fit(sequences, y)
        want = {method: [rows[k] for k in order] for method, rows in answers(model, sequences).items()}
        other = [sequences[k] for k in order] if isinstance(sequences, list) else sequences[order]
        assert_same_bits(answers(model, other), want, f"of {name} for a {form} in another order")


@checks(is_deterministic)
def check_subset_invariance(name: str, estimator: Any) -> None:
    """A sample gets the same answer alone, among a few, and among all."""
    X, y = problem(estimator)
    for form, sequences in forms(X):
        model = fresh(estimator).fit(sequences, y)
        want = answers(model, sequences)
        for size in (1, 5):
            for start in range(0, len(X), size):
                part = slice(start, start + size)
                alone = {method: rows[part] for method, rows in want.items()}
                what = f"of {name} for samples {start} to {start + size} of a {form} among {len(X)} and without them"
                assert_same_bits(answers(model, sequences[part]), alone, what)


@checks(is_deterministic)
def check_padding_invariance(name: str, estimator: Any) -> None:
    """A list, an array padded with NaN, and a longer one are the same sequences, in ``fit`` and afterwards."""
    X, y = problem(estimator)
    same = {"as a list": X, "as a padded array": pad(X), "as an array with more padding": pad(X, LONGEST + 9)}
    want = answers(fresh(estimator).fit(X, y), X)
    for fitted, sequences in same.items():
        model = fresh(estimator).fit(sequences, y)
        for asked, others in same.items():
            assert_same_bits(answers(model, others), want, f"of {name} fitted {fitted} and asked {asked}")
    rows = equal(X)
    want = answers(fresh(estimator).fit(rows, y), rows)
    same = {"as a list": list(rows), "as an array with padding": pad(list(rows), LONGEST + 3)}
    for fitted, sequences in same.items():
        got = answers(fresh(estimator).fit(sequences, y), rows)
        assert_same_bits(got, want, f"of {name} fitted {fitted} instead of an array without padding")


@checks(is_deterministic)
def check_thread_invariance(name: str, estimator: Any) -> None:
    """``fit`` and answers are the same on any number of threads."""
    X, y = problem(estimator)
    with share_all_work(1):
        want = answers(fresh(estimator).fit(X, y), X)
    for n in (2, 3):
        with share_all_work(n):
            assert_same_bits(answers(fresh(estimator).fit(X, y), X), want, f"of {name} on {n} threads instead of 1")


@checks()
def check_other_lengths_after_fit(name: str, estimator: Any) -> None:
    """Later sequences may be shorter and longer than those of ``fit``."""
    X, y = problem(estimator)
    rows = equal(X)
    model = fresh(estimator).fit(rows[:, :4], y)
    for n_steps in (1, 3, 2 * LONGEST):
        for form, sequences in forms([np.tile(x, (n_steps, 1))[:n_steps] for x in X]):
            for method, function in each_method(model):
                try:
                    function(sequences)
                except Exception as error:
                    raise AssertionError(
                        f"{name} fitted on sequences of 4 steps: {method} refuses a {form} of {n_steps}: {error}"
                    ) from error


@checks()
def check_fit_one_sample(name: str, estimator: Any) -> None:
    """One sample is enough, or the error says that it is not."""
    X, y = problem(estimator)
    text = "1 sample|n_samples ?= ?1|one sample|1 class|one class"
    for form, sequences in forms(X):
        with refuses(f"{name}.fit of a {form} with one sample", text, may_pass=True):
            answers(fresh(estimator).fit(sequences[:1], y[:1]), sequences)


@checks()
def check_fit_one_time_step(name: str, estimator: Any) -> None:
    """Sequences of a single step are sequences."""
    X, y = problem(estimator)
    for _, sequences in forms([x[:1] for x in X]):
        steps = sequences[:, :1] if isinstance(sequences, np.ndarray) else sequences
        answers(fresh(estimator).fit(steps, y), steps)


@checks(is_deterministic)
def check_fit_one_feature(name: str, estimator: Any) -> None:
    """Univariate sequences are sequences; in a list they need no second axis."""
    X, y = problem(estimator, n_features=1)
    for _, sequences in forms(X):
        model = fresh(estimator).fit(sequences, y)
        assert model.n_features_in_ == 1, f"{name}.n_features_in_ is {model.n_features_in_}, not 1"
        want = answers(model, sequences)
    model = fresh(estimator).fit(X, y)
    want = answers(model, X)
    flat = [x[:, 0] for x in X]
    other = fresh(estimator).fit(flat, y)
    assert other.n_features_in_ == 1, (
        f"{name}.n_features_in_ is {other.n_features_in_} after a list of 1-D arrays, not 1"
    )
    got = answers(other, flat)
    for method, rows in got.items():  # an answer for each step may have one axis, as the sequences have
        got[method] = [row.reshape(wanted.shape) for row, wanted in zip(rows, want[method], strict=True)]
    assert_same_bits(got, want, f"of {name} for 1-D sequences instead of (n_timesteps, 1)")
