"""Bits, not tolerances: no result depends on threads, on neighbours, on padding, or on the day.

(a) A row's result does not depend on its batch, its position, its neighbours or its padding.
(b) No result depends on the number of threads.
(c) The same random_state gives the same bits, run after run.
"""

from __future__ import annotations

import copy
import pickle
from functools import cache
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from cases import Array, Case, Problem, problem
from running import assert_same_bits, given, python, recurrent, same_bits, states, threads
from skrnn import RNNClassifier, RNNRegressor, _core
from skrnn.nn import Dense, Recurrent, softmax

# Large enough for seven threads even in the cell with one gate (a thread wants a million multiply-adds), and with odd
# sizes, so that shards, tiles and tails end in different places for different numbers of threads.
THREADED = Case(input_size=41, hidden_size=93, n_rows=67, n_steps=25, lengths="ragged")
THREADED_DEEP = Case(input_size=41, hidden_size=93, n_rows=67, n_steps=25, num_layers=2, bidirectional=True)
# Few rows, many units: the other way of sharing work.
THREADED_NARROW = Case(input_size=129, hidden_size=261, n_rows=3, n_steps=25)

BATCH = Case(input_size=6, hidden_size=21, n_rows=11, n_steps=7, lengths="ragged", num_layers=2)


def everything(p: Problem, dtype: str) -> dict[str, Array]:
    """All that a network computes: output, states and every gradient."""
    layer = recurrent(p, dtype)
    X, state = p.X.astype(dtype), given(p.state, dtype)
    output, final = layer.forward(X, lengths=p.lengths, state=state)
    tape = layer.record(X, lengths=p.lengths, state=state)
    assert_same_bits(tape.output, output, "record computes what forward computes")
    for recorded, computed in zip(states(tape.state), states(final), strict=True):
        assert_same_bits(recorded, computed)
    grads = tape.backward(p.d_output.astype(dtype), given(p.d_state, dtype))
    found = {"output": output, "X": grads.X, **grads.weights}
    found |= dict(zip(("final h", "final c"), states(final), strict=False))
    return found | dict(zip("hc", states(grads.state), strict=False))


# ---------------------------------------------------------------------------------------------------------------------
# Threads
# ---------------------------------------------------------------------------------------------------------------------


@cache
def on_one_thread(cell: str, case: Case, dtype: str, isa: str) -> dict[str, Array]:
    assert _core.get_isa() == isa
    with threads(1):
        return everything(problem(cell, case), dtype)


@pytest.mark.parametrize("case", [THREADED, THREADED_DEEP, THREADED_NARROW], ids=str)
def test_threads(cell: str, dtype: str, isa: str, case: Case, n_threads: int) -> None:
    want = on_one_thread(cell, case, dtype, isa)
    for name, value in everything(problem(cell, case), dtype).items():
        assert_same_bits(value, want[name], name)


def fit_data() -> tuple[list[Array], Array, Array]:
    rng = np.random.default_rng(3)
    X = [rng.standard_normal((int(length), 5)) for length in rng.integers(1, 25, 90)]
    labels = np.array(["up" if row[:, 0].sum() > 0 else "down" for row in X])
    amounts = np.array([row.mean(axis=0)[:2] for row in X])
    return X, labels, amounts


def fitted(cell: str, dtype: str, **options: Any) -> RNNClassifier:
    X, labels, _ = fit_data()
    settings = {
        "hidden_size": 80,
        "num_layers": 2,
        "dropout": 0.25,
        "batch_size": 32,
        "max_iter": 2,
        "tol": None,
        "random_state": 11,
        **options,
    }
    return RNNClassifier(cell, dtype=dtype, **settings).fit(X, labels)


@cache
def fit_on_one_thread(cell: str, dtype: str, isa: str) -> tuple[bytes, bytes]:
    with threads(1):
        return fingerprint(fitted(cell, dtype))


def fingerprint(model: RNNClassifier) -> tuple[bytes, bytes]:
    X, _, _ = fit_data()
    losses = np.array(model.loss_curve_).tobytes()
    return losses, np.ascontiguousarray(model.predict_proba(X)).tobytes()


def test_threads_of_a_fit(cell: str, dtype: str, isa: str, n_threads: int) -> None:
    assert fingerprint(fitted(cell, dtype)) == fit_on_one_thread(cell, dtype, isa)


# ---------------------------------------------------------------------------------------------------------------------
# Rows
# ---------------------------------------------------------------------------------------------------------------------


def rows_alone(layer: Recurrent, p: Problem, dtype: str) -> list[tuple[Array, list[Array]]]:
    """Each row as a batch of its own, cut to its length: nothing else exists."""
    assert p.lengths is not None
    assert p.state is not None
    found = []
    for n, length in enumerate(p.lengths):
        X = p.X[n : n + 1, :length].astype(dtype)
        state = given(tuple(s[:, n : n + 1] for s in p.state), dtype)
        output, final = layer.forward(X, state=state)
        found.append((output[0], [s[:, 0] for s in states(final)]))
    return found


