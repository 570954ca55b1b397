"""Pooling: from the outputs of all steps of a row to one vector.

Two classes, as with recurrent layers. :class:`Pooling` is the layer, which owns weights and checks its arguments.
:class:`PoolingConfig` is its architecture and what it runs on, without weights and with the core's checks alone; a
training loop, or a frozen network that threads share, calls that one::

    config = PoolingConfig("attention", n_features)  # config.shapes(): the weights it wants; none for "mean" and "max"
    features, saved = config.pool(output, lengths, weights, scratch)
    d_output = config.backward(saved, d_features, d_weights, scratch)

``weights`` and ``d_weights`` hold an array for every name in ``config.shapes()``: ``layer.weights``, or views of a
joint vector. Results lie in the scratch until the same is asked of it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from skrnn import _core
from skrnn.nn._checks import Array, check_choice, check_dtype, check_exact, check_floats, check_lengths, check_size
from skrnn.nn.initializers import glorot_uniform
from skrnn.nn.parameters import Layer, Parameters
from skrnn.nn.recurrent import Lengths
from skrnn.nn.scratch import Scratch

KINDS = ("mean", "max", "attention")


class PoolingSaved(NamedTuple):
    """What ``PoolingConfig.pool`` keeps for ``PoolingConfig.backward``, which may read it once."""

    x: Array
    lengths: Lengths
    kept: tuple[Array, ...] = ()
    """What else the core wants to see again."""
    alpha: Array | None = None
    """Of "attention": the weight (N, T) of each step, zeros beyond a row's length."""


@dataclass(frozen=True)
class PoolingConfig:
    """The architecture of a :class:`Pooling`, and its arithmetic on weights that somebody else owns. No checks.

    Parameters
    ----------
    kind : {"mean", "max", "attention"}
        How to pool.
    n_features : int
        Features of a step (F).
    attention_size : int or None, default=None
        Units of attention (A); None means F.
    """

    kind: str
    n_features: int
    attention_size: int | None = None

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, KINDS)
        check_size("n_features", self.n_features)
        if self.attention_size is not None:
            check_size("attention_size", self.attention_size)
            if self.kind != "attention":
                raise ValueError(f"attention_size is for kind 'attention', got kind {self.kind!r}")

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the name and shape of every array of weights."""
        if self.kind != "attention":
            return {}
        units = self.attention_size or self.n_features
        return {"weight": (units, self.n_features), "bias": (units,), "query": (units,)}

    def pool(
        self, x: Array, lengths: Lengths, weights: Mapping[str, Array], scratch: Scratch
    ) -> tuple[Array, PoolingSaved]:
        """Pool the steps of each row.

        Parameters
        ----------
        x : ndarray of shape (N, T, F)
            C-contiguous; what lies beyond a row's length is not read.
        lengths : ndarray of int64 of shape (N,), or None
            The steps of each row.
        weights : mapping of str to ndarray
            As :meth:`shapes` says.
        scratch : Scratch
            Where results lie.

        Returns
        -------
        features : ndarray of shape (N, F)
        saved : PoolingSaved
            For :meth:`backward`.
        """
        n_rows, n_steps, n_features = x.shape
        features = scratch.empty("pooled", (n_rows, n_features))
        if self.kind == "mean":
            _core.mean_pooling_forward(x, lengths, features)
            return features, PoolingSaved(x, lengths)
        if self.kind == "max":
            best = np.empty((n_rows, n_features), dtype=np.int64)
            _core.max_pooling_forward(x, lengths, features, best)
            return features, PoolingSaved(x, lengths, (best,))
        weight, bias, query = weights["weight"], weights["bias"], weights["query"]
        alpha = scratch.empty("pooling alpha", (n_rows, n_steps))
        hidden = scratch.empty("pooling hidden", (n_rows, n_steps, len(bias)))
        _core.attention_pooling_forward(x, lengths, weight, bias, query, hidden, alpha, features)
        return features, PoolingSaved(x, lengths, (weight, query, hidden, alpha), alpha)

    def backward(
        self, saved: PoolingSaved, d_features: Array, d_weights: Mapping[str, Array], scratch: Scratch
    ) -> Array:
        """Backpropagate through :meth:`pool`, once for each call of it.

        Parameters
        ----------
        saved : PoolingSaved
            What :meth:`pool` has returned, with the weights as they were then.
        d_features : ndarray of shape (N, F)
            Gradient of the loss for the features; C-contiguous.
        d_weights : mapping of str to ndarray
            Formed like the weights; overwritten.
        scratch : Scratch
            Where the result lies.

        Returns
        -------
        ndarray of shape (N, T, F)
            Gradient for ``x``, zeros beyond a row's length.
        """
        x, lengths = saved.x, saved.lengths
        d_x = scratch.empty("d_pooled", x.shape)
        if self.kind == "mean":
            _core.mean_pooling_backward(d_features, lengths, d_x)
        elif self.kind == "max":
            (best,) = saved.kept
            _core.max_pooling_backward(d_features, best, lengths, d_x)
        else:
            weight, query, hidden, alpha = saved.kept
            d_attention = (d_weights["weight"], d_weights["bias"], d_weights["query"])
            _core.attention_pooling_backward(x, lengths, weight, query, hidden, alpha, d_features, d_x, *d_attention)
        return d_x


class PoolingGradients(NamedTuple):
    """What ``PoolingTape.backward`` returns."""

    X: Array
    """Gradient for ``X`` (N, T, F), zeros beyond a row's length."""
    weights: Mapping[str, Array]
    """Gradient for each array of weights, by name; views of one flat vector."""
    parameters: Parameters
    """That vector, for a solver: ``out`` where it was given."""


