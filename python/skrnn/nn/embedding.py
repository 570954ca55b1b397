"""The embedding layer: a vector for every token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from skrnn import _core
from skrnn.nn._checks import Array, check_dtype, check_exact, check_lengths, check_size
from skrnn.nn.parameters import Layer, Parameters
from skrnn.nn.recurrent import Lengths

embed = _core.embedding_forward
"""``embed(tokens, lengths, weight, out)``: what :class:`Embedding` and training loops run on.

``tokens`` (N, T) of int64, ``lengths`` (N,) of int64 or None, ``weight`` (V, E); ``out`` (N, T, E) is written whole. It
checks what the core checks, and that a token is one of the vocabulary is among that.
"""


def d_embed(tokens: Array, lengths: Lengths, d_output: Array, padding_idx: int | None, d_weight: Array) -> None:
    """Backpropagate through :func:`embed`: ``d_weight`` (V, E) is overwritten. With the core's checks alone."""
    _core.embedding_backward(tokens, lengths, d_output, -1 if padding_idx is None else padding_idx, d_weight)


class EmbeddingGradients(NamedTuple):
    """What ``EmbeddingTape.backward`` returns."""

    weights: Mapping[str, Array]
    """Gradient for ``weight``, a view of one flat vector; zero in rows whose token did not occur."""
    parameters: Parameters
    """That vector, for a solver: ``out`` where it was given."""


class EmbeddingTape:
    """One recorded forward pass of an :class:`Embedding`.

    Attributes
    ----------
    output : ndarray of shape (N, T, E)
    """

    def __init__(self, layer: Embedding, tokens: NDArray[np.int64], lengths: Lengths, output: Array) -> None:
        self.output = output
        self._layer = layer
        self._tokens = tokens
        self._lengths = lengths

    def backward(self, d_output: Array, *, out: Parameters | None = None) -> EmbeddingGradients:
        """Return the gradient for the weights.

        Parameters
        ----------
        d_output : ndarray of shape (N, T, E)
            Gradient of the loss for the output; values beyond a row's length are not read.
        out : Parameters, default=None
            Formed like ``layer.parameters``: where to write the gradients of the weights, instead
            of new memory. Of joined layers each writes its own share and leaves the rest.

        Returns
        -------
        EmbeddingGradients
            ``weights`` and ``parameters``.

        Raises
        ------
        TypeError, ValueError
            If ``d_output`` has another dtype or shape than the output, or ``out`` than the weights.
        """
        layer = self._layer
        d_output = check_exact("d_output", d_output, layer.dtype, self.output.shape)
        parameters, weights = layer._place_for_gradients(out)
        d_embed(self._tokens, self._lengths, d_output, layer.padding_idx, weights["weight"])
        return EmbeddingGradients(weights, parameters)


class Embedding(Layer):
    """A vector for every token: ``output[n, t] = weight[tokens[n, t]]``.

    Parameters
    ----------
    num_embeddings : int
        Tokens in the vocabulary (V): 0 to V - 1.
    embedding_dim : int
        Size of the vectors (E).
    padding_idx : int or None, default=None
        A token whose vector is zero and stays so, since it gets no gradient.
    dtype : {"float32", "float64"}, default="float32"
        That of weights and outputs.
    random_state : int, numpy.random.Generator or None, default=0
        Decides the first weights.

    Attributes
    ----------
    weights : mapping of str to ndarray
        ``weight`` (V, E): independent standard normal numbers at first, as in PyTorch, zeros in
        the row ``padding_idx``. Features of unit variance are what the input weights of the layer
        above, uniform after Glorot and Bengio (2010), are made for.
    parameters : Parameters
        The flat vector of which the weights are views.

    Examples
    --------
    >>> from skrnn.nn import Embedding
    >>> layer = Embedding(10, 4, padding_idx=0)
    >>> output = layer.forward([[3, 7, 1], [2, 0, 0]], lengths=[3, 1])
    >>> output.shape
    (2, 3, 4)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        padding_idx: int | None = None,
        dtype: DTypeLike = "float32",
        random_state: int | np.random.Generator | None = 0,
    ) -> None:
        self.num_embeddings = check_size("num_embeddings", num_embeddings)
        self.embedding_dim = check_size("embedding_dim", embedding_dim)
        if padding_idx is not None:
            padding_idx = check_size("padding_idx", padding_idx, low=0)
            if padding_idx >= self.num_embeddings:
                raise ValueError(f"padding_idx must be less than num_embeddings={num_embeddings}, got {padding_idx}")
        self.padding_idx = padding_idx
        shape = (self.num_embeddings, self.embedding_dim)
        super().__init__({"weight": shape}, check_dtype(dtype))
        weight = self.weights["weight"]
        weight[...] = np.random.default_rng(random_state).standard_normal(shape)
        if padding_idx is not None:
            weight[padding_idx] = 0.0

    def forward(self, tokens: Any, lengths: Any = None) -> Array:
        """Return the vectors of the tokens.

        Parameters
        ----------
        tokens : array-like of int of shape (N, T)
            Of the vocabulary; what lies beyond a row's length is never read.
        lengths : array-like of int of shape (N,), default=None
            The steps of each row, 0 to T; None means T for all.

        Returns
        -------
        ndarray of shape (N, T, E)
            Zeros beyond a row's length.

        Raises
        ------
        TypeError
            If tokens or lengths are no integers.
        ValueError
            If a shape does not fit, or a token is not of the vocabulary; the error names row, step and value.
        """
        return self.record(tokens, lengths).output

    def record(self, tokens: Any, lengths: Any = None) -> EmbeddingTape:
        """Return a tape with ``output`` and ``backward(d_output, out=None)``.

        Parameters
        ----------
        tokens, lengths
            As for :meth:`forward`; they must not change until ``backward`` is done.

        Returns
        -------
        EmbeddingTape

        Raises
        ------
        TypeError, ValueError
            As :meth:`forward`.
        """
        checked = np.asarray(tokens)
        if checked.dtype.kind not in "iu":
            raise TypeError(f"tokens must be integers, got dtype {checked.dtype}")
        if checked.ndim != 2:
            raise ValueError(f"tokens must have 2 dimensions, got {checked.ndim} (shape {checked.shape})")
        if checked.dtype == np.uint64:  # beyond int64 they would wrap around
            checked = np.minimum(checked, np.uint64(np.iinfo(np.int64).max))
        checked = np.ascontiguousarray(checked, dtype=np.int64)
        checked_lengths = check_lengths(lengths, *checked.shape)
        output = np.empty((*checked.shape, self.embedding_dim), dtype=self.dtype)
        embed(checked, checked_lengths, self.weights["weight"], output)
        return EmbeddingTape(self, checked, checked_lengths, output)
