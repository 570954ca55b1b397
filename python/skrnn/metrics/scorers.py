"""Metrics as scorers, for ``scoring=``: greater is better, so errors are negated."""

from __future__ import annotations

from typing import Any

from sklearn.metrics import make_scorer

from skrnn.metrics.edits import character_error_rate, word_error_rate
from skrnn.metrics.spans import span_f1
from skrnn.metrics.steps import (
    masked_mean_squared_error,
    masked_r2,
    perplexity,
    sequence_accuracy,
    token_accuracy,
)

token_accuracy_scorer = make_scorer(token_accuracy)
sequence_accuracy_scorer = make_scorer(sequence_accuracy)
span_f1_scorer = make_scorer(span_f1)
masked_r2_scorer = make_scorer(masked_r2)
neg_masked_mean_squared_error_scorer = make_scorer(masked_mean_squared_error, greater_is_better=False)
neg_word_error_rate_scorer = make_scorer(word_error_rate, greater_is_better=False)
neg_character_error_rate_scorer = make_scorer(character_error_rate, greater_is_better=False)


def neg_perplexity_scorer(estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
    """Score by the negative perplexity of ``estimator.predict_log_proba(X)``.

    A function, since ``make_scorer`` knows probabilities alone, in which what is unlikely is 0.

    Parameters
    ----------
    estimator : estimator
        Fitted; for each sequence its ``predict_log_proba`` gives an array (n_timesteps, n_tokens).
    X : array-like or list of array-like
        The sequences.
    y : list of array-like of int, or array-like of int of shape (n_samples, n_timesteps)
        The tokens that came.
    sample_weight : array-like of shape (n_samples,), default=None
        A weight for each sequence.

    Returns
    -------
    float
        At most -1.
    """
    return -perplexity(y, estimator.predict_log_proba(X), sample_weight=sample_weight)
