"""From the forms of ``X`` to one table of time steps, and back.

Unlike :mod:`skrnn._sequences`, which reads numbers for a network, this keeps whatever the steps hold: strings,
columns of data frames, missing values. What they mean is the business of the transformer that gets them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skrnn._sequences import as_list, refuse_dates, refuse_masked, refuse_sparse
from skrnn.preprocessing._narwhals import import_narwhals

Array = NDArray[Any]

# Kinds of dtype that may lie in one array without one of them being made into something else
_NUMBERS = "biuf"


class Steps(ABC):
    """All time steps of some sequences as one table, without padding.

    Attributes
    ----------
    table : array or data frame, (n_steps, n_features)
        Every valid step of every sequence, one sequence after the other.
    lengths : array, (n_sequences,)
        How many of them belong to each sequence.
    """

    def __init__(self, table: Any, lengths: NDArray[np.int64]) -> None:
        self.table = table
        self.lengths = lengths

    def __len__(self) -> int:
        return len(self.lengths)

    @abstractmethod
    def restore(self, values: Array) -> Any:
        """Give ``values`` (n_steps, n_outputs) the form that the steps were read from."""

    def inside(self, shape: tuple[int, ...]) -> Array | None:
        """Return which elements of an array (n_sequences, n_timesteps) are steps, or None if ``shape`` is another."""
        return None

    def spread(self, values: Any, name: str, *, by_step: bool = False) -> Any:
        """Give every step what belongs to its sequence.

        Parameters
        ----------
        values : array-like
            One entry per sequence, or a list of arrays with one entry per step.
        name : str
            The argument, for errors.
        by_step : bool
            Whether an array (n_sequences, n_timesteps) holds an entry per step.

        Returns
        -------
        array (n_steps, ...) or None
            None where ``values`` is a list that fits neither way.
        """
        values = as_list(values)
        if not hasattr(values, "__len__"):
            values = np.asarray(values)
        if len(values) != len(self):
            raise ValueError(f"{name} must have one entry per sequence: expected {len(self)}, got {len(values)}.")
        if isinstance(values, list) and all(getattr(item, "ndim", 0) > 0 for item in values):
            if any(len(item) != length for item, length in zip(values, self.lengths, strict=True)):
                return None
            return np.concatenate([np.asarray(item) for item in values])
        try:
            array = np.asarray(values)
        except ValueError:  # lists of different lengths
            return None
        inside = self.inside(array.shape) if by_step else None
        return np.repeat(array, self.lengths, axis=0) if inside is None else array[inside]


class TableSteps(Steps):
    """Steps of a table (n, T): univariate series without an axis of features."""

    def __init__(self, X: Array) -> None:
        super().__init__(X.reshape(-1, 1), np.full(len(X), X.shape[1], dtype=np.int64))
        self._shape = X.shape

    def restore(self, values: Array) -> Array:
        return values.reshape(self._shape if values.shape[1] == 1 else (*self._shape, -1))

    def inside(self, shape: tuple[int, ...]) -> Array | None:
        return np.ones(shape, dtype=bool) if shape == self._shape else None


class GridSteps(Steps):
    """Steps of an array (n, T, F), where steps at the end may be padding."""

    def __init__(self, X: Array, name: str, owner: str) -> None:
        if X.ndim > 3:
            raise ValueError(f"Found array with dim {X.ndim}, while dim <= 3 is required by {owner}.")
        for axis, what in enumerate(("sample", "time step", "feature")):
            if X.shape[axis] == 0:
                raise ValueError(
                    f"Found array with 0 {what}(s) (shape={X.shape}) while a minimum of 1 is required by {owner}."
                )
        padding: Array = np.logical_and.reduce(is_nan(X), axis=2)
        lengths = X.shape[1] - np.argmin(padding[:, ::-1], axis=1)
        empty: Array = np.logical_and.reduce(padding, axis=1)
        if empty.any():
            sample = int(empty.argmax())
            raise ValueError(
                f"{name}[{sample}] is NaN altogether, which is padding: expected at least one time step in every "
                f"sequence, got none of {X.shape[1]}."
            )
        self._inside = np.arange(X.shape[1]) < lengths[:, np.newaxis]
        self._is_padded = not self._inside.all()
        table = X[self._inside] if self._is_padded else X.reshape(-1, X.shape[2])
        super().__init__(np.ascontiguousarray(table), lengths.astype(np.int64))

    def restore(self, values: Array) -> Array:
        shape = (*self._inside.shape, values.shape[1])
        if not self._is_padded:
            return values.reshape(shape)
        if values.dtype.kind in _NUMBERS:
            dtype = values.dtype if values.dtype.kind == "f" else np.promote_types(values.dtype, np.float32)
        else:
            dtype = np.dtype(object)
        out = np.full(shape, np.nan, dtype=dtype)
        out[self._inside] = values
        return out

    def inside(self, shape: tuple[int, ...]) -> Array | None:
        return self._inside if shape == self._inside.shape else None


class ListSteps(Steps):
    """Steps of a list of sequences (T_i, F) or (T_i,)."""

    def __init__(self, X: Sequence[Any], name: str, owner: str) -> None:
        if len(X) == 0:
            raise ValueError(f"Found array with 0 sample(s) (shape=(0,)) while a minimum of 1 is required by {owner}.")
        frames = [is_frame(item) for item in X]
        if all(frames):
            items, table = list(X), _concatenate_frames(X, name)
            self._is_flat = [False] * len(items)
        elif any(frames):
            odd = frames.index(not frames[0])
            raise TypeError(f"{name}[{odd}] is {_kind(X[odd])}, but {name}[0] is {_kind(X[0])}: mix no forms.")
        else:
            items = [as_sequence(item, f"{name}[{k}]") for k, item in enumerate(X)]
            self._is_flat = [item.ndim == 1 for item in items]
            items = [item[:, np.newaxis] if item.ndim == 1 else item for item in items]
            check_alike(items, name)
            table = np.ascontiguousarray(np.concatenate(items))  # sums over steps then go in one order
        for k, item in enumerate(items):
            for axis, what in enumerate(("time step", "feature")):
                if item.shape[axis] == 0:
                    raise ValueError(
                        f"Found array with 0 {what}(s) (shape={tuple(item.shape)}) at {name}[{k}] while a minimum of "
                        f"1 is required by {owner}."
                    )
        super().__init__(table, np.array([item.shape[0] for item in items], dtype=np.int64))

    def restore(self, values: Array) -> list[Array]:
        items = np.split(values, self.lengths.cumsum()[:-1])
        is_one = values.shape[1] == 1
        return [item[:, 0] if flat and is_one else item for item, flat in zip(items, self._is_flat, strict=True)]


def as_sequence(item: Any, name: str) -> Array:
    """Return one sequence as an array (n_timesteps, n_features) or (n_timesteps,), whatever it holds."""
    refuse_masked(item, name)
    refuse_dates(item, name)
    refuse_sparse(item, name)
    if isinstance(item, (str, bytes, dict)):
        raise TypeError(f"{name} must be a sequence of time steps, got {_kind(item)}: {item!r}.")
    try:
        array = np.asarray(item)
    except ValueError as error:
        raise ValueError(f"{name} must be an array (n_timesteps, n_features) or (n_timesteps,): {error}") from error
    if array.ndim not in (1, 2):
        raise ValueError(
            f"{name} must have shape (n_timesteps, n_features) or (n_timesteps,), got {_kind(item)} of shape "
            f"{array.shape}. One sequence alone is [sequence]."
        )
    return array


def check_alike(items: Sequence[Array], name: str) -> None:
    """Check that arrays (T_i, F) or (T_i,) are of one number of features, and all of numbers or all of none."""
    for k, item in enumerate(items):
        if item.shape[1:] != items[0].shape[1:]:
            raise ValueError(
                f"{name}[{k}] has shape {item.shape}, but {name}[0] has shape {items[0].shape}: all sequences must "
                "have the same number of features."
            )
        if (item.dtype.kind in _NUMBERS) != (items[0].dtype.kind in _NUMBERS):
            raise TypeError(
                f"{name}[{k}] has dtype {item.dtype}, but {name}[0] has dtype {items[0].dtype}: what a feature holds "
                "must be the same in all sequences."
            )


def is_frame(item: Any) -> bool:
    """Whether ``item`` is a data frame of whatever library."""
    return hasattr(item, "columns") and hasattr(item, "shape")


def is_nan(X: Array) -> Array:
    """Return where ``X`` is NaN, which in an array of objects is what does not equal itself."""
    if X.dtype.kind in "fc":
        return np.isnan(X)
    if X.dtype.kind == "O":
        return np.asarray(X != X, dtype=bool)
    return np.zeros(X.shape, dtype=bool)


def _concatenate_frames(X: Sequence[Any], name: str) -> Any:
    """Return data frames of the same columns as one, of the library that they come from."""
    nw = import_narwhals(f"{name} is a list of data frames, which")
    frames = [nw.from_native(item, eager_only=True) for item in X]
    columns = list(frames[0].columns)
    for k, frame in enumerate(frames):
        if list(frame.columns) != columns:
            raise ValueError(
                f"{name}[{k}] has other columns than {name}[0]: expected {columns}, got {list(frame.columns)}."
            )
    return nw.maybe_reset_index(nw.concat(frames, how="vertical")).to_native()


def _kind(item: Any) -> str:
    return type(item).__name__
