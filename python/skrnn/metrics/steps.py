"""Metrics of models that answer at each step, over sequences of any lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, mean_squared_error, r2_score

from skrnn.metrics._forms import flatten, read_pairs, read_weights

Array = NDArray[Any]


def token_accuracy(
    y_true: Any, y_pred: Any, *, sample_weight: Any = None, mask: Any = None, padding: Any = None
) -> float:
    """Return the share of steps with the right label.

    Parameters
    ----------
    y_true : list of array-like of shape (n_timesteps,), or array-like of shape (n_samples, n_timesteps)
        The right labels, of any type.
    y_pred : like y_true
        The predicted ones, of the same lengths; for a padded ``y_true`` either padded to the same
        length or without the padding.
    sample_weight : array-like of shape (n_samples,), default=None
        A weight for each sequence, which all its steps have.
    mask : like y_true, of bool, default=None
        True where a step counts. None counts all but padding.
    padding : object, default=None
        The label in ``y_true`` that marks padding, such as -1. NaN and None always are padding.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    TypeError, ValueError
        If the arguments do not go together, or no step counts.

    Examples
    --------
    >>> from skrnn.metrics import token_accuracy
    >>> token_accuracy([["DET", "NOUN"], ["VERB"]], [["DET", "VERB"], ["VERB"]])
    0.6666666666666666
    """
    true, pred, _ = read_pairs(y_true, y_pred, mask, padding)
    return float(accuracy_score(flatten(true), flatten(pred), sample_weight=_by_step(sample_weight, true)))


def sequence_accuracy(
    y_true: Any, y_pred: Any, *, sample_weight: Any = None, mask: Any = None, padding: Any = None
) -> float:
    """Return the share of sequences whose labels are all right.

    Parameters
    ----------
    y_true : list of array-like of shape (n_timesteps,), or array-like of shape (n_samples, n_timesteps)
        The right labels, of any type.
    y_pred : like y_true
        The predicted ones. Of another length, a sequence is wrong.
    sample_weight : array-like of shape (n_samples,), default=None
        A weight for each sequence.
    mask : like y_true, of bool, default=None
        True where a step counts. None counts all but padding.
    padding : object, default=None
        The label in ``y_true`` that marks padding, such as -1. NaN and None always are padding.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    TypeError, ValueError
        If the arguments do not go together.

    Examples
    --------
    >>> from skrnn.metrics import sequence_accuracy
    >>> sequence_accuracy([["DET", "NOUN"], ["VERB"]], [["DET", "VERB"], ["VERB"]])
    0.5
    """
    true, pred, _ = read_pairs(y_true, y_pred, mask, padding, same_length=False)
    right = [len(a) == len(b) and bool(np.all(a == b)) for a, b in zip(true, pred, strict=True)]
    return float(np.average(right, weights=read_weights(sample_weight, len(true))))


def perplexity(
    y_true: Any, log_proba: Any, *, sample_weight: Any = None, mask: Any = None, padding: Any = None
) -> float:
    """Return the perplexity of a language model: ``exp`` of the mean negative log-probability of what came.

    Among how many equally likely tokens the model had to guess, in the geometric mean: 1 is
    perfect, the size of the vocabulary is guessing.

    Parameters
    ----------
    y_true : list of array-like of int of shape (n_timesteps,), or of shape (n_samples, n_timesteps)
        The tokens that came, as columns of ``log_proba``.
    log_proba : list of array-like of shape (n_timesteps, n_tokens), or (n_samples, n_timesteps, n_tokens)
        At each step the natural logarithm of the probability that the model gave to each token.
    sample_weight : array-like of shape (n_samples,), default=None
        A weight for each sequence, which all its steps have.
    mask : like y_true, of bool, default=None
        True where a step counts. None counts all but padding.
    padding : int, default=None
        The token that marks padding, such as -1.

    Returns
    -------
    float
        From 1 on; infinite if something came that had probability 0.

    Raises
    ------
    TypeError, ValueError
        If the arguments do not go together, no step counts, or a number is no log-probability.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.metrics import perplexity
    >>> perplexity([[0, 3], [1]], [np.log(np.full((2, 4), 0.25)), np.log(np.full((1, 4), 0.25))])
    4.0
    """
    true, pred, _ = read_pairs(y_true, log_proba, mask, padding, pred_name="log_proba")
    for sample, (tokens, rows) in enumerate(zip(true, pred, strict=True)):
        if rows.ndim != 2:
            raise ValueError(
                f"log_proba[{sample}] must have shape (n_timesteps, n_tokens), got {rows.ndim} dimension(s)"
            )
        if len(tokens) == 0:
            continue
        if tokens.dtype.kind not in "iu":
            raise TypeError(f"y_true[{sample}] must be of int, the columns of log_proba, got dtype {tokens.dtype}")
        if tokens.min() < 0 or tokens.max() >= rows.shape[1]:
            wrong = tokens[(tokens < 0) | (tokens >= rows.shape[1])][0]
            raise ValueError(
                f"y_true[{sample}] must hold columns of log_proba, 0 to {rows.shape[1] - 1}, got {wrong}; name the "
                "token that marks padding by padding="
            )
        # A little above 0 is what rounding makes of probability 1.
        if np.isnan(rows).any() or (rows > 1e-3).any():
            raise ValueError(f"log_proba[{sample}] must hold logarithms of probabilities, at most 0, got {rows.max()}")
    came = [rows[np.arange(len(tokens)), tokens] for tokens, rows in zip(true, pred, strict=True) if len(tokens) > 0]
    flat = flatten(came).astype(np.float64)
    weight = _by_step(sample_weight, true)
    if weight is not None:
        flat, weight = flat[weight != 0], weight[weight != 0]  # 0 times infinity is not a number
    with np.errstate(over="ignore"):
        return float(np.exp(-np.average(flat, weights=weight)))


def masked_mean_squared_error(
    y_true: Any,
    y_pred: Any,
    *,
    sample_weight: Any = None,
    mask: Any = None,
    padding: Any = None,
    multioutput: Any = "uniform_average",
) -> float | Array:
    """Return the mean squared error over the steps that count.

    Parameters
    ----------
    y_true : list of array-like (n_timesteps,) or (n_timesteps, n_outputs), or array-like with samples before
        The right values. Steps that are NaN altogether are padding.
    y_pred : like y_true
        The predicted ones, of the same lengths; for a padded ``y_true`` either padded to the same
        length or without the padding.
    sample_weight : array-like of shape (n_samples,), default=None
        A weight for each sequence, which all its steps have.
    mask : list of array-like of bool of shape (n_timesteps,), or of shape (n_samples, n_timesteps), default=None
        True where a step counts. None counts all but padding.
    padding : float, default=None
        The number in ``y_true`` that marks padding, if it is not NaN.
    multioutput : {"raw_values", "uniform_average"} or array-like of shape (n_outputs,), default="uniform_average"
        As for ``sklearn.metrics.mean_squared_error``.

    Returns
    -------
    float, or ndarray of shape (n_outputs,)

    Raises
    ------
    TypeError, ValueError
        If the arguments do not go together, or no step counts.

    Examples
    --------
    >>> from skrnn.metrics import masked_mean_squared_error
    >>> masked_mean_squared_error([[1.0, 2.0], [3.0]], [[1.0, 3.0], [5.0]])
    1.6666666666666667
    """
    true, pred, _ = read_pairs(y_true, y_pred, mask, padding)
    weight = _by_step(sample_weight, true)
    return _plain(mean_squared_error(flatten(true), flatten(pred), sample_weight=weight, multioutput=multioutput))


def masked_r2(
    y_true: Any,
    y_pred: Any,
    *,
    sample_weight: Any = None,
    mask: Any = None,
    padding: Any = None,
    multioutput: Any = "uniform_average",
) -> float | Array:
    """Return the coefficient of determination over the steps that count, of all sequences together.

    Parameters
    ----------
    y_true, y_pred, sample_weight, mask, padding
        As for :func:`masked_mean_squared_error`.
    multioutput : {"raw_values", "uniform_average", "variance_weighted"} or array-like, default="uniform_average"
        As for ``sklearn.metrics.r2_score``.

    Returns
    -------
    float, or ndarray of shape (n_outputs,)
        At most 1; 0 is what predicting the mean of all steps scores.

    Raises
    ------
    TypeError, ValueError
        If the arguments do not go together, or no step counts.

    Examples
    --------
    >>> from skrnn.metrics import masked_r2
    >>> masked_r2([[1.0, 2.0], [3.0]], [[2.0, 2.0], [2.0]])
    0.0
    """
    true, pred, _ = read_pairs(y_true, y_pred, mask, padding)
    weight = _by_step(sample_weight, true)
    return _plain(r2_score(flatten(true), flatten(pred), sample_weight=weight, multioutput=multioutput))


def _by_step(sample_weight: Any, sequences: list[Array]) -> Array | None:
    """Give each step the weight of its sequence."""
    weight = read_weights(sample_weight, len(sequences))
    return None if weight is None else np.repeat(weight, [len(sequence) for sequence in sequences])


def _plain(score: Any) -> float | Array:
    return score if isinstance(score, np.ndarray) else float(score)
