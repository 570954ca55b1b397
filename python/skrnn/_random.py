"""Where random numbers come from."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state


def generator(random_state: Any) -> np.random.Generator:
    """Return a new generator that a ``random_state`` stands for; None is NumPy's global state, as in scikit-learn."""
    if isinstance(random_state, np.random.Generator):  # its next numbers are its own, whatever becomes of ours
        return np.random.default_rng(random_state.integers(2**31, size=4))
    if random_state is None or isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(check_random_state(random_state).randint(2**31, size=4))
    return np.random.default_rng(random_state)
