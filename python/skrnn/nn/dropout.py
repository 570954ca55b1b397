"""Dropout between layers and within them: masks as a function of the seed, the step and their place."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from skrnn import _core
from skrnn.nn._checks import Array, check_rate

# The counter of what is drawn once for all time steps; other counters are numbers of steps.
_NO_STEP = 0xFFFFFFFF

# What tells the keys of masks between layers from those within.
_BETWEEN, _WITHIN = 0, 1


class RecurrentMasks(NamedTuple):
    """All that a layer drops at one step of training: what :meth:`Recurrent.masks` returns."""

    dropout: tuple[Array, ...]
    """For each layer but the first, the mask of its input (N, T, D*H); empty without ``dropout``."""
    recurrent: Array | None
    """The mask of ``h`` in recurrent products (L*D, N, H); None without ``recurrent_dropout``."""
    zoneout: Array | None
    """True where a state keeps its value (n_states, L*D, N, T, H), steps counted as the unit reads
    them, the backward direction from a row's end; None without ``zoneout``."""


class Dropout:
    """Inverted dropout with counter-based random numbers.

    An element of a mask is 0 with probability ``rate`` and else ``1 / (1 - rate)``, so that the
    expected sum does not change (Srivastava et al., "Dropout: a simple way to prevent neural
    networks from overfitting", 2014). Nothing is remembered from one mask to the next: the same
    seed, step and place give the same mask in any order of calls and in any process.

    All come from the generator of the compiled core, from a key for each step of training and layer
    (within layers, each direction), the place of a row in the batch, the hidden unit and, but for
    recurrent dropout, the time step: nothing depends on the lengths of rows, on other rows or on
    threads. The keys are from NumPy's Philox generator.

    Parameters
    ----------
    rate : float
        Probability of dropping an element between layers, in [0, 1).
    seed : int
        Key of the Philox generator, in [0, 2**64).
    recurrent_rate : float, default=0.0
        Probability of dropping an element of ``h`` where it enters a recurrent product, in [0, 1).
    """

    def __init__(self, rate: float, seed: int, recurrent_rate: float = 0.0) -> None:
        self.rate = check_rate("dropout", rate)
        self.recurrent_rate = check_rate("recurrent_dropout", recurrent_rate)
        self.seed = int(seed)

    def mask(self, step: int, layer: int, shape: tuple[int, ...], dtype: np.dtype[Any], first_step: int = 0) -> Array:
        """Return the mask of one layer at one step of training.

        Parameters
        ----------
        step, layer : int
            Which mask.
        shape : (int, int, int)
            Rows, time steps, and elements that are handed on.
        dtype : numpy.dtype
            float32 or float64.
        first_step : int, default=0
            The time step that a piece of sequences begins with: each piece has a mask of its own.

        Returns
        -------
        ndarray of shape (N, T, D*H)
        """
        n_rows, n_steps, size = shape
        mask = np.empty(shape, dtype)
        words = np.empty((2, n_steps * size), dtype=np.uint32)
        for key, row in zip(_row_keys(self._key(_BETWEEN, step, layer), n_rows), mask, strict=True):
            _core.random_words(key, first_step, words)
            np.multiply(~_happens(self.rate, words[0]).reshape(row.shape), 1.0 / (1.0 - self.rate), out=row)
        return mask

    def key(self, step: int, unit: int) -> int:
        """Return what decides the masks within one unit at one step of training, in [0, 2**64).

        Parameters
        ----------
        step, unit : int
            The step of training, and ``layer * D + direction``.
        """
        return self._key(_WITHIN, step, unit)

    def _key(self, place: int, step: int, layer: int) -> int:
        return int(np.random.Philox(key=self.seed, counter=[0, place, layer, step]).random_raw())

    def recurrent_mask(self, step: int, unit: int, shape: tuple[int, int], dtype: np.dtype[Any]) -> Array:
        """Return the mask of recurrent dropout that one unit has at one step of training.

        Parameters
        ----------
        step, unit : int
            Which mask.
        shape : (int, int)
            Rows and hidden units.
        dtype : numpy.dtype
            float32 or float64.

        Returns
        -------
        ndarray of shape (N, H)
        """
        n_rows, hidden_size = shape
        kept = np.empty(shape, dtype=bool)
        for row, key in enumerate(_row_keys(self.key(step, unit), n_rows)):
            kept[row] = ~_happens(self.recurrent_rate, _words(key, _NO_STEP, hidden_size)[0])
        mask: Array = kept * dtype.type(1.0 / (1.0 - self.recurrent_rate))
        return mask

    def zoneout_mask(self, step: int, unit: int, shape: tuple[int, int, int, int], rate: float) -> Array:
        """Return where the states of one unit keep their values at one step of training.

        Parameters
        ----------
        step, unit : int
            Which mask.
        shape : (int, int, int, int)
            States of the cell, rows, time steps as the unit reads them, hidden units.
        rate : float
            The probability of keeping a value.

        Returns
        -------
        ndarray of bool of shape (n_states, N, T, H)
        """
        n_states, n_rows, n_steps, hidden_size = shape
        mask = np.empty(shape, dtype=bool)
        for row, key in enumerate(_row_keys(self.key(step, unit), n_rows)):
            for t in range(n_steps):
                mask[:, row, t] = _happens(rate, _words(key, t, hidden_size)[:n_states])
        return mask


def _row_keys(key: int, n_rows: int) -> list[int]:
    """Return the key of each row, by which all else is drawn that concerns it."""
    first, second = _words(key, _NO_STEP, n_rows).astype(np.uint64)
    keys: list[int] = (first | second << np.uint64(32)).tolist()
    return keys


def _words(key: int, counter: int, n: int) -> Array:
    """Return the two random words for each of ``n`` counters: uint32 of shape (2, n)."""
    words = np.empty((2, n), dtype=np.uint32)
    _core.random_words(key, counter, words)
    return words


def _happens(rate: float, words: Array) -> Array:
    """Return, word by word, whether what has that probability happens: the rule of the compiled core."""
    happens: Array = words >> np.uint32(1) < np.uint32(rate * 2**31)
    return happens
