"""Threads are guests: as many as allowed, none at import, none that hangs after a fork, and no traces left behind."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import threadpoolctl

import skrnn
from cases import Array, Case, problem
from running import assert_same_bits, has_openmp, python, recurrent, threads
from skrnn.nn import Recurrent

needs_openmp = pytest.mark.skipif(not has_openmp(), reason="built without OpenMP")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
needs_proc = pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="this platform does not list threads in /proc"
)

# Every thread there is, though the work is small. Set after the layer is made, which starts no threads then.
WORK = """
import os
import numpy as np
import skrnn
from skrnn import _core
from skrnn.nn import Recurrent

layer = Recurrent("lstm", input_size=32, hidden_size=64, random_state=0).freeze()
X = np.random.default_rng(0).standard_normal((64, 20, 32)).astype("float32")
enough = _core.set_work_per_thread(1.0)

def work():
    return layer.forward(X)[0].tobytes()

def tasks():
    return len(os.listdir("/proc/self/task"))
"""


# ---------------------------------------------------------------------------------------------------------------------
# How many
# ---------------------------------------------------------------------------------------------------------------------


@needs_openmp
def test_cap() -> None:
    with threads(4):
        skrnn.set_num_threads(3)
        assert skrnn.get_num_threads() == 3
        skrnn.set_num_threads(100)
        assert skrnn.get_num_threads() == 4, "a cap, not a wish"
        skrnn.set_num_threads(0)
        assert skrnn.get_num_threads() == 4


@pytest.mark.parametrize("bad", [-1, 1.5, "2", None])
def test_a_cap_that_is_none(bad: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        skrnn.set_num_threads(bad)
    assert skrnn.get_num_threads() >= 1


@needs_openmp
@needs_proc
@pytest.mark.parametrize("n", [1, 3, 5])
def test_environment_is_obeyed(n: int) -> None:
    """OMP_NUM_THREADS decides how many threads there are, even beyond the number of processors."""
    done = python(
        WORK
        + """
print(skrnn.get_num_threads())
before = tasks()
work()
print(tasks() - before)
""",
        OMP_NUM_THREADS=str(n),
    )
    assert done.stdout.split() == [str(n), str(n - 1)]


@needs_openmp
@needs_proc
def test_threadpoolctl_is_obeyed() -> None:
    done = python(
        WORK
        + """
import threadpoolctl
with threadpoolctl.threadpool_limits(limits=2, user_api="openmp"):
    print(skrnn.get_num_threads())
    before = tasks()
    work()
    print(tasks() - before)
print(skrnn.get_num_threads())
""",
        OMP_NUM_THREADS="6",
    )
    assert done.stdout.split() == ["2", "1", "6"]


@needs_openmp
def test_the_default_is_no_more_than_the_processors() -> None:
    done = python("import skrnn; print(skrnn.get_num_threads())", OMP_NUM_THREADS=None)
    assert 1 <= int(done.stdout) <= len(os.sched_getaffinity(0))


@needs_openmp
@needs_proc
def test_small_calls_stay_on_one_thread() -> None:
    done = python(
        WORK
        + """
_core.set_work_per_thread(enough)
before = tasks()
for _ in range(3):
    layer.forward(X[:1, :2])
print(tasks() - before)
""",
        OMP_NUM_THREADS="4",
    )
    assert int(done.stdout) == 0


@needs_proc
def test_import_starts_no_threads() -> None:
    done = python(
        """
import os
import numpy, scipy, sklearn.base, sklearn.utils.validation  # these start their own
before = len(os.listdir("/proc/self/task"))
import skrnn
print(len(os.listdir("/proc/self/task")) - before)
""",
        OMP_NUM_THREADS="4",
        # NumPy's linear algebra starts threads late on some machines; it is not on trial here.
        OPENBLAS_NUM_THREADS="1",
    )
    assert int(done.stdout) == 0


# ---------------------------------------------------------------------------------------------------------------------
# Forks
# ---------------------------------------------------------------------------------------------------------------------

# A child that hangs must not outlive the test: it gives itself a deadline, and so does whoever waits for it.
FORK = (
    WORK
    + """
import signal
import sys