class PoolingTape:
    """One recorded forward pass of a :class:`Pooling`.

    Attributes
    ----------
    output : ndarray of shape (N, F)
    alpha : ndarray of shape (N, T), or None but for "attention"
        The weight of each step: of a row with steps they sum to 1. Zeros beyond a row's length.
    """

    def __init__(self, layer: Pooling, output: Array, saved: PoolingSaved) -> None:
        self.output = output
        self.alpha = saved.alpha
        self._layer = layer
        self._saved: PoolingSaved | None = saved

    def backward(self, d_output: Array, *, out: Parameters | None = None) -> PoolingGradients:
        """Return the gradients for the input and the weights. The tape is used up: it can be called once.

        Parameters
        ----------
        d_output : ndarray of shape (N, F)
            Gradient of the loss for the output.
        out : Parameters, default=None
            Formed like ``layer.parameters``: where to write the gradients of the weights, instead
            of new memory. Of joined layers each writes its own share and leaves the rest.

        Returns
        -------
        PoolingGradients
            ``X``, ``weights`` and ``parameters``.

        Raises
        ------
        RuntimeError
            At a second call.
        TypeError, ValueError
            If ``d_output`` has another dtype or shape than the output, or ``out`` than the weights.
        """
        if self._saved is None:
            raise RuntimeError("this tape has been used up by backward(): record again")
        layer = self._layer
        d_output = check_exact("d_output", d_output, layer.dtype, self.output.shape)
        parameters, weights = layer._place_for_gradients(out)
        saved, self._saved = self._saved, None
        d_x = layer.config.backward(saved, d_output, weights, layer._fresh_scratch())
        return PoolingGradients(d_x, weights, parameters)


class Pooling(Layer):
    """From all steps of a row to one vector.

    "mean" and "max" take the mean and the largest value of each feature; of equal values the
    first. "attention" takes the mean by learnt weights (Yang et al., "Hierarchical attention
    networks for document classification", 2016)::

        u[t] = tanh(weight @ x[t] + bias)
        alpha = softmax(u[0] @ query, u[1] @ query, ...)  # over the row's own steps
        output = alpha[0] * x[0] + alpha[1] * x[1] + ...

    Parameters
    ----------
    kind : {"mean", "max", "attention"}
        How to pool.
    n_features : int
        Features of a step (F): ``recurrent.output_size``.
    attention_size : int, default=None
        Units of "attention" (A); None means F.
    dtype : {"float32", "float64"}, default="float32"
        That of weights, inputs and outputs.
    random_state : int, numpy.random.Generator or None, default=0
        Decides the first weights.

    Attributes
    ----------
    config : PoolingConfig
        The architecture.
    weights : mapping of str to ndarray
        Of "attention": ``weight`` (A, F) and ``query`` (A,), Glorot uniform at first, and ``bias``
        (A,), zero at first. Else none.
    parameters : Parameters
        The flat vector of which the weights are views.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.nn import Pooling
    >>> X = np.array([[[1.0, -1.0], [3.0, -3.0], [9.0, 9.0]]])
    >>> Pooling("mean", 2, dtype="float64").forward(X, lengths=[2])
    array([[ 2., -2.]])
    """

    def __init__(
        self,
        kind: str,
        n_features: int,
        *,
        attention_size: int | None = None,
        dtype: DTypeLike = "float32",
        random_state: int | np.random.Generator | None = 0,
    ) -> None:
        self.config = PoolingConfig(kind, n_features, attention_size)
        shapes = self.config.shapes()
        super().__init__(shapes, check_dtype(dtype))
        if shapes:
            units = shapes["bias"][0]
            rng = np.random.default_rng(random_state)
            self.weights["weight"][...] = glorot_uniform((units, n_features), rng)
            self.weights["query"][...] = glorot_uniform((1, units), rng)[0]

    def forward(self, X: Array, lengths: Any = None) -> Array:
        """Return the vector of each row.

        Parameters
        ----------
        X : ndarray of shape (N, T, F)
            The steps, of the layer's dtype; what lies beyond a row's length is never read.
        lengths : array-like of int of shape (N,), default=None
            The steps of each row, 0 to T; None means T for all.

        Returns
        -------
        ndarray of shape (N, F)
            Zeros for a row of length 0.

        Raises
        ------
        TypeError
            If ``X`` has another dtype than the layer.
        ValueError
            If a shape does not fit.
        """
        return self.record(X, lengths).output

    def record(self, X: Array, lengths: Any = None) -> PoolingTape:
        """Return a tape with ``output``, ``alpha`` and ``backward(d_output, out=None)``.

        Parameters
        ----------
        X, lengths
            As for :meth:`forward`; they and the weights must not change until ``backward`` is done.

        Returns
        -------
        PoolingTape

        Raises
        ------
        TypeError, ValueError
            As :meth:`forward`.
        """
        X = np.ascontiguousarray(check_floats("X", X, self.dtype, 3))
        if X.shape[2] != self.config.n_features:
            raise ValueError(f"X must have shape (n_rows, n_steps, {self.config.n_features}), got {X.shape}")
        checked_lengths = check_lengths(lengths, *X.shape[:2])
        output, saved = self.config.pool(X, checked_lengths, self.weights, self._fresh_scratch())
        return PoolingTape(self, output, saved)

    def _fresh_scratch(self) -> Scratch:
        """Return memory that nobody else will ask for."""
        return Scratch(self.dtype, _core.Workspace())