@pytest.mark.parametrize("poison", [0.0, np.nan, np.inf, 1e38], ids=str)
@pytest.mark.parametrize("bidirectional", [False, True], ids=["uni", "bi"])
def test_a_row_alone(cell: str, dtype: str, isa: str, poison: float, bidirectional: bool) -> None:
    p = problem(cell, Case(**{**vars(BATCH), "bidirectional": bidirectional}))
    assert p.lengths is not None
    layer = recurrent(p, dtype)
    X = p.X.astype(dtype)
    X[~p.mask()] = poison
    output, final = layer.forward(X, lengths=p.lengths, state=given(p.state, dtype))
    for n, (alone, alone_final) in enumerate(rows_alone(layer, p, dtype)):
        assert_same_bits(output[n, : p.lengths[n]], alone, f"row {n}")
        for together, apart in zip(states(final), alone_final, strict=True):
            assert_same_bits(together[:, n], apart, f"final state of row {n}")


@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e38], ids=str)
def test_a_row_gone_wild_harms_no_other(cell: str, dtype: str, isa: str, poison: float) -> None:
    """One row whose own steps are NaN or huge: the others do not notice, nor do the gradients of their inputs."""
    p = problem(cell, BATCH)
    assert p.lengths is not None
    layer = recurrent(p, dtype)
    wild = int(np.argmax(p.lengths))
    others = np.arange(len(p.X)) != wild
    answers = []
    for value in (0.5, poison):
        X = p.X.astype(dtype)
        X[wild] = value
        with np.errstate(all="ignore"):
            tape = layer.record(X, lengths=p.lengths)
            grads = tape.backward(p.d_output.astype(dtype))
        finals = [s[:, others] for s in states(tape.state)]
        answers.append([tape.output[others], grads.X[others], *finals])
    for tame, harmed in zip(*answers, strict=True):
        assert_same_bits(harmed, tame)


def test_input_gradients_of_a_row_alone(cell: str, dtype: str, isa: str) -> None:
    """What goes back to a row's inputs and initial state does not depend on its batch either."""
    p = problem(cell, BATCH)
    assert p.lengths is not None
    layer = recurrent(p, dtype)
    X, d_output = p.X.astype(dtype), p.d_output.astype(dtype)
    d_state = tuple(s.astype(dtype) for s in p.d_state)
    together = layer.record(X, lengths=p.lengths).backward(d_output, given(d_state, dtype))
    for n, length in enumerate(p.lengths):
        rows = slice(n, n + 1)
        tape = layer.record(X[rows, :length])
        alone = tape.backward(d_output[rows, :length], given(tuple(s[:, rows] for s in d_state), dtype))
        assert_same_bits(together.X[rows, :length], alone.X, f"row {n}")
        for whole, part in zip(states(together.state), states(alone.state), strict=True):
            assert_same_bits(whole[:, rows], part, f"state of row {n}")


def test_any_batch_in_any_order(cell: str, dtype: str, isa: str) -> None:
    hypothesis = pytest.importorskip("hypothesis")
    from hypothesis import strategies as st

    p = problem(cell, BATCH)
    assert p.lengths is not None
    assert p.state is not None
    layer = recurrent(p, dtype).freeze()
    X, state = p.X.astype(dtype), tuple(s.astype(dtype) for s in p.state)
    want, want_final = layer.forward(X, lengths=p.lengths, state=given(state, dtype))

    # A batch is any choice of rows: repeated, left out, in any order, padded to any number of steps.
    @hypothesis.given(
        rows=st.lists(st.integers(0, len(X) - 1), min_size=1, max_size=40),
        more_steps=st.integers(0, 3),
    )
    def check(rows: list[int], more_steps: int) -> None:
        batch = np.pad(X[rows], ((0, 0), (0, more_steps), (0, 0)), constant_values=np.nan)
        output, final = layer.forward(
            batch, lengths=p.lengths[rows], state=given(tuple(s[:, rows] for s in state), dtype)
        )
        for k, n in enumerate(rows):
            length = p.lengths[n]
            assert same_bits(output[k, :length], want[n, :length])
        for got, whole in zip(states(final), states(want_final), strict=True):
            assert same_bits(got, whole[:, rows])

    check()


def test_rows_of_large_batches(cell: str, dtype: str, isa: str) -> None:
    """The same beyond the sizes of tiles and shards, where other kernels may do the work."""
    p = problem(cell, THREADED)
    assert p.lengths is not None
    assert p.state is not None
    layer = recurrent(p, dtype).freeze()
    output, _ = layer.forward(p.X.astype(dtype), lengths=p.lengths, state=given(p.state, dtype))
    for rows in ([0], [66], [5, 40, 2], list(range(66, 20, -1))):
        part, _ = layer.forward(
            p.X[rows].astype(dtype),
            lengths=p.lengths[rows],
            state=given(tuple(s[:, rows] for s in p.state), dtype),
        )
        assert_same_bits(part, output[rows])


