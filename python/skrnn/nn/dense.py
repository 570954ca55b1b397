"""The fully connected layer."""

from __future__ import annotations

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
    weights: dict[str, Array]
    """Gradient for ``weight`` and ``bias``; views of one flat vector."""


class DenseTape:
    """One recorded forward pass of a :class:`Dense`.

    Attributes
    ----------
    output : ndarray of shape (N, O)
    """

    def __init__(self, X: Array, weight: Array, output: Array) -> None:
        self.output = output
        self._X = X
        self._weight = weight

    def backward(self, d_output: Array) -> DenseGradients:
        """Return the gradients for the input and the weights.

        Parameters
        ----------
        d_output : ndarray of shape (N, O)
            Gradient of the loss for the output.

        Returns
        -------
        DenseGradients
            ``X`` and ``weights``.

        Raises
        ------
        TypeError, ValueError
            If ``d_output`` has another dtype or shape than the output.
        """
        X, weight = self._X, self._weight
        d_output = check_exact("d_output", d_output, X.dtype, self.output.shape)
        weights = Parameters({"weight": weight.shape, "bias": weight.shape[:1]}, X.dtype).views
        d_x = np.empty_like(X, order="C")
        d_output = np.ascontiguousarray(d_output)
        _core.dense_backward(X, weight, d_output, d_x, weights["weight"], weights["bias"])
        return DenseGradients(d_x, weights)


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
    weights : dict of str to ndarray
        ``weight`` (O, I), Glorot uniform at first, and ``bias`` (O,), zero at first.
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
        """Return a tape with ``output`` and ``backward(d_output)``.

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
        return DenseTape(X, self.weights["weight"], output)
