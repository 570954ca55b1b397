"""Windows of series, and what follows each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from skrnn._doc_link import DocLinkMixin
from skrnn._params import Constraint, Instances, Integers, check_parameters
from skrnn._sequences import as_list, as_numbers, columns_of
from skrnn.nn._checks import is_integer
from skrnn.preprocessing._steps import as_sequence, check_alike, is_frame
from skrnn.preprocessing.padding import unpad_sequences

Array = NDArray[Any]


class Windows(NamedTuple):
    """What :meth:`SlidingWindows.cut` returns.

    Attributes
    ----------
    X : array (n_windows, window, n_features)
        The windows, those of one series after those of the other, each in the order of time.
    y : array or None
        What follows them: (n_windows, horizon, n_targets), without the last two axes where their length is 1. None if
        the horizon is 0.
    groups : int array (n_windows,)
        The number of the series that a window is from.
    starts : int array (n_windows,)
        The step of that series at which it begins.
    """

    X: Array
    y: Array | None
    groups: NDArray[np.int64]
    starts: NDArray[np.int64]


class SlidingWindows(DocLinkMixin, BaseEstimator):
    """Cut series into windows, each with the steps that follow it.

    This makes samples out of series, for :class:`~skrnn.RNNRegressor` and others to learn. It is no transformer,
    because a step of a scikit-learn ``Pipeline`` keeps the number of samples and leaves ``y`` alone: cut first, and put
    what handles windows into the pipeline.

    Parameters
    ----------
    window : int
        Steps in a window.
    horizon : int, default=1
        Steps to predict. With 0 there are no targets, and windows reach to the end of the series; ``gap`` and
        ``target`` then have nothing to say, and must be left at their defaults.
    stride : int, default=1
        Steps from the beginning of a window to that of the next.
    gap : int, default=0
        Steps between a window and the first one to predict.
    target : int, str, list of int or str, or None, default=None
        Which features are predicted, by number or by name of a column. None predicts all.

    Notes
    -----
    Here, an array or data frame is *one* series, (T,) or (T, F), and a list, or an array (n, T, F) whose rows may end
    in padding, is several. Series too short for a window with its targets have none.

    Windows that overlap share values, so a random split leaks what it tests into what it trains. Several series: split
    by ``groups``, as ``GroupKFold`` does. One series: ``TimeSeriesSplit(gap=k)`` with k at least ``(horizon - 1) /
    stride`` leaves out the windows whose targets are tested as well.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.preprocessing import SlidingWindows
    >>> X, y, groups, starts = SlidingWindows(window=3, horizon=2).cut(np.arange(6))
    >>> X[:, :, 0]
    array([[0, 1, 2],
           [1, 2, 3]])
    >>> y
    array([[3, 4],
           [4, 5]])
    >>> SlidingWindows(window=3, horizon=2).latest(np.arange(6))[:, :, 0]
    array([[3, 4, 5]])
    """

    _constraints: ClassVar[Mapping[str, tuple[Constraint, ...]]] = {
        "window": (Integers(1),),
        "horizon": (Integers(0),),
        "stride": (Integers(1),),
        "gap": (Integers(0),),
        "target": (Integers(-(2**31)), Instances((str, list, tuple, type(None)))),
    }

    def __init__(
        self,
        window: int,
        horizon: int = 1,
        stride: int = 1,
        *,
        gap: int = 0,
        target: int | str | list[int] | list[str] | None = None,
    ) -> None:
        self.window = window
        self.horizon = horizon
        self.stride = stride
        self.gap = gap
        self.target = target

    def cut(self, series: Any) -> Windows:
        """Return all windows whose targets are known.

        Parameters
        ----------
        series : array or data frame (T,) or (T, F), list of such, or array (n, T, F)
            One series or several.

        Returns
        -------
        windows : Windows
            The named tuple ``(X, y, groups, starts)``.

        Raises
        ------
        TypeError, ValueError
            If a parameter or ``series`` is none such, if a column of a data frame holds no numbers, or if every series
            is too short.
        """
        items, columns = self._read(series)
        targets = self._targets(items[0].shape[1], columns)
        reach = self.window + (self.gap + self.horizon if self.horizon else 0)
        starts = [np.arange(0, len(item) - reach + 1, self.stride) for item in items]
        counts = [len(s) for s in starts]
        if not any(counts):
            raise ValueError(
                f"At least one of the series must have {reach} steps (window, gap and horizon), got "
                f"{max(len(item) for item in items)} in the longest."
            )
        long = [item for item, count in zip(items, counts, strict=True) if count]
        X = _cut_each([item[: len(item) - reach + self.window] for item in long], self.window, self.stride)
        y = None
        if self.horizon:
            after = self.window + self.gap
            y = _cut_each([item[after:, targets] for item in long], self.horizon, self.stride)
            y = y.squeeze(axis=tuple(axis for axis in (1, 2) if y.shape[axis] == 1))
        groups = np.repeat(np.arange(len(items), dtype=np.int64), counts)
        return Windows(X, y, groups, np.concatenate(starts).astype(np.int64))

    def latest(self, series: Any) -> Array:
        """Return the last window of every series, whose targets are still to come.

        Parameters
        ----------
        series : array or data frame (T,) or (T, F), list of such, or array (n, T, F)
            One series or several.

        Returns
        -------
        X : array (n_series, window, n_features)

        Raises
        ------
        TypeError, ValueError
            If a parameter or ``series`` is none such, if a column of a data frame holds no numbers, or if a series is
            shorter than a window.
        """
        items, _ = self._read(series)
        for k, item in enumerate(items):
            if len(item) < self.window:
                raise ValueError(f"series[{k}] must have {self.window} steps (window), got {len(item)}.")
        return np.stack([item[-self.window :] for item in items])

    def _read(self, series: Any) -> tuple[list[Array], list[Any] | None]:
        """Check the parameters; return every series as an array (T, F), and the names of columns if there are such."""
        check_parameters(self, self._constraints)
        if not self.horizon:
            for name, default in (("gap", 0), ("target", None)):
                if getattr(self, name) != default:
                    raise ValueError(
                        f"{name} must be {default} with horizon=0, where there is nothing to predict: got "
                        f"{getattr(self, name)!r}."
                    )
        series = as_list(series)
        if not isinstance(series, list):
            is_several = len(getattr(series, "shape", ())) == 3
            series = unpad_sequences(series, value=np.nan) if is_several else [series]
        if not series:
            raise ValueError("series must hold at least one series, got none.")
        items = [_as_series(item, f"series[{k}]") for k, item in enumerate(series)]
        items = [item[:, np.newaxis] if item.ndim == 1 else item for item in items]
        check_alike(items, "series")
        columns = columns_of(series[0])
        for k, item in enumerate(series):
            if columns_of(item) != columns:
                raise ValueError(
                    f"series[{k}] has other columns than series[0]: expected {columns}, got {columns_of(item)}."
                )
        return items, columns

    def _targets(self, n_features: int, columns: list[Any] | None) -> list[int]:
        """Return the numbers of the features to predict."""
        if self.target is None:
            return list(range(n_features))
        wanted = list(self.target) if isinstance(self.target, (list, tuple)) else [self.target]
        found = []
        for target in wanted:
            if isinstance(target, str) and columns is not None and target in columns:
                found.append(columns.index(target))
            elif is_integer(target) and -n_features <= target < n_features:
                found.append(int(target))
            else:
                among = f"a number below {n_features}" + ("" if columns is None else f" or one of {columns}")
                raise ValueError(f"target must name a feature, {among}: got {target!r}.")
        if not found:
            raise ValueError("target must name at least one feature, got none. For no targets, set horizon=0.")
        return found


def _as_series(item: Any, name: str) -> Array:
    """Return one series as an array: a data frame as numbers, since columns of several types would make objects."""
    return as_numbers(item, name) if is_frame(item) else as_sequence(item, name)


def _cut_each(items: list[Array], length: int, stride: int) -> Array:
    """Return all windows (n, length, F) of series (T, F), one series after the other."""
    n_features = items[0].shape[1]
    # A window is one piece of memory, and copied as such.
    flat = [np.lib.stride_tricks.sliding_window_view(item.reshape(-1), length * n_features) for item in items]
    return np.concatenate([view[:: stride * n_features] for view in flat]).reshape(-1, length, n_features)
