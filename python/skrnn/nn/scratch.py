"""Memory that a training loop keeps from one step to the next."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

import numpy as np

from skrnn import _core
from skrnn.nn._checks import Array


class Scratch:
    """Named arrays that are made once and used again, and the workspace of the core's tapes.

    Fresh memory costs a page fault for each 4 KiB; reusing it makes small steps several times
    faster. An array is valid until the same name is asked for again.

    Parameters
    ----------
    dtype : numpy.dtype
        That of all arrays.
    workspace : skrnn._core.Workspace
        Where tapes borrow their memory.
    """

    def __init__(self, dtype: np.dtype[Any], workspace: _core.Workspace) -> None:
        self.workspace = workspace
        self._dtype = dtype
        self._arrays: dict[Hashable, Array] = {}

    def empty(self, name: Hashable, shape: tuple[int, ...]) -> Array:
        """Return an array of this shape whose values are arbitrary."""
        array = self._arrays.get(name)
        if array is not None and array.shape == shape:
            return array
        size = math.prod(shape)
        base = None if array is None else array.base
        if base is None or base.size < size:
            base = np.empty(size, dtype=self._dtype)
        view = base[:size].reshape(shape)
        self._arrays[name] = view
        return view
