"""The loss, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from skrnn.inspection._plotting import axes_for

Array = NDArray[Any]


class LossCurveDisplay:
    """The loss of training, and of validation where there was any, over epochs.

    Make it by :meth:`from_estimator`. All parameters are kept as attributes.

    Parameters
    ----------
    loss_curve : array-like of float of shape (n_epochs,)
        Mean training loss of each epoch.
    validation_loss_curve : array-like of float of shape (n_validations,), default=None
        Mean validation loss after each epoch.
    name : str, default=None
        What the curves belong to, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was plotted.
    figure_ : matplotlib Figure
        The figure of these axes.
    lines_ : list of matplotlib Line2D
        The curve of training, then that of validation if there is one.
    best_ : matplotlib Line2D or None
        The mark of the best epoch.

    See Also
    --------
    GradientFlowDisplay : Why a network may not learn.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn import RNNClassifier
    >>> from skrnn.inspection import LossCurveDisplay
    >>> X = np.random.default_rng(0).normal(size=(60, 8, 2))
    >>> y = X[:, -1, 0] > 0
    >>> model = RNNClassifier("gru", hidden_size=8, max_iter=10, tol=None, random_state=0).fit(X, y)
    >>> display = LossCurveDisplay.from_estimator(model)
    """

    def __init__(
        self,
        *,
        loss_curve: Sequence[float] | Array,
        validation_loss_curve: Sequence[float] | Array | None = None,
        name: str | None = None,
    ) -> None:
        self.loss_curve = loss_curve
        self.validation_loss_curve = validation_loss_curve
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        ax: Any = None,
        name: str | None = None,
        log_scale: bool = False,
        mark_best: bool = True,
        line_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Plot the loss curves of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            Fitted, with ``loss_curve_`` and perhaps ``validation_loss_curve_``: any of this package, and
            scikit-learn's multilayer perceptrons. Of a pipeline, or of a search, give the step or the
            ``best_estimator_`` that has them.
        ax, name, log_scale, mark_best, line_kw
            As for :meth:`plot`; the name is by default that of the class.

        Returns
        -------
        LossCurveDisplay

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError
            If the estimator has no ``loss_curve_``.
        ImportError
            If matplotlib is not installed.
        """
        if not hasattr(estimator, "loss_curve_"):
            check_is_fitted(estimator)
            raise TypeError(
                f"estimator must have the attribute loss_curve_, but {type(estimator).__name__} has none. Of a "
                "pipeline give the last step, pipeline[-1], of a search its best_estimator_."
            )
        display = cls(
            loss_curve=estimator.loss_curve_,
            validation_loss_curve=getattr(estimator, "validation_loss_curve_", None),
            name=type(estimator).__name__ if name is None else name,
        )
        return display.plot(ax=ax, log_scale=log_scale, mark_best=mark_best, line_kw=line_kw)

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        log_scale: bool = False,
        mark_best: bool = True,
        line_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Plot the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot, for several estimators on the same axes; None makes a new figure.
        name : str, default=None
            For the legend; None means that of the display.
        log_scale : bool, default=False
            Whether the axis of losses is logarithmic; it needs losses above 0. Never set back on axes
            that are already.
        mark_best : bool, default=True
            Whether to mark the epoch of the smallest validation loss, or training loss where nothing
            was held out.
        line_kw : dict, default=None
            For ``ax.plot`` of both curves, such as ``{"color": "black"}``. Unless told otherwise the
            curve of validation is dashed, in the colour of that of training.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a curve has not one dimension.
        ImportError
            If matplotlib is not installed.
        """
        training = _check_curve("loss_curve", self.loss_curve)
        validation = None
        if self.validation_loss_curve is not None:
            validation = _check_curve("validation_loss_curve", self.validation_loss_curve)
        ax = axes_for(ax, self)
        name = self.name if name is None else name
        label = "" if name is None else f"{name}, "
        line_kw = dict(line_kw or {})

        self.lines_ = ax.plot(np.arange(1, len(training) + 1), training, **{"label": f"{label}training", **line_kw})
        watched = training
        if validation is not None and len(validation) > 0:
            watched = validation
            style = {"label": f"{label}validation", "linestyle": "--", "color": self.lines_[0].get_color()}
            self.lines_ += ax.plot(np.arange(1, len(watched) + 1), watched, **style | line_kw)
        self.best_ = None
        if mark_best and np.isfinite(watched).any():
            best = int(np.nanargmin(watched))
            (self.best_,) = ax.plot(
                [best + 1],
                [watched[best]],
                linestyle="none",
                marker="o",
                color=self.lines_[-1].get_color(),
                label=f"best: {watched[best]:.3g} in epoch {best + 1}",
            )
        if log_scale:
            ax.set_yscale("log")
        ax.set(xlabel="epoch", ylabel="mean loss")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _check_curve(name: str, values: Any) -> Array:
    curve = np.asarray(values, dtype=np.float64)
    if curve.ndim != 1:
        raise ValueError(f"{name} must have one dimension, got shape {curve.shape}")
    return curve
