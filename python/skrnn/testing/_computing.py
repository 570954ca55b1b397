"""Choosing how to compute: the instruction set, the number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from skrnn import _core


def available_isas() -> tuple[str, ...]:
    """Return the instruction sets that were compiled and that this processor can run."""
    return _core.available_isas()


@contextmanager
def use_isa(name: str) -> Iterator[None]:
    """Choose the instruction set of objects made, and functions called, inside the context.

    Parameters
    ----------
    name : str
        One of :func:`available_isas`.

    Raises
    ------
    ValueError
        If it is none of them.
    """
    before = _core.get_isa()
    _core.set_isa(name)
    try:
        yield
    finally:
        _core.set_isa(before)


@contextmanager
def num_threads(n: int) -> Iterator[None]:
    """Let calls inside the context use at most ``n`` threads.

    Parameters
    ----------
    n : int
        At least 1; or 0 for no cap.
    """
    before = _core.set_num_threads(n)
    try:
        yield
    finally:
        _core.set_num_threads(before)


@contextmanager
def share_all_work(n: int) -> Iterator[None]:
    """Let ``n`` threads, where the build has any, share every call inside the context, however small.

    OpenMP's and BLAS's threads are limited to as many, so that the code of others follows.

    Parameters
    ----------
    n : int
        At least 1; it may be more than there are cores.
    """
    from threadpoolctl import threadpool_limits  # a requirement of scikit-learn

    with threadpool_limits(limits=n):
        cap = _core.set_num_threads(0)
        enough = _core.set_work_per_thread(1.0)
        try:
            yield
        finally:
            _core.set_num_threads(cap)
            _core.set_work_per_thread(enough)
