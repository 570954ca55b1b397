"""Dropout: masks as a function of the seed, the step and the layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from skrnn.nn._checks import Array, check_rate


class Dropout:
    """Inverted dropout with counter-based random numbers.

    An element of a mask is 0 with probability ``rate`` and else ``1 / (1 - rate)``, so that the
    expected sum does not change (Srivastava et al., "Dropout: a simple way to prevent neural
    networks from overfitting", 2014). Nothing is remembered from one mask to the next: the same
    seed, step and layer give the same mask in any order of calls and in any process.

    Parameters
    ----------
    rate : float
        Probability of dropping an element, in [0, 1).
    seed : int
        Key of the Philox generator, in [0, 2**64).
    """

    def __init__(self, rate: float, seed: int) -> None:
        self.rate = check_rate("dropout", rate)
        self.seed = int(seed)

    def mask(self, step: int, layer: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return the mask of one layer at one step of training.

        Parameters
        ----------
        step, layer : int
            Which mask.
        shape : tuple of int
            Its shape.
        dtype : numpy.dtype
            float32 or float64.

        Returns
        -------
        ndarray
        """
        # Philox counts its blocks in the low words; the high ones are free to name the mask.
        philox = np.random.Philox(key=self.seed, counter=[0, 0, layer, step])
        kept = np.random.Generator(philox).random(shape, dtype=np.float32) >= self.rate
        mask: Array = kept * dtype.type(1.0 / (1.0 - self.rate))
        return mask
