"""The network of the estimators: recurrent layers, the state they end in, one dense layer."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from skrnn import _core
from skrnn.nn._checks import Array, check_dtype
from skrnn.nn.dense import Dense
from skrnn.nn.parameters import Parameters, read_only_copies
from skrnn.nn.recurrent import FrozenRecurrent, Recurrent, RecurrentConfig, State, beside

HEAD = "head."


class SequenceNetwork:
    """Recurrent layers whose last state a dense layer turns into the output.

    The last state of a row (*last pooling*) is the final ``h`` of the top layer; with two
    directions that of the forward one, at the row's end, beside that of the backward one, at the
    row's beginning.

    Parameters
    ----------
    recurrent : Recurrent
        The recurrent layers.
    head : Dense
        From ``recurrent.output_size`` to the outputs, of the same dtype.

    Raises
    ------
    TypeError, ValueError
        If the layers are of other kinds, or their dtypes or sizes do not fit.

    Attributes
    ----------
    parameters : Parameters
        The weights of all layers: those of the recurrent ones under their own names, those of the
        dense one as ``head.weight`` and ``head.bias``.
    """

    def __init__(self, recurrent: Recurrent, head: Dense) -> None:
        for name, layer, kind in (("recurrent", recurrent, Recurrent), ("head", head, Dense)):
            if not isinstance(layer, kind):
                raise TypeError(f"{name} must be a {kind.__name__}, got {type(layer).__name__}")
        if head.dtype != recurrent.dtype:
            raise TypeError(f"head has dtype {head.dtype}, but recurrent has {recurrent.dtype}")
        if head.input_size != recurrent.output_size:
            raise ValueError(
                f"head.input_size must be recurrent.output_size={recurrent.output_size}, got {head.input_size}"
            )
        self.recurrent = recurrent
        self.head = head
        self.parameters = Parameters.join({"": recurrent, HEAD: head})

    def freeze(self) -> FrozenSequenceNetwork:
        """Return an immutable copy of the network as it is now, packed for fast calls."""
        return FrozenSequenceNetwork(self.recurrent.config, self.parameters.views)


class FrozenSequenceNetwork:
    """A network that no longer changes: made by :meth:`SequenceNetwork.freeze`.

    Any number of threads may call :meth:`forward` at once. Pickles hold the plain weights.

    Attributes
    ----------
    config : RecurrentConfig
        The architecture of the recurrent layers.
    weights : mapping of str to ndarray
        Copies, read-only.
    dtype : numpy.dtype
        That of weights, inputs and outputs.
    """

    def __init__(self, config: RecurrentConfig, weights: Mapping[str, Array]) -> None:
        self.config = config
        self.dtype = check_dtype(config.dtype)
        self._recurrent = FrozenRecurrent(config, weights)
        head = read_only_copies(weights, (f"{HEAD}weight", f"{HEAD}bias"))
        self._head_weight, self._head_bias = head.values()
        self.weights: Mapping[str, Array] = MappingProxyType({**self._recurrent.weights, **head})

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenSequenceNetwork, (self.config, dict(self.weights))

    def forward(self, X: Array, lengths: Any = None) -> Array:
        """Return the output of each row.

        Parameters
        ----------
        X : ndarray of shape (N, T, I)
            The input; what lies beyond a row's length is never read.
        lengths : array-like of int of shape (N,), default=None
            The steps of each row; None means T for all.

        Returns
        -------
        ndarray of shape (N, O)

        Raises
        ------
        TypeError, ValueError
            If a dtype or shape does not fit.
        """
        _, state = self._recurrent.forward(X, lengths, return_output=False)
        output = np.empty((len(X), len(self._head_bias)), dtype=self.dtype)
        features = last_features(self.config, state)
        _core.dense_forward(features, self._head_weight, self._head_bias, output)
        return output


def last_features(config: RecurrentConfig, state: State) -> Array:
    """Return the final ``h`` of the top layer's directions side by side: (N, D*H)."""
    h = state if isinstance(state, np.ndarray) else state[0]
    return beside(h[-config.n_directions :])
