"""From long tables to sequences."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skrnn.preprocessing._narwhals import import_narwhals

Array = NDArray[Any]


class FrameSequences(NamedTuple):
    """What :func:`sequences_from_frame` returns.

    Attributes
    ----------
    X : list of arrays or data frames
        The sequences, in the order in which they first appear in the table.
    y : array (n_sequences,) or None
        Their labels, if a column of such was named.
    ids : array (n_sequences,) or (n_sequences, n_by)
        What tells them apart: the values of ``by``.
    """

    X: list[Any]
    y: Array | None
    ids: Array


def sequences_from_frame(
    df: Any,
    by: str | list[str],
    *,
    order: str | list[str] | None = None,
    columns: str | list[str] | None = None,
    y: str | None = None,
    as_frames: bool = False,
) -> FrameSequences:
    """Cut a long table, with one row per time step, into sequences.

    Parameters
    ----------
    df : data frame
        Of pandas, polars, pyarrow or whatever else narwhals reads. It is not changed. What pandas keeps in the index is
        no column: ``df.reset_index()``.
    by : str or list of str
        The column, or columns, that say which sequence a row belongs to.
    order : str or list of str, default=None
        The column, or columns, that say when: rows of a sequence are sorted by it. Rows that it does not tell apart
        (with None, all) stay in the order that they have.
    columns : str or list of str, default=None
        The features. None takes all other columns. The name of one column gives sequences (T_i,) of whatever it holds,
        such as labels of time steps.
    y : str, default=None
        A column with the label or target of the sequence, the same in all of its rows.
    as_frames : bool, default=False
        Whether sequences are data frames, of the library of ``df``, instead of arrays. Their columns may hold anything;
        :class:`Stepwise` can encode them.

    Returns
    -------
    sequences : FrameSequences
        The named tuple ``(X, y, ids)``. Sequences are in the order of their first rows in ``df``. Arrays are (T_i, F)
        in the smallest dtype that holds all columns; missing values are NaN.

    Raises
    ------
    ImportError
        If narwhals is not installed.
    TypeError, ValueError
        If ``df`` is no data frame, a column is missing or not numeric, an id, a time or a ``y`` is missing,
        or ``y`` changes within a sequence.

    Examples
    --------
    >>> import pandas as pd
    >>> from skrnn.preprocessing import sequences_from_frame
    >>> df = pd.DataFrame({"id": ["b", "a", "b"], "t": [2, 1, 1], "v": [0.5, 0.1, 0.4], "label": [1, 0, 1]})
    >>> X, y, ids = sequences_from_frame(df, by="id", order="t", columns=["v"], y="label")
    >>> X
    [array([[0.4],
           [0.5]]), array([[0.1]])]
    >>> y, ids
    (array([1, 0]), array(['b', 'a'], dtype=object))
    """
    nw = import_narwhals("sequences_from_frame")
    try:
        frame = nw.from_native(df, eager_only=True)
    except TypeError as error:
        lazy = " A lazy frame has to be collected first." if hasattr(df, "collect") else ""
        raise TypeError(
            f"df must be a data frame (pandas, polars, pyarrow...), got {type(df).__name__}.{lazy}"
        ) from error
    by_names = _check_names(frame, by, "by")
    order_names = [] if order is None else _check_names(frame, order, "order")
    if y is not None:
        if not isinstance(y, str):
            raise TypeError(f"y must be the name of one column, got {y!r}.")
        _check_names(frame, y, "y")
    if columns is None:
        names = [name for name in frame.columns if name not in {*by_names, *order_names, y}]
        if not names:
            raise ValueError(f"df must have columns beside those of by, order and y, got {list(frame.columns)}.")
    else:
        names = _check_names(frame, columns, "columns")
    if frame.shape[0] == 0:
        raise ValueError("df must have at least one row, got none.")

    by_values = [_complete(frame, name, "by") for name in by_names]
    sequence = _number_by_appearance(by_values)
    rows = np.lexsort([*(_ranks(frame, name) for name in reversed(order_names)), sequence])
    ends = np.bincount(sequence).cumsum()
    starts = np.concatenate([[0], ends[:-1]])
    firsts = rows[starts]

    ids = [values[firsts] for values in by_values]
    if as_frames:
        table = frame.select(names)[rows]
        X = [table[int(start) : int(end)].to_native() for start, end in zip(starts, ends, strict=True)]
    else:
        values = _values(frame, names, must_be_numbers=not isinstance(columns, str))[rows]
        values = values[:, 0] if isinstance(columns, str) else values
        X = [values[start:end].copy() for start, end in zip(starts, ends, strict=True)]
    return FrameSequences(
        X,
        None if y is None else _labels(_complete(frame, y, "y"), y, sequence, firsts, ids),
        ids[0] if isinstance(by, str) else np.stack([i.astype(object) for i in ids], axis=1),
    )


def _check_names(frame: Any, names: str | list[str], argument: str) -> list[str]:
    """Return the names of columns as a list, all of which exist."""
    found = [names] if isinstance(names, str) else list(names)
    if not found:
        raise ValueError(f"{argument} must name at least one column, got {names!r}.")
    for name in found:
        if name not in frame.columns:
            raise ValueError(f"{argument} must name columns of df, which are {list(frame.columns)}: got {name!r}.")
    return found


def _complete(frame: Any, name: str, argument: str) -> Array:
    """Return a column as an array; none of its values may be missing."""
    values = np.asarray(frame[name].to_numpy())
    missing = np.asarray(frame[name].is_null().to_numpy(), dtype=bool) | np.asarray(values != values, dtype=bool)
    if missing.any():
        raise ValueError(
            f"Column {name!r} ({argument}) must have a value in every row, got none in row {missing.argmax()}."
        )
    return values


def _ranks(frame: Any, name: str) -> NDArray[np.int64]:
    """Return for each row the rank of its value among those of the column."""
    try:
        ranks = np.unique(_complete(frame, name, "order"), return_inverse=True)[1]
    except TypeError as error:
        raise TypeError(f"Column {name!r} (order) must hold values of one type that can be sorted: {error}") from error
    return np.asarray(ranks, dtype=np.int64).reshape(-1)


def _number_by_appearance(columns: list[Array]) -> NDArray[np.int64]:
    """Return for each row the number of its sequence: 0 for that of the first row, and so on."""
    numbers: dict[Any, int] = {}
    rows = columns[0].tolist() if len(columns) == 1 else zip(*(column.tolist() for column in columns), strict=True)
    try:
        return np.array([numbers.setdefault(key, len(numbers)) for key in rows], dtype=np.int64)
    except TypeError as error:
        raise TypeError(f"The columns named by must hold numbers, strings or other keys: {error}") from error


def _values(frame: Any, names: list[str], *, must_be_numbers: bool) -> Array:
    """Return columns as one array."""
    nw = import_narwhals("sequences_from_frame")
    arrays = []
    for name in names:
        dtype = frame[name].dtype
        if must_be_numbers and not (dtype.is_numeric() or dtype == nw.Boolean):
            raise TypeError(
                f"Column {name!r} must be numeric, got {dtype}: leave it out of columns, encode it, or set "
                "as_frames=True."
            )
        array = frame[name].to_numpy()
        if must_be_numbers and array.dtype.kind not in "biuf":  # decimals, missing values
            array = frame[name].cast(nw.Float64).to_numpy()
        arrays.append(array)
    return np.stack(arrays, axis=1)


def _labels(
    values: Array, name: str, sequence: NDArray[np.int64], firsts: NDArray[np.int64], ids: list[Array]
) -> Array:
    """Return one label per sequence."""
    labels = values[firsts]
    differs = np.asarray(values != labels[sequence], dtype=bool)
    if differs.any():
        row = int(differs.argmax())
        number = int(sequence[row])
        raise ValueError(
            f"Column {name!r} (y) must have one value in each sequence, got {labels[number]!r} and {values[row]!r} in "
            f"sequence {', '.join(str(i[number]) for i in ids)}."
        )
    return labels
