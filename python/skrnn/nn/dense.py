"""The fully connected layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from skrnn import _core
from skrnn.nn._checks import Array, check_dtype, check_exact, check_floats, check_size
from skrnn.nn.initializers import glorot_uniform
from skrnn.nn.parameters import Layer, Parameters


class DenseGradients(NamedTuple):
    """What ``DenseTape.backward`` returns."""

    X: Array
    """Gradient for ``X`` (N, I)."""
    weights: Mapping[str, Array]
    """Gradient for ``weight`` and ``bias``; views of one flat vector."""
    parameters: Parameters
    """That vector, for a solver: ``out`` where it was given."""


class DenseTape:
    """One recorded forward pass of a :class:`Dense`.

    Attributes
    ----------
    output : ndarray of shape (N, O)
    """

    def __init__(self, layer: Dense, X: Array, output: Array) -> None:
        self.output = output
        self._layer = layer
        self._X = X

    def backward(self, d_output: Array, *, out: Parameters | None = None) -> DenseGradients:
        """Return the gradients for the input and the weights.

        Parameters
        ----------
        d_output : ndarray of shape (N, O)
            Gradient of the loss for the output.
        out : Parameters, default=None
            Formed like ``layer.parameters``: where to write the gradients of the weights, instead
            of new memory. Of joined layers each writes its own share and leaves the rest.

        Returns
        -------
        DenseGradients
            ``X``, ``weights`` and ``parameters``.

        Raises
        ------
        TypeError, ValueError
            If ``d_output`` has another dtype or shape than the output, or ``out`` than the weights.
        """
        X, layer = self._X, self._layer
        d_output = check_exact("d_output", d_output, X.dtype, self.output.shape)
        parameters, weights = layer._place_for_gradients(out)
        d_x = np.empty_like(X, order="C")
        d_output = np.ascontiguousarray(d_output)
        _core.dense_backward(X, layer.weights["weight"], d_output, d_x, weights["weight"], weights["bias"])
        return DenseGradients(d_x, weights, parameters)


class Dense(Layer):
    """``output = X @ weight.T + bias``, each row computed alike whatever its neighbours.

    Parameters
    ----------
    input_size, output_size : int
        Columns of the input (I) and of the output (O).
    dtype : {"float32", "float64"}, default="float32"
        That of weights, inputs and outputs.
    random_state : int, numpy.random.Generator or None, default=0
        Decides the first weights.

    Attributes
    ----------
    weights : mapping of str to ndarray
        ``weight`` (O, I), Glorot uniform at first, and ``bias`` (O,), zero at first.
    parameters : Parameters
        The flat vector of which the weights are views.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        dtype: DTypeLike = "float32",
        random_state: int | np.random.Generator | None = 0,
    ) -> None:
        self.input_size = check_size("input_size", input_size)
        self.output_size = check_size("output_size", output_size)
        shape = (self.output_size, self.input_size)
        super().__init__({"weight": shape, "bias": shape[:1]}, check_dtype(dtype))
        self.weights["weight"][...] = glorot_uniform(shape, np.random.default_rng(random_state))

    def forward(self, X: Array) -> Array:
        """Return the output.

        Parameters
        ----------
        X : ndarray of shape (N, I)
            The input, of the layer's dtype.

        Returns
        -------
        ndarray of shape (N, O)

        Raises
        ------
        TypeError
            If ``X`` has another dtype than the layer.
        ValueError
            If ``X`` does not have two axes or another number of columns.
        """
        return self.record(X).output

    def record(self, X: Array) -> DenseTape:
        """Return a tape with ``output`` and ``backward(d_output, out=None)``.

        Parameters
        ----------
        X : ndarray of shape (N, I)
            The input; it and the weights must not change until ``backward`` is done.

        Returns
        -------
        DenseTape

        Raises
        ------
        TypeError, ValueError
            As :meth:`forward`.
        """
        X = np.ascontiguousarray(check_floats("X", X, self.dtype, 2))
        if X.shape[1] != self.input_size:
            raise ValueError(f"X must have shape (n_rows, {self.input_size}), got {X.shape}")
        output = np.empty((len(X), self.output_size), dtype=self.dtype)
        _core.dense_forward(X, self.weights["weight"], self.weights["bias"], output)
        return DenseTape(self, X, output)
