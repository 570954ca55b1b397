"""Weights: named views of one flat vector per network.

So a solver step, a norm, a checkpoint or an average of networks is one operation on one array.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from skrnn.nn._checks import Array

Shapes = Mapping[str, tuple[int, ...]]

_ALIGNMENT = 64  # bytes: a cache line, and the widest vector of any instruction set


def aligned_zeros(size: int, dtype: np.dtype[Any]) -> Array:
    """Return ``size`` zeros that begin on a cache line."""
    n_bytes = size * dtype.itemsize
    memory = np.zeros(n_bytes + _ALIGNMENT, dtype=np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + n_bytes].view(dtype)


class Parameters:
    """One flat vector and its named views.

    The vector holds every matrix first and every vector (bias) after them, whatever layers they
    belong to, so that weight decay, which leaves biases alone, acts on its first ``decay_size``
    entries.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        The name and shape of each array.
    dtype : numpy.dtype
        float32 or float64.

    Attributes
    ----------
    values : ndarray of shape (size,)
        The vector, zeros at first, aligned to 64 bytes.
    views : dict of str to ndarray
        A writable C-contiguous view of ``values`` for each name, in the order of ``shapes``.
    decay_size : int
        How many entries belong to matrices.
    """

    def __init__(self, shapes: Shapes, dtype: np.dtype[Any]) -> None:
        self.values = aligned_zeros(sum(map(math.prod, shapes.values())), dtype)
        self.views: dict[str, Array] = dict.fromkeys(shapes, self.values)  # keeps their order
        self.decay_size = 0
        end = 0
        for name, shape in sorted(shapes.items(), key=lambda item: len(item[1]) < 2):
            start, end = end, end + math.prod(shape)
            self.views[name] = self.values[start:end].reshape(shape)
            if len(shape) >= 2:
                self.decay_size = end

    @classmethod
    def join(cls, layers: Mapping[str, Layer]) -> Parameters:
        """Move the weights of several layers into one vector.

        Parameters
        ----------
        layers : mapping of str to Layer
            Each layer by the prefix of its names in the joint vector, for example ``"head."``.

        Returns
        -------
        joint : Parameters
            The joint vector. The layers' weights are views of it from now on, values unchanged.
        """
        shapes = {
            prefix + name: array.shape for prefix, layer in layers.items() for name, array in layer.weights.items()
        }
        joint = cls(shapes, next(iter(layers.values())).dtype)
        for prefix, layer in layers.items():
            layer.bind({name: joint.views[prefix + name] for name in layer.weights})
        return joint

    def like(self) -> Parameters:
        """Return zeros under the same names: a place for gradients."""
        shapes = {name: view.shape for name, view in self.views.items()}
        return Parameters(shapes, self.values.dtype)


class Layer:
    """What all layers share: weights by name.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        The name and shape of each array of weights.
    dtype : numpy.dtype
        float32 or float64.

    Attributes
    ----------
    weights : dict of str to ndarray
        Writable views of one flat vector: assign with ``layer.weights[name][...] = values``.
    dtype : numpy.dtype
        That of the weights, inputs and outputs.
    """

    def __init__(self, shapes: Shapes, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.weights = Parameters(shapes, dtype).views

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        # Each array was unpickled by itself.
        shapes = {name: array.shape for name, array in self.weights.items()}
        self.bind(Parameters(shapes, self.dtype).views)

    def bind(self, weights: dict[str, Array]) -> None:
        """Keep the weights in other arrays of the same shapes; their values are carried over."""
        for name, array in self.weights.items():
            weights[name][...] = array
        self.weights = weights
