"""How the tests run things: a network from a problem, a number of threads, another Python."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import threadpoolctl  # a requirement of scikit-learn

import skrnn
from cases import Problem, State
from skrnn import _core
from skrnn.nn import Recurrent


def recurrent(problem: Problem, dtype: str = "float64") -> Recurrent:
    """The network of a problem, with the problem's weights."""
    layer = Recurrent(cell=problem.cell, dtype=dtype, random_state=0, **problem.case.architecture())
    assert set(layer.weights) == set(problem.weights)
    for name, value in problem.weights.items():
        layer.weights[name][...] = value
    return layer


def states(state: Any) -> State:
    """The states of a network as a tuple, also where the network has but one."""
    return tuple(state) if isinstance(state, tuple | list) else (state,)


def given(arrays: State | None, dtype: str = "float64") -> Any:
    """States as the network takes them: ``h``, or ``(h, c)``."""
    if arrays is None:
        return None
    cast = tuple(array.astype(dtype) for array in arrays)
    return cast if len(cast) > 1 else cast[0]


def same_bits(got: Any, want: Any) -> bool:
    """Equal shapes, dtypes and bits. Unlike ``==`` it tells -0 from 0, and a NaN equals itself."""
    got, want = np.ascontiguousarray(got), np.ascontiguousarray(want)
    return got.shape == want.shape and got.dtype == want.dtype and got.tobytes() == want.tobytes()


def assert_same_bits(got: Any, want: Any, what: str = "") -> None:
    got, want = np.asarray(got), np.asarray(want)
    assert got.dtype == want.dtype, what
    np.testing.assert_array_equal(got, want, err_msg=what)  # says where they differ
    assert same_bits(got, want), f"{what}: equal numbers in different bits (the sign of a zero)"


USUAL_THREADS = 1
"""Tests run on one thread unless they ask for more: machines that test are busy, and threads that wait for their turn
make small calls slow. What more threads compute is the same, bit for bit; test_determinism.py proves it."""


@contextlib.contextmanager
def threads(n: int) -> Iterator[None]:
    """Really n threads, also where the machine has fewer cores, on every call, however small its work; skips where the
    build has but one.
    """
    with threadpoolctl.threadpool_limits(limits=n, user_api="openmp"):
        skrnn.set_num_threads(0)
        enough = _core.set_work_per_thread(1.0)
        try:
            got = skrnn.get_num_threads()
            if got == 1 and n > 1 and not has_openmp():
                pytest.skip("built without OpenMP")
            assert got == n
            yield
        finally:
            skrnn.set_num_threads(USUAL_THREADS)
            _core.set_work_per_thread(enough)


def has_openmp() -> bool:
    return _core.build_info()["openmp"] != "no"


def python(
    code: str, *, timeout: float = 60, check: bool = True, under: Sequence[str] = (), **env: str | None
) -> subprocess.CompletedProcess[str]:
    """Run a program in a fresh interpreter. ``None`` removes a variable from its environment.

    ``under`` is a command that runs the interpreter, such as an emulator.

    The time limit is for hangs alone; it is generous, because the machine may be busy.
    """
    environment = {key: value for key, value in os.environ.items() if env.get(key, "") is not None}
    environment |= {key: value for key, value in env.items() if value is not None}
    done = subprocess.run(
        [*under, sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment,
        check=False,
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done
