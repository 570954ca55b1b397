"""How many threads the core uses."""

from __future__ import annotations

import operator

from skrnn import _core


def set_num_threads(n: int) -> int:
    """Let later calls use at most ``n`` threads, whichever Python thread makes them.

    Results do not depend on it, bit for bit. Calls too small to be worth a second thread use one
    in any case.

    Parameters
    ----------
    n : int
        At least 1; or 0 for no cap.

    Returns
    -------
    int
        The cap before: hand it back to restore it.

    Raises
    ------
    ValueError
        If ``n`` is negative.
    """
    return _core.set_num_threads(operator.index(n))


def get_num_threads() -> int:
    """Return how many threads a large call would use now.

    That is the least of the cap of :func:`set_num_threads`, of OpenMP's limit for the calling
    thread (which ``OMP_NUM_THREADS`` and threadpoolctl set) and, unless ``OMP_NUM_THREADS`` is set,
    of the processors that this process may use. In a forked child it is 1.
    """
    return _core.get_num_threads()
