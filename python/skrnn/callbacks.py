"""Callbacks for ``callbacks=[...]`` and ``set_callbacks`` of the estimators.

Any object with the four methods ``setup``, ``on_fit_task_begin``, ``on_fit_task_end`` and
``teardown`` is one: the protocol of ``sklearn.callback``, which scikit-learn has from version 1.9
on, and whose own callbacks work as well. The tasks are the fit ("fit") and each of its epochs
("epoch").
"""

from __future__ import annotations

from typing import Any

__all__ = ["ProgressBar"]


class ProgressBar:
    """Show how many epochs are done, the losses and the time left, by tqdm.

    Parameters
    ----------
    leave : bool, default=True
        Whether the bar stays when the fit is over.

    Raises
    ------
    ImportError
        If tqdm is not installed (``pip install 'scikit-rnn[progress]'``).

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn import RNNRegressor
    >>> from skrnn.callbacks import ProgressBar
    >>> X, y = np.zeros((8, 5, 1)), np.zeros(8)
    >>> model = RNNRegressor(max_iter=2, tol=None, callbacks=[ProgressBar(leave=False)]).fit(X, y)
    """

    def __init__(self, leave: bool = True) -> None:
        _tqdm()  # says at once if there is none
        self.leave = leave
        self._bar: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_bar": None}

    def setup(self, estimator: Any, context: Any) -> None:
        """Make the bar.

        Parameters
        ----------
        estimator : estimator
            What is fitted.
        context : context
            That of the fit.
        """
        name = type(estimator).__name__
        self._bar = _tqdm()(total=context.max_subtasks, desc=name, unit="epoch", leave=self.leave)

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Do nothing."""

    def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> None:
        """Move the bar after an epoch.

        Parameters
        ----------
        estimator : estimator
            What is fitted.
        context : context
            That of the epoch.
        fitted_estimator : estimator
            As if the fit were over.
        """
        if context.task_name != "epoch":
            return
        losses = {"loss": f"{fitted_estimator.loss_:.4f}"}
        if fitted_estimator.validation_loss_curve_:
            losses["validation_loss"] = f"{fitted_estimator.validation_loss_curve_[-1]:.4f}"
        self._bar.set_postfix(losses, refresh=False)
        self._bar.update()

    def teardown(self, estimator: Any, context: Any) -> None:
        """Close the bar.

        Parameters
        ----------
        estimator : estimator
            What was fitted.
        context : context
            That of the fit.
        """
        self._bar.close()
        self._bar = None


def _tqdm() -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError("ProgressBar needs tqdm: pip install tqdm, or scikit-rnn[progress]") from error
    return tqdm
