"""Named spans in sequences of tags: who is a person, what is a date."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skrnn.metrics._forms import read_pairs, read_weights
from skrnn.nn._checks import check_choice

Array = NDArray[Any]


class Span(NamedTuple):
    """A run of steps of one type."""

    start: int
    """Its first step."""
    stop: int
    """The step after its last."""
    type: str
    """What follows "B-" and "I-" in its tags; "" where nothing does."""


def extract_spans(tags: Any) -> list[Span]:
    """Return the spans that a sequence of BIO tags marks.

    A span begins at "B-X", and also at "I-X" where no span of type X goes on; it ends before the
    next tag that is not "I-X". So tags of IOB2, where each span begins with B, and of IOB1, where
    B only parts neighbours of one type, are both read right, and ill-formed ones as the script of
    the CoNLL tasks reads them.

    Parameters
    ----------
    tags : array-like of str of shape (n_timesteps,)
        "O", "B", "I", or "B-X" or "I-X" with any type X.

    Returns
    -------
    list of Span
        In the order of time.

    Raises
    ------
    TypeError, ValueError
        If a tag is none.

    Examples
    --------
    >>> from skrnn.metrics import extract_spans
    >>> extract_spans(["B-PER", "I-PER", "O", "B-LOC"])
    [Span(start=0, stop=2, type='PER'), Span(start=3, stop=4, type='LOC')]
    """
    spans: list[Span] = []
    start, open_type = 0, None
    n_steps = 0
    for step, tag in enumerate(tags):
        prefix, kind = _split_tag(tag, step)
        if open_type is not None and (prefix != "I" or kind != open_type):
            spans.append(Span(start, step, open_type))
            open_type = None
        if prefix != "O" and open_type is None:
            start, open_type = step, kind
        n_steps = step + 1
    if open_type is not None:
        spans.append(Span(start, n_steps, open_type))
    return spans


def _split_tag(tag: Any, step: int) -> tuple[str, str]:
    if not isinstance(tag, str):
        raise TypeError(f"tags must be strings, got {tag!r} at step {step}")
    prefix, dash, kind = tag.partition("-")
    if prefix not in ("O", "B", "I") or (prefix == "O" and dash):
        raise ValueError(f"tags must be 'O', 'B', 'I', 'B-type' or 'I-type', got {tag!r} at step {step}")
    return prefix, kind


def span_precision_recall_f1(
    y_true: Any,
    y_pred: Any,
    *,
    average: str | None = "micro",
    sample_weight: Any = None,
    mask: Any = None,
    padding: Any = None,
    zero_division: float = 0.0,
) -> tuple[float, float, float] | dict[str, tuple[float, float, float]]:
    """Return precision, recall and F1 of the spans that tags mark, by the rules of CoNLL.

    A predicted span is right if there is one of exactly these steps and this type
    (:func:`extract_spans` says what a span is).

    Parameters
    ----------
    y_true : list of array-like of str of shape (n_timesteps,), or array-like of shape (n_samples, n_timesteps)
        The right tags.
    y_pred : like y_true
        The predicted ones, of the same lengths.
    average : {"micro", "macro"} or None, default="micro"
        "micro" counts the spans of all types together, as the CoNLL tasks do; "macro" is the mean over the
        types that occur; None gives each type its own.
    sample_weight : array-like of shape (n_samples,), default=None
        A weight for each sequence, which all its spans have.
    mask : like y_true, of bool, default=None
        True where a step counts. Others are cut out, before spans are looked for. None counts all but padding.
    padding : str, default=None
        The tag in ``y_true`` that marks padding.
    zero_division : float, default=0.0
        What a quotient of nothing by nothing is.

    Returns
    -------
    tuple of float, or dict of str to tuple of float with ``average=None``
        Precision, recall, F1.

    Raises
    ------
    TypeError, ValueError
        If the arguments do not go together, or a tag is none.

    References
    ----------
    Tjong Kim Sang and De Meulder, "Introduction to the CoNLL-2003 shared task: language-independent
    named entity recognition", CoNLL 2003; its script is ``conlleval``.

    Examples
    --------
    >>> from skrnn.metrics import span_precision_recall_f1
    >>> true, predicted = [["B-PER", "I-PER", "O", "B-LOC"]], [["B-PER", "O", "O", "B-LOC"]]
    >>> span_precision_recall_f1(true, predicted)
    (0.5, 0.5, 0.5)
    """
    if average is not None:
        check_choice("average", average, ("micro", "macro"))
    true, pred, _ = read_pairs(y_true, y_pred, mask, padding)
    weights = read_weights(sample_weight, len(true))
    n_true, n_pred, n_right = (defaultdict[str, float](float) for _ in range(3))
    for sample, (a, b) in enumerate(zip(true, pred, strict=True)):
        weight = 1 if weights is None else float(weights[sample])
        in_true, in_pred = _spans_of("y_true", sample, a), _spans_of("y_pred", sample, b)
        for counter, spans in ((n_true, in_true), (n_pred, in_pred), (n_right, in_true & in_pred)):
            for span in spans:
                counter[span.type] += weight

    def scores(types: list[str]) -> tuple[float, float, float]:
        right = sum(n_right[t] for t in types)
        predicted, actual = sum(n_pred[t] for t in types), sum(n_true[t] for t in types)
        return (
            _divide(right, predicted, zero_division),
            _divide(right, actual, zero_division),
            _divide(2 * right, predicted + actual, zero_division),
        )

    types = sorted({*n_true, *n_pred})
    if average is None:
        return {t: scores([t]) for t in types}
    if average == "micro" or not types:
        return scores(types)
    precision, recall, f1 = np.mean([scores([t]) for t in types], axis=0).tolist()
    return precision, recall, f1


def span_f1(
    y_true: Any,
    y_pred: Any,
    *,
    average: str = "micro",
    sample_weight: Any = None,
    mask: Any = None,
    padding: Any = None,
    zero_division: float = 0.0,
) -> float:
    """Return the F1 of the spans that tags mark, by the rules of CoNLL: exact steps and type.

    Parameters
    ----------
    y_true, y_pred, sample_weight, mask, padding, zero_division
        As for :func:`span_precision_recall_f1`.
    average : {"micro", "macro"}, default="micro"
        Over all spans, or over the types.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    TypeError, ValueError
        As :func:`span_precision_recall_f1`.

    Examples
    --------
    >>> from skrnn.metrics import span_f1
    >>> span_f1([["B-PER", "I-PER", "O", "B-LOC"]], [["B-PER", "O", "O", "B-LOC"]])
    0.5
    """
    check_choice("average", average, ("micro", "macro"))
    scores = span_precision_recall_f1(
        y_true,
        y_pred,
        average=average,
        sample_weight=sample_weight,
        mask=mask,
        padding=padding,
        zero_division=zero_division,
    )
    assert isinstance(scores, tuple)
    return scores[2]


def _spans_of(name: str, sample: int, tags: Array) -> set[Span]:
    try:
        return set(extract_spans(tags.tolist()))
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}[{sample}]: {error}") from error


def _divide(a: float, b: float, otherwise: float) -> float:
    return a / b if b else float(otherwise)
