"""How many changes make one sequence another; error rates of speech and handwriting recognition."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skrnn.metrics._forms import read_weights

Array = NDArray[Any]


def edit_distance(a: Any, b: Any) -> int:
    """Return the least number of insertions, deletions and substitutions that turn ``a`` into ``b``.

    Parameters
    ----------
    a, b : str, or sequence of hashable objects
        Two sequences of tokens; of strings, their characters.

    Returns
    -------
    int
        0 if they are equal, at most the length of the longer one.

    Raises
    ------
    TypeError
        If one is no sequence.

    References
    ----------
    Levenshtein, "Binary codes capable of correcting deletions, insertions, and reversals", Soviet
    Physics Doklady 10, 1966; computed as by Wagner and Fischer, "The string-to-string correction
    problem", Journal of the ACM 21, 1974, in time of the product of the lengths.

    Examples
    --------
    >>> from skrnn.metrics import edit_distance
    >>> edit_distance("kitten", "sitting")
    3
    >>> edit_distance([1, 2, 3], [1, 3])
    1
    """
    codes: dict[Hashable, int] = {}
    first, second = (
        np.array([codes.setdefault(token, len(codes)) for token in _tokens(name, sequence)], dtype=np.int64)
        for name, sequence in (("a", a), ("b", b))
    )
    if len(first) < len(second):  # the longer loop runs in NumPy
        first, second = second, first
    places = np.arange(len(first) + 1)
    distance = places.copy()  # of every beginning of first from the beginning of second so far
    for token in second:
        changed = np.minimum(distance[1:] + 1, distance[:-1] + (first != token))
        row = np.concatenate(([distance[0] + 1], changed))
        # One more element of first costs one: row[j] <= row[i] + j - i for i < j, all at once.
        distance = np.minimum.accumulate(row - places) + places
    return int(distance[-1])


def word_error_rate(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    """Return the edit distance in words over the number of right words, of all texts together.

    Parameters
    ----------
    y_true : list of str, or list of sequences of words
        The right texts; strings are split at white space.
    y_pred : like y_true
        The recognised ones.
    sample_weight : array-like of shape (n_samples,), default=None
        A weight for each text.

    Returns
    -------
    float
        0 is perfect; more than 1 if more was made up than there was.

    Raises
    ------
    TypeError, ValueError
        If the arguments do not go together, or ``y_true`` holds no words at all.

    Examples
    --------
    >>> from skrnn.metrics import word_error_rate
    >>> word_error_rate(["the cat sat", "on it"], ["the hat sat", "on"])
    0.4
    """
    return _error_rate(y_true, y_pred, str.split, "words", sample_weight)


def character_error_rate(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    """Return the edit distance in characters over the number of right characters, of all texts together.

    Parameters
    ----------
    y_true : list of str
        The right texts; white space counts. Other sequences of tokens are compared as they are.
    y_pred : like y_true
        The recognised ones.
    sample_weight : array-like of shape (n_samples,), default=None
        A weight for each text.

    Returns
    -------
    float
        0 is perfect; more than 1 if more was made up than there was.

    Raises
    ------
    TypeError, ValueError
        If the arguments do not go together, or ``y_true`` holds no characters at all.

    Examples
    --------
    >>> from skrnn.metrics import character_error_rate
    >>> character_error_rate(["kitten"], ["sitting"])
    0.5
    """
    return _error_rate(y_true, y_pred, list, "characters", sample_weight)


def _error_rate(y_true: Any, y_pred: Any, split: Callable[[str], list[str]], units: str, sample_weight: Any) -> float:
    texts = {}
    for name, texts_of in (("y_true", y_true), ("y_pred", y_pred)):
        if isinstance(texts_of, (str, bytes)) or not isinstance(texts_of, Iterable):
            raise TypeError(f"{name} must be a list of texts, got {type(texts_of).__name__}")
        texts[name] = [split(text) if isinstance(text, str) else text for text in texts_of]
    n_true, n_pred = len(texts["y_true"]), len(texts["y_pred"])
    if n_true != n_pred:
        raise ValueError(f"y_pred must hold as many texts as y_true, {n_true}, got {n_pred}")
    weights = read_weights(sample_weight, n_true)
    if weights is None:
        weights = np.ones(n_true)
    lengths = weights @ np.array([len(_tokens("y_true", text)) for text in texts["y_true"]], dtype=np.float64)
    if not lengths > 0:
        raise ValueError(f"y_true must hold {units} to count errors by, got none")
    distances = [edit_distance(a, b) for a, b in zip(texts["y_true"], texts["y_pred"], strict=True)]
    return float(weights @ np.array(distances, dtype=np.float64) / lengths)


def _tokens(name: str, sequence: Any) -> Sequence[Hashable]:
    if isinstance(sequence, np.ndarray) and sequence.ndim == 1:
        tokens: list[Hashable] = sequence.tolist()
        return tokens
    if not isinstance(sequence, Sequence):
        raise TypeError(f"{name} must be a string or a sequence of tokens, got {type(sequence).__name__}")
    return sequence
