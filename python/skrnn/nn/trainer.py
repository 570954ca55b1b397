"""The training step of a :class:`SequenceNetwork`, made to cost little besides its arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from skrnn import _core
from skrnn.nn._checks import Array
from skrnn.nn.losses import get_loss
from skrnn.nn.network import HEAD, SequenceNetwork
from skrnn.nn.recurrent import Lengths, RecurrentStack, States, beside
from skrnn.nn.scratch import Scratch
from skrnn.nn.solvers import Solver


class DivergenceError(ArithmeticError):
    """The loss or its gradient is no longer finite; the weights are the last good ones."""


class Trainer:
    """Move the weights of a network by the gradient of a loss, one batch at a time.

    A step on a small network takes microseconds, so nothing here is checked or looked up twice:
    views are made once, memory is kept, and each stage is one call of the core.

    Parameters
    ----------
    network : SequenceNetwork
        What to train, in place.
    loss : {"softmax_cross_entropy", "squared_error"}
        What to make small.
    solver : Solver
        How to move; made for ``network.parameters``.

    Raises
    ------
    ValueError
        If there is no such loss, or if the solver moves other weights.
    """

    def __init__(self, network: SequenceNetwork, loss: str, solver: Solver) -> None:
        if solver.parameters is not network.parameters:
            raise ValueError("solver must be made for network.parameters, but it moves other weights")
        self._config = network.recurrent.config
        self._dropout = network.recurrent.dropout
        self._solver = solver
        self._loss = get_loss(loss)
        self._parameters = network.parameters
        self._gradients = network.parameters.like()
        self._last_good = self._parameters.values.copy()
        self._scratch = Scratch(network.recurrent.dtype, _core.Workspace())

        views, gradient_views = self._parameters.views, self._gradients.views
        self._groups = self._config.groups(views)
        self._gradient_groups = self._config.groups(gradient_views)
        self._head_weight, self._head_bias = views[f"{HEAD}weight"], views[f"{HEAD}bias"]
        self._d_head_weight = gradient_views[f"{HEAD}weight"]
        self._d_head_bias = gradient_views[f"{HEAD}bias"]

    @property
    def n_steps(self) -> int:
        """Steps taken."""
        return self._solver.n_steps

    def step(self, x: Array, lengths: Lengths, target: Array) -> float:
        """Take one step down the mean loss of a batch.

        Parameters
        ----------
        x : ndarray of shape (N, T, I)
            The inputs.
        lengths : ndarray of int64 of shape (N,), or None
            The steps of each row.
        target : ndarray of int64 of shape (N,), or of the network's dtype and shape (N, O)
            What the loss compares the outputs with.

        Returns
        -------
        float
            The mean loss over the elements of ``target``, before the step.

        Raises
        ------
        DivergenceError
            If the loss or the norm of its gradient is not finite. The weights are then the last
            ones whose loss was.
        """
        scratch = self._scratch
        stack = RecurrentStack(self._config, self._groups, training=True)
        n_rows, output_size = len(x), self._config.output_size
        h, final = self._top_states("state", n_rows)
        tape = stack.record(x, lengths, None, None, final, scratch, self._dropout, self._solver.n_steps)
        features = beside(h)
        loss, d_output = self._head_loss(features, target)
        if not math.isfinite(loss):
            self._go_back("the loss")

        d_features = scratch.empty("d_features", (n_rows, output_size))
        d_h, d_final = self._top_states("d_state", n_rows)
        _core.dense_backward(
            features,
            self._head_weight,
            d_output,
            d_features,
            self._d_head_weight,
            self._d_head_bias,
        )
        d_h[:] = d_features.reshape(n_rows, *d_h.shape[::2]).swapaxes(0, 1)
        tape.backward(None, d_final, None, None, self._gradient_groups)

        self._last_good[:] = self._parameters.values
        if not math.isfinite(self._solver.step(self._gradients)):
            self._go_back("the gradient")
        return loss

    def check_weights(self) -> None:
        """Look at what no later step will: whether the last one left finite weights.

        Raises
        ------
        DivergenceError
            If not, after going back to the weights before that step.
        """
        if not np.isfinite(self._parameters.values).all():
            self._go_back("a weight")

    def _go_back(self, what: str) -> NoReturn:
        self._parameters.values[:] = self._last_good
        raise DivergenceError(f"{what} is not finite")

    def evaluate(self, x: Array, lengths: Lengths, target: Array) -> float:
        """Return the mean loss of a batch; nothing moves and nothing is dropped.

        Parameters
        ----------
        x, lengths, target
            As for :meth:`step`.
        """
        stack = RecurrentStack(self._config, self._groups, training=False)
        h, final = self._top_states("state", len(x))
        stack.forward(x, lengths, None, None, final)
        return self._head_loss(beside(h), target)[0]

    def _head_loss(self, features: Array, target: Array) -> tuple[float, Array]:
        """Return the mean loss from the features on, and its gradient for the output."""
        n_rows, n_outputs = len(features), len(self._head_bias)
        output = self._scratch.empty("head", (n_rows, n_outputs))
        d_output = self._scratch.empty("d_head", (n_rows, n_outputs))
        _core.dense_forward(features, self._head_weight, self._head_bias, output)
        share = self._scratch.empty("share", (n_rows,))
        share.fill(1.0 / target.size)
        return self._loss(output, target, share, d_output), d_output

    def _top_states(self, name: str, n_rows: int) -> tuple[Array, Sequence[States]]:
        """Return a place for the ``h`` that the top layer ends in, (D, N, H), and what the core wants of it by unit."""
        config = self._config
        h = self._scratch.empty(name, (config.n_directions, n_rows, config.hidden_size))
        others = (None,) * (config.n_states - 1)
        below: list[States] = [None] * (config.n_units - config.n_directions)
        return h, below + [(direction, *others) for direction in h]
