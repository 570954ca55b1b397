"""The training step of a network, made to cost little besides its arithmetic."""

from __future__ import annotations

import math

import numpy as np

from skrnn import _core
from skrnn.nn._checks import Array
from skrnn.nn.losses import Loss, get_loss
from skrnn.nn.network import Network
from skrnn.nn.recurrent import Lengths
from skrnn.nn.scratch import Scratch
from skrnn.nn.solvers import Solver


class DivergenceError(ArithmeticError):
    """The loss, its gradient or a weight is no longer finite."""


class Trainer:
    """Move the weights of a network by the gradient of a loss, one batch at a time.

    A step on a small network takes microseconds, so nothing here is checked or looked up twice:
    views are made once, memory is kept, and each stage is one call of the core.

    Parameters
    ----------
    network : Network
        What to train, in place: a :class:`~skrnn.nn.SequenceNetwork`, for example.
    loss : str or callable
        What to make small: "softmax_cross_entropy", "binary_cross_entropy", "squared_error", "absolute_error",
        "poisson", or a function ``loss(prediction, target, weight, d_prediction)`` that returns the sum over rows
        and writes the gradient into ``d_prediction``, which may be None. :func:`skrnn.nn.get_loss` makes such
        functions of the losses with options, ``get_loss("huber", delta=1.0)``. What ``skrnn.nn`` has by the
        losses' names, :func:`skrnn.nn.huber` and so on, are functions of another form.
    solver : Solver
        How to move; made for ``network.parameters``.

    Raises
    ------
    ValueError
        If the solver moves other weights, or ``loss`` is no name of a loss.
    TypeError
        If it is the name of one with options.

    Attributes
    ----------
    gradient_norm : float
        The norm of the gradient of the last step, before clipping.
    """

    def __init__(self, network: Network, loss: str | Loss, solver: Solver) -> None:
        if solver.parameters is not network.parameters:
            raise ValueError("solver must be made for network.parameters, but it moves other weights")
        self.solver = solver
        self.gradient_norm = math.nan
        self._loss = get_loss(loss) if isinstance(loss, str) else loss
        self._parameters = network.parameters
        self._gradients = network.parameters.like()
        self._scratch = Scratch(network.dtype, _core.Workspace())
        self._pass = network.training_pass(self._gradients, self._scratch)

    @property
    def n_steps(self) -> int:
        """Steps taken."""
        return self.solver.n_steps

    def step(self, x: Array, lengths: Lengths, target: Array | None, weight: Array | None = None) -> float:
        """Take one step down the mean loss of a batch.

        Parameters
        ----------
        x : ndarray of shape (N, T, I)
            The inputs; int64 tokens (N, T, 1) for a network with an embedding.
        lengths : ndarray of int64 of shape (N,), or None
            The steps of each row.
        target : ndarray of int64 of shape (N,), or of the network's dtype and shape (N, K), or None
            What the loss compares the outputs with; None for a network that finds it in ``x``.
        weight : ndarray of shape (N,) of the network's dtype, default=None
            A factor for the loss of each row; None means 1.

        Returns
        -------
        float
            The mean of weighted losses over the elements of what the outputs should be, before the step.

        Raises
        ------
        DivergenceError
            If the loss or the norm of its gradient is not finite; the weights do not move then. It is
            for the caller to have kept better ones.
        """
        output = self._pass.record(x, lengths, self.solver.n_steps)
        d_output = self._scratch.empty("d_head", output.shape)
        loss = self._mean_loss(output, *self._pass.targets(x, lengths, target, weight), d_output)
        if not math.isfinite(loss):
            raise DivergenceError("the loss is not finite")
        self._pass.backward(d_output)
        self.gradient_norm = self.solver.step(self._gradients)
        if not math.isfinite(self.gradient_norm):
            raise DivergenceError("the gradient is not finite")
        return loss

    def evaluate(self, x: Array, lengths: Lengths, target: Array | None, weight: Array | None = None) -> float:
        """Return the mean loss of a batch; nothing moves and nothing is dropped.

        Parameters
        ----------
        x, lengths, target, weight
            As for :meth:`step`.

        Returns
        -------
        float
            The mean, as of :meth:`step`; it may be infinite or NaN.
        """
        output = self._pass.run(x, lengths)
        return self._mean_loss(output, *self._pass.targets(x, lengths, target, weight), None)

    def check_weights(self) -> None:
        """Look at what no later step will: whether the last one left finite weights.

        Raises
        ------
        DivergenceError
            If not.
        """
        if not np.isfinite(self._parameters.values).all():
            raise DivergenceError("a weight is not finite")

    def _mean_loss(self, output: Array, target: Array, weight: Array | None, d_output: Array | None) -> float:
        share = self._scratch.empty("share", (len(output),))
        if weight is None:
            share.fill(1.0 / target.size)
        else:
            np.multiply(weight, 1.0 / target.size, out=share)
        return self._loss(output, target, share, d_output)
