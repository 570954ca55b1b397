"""Weights: named views of one flat vector per network.

So a solver step, a norm, a checkpoint or an average of networks is one operation on one array.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from skrnn.nn._checks import Array

Shapes = Mapping[str, tuple[int, ...]]

_ALIGNMENT = 64  # bytes: a cache line, and the widest vector of any instruction set


def aligned_empty(size: int, dtype: np.dtype[Any]) -> Array:
    """Return room for ``size`` values that begins on a cache line."""
    n_bytes = size * dtype.itemsize
    memory = np.empty(n_bytes + _ALIGNMENT, dtype=np.uint8)
    start = -memory.__array_interface__["data"][0] % _ALIGNMENT
    return memory[start : start + n_bytes].view(dtype)


def aligned_zeros(size: int, dtype: np.dtype[Any]) -> Array:
    """Return ``size`` zeros that begin on a cache line."""
    zeros = aligned_empty(size, dtype)
    zeros.fill(0)
    return zeros


class _Place(NamedTuple):
    """Where the array of one name lies in the flat vector."""

    name: str
    begin: int
    end: int
    shape: tuple[int, ...]


@cache
def _layout(shapes: tuple[tuple[str, tuple[int, ...]], ...]) -> tuple[tuple[_Place, ...], int, int]:
    """Return the place of every array, in the order of ``shapes``, the size of all and that of the matrices."""
    places: dict[str, _Place] = {}
    end = decay_size = 0
    for name, shape in sorted(shapes, key=lambda item: len(item[1]) < 2):
        begin, end = end, end + math.prod(shape)
        places[name] = _Place(name, begin, end, shape)
        if len(shape) >= 2:
            decay_size = end
    return tuple(places[name] for name, _ in shapes), end, decay_size


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
    views : mapping of str to ndarray
        A writable C-contiguous view of ``values`` for each name, in the order of ``shapes``.
    decay_size : int
        How many entries belong to matrices.
    abandoned : bool
        Whether the layer has moved to a joint vector, so that nobody reads this one any more.
    """

    def __init__(self, shapes: Shapes, dtype: np.dtype[Any]) -> None:
        self._allocate(tuple(shapes.items()), dtype)
        self.values.fill(0)

    def _allocate(self, shapes: tuple[tuple[str, tuple[int, ...]], ...], dtype: np.dtype[Any]) -> None:
        self.abandoned = False
        self._shapes = shapes
        places, size, self.decay_size = _layout(shapes)
        self.values = values = aligned_empty(size, dtype)
        self.views: Mapping[str, Array] = MappingProxyType(
            {name: values[begin:end].reshape(shape) for name, begin, end, shape in places}
        )

    @classmethod
    def empty(cls, shapes: Shapes, dtype: np.dtype[Any]) -> Parameters:
        """Make room that somebody is about to fill: its values are undefined."""
        made = cls.__new__(cls)
        made._allocate(tuple(shapes.items()), dtype)
        return made

    def __getstate__(self) -> tuple[Any, Array]:
        return self._shapes, self.values

    def __setstate__(self, state: tuple[Any, Array]) -> None:
        # Anew, since a copy of a view is no view.
        shapes, values = state
        Parameters.__init__(self, dict(shapes), values.dtype)
        self.values[:] = values

    @classmethod
    def join(cls, layers: Mapping[str, Layer]) -> Parameters:
        """Move the weights of several layers into one vector.

        Join before making a solver: one that was made for a layer alone moves what the layer has
        left behind.

        Parameters
        ----------
        layers : mapping of str to Layer
            Each layer by the prefix of its names in the joint vector, for example ``"head."``.

        Returns
        -------
        joint : Parameters
            The joint vector. The layers' weights are views of it from now on, values unchanged,
            and ``layer.parameters`` is this for each of them.

        Raises
        ------
        TypeError
            If one is not a layer, or if dtypes differ.
        ValueError
            If there are no layers, one comes twice, or two arrays would have the same name.
        """
        if not layers:
            raise ValueError("there is no layer to join")
        for prefix, layer in layers.items():
            if not isinstance(layer, Layer):
                raise TypeError(f"layers[{prefix!r}] must be a layer, got {type(layer).__name__}")
        dtypes = {layer.dtype for layer in layers.values()}
        if len(dtypes) > 1:
            raise TypeError(f"all layers must have the same dtype, got {' and '.join(sorted(map(str, dtypes)))}")
        if len(set(map(id, layers.values()))) < len(layers):
            raise ValueError("each layer can be joined once, but one of them comes twice")
        shapes: dict[str, tuple[int, ...]] = {}
        for prefix, layer in layers.items():
            for name, array in layer.weights.items():
                if prefix + name in shapes:
                    raise ValueError(f"two arrays would be named {prefix + name!r}: give the layers other prefixes")
                shapes[prefix + name] = array.shape
        joint = cls(shapes, dtypes.pop())
        for prefix, layer in layers.items():
            layer._move(joint, prefix)
        return joint

    def like(self) -> Parameters:
        """Return zeros under the same names: a place for gradients."""
        return Parameters(dict(self._shapes), self.values.dtype)

    def check_like(self, name: str, value: Any) -> Parameters:
        """Return ``value`` when it is a ``Parameters`` of the same names, shapes and dtype.

        Parameters
        ----------
        name : str
            What to call it in the text of an error.
        value : object
            What to check.

        Raises
        ------
        TypeError, ValueError
            If it is anything else.
        """
        check_parameters(name, value)
        if value.values.dtype != self.values.dtype:
            raise TypeError(f"{name} has dtype {value.values.dtype}, but the weights are {self.values.dtype}")
        if value._shapes != self._shapes:
            raise ValueError(
                f"{name} must have the names and shapes of the weights, {dict(self._shapes)}, got "
                f"{dict(value._shapes)}. Of layers that were joined, let each tape write its share of the "
                "joint gradient: gradients = parameters.like(), then backward(..., out=gradients)."
            )
        checked: Parameters = value
        return checked


