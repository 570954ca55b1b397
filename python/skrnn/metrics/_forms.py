"""The forms of ``y`` that have a value at each step, brought into one: a list of arrays, padding cut out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def read_sequences(name: str, y: Any) -> list[Array]:
    """Return the sequences of ``y``, each an array whose first axis is time.

    Raises
    ------
    TypeError, ValueError
        If ``y`` is no list or array of sequences, or holds none.
    """
    if isinstance(y, (str, bytes)) or not isinstance(y, (Sequence, np.ndarray)):
        y = getattr(y, "values", y)  # a series of sequences
        if isinstance(y, (str, bytes)) or not isinstance(y, (Sequence, np.ndarray)):
            raise TypeError(f"{name} must be a list of sequences or an array, got {type(y).__name__}")
    if len(y) == 0:
        raise ValueError(f"{name} must hold at least one sequence, got 0")
    sequences = []
    for sample, item in enumerate(y):
        if isinstance(item, (str, bytes)):
            raise TypeError(
                f"{name}[{sample}] is a string, where a sequence of steps is expected: split it into a list of tokens"
            )
        array = np.asarray(item)
        if array.ndim == 0:
            raise ValueError(
                f"{name} must hold a sequence for each sample, but {name}[{sample}] is the scalar {item!r}. For one "
                f"sequence pass [{name}]."
            )
        sequences.append(array)
    return sequences


def read_pairs(
    y_true: Any, y_pred: Any, mask: Any, padding: Any, *, pred_name: str = "y_pred", same_length: bool = True
) -> tuple[list[Array], list[Array], list[NDArray[np.bool_]]]:
    """Return the sequences of both, and which steps of each count.

    With ``same_length`` the steps that do not count are cut out, and what is left of the two goes
    step by step; without it, only where ``y_pred`` is as long as ``y_true`` was.
    """
    true, pred = read_sequences("y_true", y_true), read_sequences(pred_name, y_pred)
    if len(true) != len(pred):
        raise ValueError(f"{pred_name} must hold as many sequences as y_true, {len(true)}, got {len(pred)}")
    counts = _read_mask(mask, true)
    for sample, (a, b) in enumerate(zip(true, pred, strict=True)):
        counted = counts[sample]
        if mask is None:
            counts[sample] = counted = _not_padding(a, padding)
        # A prediction of the counted steps alone goes with a padded truth.
        if len(b) == len(a):
            pred[sample] = b[counted]
        elif same_length and len(b) != counted.sum():
            raise ValueError(f"{pred_name}[{sample}] has {len(b)} steps, but y_true[{sample}] has {len(a)}")
        true[sample] = a[counted]
    return true, pred, counts


def _not_padding(sequence: Array, padding: Any) -> NDArray[np.bool_]:
    """Whether each step is none of padding: not ``padding``, not None, and not NaN altogether."""
    counted = np.ones(len(sequence), dtype=bool)
    rest = tuple(range(1, sequence.ndim))
    if sequence.dtype.kind == "f":
        counted &= ~np.isnan(sequence).all(axis=rest)
    elif sequence.dtype.kind == "O" and sequence.ndim == 1:
        counted &= [value is not None and value == value for value in sequence]
    if padding is not None:
        counted &= ~np.asarray(sequence == padding, dtype=bool).all(axis=rest)
    return counted


def _read_mask(mask: Any, true: list[Array]) -> list[NDArray[np.bool_]]:
    if mask is None:
        return [np.ones(len(sequence), dtype=bool) for sequence in true]
    masks = read_sequences("mask", mask)
    if len(masks) != len(true):
        raise ValueError(f"mask must hold as many sequences as y_true, {len(true)}, got {len(masks)}")
    for sample, (steps, sequence) in enumerate(zip(masks, true, strict=True)):
        if steps.dtype != bool:
            raise TypeError(f"mask[{sample}] must be of bool, True where a step counts, got dtype {steps.dtype}")
        if steps.shape != (len(sequence),):
            raise ValueError(f"mask[{sample}] must have shape ({len(sequence)},) like y_true, got {steps.shape}")
    return masks


def read_weights(sample_weight: Any, n_samples: int) -> Array | None:
    """Return one weight for each sequence, or None."""
    if sample_weight is None:
        return None
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (n_samples,):
        raise ValueError(
            f"sample_weight must hold one weight for each of the {n_samples} sequences, got shape {weight.shape}"
        )
    return weight


def flatten(sequences: list[Array], what: str = "y_true") -> Array:
    """Put all steps of all sequences one after the other."""
    if sum(map(len, sequences)) == 0:
        raise ValueError(f"{what} must hold at least one step that counts, got 0")
    return np.concatenate([sequence for sequence in sequences if len(sequence) > 0])
