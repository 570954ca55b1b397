"""How much of a loss's gradient arrives at each time step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from skrnn._random import generator
from skrnn.inspection._plotting import axes_for
from skrnn.inspection._problem import DTYPE, Problem, problem_of_estimator, recurrent_in_float64
from skrnn.nn import FrozenRecurrent, Recurrent
from skrnn.nn._checks import check_choice, is_number

Array = NDArray[Any]


class GradientFlowDisplay:
    """The norm of the loss's gradient for the hidden state, time step by time step.

    Read it from right to left, as the gradient flows. A line that falls towards the first steps
    is a vanishing gradient: what the network saw there has no say in how its weights move, so it
    cannot learn to remember it. A line that rises is an exploding gradient: those steps outvote
    all others, and one training step may ruin the weights. A level one is what gated cells are for
    (Hochreiter and Schmidhuber 1997; Pascanu, Mikolov and Bengio, "On the difficulty of training
    recurrent neural networks", 2013).

    Make it by :meth:`from_estimator` or :meth:`from_recurrent`. All parameters are kept as
    attributes.

    Parameters
    ----------
    norms : ndarray of shape (n_layers, n_samples, n_timesteps)
        For each layer and sequence the norm of the gradient of the sequence's own loss for ``h``
        after each step; NaN beyond the length of a sequence.
    weight_grad_norm : float
        Norm of the gradient of the mean loss for all weights together: what clipping looks at.
    max_grad_norm : float, default=None
        The norm to which that gradient is clipped; None for no clipping.
    name : str, default=None
        What the lines belong to, for the legend.

    Attributes
    ----------
    clip_factor : float
        By what clipping multiplies the gradient, from 0 to 1: ``max_grad_norm / weight_grad_norm``
        where that is below 1.
    ax_ : matplotlib Axes
        Where it was plotted.
    figure_ : matplotlib Figure
        The figure of these axes.
    lines_ : list of matplotlib Line2D
        Before clipping: one line for each layer, or for each layer and sequence.
    clipped_lines_ : list of matplotlib Line2D
        The same after clipping, where there is a ``max_grad_norm`` below ``weight_grad_norm``.

    See Also
    --------
    skrnn.nn.gradient_flow : The computation.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.inspection import GradientFlowDisplay
    >>> from skrnn.nn import Recurrent
    >>> X = np.random.default_rng(0).normal(size=(8, 100, 2))
    >>> display = None
    >>> for cell in ("rnn", "lstm"):
    ...     layer = Recurrent(cell, input_size=2, hidden_size=16)
    ...     ax = None if display is None else display.ax_
    ...     display = GradientFlowDisplay.from_recurrent(layer, X, random_state=0, ax=ax)
    """

    def __init__(
        self,
        *,
        norms: Array,
        weight_grad_norm: float,
        max_grad_norm: float | None = None,
        name: str | None = None,
    ) -> None:
        self.norms = norms
        self.weight_grad_norm = weight_grad_norm
        self.max_grad_norm = max_grad_norm
        self.name = name

    @property
    def clip_factor(self) -> float:
        """By what clipping multiplies the gradient; 1 also where that is not finite, since nothing then helps."""
        if self.max_grad_norm is None or not self.max_grad_norm < self.weight_grad_norm < math.inf:
            return 1.0
        return self.max_grad_norm / self.weight_grad_norm

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        max_grad_norm: float | None = None,
        ax: Any = None,
        name: str | None = None,
        layer: int | None = None,
        samples: str = "mean",
        align: str = "start",
        line_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Plot how the gradient of a fitted estimator's loss flows.

        Computed in float64, whatever the precision of the estimator, over whole sequences; dropout
        and ``tbptt_steps`` are left out, zoneout drops as in training.

        Parameters
        ----------
        estimator : RNNClassifier or RNNRegressor
            Fitted, of one direction. It is not changed. To look at first weights, see
            :meth:`from_recurrent`.
        X : array-like or list of array-like
            Sequences, in any form that the estimator takes. Some dozens are enough.
        y : array-like
            Their labels or targets.
        max_grad_norm : float, default=None
            Also show the gradient clipped to this norm, such as the estimator's ``max_grad_norm``, as
            if all these sequences were one batch.
        ax, name, layer, samples, align, line_kw
            As for :meth:`plot`; the name is by default that of the cell.

        Returns
        -------
        GradientFlowDisplay

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If an argument is not as documented.
        ImportError
            If matplotlib is not installed.
        """
        max_grad_norm = _check_max_grad_norm(max_grad_norm)
        problem = problem_of_estimator(estimator, X, y)
        display = cls._of_problem(problem, max_grad_norm, name)
        return display.plot(ax=ax, layer=layer, samples=samples, align=align, line_kw=line_kw)

    @classmethod
    def from_recurrent(
        cls,
        recurrent: Recurrent | FrozenRecurrent,
        X: Any,
        d_features: Any = None,
        lengths: Any = None,
        *,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        max_grad_norm: float | None = None,
        ax: Any = None,
        name: str | None = None,
        layer: int | None = None,
        samples: str = "mean",
        align: str = "start",
        line_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Plot how a gradient flows through bare layers, such as new ones.

        Computed in float64, whatever the precision of the layers.

        Parameters
        ----------
        recurrent : Recurrent or FrozenRecurrent
            Layers of one direction.
        X : array-like of shape (n_samples, n_timesteps, n_features)
            The sequences.
        d_features : array-like of shape (n_samples, hidden_size), default=None
            Gradient of the loss of each sequence for the ``h`` in which it ends in the top layer.
            None draws a direction of length 1 at random for each, as a loss would have on its own.
        lengths : array-like of int of shape (n_samples,), default=None
            The steps of each sequence; None means all.
        random_state : int, RandomState, Generator or None, default=None
            Draws the directions.
        max_grad_norm : float, default=None
            Also show the gradient clipped to this norm (that of the mean loss, for the weights of
            these layers).
        ax, name, layer, samples, align, line_kw
            As for :meth:`plot`; the name is by default that of the cell.

        Returns
        -------
        GradientFlowDisplay

        Raises
        ------
        TypeError, ValueError
            If an argument is not as documented.
        ImportError
            If matplotlib is not installed.
        """
        if not isinstance(recurrent, (Recurrent, FrozenRecurrent)):
            raise TypeError(f"recurrent must be a Recurrent or a FrozenRecurrent, got {type(recurrent).__name__}")
        max_grad_norm = _check_max_grad_norm(max_grad_norm)
        layers = recurrent_in_float64(recurrent.config, recurrent.weights)
        x = np.asarray(X, dtype=DTYPE)
        if d_features is None:
            directions = generator(random_state).standard_normal((len(x), layers.config.hidden_size))
            d_features = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        d_features = np.asarray(d_features, dtype=DTYPE)
        display = cls._of_problem(Problem(layers, x, lengths, d_features, None), max_grad_norm, name)
        return display.plot(ax=ax, layer=layer, samples=samples, align=align, line_kw=line_kw)

    @classmethod
    def _of_problem(cls, problem: Problem, max_grad_norm: float | None, name: str | None) -> Self:
        flow, gradients = problem.solve()
        if name is None:
            name = problem.recurrent.config.cell
        return cls(
            norms=flow.norms,
            weight_grad_norm=_joint_norm(gradients) / len(problem.X),
            max_grad_norm=max_grad_norm,
            name=name,
        )

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        layer: int | None = None,
        samples: str = "mean",
        align: str = "start",
        line_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Plot the norms, on a logarithmic axis.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot, for several networks on the same axes; None makes a new figure.
        name : str, default=None
            For the legend; None means that of the display.
        layer : int, default=None
            The layer to show, 0 the lowest, -1 the highest; None shows all.
        samples : {"mean", "each"}, default="mean"
            Whether to show the mean over sequences or a line for each.
        align : {"start", "end"}, default="start"
            Whether to count steps from the first of a sequence, or as distances to its last, which is
            where the loss is: the latter makes sequences of different lengths comparable.
        line_kw : dict, default=None
            For ``ax.plot``, such as ``{"color": "black"}``. Unless told otherwise, lines of the
            clipped gradient are dashed, in the colour of the others.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there is no such ``layer``, or ``samples`` or ``align`` is not as documented.
        ImportError
            If matplotlib is not installed.
        """
        check_choice("samples", samples, ("mean", "each"))
        check_choice("align", align, ("start", "end"))
        n_layers = len(self.norms)
        if layer is not None and not -n_layers <= layer < n_layers:
            raise ValueError(f"layer must be between {-n_layers} and {n_layers - 1}, got {layer}")
        shown = range(n_layers) if layer is None else [range(n_layers)[layer]]
        ax = axes_for(ax, self)
        name = self.name if name is None else name
        line_kw = dict(line_kw or {})

        self.lines_: list[Any] = []
        self.clipped_lines_: list[Any] = []
        for index in shown:
            lines = _align_to_end(self.norms[index]) if align == "end" else self.norms[index]
            parts = [] if name is None else [name]
            if n_layers > 1:
                parts.append(f"layer {index}")
            if samples == "mean":
                lines = _mean_over_rows(lines)[np.newaxis]
            n_steps = lines.shape[1]
            steps = np.arange(1 - n_steps, 1) if align == "end" else np.arange(1, n_steps + 1)
            style: dict[str, Any] = {"alpha": min(1.0, max(0.1, 3 / len(lines)))}  # of many lines the crowd is seen
            self.lines_ += _plot_lines(ax, steps, lines, ", ".join(parts), style | line_kw)
            if self.clip_factor < 1.0:
                parts.append(f"clipped to norm {self.max_grad_norm:g}")
                style |= {"linestyle": "--", "color": self.lines_[-1].get_color()}
                lines = lines * self.clip_factor
                self.clipped_lines_ += _plot_lines(ax, steps, lines, ", ".join(parts), style | line_kw)
        if any(np.nanmax(line.get_ydata(), initial=0.0) > 0 for line in self.lines_):  # zeros alone have no logarithm
            ax.set_yscale("log")
        ax.set(
            xlabel="time step, counted from the end" if align == "end" else "time step $t$",
            ylabel=r"norm of the loss's gradient, $\|\partial L / \partial h_t\|$",
        )
        if ax.get_legend_handles_labels()[1]:
            ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _plot_lines(ax: Any, steps: Array, lines: Array, label: str, style: dict[str, Any]) -> list[Any]:
    """Plot lines of one colour, of which the first alone has a label."""
    plotted: list[Any] = []
    for line in lines:
        given: dict[str, Any] = {"label": label or "_nolegend_"} if not plotted else {"label": "_nolegend_"}
        if plotted:
            given["color"] = plotted[0].get_color()
        plotted += ax.plot(steps, line, **given | style)
    return plotted


def _joint_norm(arrays: Sequence[Array]) -> float:
    """Return the norm of all arrays together."""
    # Scaled by the largest: squares of an exploded gradient overflow.
    largest = float(np.max([np.abs(array).max() for array in arrays]))
    if largest == 0.0 or not math.isfinite(largest):
        return largest
    squares = math.fsum(float(np.square(array / largest).sum()) for array in arrays)
    return largest * math.sqrt(squares)


def _mean_over_rows(norms: Array) -> Array:
    """Return the mean at each step over the rows that have it."""
    present = ~np.isnan(norms)
    count = present.sum(axis=0)
    total = np.where(present, norms, 0.0).sum(axis=0)
    mean: Array = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    return mean


def _align_to_end(norms: Array) -> Array:
    """Move each row such that it ends where the array does."""
    n_steps = norms.shape[1]
    lengths = (~np.isnan(norms)).sum(axis=1)
    places = np.arange(n_steps) - (n_steps - lengths)[:, np.newaxis]
    moved = np.take_along_axis(norms, np.maximum(places, 0), axis=1)
    return np.where(places >= 0, moved, np.nan)


def _check_max_grad_norm(value: Any) -> float | None:
    if value is None:
        return None
    if not is_number(value):
        raise TypeError(f"max_grad_norm must be a number or None, got {type(value).__name__}")
    if not value > 0:
        raise ValueError(f"max_grad_norm must be greater than zero, got {value}")
    return float(value)