def in_child(check):
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)
        try:
            os._exit(0 if check() else 3)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(4)
    return os.waitpid(pid, 0)[1]
"""
)


@needs_fork
def test_fork_after_a_parallel_region() -> None:
    """OpenMP's team does not survive a fork; the child computes alone, and the same bits."""
    done = python(
        FORK
        + """
want = work()
print("child", in_child(lambda: skrnn.get_num_threads() == 1 and work() == want))
print("child's child", in_child(lambda: in_child(lambda: work() == want) == 0))
print("parent", int(work() != want), skrnn.get_num_threads())
print("another result", in_child(lambda: work() == b"") != 0)
""",
        OMP_NUM_THREADS="3",
    )
    n_threads = 3 if has_openmp() else 1
    want = ["child 0", "child's child 0", f"parent 0 {n_threads}", "another result True"]
    assert done.stdout.splitlines() == want, done.stderr


@needs_fork
def test_fork_while_another_thread_computes() -> None:
    done = python(
        FORK
        + """
import threading
want = work()
done = threading.Event()

def keep_busy():
    while not done.is_set():
        work()

busy = threading.Thread(target=keep_busy)
busy.start()
try:
    print([in_child(lambda: work() == want) for _ in range(5)])
finally:
    done.set()
    busy.join()
""",
        OMP_NUM_THREADS="3",
    )
    assert done.stdout.strip() == "[0, 0, 0, 0, 0]", done.stderr


@needs_fork
def test_pool_of_forked_processes_can_fit() -> None:
    done = python(
        """
import multiprocessing
import numpy as np
from skrnn import RNNClassifier, _core

_core.set_work_per_thread(1.0)  # or the parent would start no threads that a child could miss
X = np.random.default_rng(0).standard_normal((60, 12, 8))
y = (X.sum(axis=(1, 2)) > 0).astype(int)

def fit(seed):
    model = RNNClassifier("lstm", 64, max_iter=2, tol=None, random_state=seed).fit(X, y)
    return model.predict_proba(X).tobytes()

want = [fit(0), fit(1)]
with multiprocessing.get_context("fork").Pool(2) as pool:
    got = pool.map_async(fit, [0, 1]).get(timeout=50)
print(got == want, got[0] == got[1])
""",
        OMP_NUM_THREADS="3",
    )
    assert done.stdout.split() == ["True", "False"]


# ---------------------------------------------------------------------------------------------------------------------
# Many callers
# ---------------------------------------------------------------------------------------------------------------------


def test_one_model_many_callers(cell: str, dtype: str, isa: str) -> None:
    """Any number of Python threads may call one frozen model at once, with batches of their own."""
    p = problem(cell, Case(input_size=9, hidden_size=40, n_rows=30, n_steps=12, lengths="ragged"))
    layer = recurrent(p, dtype).freeze()
    X = p.X.astype(dtype)
    assert p.lengths is not None
    want, _ = layer.forward(X, lengths=p.lengths)
    n_callers = 8
    start = threading.Barrier(n_callers)

    def call(k: int) -> list[Array]:
        start.wait()
        rows = slice(k, 30 - k)
        return [layer.forward(X[rows], lengths=p.lengths[rows])[0] for _ in range(5)]

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # change threads as often as can be
    try:
        with ThreadPoolExecutor(n_callers) as pool:
            for k, outputs in enumerate(pool.map(call, range(n_callers))):
                for output in outputs:
                    assert_same_bits(output, want[k : 30 - k])
    finally:
        sys.setswitchinterval(interval)


def test_others_run_meanwhile() -> None:
    """The interpreter's lock is released during a call, so another thread gets on with its work.

    Told by order, not by time: threads change places at releases of the lock alone, and the only one between waking
    the other thread and the mark behind it is inside the call. A busy machine may be late in waking, so it may try
    again.
    """
    p = problem("lstm", Case(input_size=64, hidden_size=256, n_rows=64, n_steps=50, with_state=False))
    layer = recurrent(p, "float32").freeze()
    X = p.X.astype("float32")

    def first_mark() -> str:
        marks: list[str] = []
        go = threading.Event()

        def other() -> None:
            go.wait()
            marks.append("other")

        thread = threading.Thread(target=other)
        thread.start()
        go.set()
        layer.forward(X)
        marks.append("caller")
        thread.join()
        return marks[0]

    interval = sys.getswitchinterval()
    sys.setswitchinterval(100)  # nobody is made to yield
    try:
        assert any(first_mark() == "other" for _ in range(20))
    finally:
        sys.setswitchinterval(interval)


