"""From what users pass as ``X`` to sequences that the layers can read.

All forms end in one class, :class:`Sequences`, whose batches are an array (N, T, F) with the length
of each row. Lists never go through ``np.asarray`` as a whole: each of their items does.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_array, validate_data

from skrnn._warnings import warn

Array = NDArray[Any]
Rows = slice | NDArray[np.int64]

# So many numbers of input or hidden state are in memory at once when predicting (16 MB of float32).
_CHUNK_SIZE = 2**22

# What float() would turn into a number, or fail on without saying where
_NO_NUMBERS = (str, bytes, np.datetime64, np.timedelta64, datetime.date, datetime.time, datetime.timedelta)

# How the dtypes of columns with dates and times begin, in pandas, polars and pyarrow
_DATES = ("date", "time", "duration", "period", "interval")


class Sequences:
    """Sequences of one number of features, of equal or different length.

    Sequences of one length are an array (N, T, F) as it is. Others lie in one array of time steps
    (S, F), each from its own start on; padding that came with them is skipped, never copied.

    Attributes
    ----------
    n_features : int
        F.
    """

    def __init__(
        self,
        steps: Array,
        *,
        starts: NDArray[np.int64] | None = None,
        lengths: NDArray[np.int64] | None = None,
    ) -> None:
        self.n_features = steps.shape[-1]
        self._steps = steps
        self._starts = starts
        self._lengths = lengths

    def __len__(self) -> int:
        return len(self._steps if self._starts is None else self._starts)

    def batch(self, rows: Rows) -> tuple[Array, NDArray[np.int64] | None]:
        """Return the sequences ``rows`` as one array (N, T, F), and their lengths or None.

        What lies beyond a row's length is arbitrary.
        """
        if self._starts is None or self._lengths is None:
            return self._steps[rows], None
        lengths = self._lengths[rows]
        places = self._starts[rows][:, np.newaxis] + np.arange(lengths.max())
        return self._steps.take(places, axis=0, mode="clip"), lengths

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of time steps of each sequence."""
        if self._lengths is not None:
            return self._lengths
        return np.full(len(self), self._steps.shape[1])

    def largest(self) -> Any:
        """Return the largest number in them."""
        parts = (slice(row, row + 1000) for row in range(0, len(self), 1000))
        return max(self._steps_of(rows).max() for rows in parts)

    def sample(self, n_rows: int) -> Array:
        """Return the time steps (S, F) of up to so many sequences, spread over all of them."""
        if n_rows >= len(self):
            return self._steps_of(slice(None))
        return self._steps_of(np.linspace(0, len(self) - 1, n_rows).astype(np.int64))

    def _steps_of(self, rows: Rows) -> Array:
        """Return the time steps (S, F) of the sequences ``rows``: no more, however long one of them is."""
        if self._starts is None or self._lengths is None:
            return self._steps[rows].reshape(-1, self.n_features)
        starts, lengths = self._starts[rows], self._lengths[rows]
        ends = lengths.cumsum()
        places = np.arange(ends[-1])
        places += np.repeat(starts - (ends - lengths), lengths)
        return self._steps[places]

    def chunks(self, n_hidden: int) -> Iterator[slice]:
        """Cut the rows into parts that, with ``n_hidden`` numbers a step, fit into little memory.

        A part is as long as its own longest row alone demands. Since no row's result depends on its
        neighbours, neither does it on these cuts.
        """
        n_rows = len(self)
        # (rows x steps) that fit
        size = _CHUNK_SIZE // max(self.n_features, n_hidden)
        longest = self._steps.shape[1] if self._lengths is None else int(self._lengths.max())
        if self._lengths is None or n_rows * longest <= size:
            step = max(1, size // longest)
            yield from (slice(start, start + step) for start in range(0, n_rows, step))
            return
        start = longest = 0
        for row, length in enumerate(self._lengths.tolist()):
            longest = max(longest, length)
            if row > start and (row + 1 - start) * longest > size:
                yield slice(start, row)
                start, longest = row, length
        yield slice(start, n_rows)

    def subset(self, rows: NDArray[np.int64]) -> Sequences:
        """Return the sequences ``rows``."""
        if self._starts is None or self._lengths is None:
            return Sequences(self._steps[rows])
        return Sequences(self._steps, starts=self._starts[rows], lengths=self._lengths[rows])


def check_sequences(estimator: Any, X: Any, dtype: np.dtype[Any], *, reset: bool) -> Sequences:
    """Check and convert ``X``.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_`` and, where columns have names, ``feature_names_in_`` on reset;
        otherwise ``X`` is compared with them.
    X : array-like
        In any form that the estimators document.
    dtype : numpy.dtype
        float32 or float64.
    reset : bool
        True in ``fit``.

    Returns
    -------
    Sequences

    Raises
    ------
    TypeError, ValueError
        With scikit-learn's texts where it has one, and the sample and step otherwise.
    """
    if not isinstance(X, (list, tuple)) and not hasattr(X, "__array__") and not hasattr(X, "shape"):
        raise TypeError(f"X must be an array, a data frame or a list of sequences, got {type(X).__name__}")
    if not isinstance(X, (list, tuple)) and not hasattr(X, "shape"):
        X = np.asarray(X)
    _refuse_odd_arrays(X, "X")
    X = as_list(X)
    if isinstance(X, (list, tuple)) and not (reset and is_nested_table(X)):
        sequences, names = _from_list(estimator, X, dtype)
    elif isinstance(X, (list, tuple)) or len(getattr(X, "shape", ())) < 3:
        table = read_table(estimator, X, dtype, reset=reset)
        finite = np.isfinite(table)
        if not finite.all():
            sample, step = (int(i) for i in np.unravel_index(int(finite.argmin()), table.shape))
            _raise_not_finite(table[sample, step], sample, step, _HINT_OF_TABLES)
        return Sequences(table[:, :, np.newaxis])
    else:
        sequences, names = _from_grid(estimator, X, dtype), None
    check_features(estimator, sequences.n_features, names, reset=reset)
    if reset:
        estimator._fitted_on_table = False
    return sequences


def check_tokens(
    estimator: Any, X: Any, *, padding_idx: int | None, num_embeddings: int | None, reset: bool
) -> Sequences:
    """Check and convert ``X`` that holds integer tokens.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_`` (1) on reset.
    X : array-like
        A list of sequences of integers (n_timesteps,), or an array or data frame of integers
        (n_samples, n_timesteps), in which ``padding_idx`` at the end of a row is padding.
    padding_idx : int or None
        The token that stands for nothing.
    num_embeddings : int or None
        Tokens must be below it; None where that is not known yet.
    reset : bool
        True in ``fit``.

    Returns
    -------
    Sequences
        One feature of int64.

    Raises
    ------
    TypeError, ValueError
        Naming the sample and step.
    """
    name = type(estimator).__name__
    if not isinstance(X, (list, tuple)) and not hasattr(X, "__array__") and not hasattr(X, "shape"):
        raise TypeError(f"X must be an array, a data frame or a list of sequences, got {type(X).__name__}")
    items = X if isinstance(X, (list, tuple)) or np.ndim(X) < 2 else None
    arrays: list[Array] = []
    if items is not None:
        items = list(items)
        if not items:
            raise ValueError(f"Found array with 0 sample(s) (shape=(0,)) while a minimum of 1 is required by {name}.")
        arrays = [_as_tokens(item, f"X[{sample}]") for sample, item in enumerate(items)]
        for sample, array in enumerate(arrays):
            if array.ndim == 2 and array.shape[1] == 1:
                arrays[sample] = array = array[:, 0]
            if array.ndim != 1:
                hint = " For one sequence pass [X]." if array.ndim == 0 else ""
                raise ValueError(
                    f"X[{sample}] has shape {array.shape}, but a sequence of tokens has shape (n_timesteps,), since "
                    f"embedding_dim={estimator.embedding_dim} was given.{hint}"
                )
    else:
        table = _as_tokens(X, "X")
        if table.ndim == 3 and table.shape[2] == 1:
            table = table[:, :, 0]
        if table.ndim != 2:
            raise ValueError(
                f"X has shape {table.shape}, but tokens have shape (n_samples, n_timesteps), since "
                f"embedding_dim={estimator.embedding_dim} was given."
            )
        if len(table) == 0:
            shape = f"(shape={table.shape})"
            raise ValueError(f"Found array with 0 sample(s) {shape} while a minimum of 1 is required by {name}.")
        arrays = list(table)
    if padding_idx is not None:
        arrays = [_without_padding(array, padding_idx) for array in arrays]
    lengths = np.array([len(array) for array in arrays], dtype=np.int64)
    if not lengths.all():
        what = "no token" if padding_idx is None else f"nothing but padding (padding_idx={padding_idx})"
        raise ValueError(
            f"Found array with 0 time step(s) at X[{lengths.argmin()}], which holds {what}, while a minimum of 1 is "
            f"required by {name}."
        )
    ends = lengths.cumsum()
    steps = np.concatenate(arrays)[:, np.newaxis]
    outside = steps[:, 0] < 0
    if num_embeddings is not None:
        outside |= steps[:, 0] >= num_embeddings
    if outside.any():
        place = int(outside.argmax())
        sample = int(np.searchsorted(ends, place, side="right"))
        end = "inf" if num_embeddings is None else num_embeddings
        raise ValueError(
            f"Tokens must be in the range [0, {end}), got {steps[place, 0]} in sample {sample} at time step "
            f"{place - int(ends[sample] - lengths[sample])}. The number of tokens is num_embeddings, or by default one "
            "more than the largest in fit."
        )
    if reset:
        estimator._fitted_on_table = False
    check_features(estimator, 1, None, reset=reset)
    if (lengths == lengths[0]).all():
        return Sequences(steps.reshape(len(arrays), -1, 1))
    return Sequences(steps, starts=ends - lengths, lengths=lengths)


def _as_tokens(item: Any, where: str) -> Array:
    """Return integers as int64."""
    _refuse_odd_arrays(item, where)
    try:
        array = np.asarray(item)
    except ValueError as error:
        raise ValueError(f"{where} is not a sequence of tokens: {error}") from error
    if array.dtype.kind == "O" and array.size and all(isinstance(value, (int, np.integer)) for value in array.flat):
        array = array.astype(np.int64)
    if array.size == 0:
        return array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise TypeError(
            f"{where} has dtype {array.dtype}, but embedding_dim was given, so that X must hold tokens, which are "
            "integers. skrnn.preprocessing.Tokenizer makes some of text; without embedding_dim X may hold any numbers."
        )
    if array.dtype == np.uint64 and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{where} holds {array.max()}, which is too large for a token.")
    return array.astype(np.int64)


def _without_padding(tokens: Array, padding_idx: int) -> Array:
    """Cut padding off the end."""
    kept = np.flatnonzero(tokens != padding_idx)
    return tokens[: kept[-1] + 1] if len(kept) else tokens[:0]


def as_list(X: Any) -> Any:
    """Return an array or series that holds sequences as a list of them, a tuple as a list, all else as it is."""
    if isinstance(X, tuple):
        return list(X)
    if isinstance(X, list) or len(getattr(X, "shape", ())) != 1:
        return X
    if hasattr(X.dtype, "kind"):
        return list(X) if X.dtype.kind == "O" else X
    array = np.asarray(X)  # of polars: columns of lists or arrays
    if array.ndim > 1:
        return list(array)
    return [np.asarray(item) for item in X.to_list()] if array.dtype.kind == "O" else X


def refuse_masked(value: Any, where: str) -> None:
    """Refuse masked arrays, whose masks NumPy drops without a word."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{where} is a masked array: what is masked would be read. Cut it off, fill it in, or mark steps at the "
            "end of sequences as padding by NaN."
        )


def refuse_dates(frame: Any, where: str) -> None:
    """Refuse data frames with columns of dates or times: beside numbers, polars turns them into such."""
    names = columns_of(frame)
    if names is None:
        return
    schema = getattr(frame, "schema", None)  # of pyarrow, which has no dtypes
    dtypes: Any = getattr(frame, "dtypes", getattr(schema, "types", ()))
    for name, dtype in zip(names, dtypes, strict=False):
        if str(dtype).lower().startswith(_DATES):
            raise TypeError(
                f"{where} is not of numbers: column {name!r} holds dates or times (dtype {dtype}). Leave it out, or "
                "turn it into numbers."
            )


def _refuse_odd_arrays(value: Any, where: str) -> None:
    """Refuse what NumPy would turn into numbers without a word."""
    refuse_masked(value, where)
    refuse_dates(value, where)
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind in ("M", "m", "S", "U"):
        what = "strings" if kind in "SU" else "dates or times"
        raise TypeError(f"{where} is not of numbers: it holds {what} (dtype {value.dtype}).")


def refuse_sparse(item: Any, where: str) -> None:
    """Refuse sparse matrices, of SciPy or of another library."""
    if hasattr(item, "toarray"):
        raise TypeError(f"Sparse data was passed in {where}, but dense data is required: use its toarray().")


def is_nested_table(X: Any) -> bool:
    """Whether ``X`` is a list of lists of numbers, all of one length: a table to scikit-learn.

    To the network such lists are the same univariate sequences either way; what depends on it is
    ``n_features_in_``, and that arrays of this width, and of no other, may follow.
    """
    return (
        isinstance(X, (list, tuple))
        and len(X) > 0
        and all(
            isinstance(item, (list, tuple))
            and len(item) == len(X[0]) > 0
            and isinstance(item[0], (bool, int, float, np.generic))
            for item in X
        )
    )


_FORMS = (
    "X may be an array of shape (n_samples, n_timesteps, n_features), a table of numbers (n_samples, n_timesteps), or "
    "a list, array or series of sequences. Where a column of a data frame holds the sequences, pass that column: "
    "X['name']."
)


def read_table(estimator: Any, X: Any, dtype: np.dtype[Any] | None, *, reset: bool) -> Array:
    """Return univariate series (n_samples, n_timesteps), by scikit-learn's own checks but for that of finite values."""
    refuse_dates(X, "X")
    if not reset and not estimator._fitted_on_table and np.ndim(X) == 2:
        name, n_features = type(estimator).__name__, estimator.n_features_in_
        raise ValueError(
            f"X has 2 dimensions, but {name} was fitted on sequences with {n_features} feature(s) "
            f"at each time step: pass an array of shape (n_samples, n_timesteps, {n_features}) or a "
            "list of sequences. For one sequence pass [X], for univariate series "
            "np.asarray(X)[:, :, np.newaxis]."
        )
    try:
        with np.errstate(over="ignore"):  # what overflows is an infinity
            table: Array = validate_data(estimator, X, dtype=dtype, order="C", ensure_all_finite=False, reset=reset)
    except ValueError as error:
        if "setting an array element with a sequence" not in str(error):
            raise
        raise ValueError(f"{error} {_FORMS}") from error
    if table.dtype.kind == "O" and isinstance(table[0, 0], (np.ndarray, list, tuple)):
        raise ValueError(f"X is a table of sequences. {_FORMS}")
    if reset:
        estimator._fitted_on_table = True
    return table


def _from_grid(estimator: Any, X: Any, dtype: np.dtype[Any]) -> Sequences:
    """Read (n_samples, n_timesteps, n_features), where rows may end in NaN."""
    name = type(estimator).__name__
    if type(X) is not np.ndarray or X.dtype != dtype or X.ndim != 3 or not X.flags.c_contiguous:
        with np.errstate(over="ignore"):  # what overflows is found below, as an infinity
            X = check_array(
                X,
                dtype=dtype,
                order="C",
                allow_nd=True,
                ensure_all_finite=False,
                ensure_min_samples=0,
                estimator=estimator,
            )
        if X.ndim > 3:
            raise ValueError(f"Found array with dim {X.ndim}, while dim <= 3 is required by {name}.")
    for axis, what in enumerate(("sample", "time step", "feature")):
        if X.shape[axis] == 0:
            raise ValueError(
                f"Found array with 0 {what}(s) (shape={X.shape}) while a minimum of 1 is required by {name}."
            )
    finite = np.isfinite(X)
    if finite.all():
        return Sequences(X)

    n_samples, n_steps, n_features = X.shape
    padding = np.isnan(X).all(axis=2)
    lengths = np.asarray(n_steps - np.argmin(padding[:, ::-1], axis=1), dtype=np.int64)
    empty = padding.all(axis=1)
    if empty.any():
        raise ValueError(
            f"Input X contains NaN.\nSample {empty.argmax()} holds nothing else: every sequence "
            "needs at least one time step."
        )
    inside = np.arange(n_steps) < lengths[:, np.newaxis]
    bad = ~finite & inside[:, :, np.newaxis]
    if bad.any():
        sample, step, _ = (int(i) for i in np.unravel_index(int(bad.argmax()), X.shape))
        _raise_not_finite(X[sample, step], sample, step)
    starts = np.arange(n_samples, dtype=np.int64) * n_steps
    return Sequences(X.reshape(-1, n_features), starts=starts, lengths=lengths)


def _from_list(estimator: Any, X: Sequence[Any], dtype: np.dtype[Any]) -> tuple[Sequences, Array | None]:
    """Read a list of (n_timesteps, n_features) or (n_timesteps,); also return column names."""
    name = type(estimator).__name__
    if not X:
        raise ValueError(f"Found array with 0 sample(s) (shape=(0,)) while a minimum of 1 is required by {name}.")
    names = feature_names_of(X[0])
    items: list[Array] = []
    for sample, item in enumerate(X):
        # Most are what they should be, and there may be many of them.
        plain = type(item) is np.ndarray and item.ndim == 2 and item.dtype.kind == "f"
        array = item if plain else _as_steps(item, sample)
        if len(array) == 0 or array.shape[1] == 0:
            what = "time step" if len(array) == 0 else "feature"
            raise ValueError(
                f"Found array with 0 {what}(s) (shape={array.shape}) at X[{sample}] while a "
                f"minimum of 1 is required by {name}."
            )
        if items and array.shape[1] != items[0].shape[1]:
            raise ValueError(
                f"X[{sample}] has {array.shape[1]} features, but X[0] has {items[0].shape[1]}: all "
                "sequences must have the same number of features."
            )
        if names is not None and not _same(names, feature_names_of(item)):
            raise ValueError(f"X[{sample}] has other column names than X[0].")
        items.append(array)

    lengths = np.array([len(item) for item in items], dtype=np.int64)
    ends = lengths.cumsum()
    with np.errstate(over="ignore"):
        # column by column if all items are, as those of data frames
        steps = np.ascontiguousarray(np.concatenate(items, dtype=dtype, casting="unsafe"))
    finite = np.isfinite(steps).all(axis=1)
    if not finite.all():
        place = int(finite.argmin())
        sample = int(np.searchsorted(ends, place, side="right"))
        _raise_not_finite(steps[place], sample, place - int(ends[sample] - lengths[sample]))
    if (lengths == lengths[0]).all():
        return Sequences(steps.reshape(len(items), lengths[0], -1)), names
    return Sequences(steps, starts=ends - lengths, lengths=lengths), names


def as_numbers(item: Any, where: str) -> Array:
    """Return one sequence as an array of numbers, of whatever shape."""
    _refuse_odd_arrays(item, where)
    refuse_sparse(item, where)
    try:
        array = np.asarray(item)
        if array.dtype.kind == "O":
            place = next((place for place, value in np.ndenumerate(array) if isinstance(value, _NO_NUMBERS)), None)
            if place is not None:
                names = columns_of(item)
                column = "" if names is None else f" in column {names[place[1]]!r}"
                raise TypeError(f"it holds strings or dates{column}")
            array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{where} is not a sequence of numbers: {error}") from error
    _refuse_odd_arrays(array, where)
    return array


def _as_steps(item: Any, sample: int) -> Array:
    """Return one sequence as numbers (n_timesteps, n_features)."""
    array = as_numbers(item, f"X[{sample}]")
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported\nX[{sample}] has dtype {array.dtype}.")
    if array.ndim == 0:
        raise ValueError(
            f"Expected a list of sequences, got a list of scalars: X[{sample}]={item!r}. Reshape your "
            "data: use [X] if it is one univariate sequence, or X.reshape(-1, 1) if each number "
            "is a sequence of its own."
        )
    if array.ndim > 2:
        raise ValueError(
            f"X[{sample}] has {array.ndim} dimensions (shape {array.shape}), but a sequence has "
            "shape (n_timesteps, n_features) or (n_timesteps,)."
        )
    return array[:, np.newaxis] if array.ndim == 1 else array


_HINT_OF_STEPS = (
    " Of NaN, only whole time steps at the end of a sequence are allowed, in an array of shape "
    "(n_samples, n_timesteps, n_features): they are padding. In a list, cut them off."
)
_HINT_OF_TABLES = (
    " The columns of a table are fixed time steps, of which none may be missing. Where NaN at the end of rows is "
    "padding of univariate sequences, pass X[:, :, np.newaxis] (or a list of sequences)."
)


def _raise_not_finite(values: Array, sample: int, step: int, hint: str = _HINT_OF_STEPS) -> None:
    what = "NaN" if np.isnan(values).any() else f"infinity or a value too large for dtype({values.dtype.name!r})"
    raise ValueError(
        f"Input X contains {what}.\nThe first is in sample {sample} at time step {step}.{hint if what == 'NaN' else ''}"
    )


def columns_of(item: Any) -> list[Any] | None:
    """Return the names of a data frame's columns, or None for what is no data frame."""
    columns = getattr(item, "columns", None)
    if isinstance(columns, list):  # pyarrow's are the columns themselves
        columns = getattr(item, "column_names", columns)
    return None if columns is None else list(columns)


def feature_names_of(item: Any) -> Array | None:
    """Return the names of a data frame's columns when all are strings, like scikit-learn."""
    columns = columns_of(item)
    if columns is None or not all(isinstance(column, str) for column in columns):
        return None
    return np.asarray(columns, dtype=object)


def _same(names: Array, others: Array | None) -> bool:
    return others is not None and np.array_equal(names, others)


def check_features(estimator: Any, n_features: int, names: Array | None, *, reset: bool) -> None:
    """Set or compare the number of features of a time step, and their names.

    scikit-learn's own function for this reads only the data frames that it knows, which depends on its version and
    on theirs.
    """
    name = type(estimator).__name__
    if reset:
        estimator.n_features_in_ = n_features
        if names is not None:
            estimator.feature_names_in_ = names
        elif hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_
        return
    # A table's columns are time steps: series of any length may follow, but univariate ones.
    expected = 1 if estimator._fitted_on_table else estimator.n_features_in_
    if n_features != expected:
        raise ValueError(f"X has {n_features} features, but {name} is expecting {expected} features as input.")
    fitted_names = None if estimator._fitted_on_table else getattr(estimator, "feature_names_in_", None)
    if names is not None and fitted_names is not None and not _same(names, fitted_names):
        raise ValueError(
            "The feature names should match those that were passed during fit.\n"
            f"Expected {list(fitted_names)}, got {list(names)}."
        )
    if names is None and fitted_names is not None:
        warn(f"X does not have valid feature names, but {name} was fitted with feature names")
    if names is not None and fitted_names is None:
        warn(f"X has feature names, but {name} was fitted without feature names")