def test_few_rows_over_many_steps(cell: str, dtype: str, isa: str) -> None:
    """One or two rows take another way: x W for a block of steps beforehand. Here are several blocks, ragged rows."""
    p = problem(cell, Case(input_size=7, hidden_size=19, n_rows=9, n_steps=61, lengths="ragged"))
    frozen = recurrent(p, dtype).freeze()
    output, _ = frozen.forward(p.X.astype(dtype), lengths=p.lengths, state=given(p.state, dtype))
    for rows in ([0], [1], [2, 3], [8, 4], [7, 5]):
        part, _ = frozen.forward(
            p.X[rows].astype(dtype),
            lengths=p.lengths[rows],
            state=given(tuple(s[:, rows] for s in p.state), dtype),
        )
        assert_same_bits(part, output[rows])


def test_rows_of_dense_and_softmax(dtype: str, isa: str, rng: np.random.Generator) -> None:
    dense = Dense(37, 21, dtype=dtype, random_state=1)
    X = rng.standard_normal((29, 37)).astype(dtype)
    scores = dense.forward(X)
    shares = softmax(scores)
    for rows in ([0], [28], [3, 1, 4, 1, 5], list(range(28, 0, -1))):
        assert_same_bits(dense.forward(X[rows]), scores[rows])
        assert_same_bits(softmax(scores[rows]), shares[rows])


def test_rows_of_an_estimator(cell: str, dtype: str, isa: str) -> None:
    X, _, amounts = fit_data()
    classifier = fitted(cell, dtype)
    regressor = RNNRegressor(cell, 19, dtype=dtype, max_iter=2, tol=None, random_state=0).fit(X, amounts)
    for predict in (classifier.predict_proba, classifier.predict, regressor.predict):
        want = predict(X)
        for rows in ([0], [89], [7, 3, 3, 50], list(range(89, -1, -1))):
            assert_same_bits(predict([X[n] for n in rows]), want[rows])


def test_padding_of_an_estimator(cell: str, dtype: str, isa: str) -> None:
    """Rows of NaN at the end of a 3-D array mean that the sequence is over, however many there are."""
    X, _, _ = fit_data()
    model = fitted(cell, dtype)
    want = model.predict_proba(X)
    for n_steps in (24, 25, 40):
        padded = np.full((len(X), n_steps, 5), np.nan)
        for n, row in enumerate(X):
            padded[n, : len(row)] = row
        assert_same_bits(model.predict_proba(padded), want)


# ---------------------------------------------------------------------------------------------------------------------
# Again
# ---------------------------------------------------------------------------------------------------------------------


def test_the_same_again(cell: str, dtype: str, isa: str) -> None:
    p = problem(cell, THREADED_DEEP)
    first = everything(p, dtype)
    for name, value in everything(p, dtype).items():
        assert_same_bits(value, first[name], name)


def test_frozen_computes_the_same(cell: str, dtype: str, isa: str) -> None:
    p = problem(cell, BATCH)
    layer = recurrent(p, dtype)
    frozen = layer.freeze()
    X = p.X.astype(dtype)
    want, _ = layer.forward(X, lengths=p.lengths)
    for copied in (frozen, pickle.loads(pickle.dumps(frozen)), copy.deepcopy(frozen)):
        output, _ = copied.forward(X, lengths=p.lengths)
        assert_same_bits(output, want)
    for weights in layer.weights.values():
        weights[...] = 0.5
    output, _ = frozen.forward(X, lengths=p.lengths)
    assert_same_bits(output, want, "frozen means frozen")


def test_fit_again(cell: str, dtype: str, isa: str) -> None:
    """A clone fitted alike, the same model fitted again, and a pickle of it: one model."""
    X, labels, _ = fit_data()
    model = fitted(cell, dtype)
    want = fingerprint(model)
    assert fingerprint(clone(model).fit(X, labels)) == want
    assert fingerprint(pickle.loads(pickle.dumps(model))) == want
    assert fingerprint(copy.deepcopy(model)) == want
    assert fingerprint(model.fit(X, labels)) == want


def test_another_seed_is_another_model(cell: str) -> None:
    assert fingerprint(fitted(cell, "float32", random_state=12)) != fingerprint(fitted(cell, "float32"))


def test_another_process() -> None:
    """Fresh interpreters, with hash seeds of their own, agree to the last bit."""
    program = """
import hashlib
import numpy as np
from skrnn import RNNClassifier

rng = np.random.default_rng(3)
X = [rng.standard_normal((int(length), 5)) for length in rng.integers(1, 20, 60)]
y = ["up" if row[:, 0].sum() > 0 else "down" for row in X]
model = RNNClassifier("lstm", 24, max_iter=3, tol=None, dropout=0.2, num_layers=2, random_state=5).fit(X, y)
print(hashlib.sha256(np.ascontiguousarray(model.predict_proba(X))).hexdigest())
"""
    hashes = {
        python(program, PYTHONHASHSEED=seed, OMP_NUM_THREADS=n).stdout
        for seed, n in (("1", "1"), ("2", "2"), ("3", "5"))
    }
    assert len(hashes) == 1


def test_global_random_numbers_are_left_alone() -> None:
    """A model with a random_state neither uses nor moves NumPy's global generator."""
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = fingerprint(fitted("gru", "float32"))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    assert fingerprint(fitted("gru", "float32")) == first
