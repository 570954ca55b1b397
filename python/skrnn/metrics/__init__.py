"""Metrics of sequences and of series, which scikit-learn has not, and scorers made of them.

``y`` is a list of sequences of any lengths, or an array in which shorter ones are padded. What
ends in ``_scorer`` is for ``scoring=`` of scikit-learn's searches and validations; for other
arguments make one with ``sklearn.metrics.make_scorer``.
"""

from skrnn.metrics.edits import character_error_rate, edit_distance, word_error_rate
from skrnn.metrics.forecasts import mean_absolute_scaled_error, mean_pinball
from skrnn.metrics.scorers import (
    masked_r2_scorer,
    neg_character_error_rate_scorer,
    neg_masked_mean_squared_error_scorer,
    neg_perplexity_scorer,
    neg_word_error_rate_scorer,
    sequence_accuracy_scorer,
    span_f1_scorer,
    token_accuracy_scorer,
)
from skrnn.metrics.spans import Span, extract_spans, span_f1, span_precision_recall_f1
from skrnn.metrics.steps import (
    masked_mean_squared_error,
    masked_r2,
    perplexity,
    sequence_accuracy,
    token_accuracy,
)

__all__ = [
    "Span",
    "character_error_rate",
    "edit_distance",
    "extract_spans",
    "masked_mean_squared_error",
    "masked_r2",
    "masked_r2_scorer",
    "mean_absolute_scaled_error",
    "mean_pinball",
    "neg_character_error_rate_scorer",
    "neg_masked_mean_squared_error_scorer",
    "neg_perplexity_scorer",
    "neg_word_error_rate_scorer",
    "perplexity",
    "sequence_accuracy",
    "sequence_accuracy_scorer",
    "span_f1",
    "span_f1_scorer",
    "span_precision_recall_f1",
    "token_accuracy",
    "token_accuracy_scorer",
    "word_error_rate",
]
