"""The network of the estimators: recurrent layers, the state they end in, one dense layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from skrnn import _core
from skrnn.nn._checks import Array, check_dtype
from skrnn.nn.dense import Dense
from skrnn.nn.parameters import Parameters
from skrnn.nn.recurrent import FrozenRecurrent, Recurrent, RecurrentConfig, State

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
        From ``recurrent.output_size`` to the outputs.

    Attributes
    ----------
    parameters : Parameters
        The weights of all layers: those of the recurrent ones under their own names, those of the
        dense one as ``head.weight`` and ``head.bias``.
    """

    def __init__(self, recurrent: Recurrent, head: Dense) -> None:
        self.recurrent = recurrent
        self.head = head
        self.parameters = Parameters.join({"": recurrent, HEAD: head})

    def freeze(self) -> FrozenSequenceNetwork:
        """Return an immutable copy of the network as it is now, packed for fast calls."""
        views = self.parameters.views
        return FrozenSequenceNetwork(self.recurrent.config, {name: view.copy() for name, view in views.items()})


class FrozenSequenceNetwork:
    """A network that no longer changes: made by :meth:`SequenceNetwork.freeze`.

    Any number of threads may call :meth:`forward` at once. Pickles hold the plain weights.

    Attributes
    ----------
    config : RecurrentConfig
        The architecture of the recurrent layers.
    weights : dict of str to ndarray
        Read-only.
    dtype : numpy.dtype
        That of weights, inputs and outputs.
    """

    def __init__(self, config: RecurrentConfig, weights: Mapping[str, Array]) -> None:
        self.config = config
        self.weights = dict(weights)
        self.dtype = check_dtype(config.dtype)
        self._recurrent = FrozenRecurrent(config, {name: self.weights[name] for name in config.shapes()})
        self._head_weight = self.weights[f"{HEAD}weight"]
        self._head_bias = self.weights[f"{HEAD}bias"]
        for array in (self._head_weight, self._head_bias):
            array.flags.writeable = False

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenSequenceNetwork, (self.config, self.weights)

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
    top = h[-config.n_directions :]
    return top.swapaxes(0, 1).reshape(-1, config.output_size)  # one direction: still a view
