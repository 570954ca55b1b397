"""What the displays share: matplotlib when it is wanted, axes, colours."""

from __future__ import annotations

from typing import Any

# Okabe and Ito, "Color universal design", 2008: colours that colour-blind readers tell apart, the dark ones first.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def axes_for(ax: Any, display: Any) -> Any:
    """Return ``ax``, or for None the axes of a new figure with colours for everybody.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None
        Where to plot.
    display : object
        Who wants to, for the text of an error.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{type(display).__name__}.plot requires matplotlib, which is not installed: pip install 'scikit-rnn[plot]'"
        ) from error
    if ax is None:
        _, ax = plt.subplots(layout="constrained")
        ax.set_prop_cycle(color=COLORS)
    return ax