def check_parameters(name: str, value: Any) -> Parameters:
    """Return ``value`` when it is a :class:`Parameters`."""
    if not isinstance(value, Parameters):
        raise TypeError(
            f"{name} must be a skrnn.nn.Parameters, such as layer.parameters or "
            f"tape.backward(...).parameters, got {type(value).__name__}"
        )
    return value


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
    parameters : Parameters
        The flat vector that holds the weights, for a solver. After :meth:`Parameters.join` it
        holds those of the other layers as well.
    weights : mapping of str to ndarray
        Writable views of that vector; :meth:`load_weights` fills them.
    dtype : numpy.dtype
        That of the weights, inputs and outputs.
    """

    def __init__(self, shapes: Shapes, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self._shapes = dict(shapes)
        self._bind(Parameters(shapes, dtype), "")

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_weights"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._bind(self.parameters, self._prefix)

    def _bind(self, parameters: Parameters, prefix: str) -> None:
        """Take the views that begin with ``prefix`` for the weights."""
        self.parameters = parameters
        self._prefix = prefix
        self._weights = self._share(parameters)

    @property
    def weights(self) -> Mapping[str, Array]:
        """Weights by name."""
        return self._weights

    def load_weights(self, weights: Mapping[str, Any]) -> None:
        """Copy weights in, for example those of a PyTorch module of the same architecture.

        Parameters
        ----------
        weights : mapping of str to array-like
            An array for every name in ``self.weights`` and no other, of the same shape; a
            ``state_dict`` of ``torch.nn.RNN``, ``LSTM`` or ``GRU`` is one.

        Raises
        ------
        ValueError
            If a name is missing or unknown, or a shape is another; nothing is changed then.
        """
        missing, unknown = self._weights.keys() - weights.keys(), weights.keys() - self._weights.keys()
        if missing or unknown:
            raise ValueError(f"weights must have these names: {sorted(self._weights)}, got {sorted(weights)}")
        arrays = {name: np.asarray(weights[name]) for name in self._weights}
        for name, array in arrays.items():
            if array.shape != self._weights[name].shape:
                raise ValueError(f"weights[{name!r}] must have shape {self._weights[name].shape}, got {array.shape}")
        for name, array in arrays.items():
            self._weights[name][...] = array

    def _share(self, parameters: Parameters) -> Mapping[str, Array]:
        """Return the views of this layer in what is formed like ``self.parameters``."""
        return MappingProxyType({name: parameters.views[self._prefix + name] for name in self._shapes})

    def _move(self, parameters: Parameters, prefix: str) -> None:
        """Keep the weights in other memory; their values are carried over."""
        before = self._weights
        self.parameters.abandoned = True
        self._bind(parameters, prefix)
        for name, array in before.items():
            self.weights[name][...] = array

    def _place_for_gradients(self, out: Any) -> tuple[Parameters, Mapping[str, Array]]:
        """Return where gradients go, ``out`` or else a new place of this layer alone, and the views of this layer."""
        if out is None:
            alone = Parameters.empty(self._shapes, self.dtype)
            return alone, alone.views
        if out is self.parameters:
            raise ValueError("out holds the weights themselves: use out=parameters.like()")
        checked = self.parameters.check_like("out", out)
        return checked, self._share(checked)


def read_only_copies(arrays: Mapping[str, Array], names: Iterable[str]) -> Mapping[str, Array]:
    """Copy the arrays of these names; neither the mapping nor the copies can be changed."""
    copies = {}
    for name in names:
        private = arrays[name].copy()
        private.flags.writeable = False
        copies[name] = private.view()  # its flag cannot be set back
    return MappingProxyType(copies)