# ---------------------------------------------------------------------------------------------------------------------
# No traces
# ---------------------------------------------------------------------------------------------------------------------


def test_subnormal_numbers_survive_import_and_calls() -> None:
    """Whoever sets "flush to zero" for speed sets it for the whole program. We do not."""
    done = python(
        """
import numpy as np

def subnormals_live():
    half = np.array([0.5])
    return all(
        (np.finfo(dtype).tiny * half.astype(dtype) > 0).all() for dtype in (np.float32, np.float64)
    )

print("before", subnormals_live())
"""
        + WORK
        + """
print("after import", subnormals_live())
work()
skrnn.RNNRegressor("gru", 8, max_iter=1, tol=None).fit(X[:, :, :3], X[:, 0, 0])
print("after calls", subnormals_live())
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(1) as pool:
    print("in another thread", pool.submit(lambda: (work(), subnormals_live())[1]).result())
""",
        OMP_NUM_THREADS="2",
    )
    moments = ("before", "after import", "after calls", "in another thread")
    assert done.stdout.splitlines() == [f"{moment} True" for moment in moments]


def test_subnormal_values_are_computed_with(dtype: str, isa: str) -> None:
    """A state that decays below the normal numbers decays on, as the reference's does."""
    p = problem("rnn", Case("relu", input_size=1, hidden_size=1, n_rows=1, n_steps=3))
    layer = recurrent(p, dtype)
    for weights in layer.weights.values():
        weights[...] = 0
    layer.weights["weight_hh_l0"][...] = 0.5
    tiny = np.finfo(dtype).tiny
    output, _ = layer.forward(np.zeros((1, 3, 1), dtype), state=np.full((1, 1, 1), tiny, dtype))
    assert_same_bits(output[0, :, 0], tiny * np.array([0.5, 0.25, 0.125], dtype))


def test_floating_point_errors_of_numpy_are_not_ours() -> None:
    """Overflow inside a kernel leaves no flag for NumPy to complain about at its next operation."""
    layer = skrnn.nn.Recurrent("lstm", input_size=3, hidden_size=5)
    X = np.full((2, 4, 3), 1e38, np.float32)
    with np.errstate(all="raise"):
        layer.forward(X)
        assert np.float32(2) * np.float32(3) == 6
        np.add(X[:, :, 0] * np.float32(1e-38), 1)


def test_threadpoolctl_sees_us() -> None:
    if not has_openmp():
        pytest.skip("built without OpenMP")
    assert any(library["user_api"] == "openmp" for library in threadpoolctl.threadpool_info())


def test_spawned_processes_agree() -> None:
    """A pool of fresh processes, as joblib makes them, gives the answers of this one."""
    p = problem("gru", Case())
    layer = recurrent(p, "float64").freeze()
    want, _ = layer.forward(p.X)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        got, _ = pool.apply_async(layer.forward, (p.X,)).get(timeout=60)
    assert_same_bits(got, want)


def test_one_tape_between_threads(cell: str) -> None:
    """A tape is used up once, whoever comes first; the others are told so."""
    layer = Recurrent(cell, input_size=8, hidden_size=16, random_state=0)
    X = np.ones((4, 10, 8), np.float32)
    for _ in range(20):
        tape = layer.record(X)
        ready = threading.Barrier(4)
        outcomes: list[str] = []

        def backward(tape: Any = tape, ready: threading.Barrier = ready, outcomes: list[str] = outcomes) -> None:
            ready.wait()
            try:
                tape.backward(np.ones((4, 10, 16), np.float32))
                outcomes.append("done")
            except RuntimeError as error:
                outcomes.append(str(error))

        workers = [threading.Thread(target=backward) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert outcomes.count("done") == 1
        assert sum("consumed" in outcome for outcome in outcomes) == 3
