"""From a fitted estimator to what :func:`skrnn.nn.gradient_flow` wants: the one place that knows how it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, column_or_1d

from skrnn._sequences import check_sequences
from skrnn.nn import Dense, Recurrent, softmax_cross_entropy, squared_error
from skrnn.nn.recurrent import RecurrentConfig

Array = NDArray[Any]

# Whatever the precision of the network: what vanishes in float32 is still a number in float64.
DTYPE = np.dtype(np.float64)


@dataclass(frozen=True)
class Problem:
    """Recurrent layers, sequences, and the gradient of the sum of the sequences' losses."""

    recurrent: Recurrent
    X: Array
    """(N, T, I)"""
    lengths: NDArray[np.int64] | None
    """(N,)"""
    d_features: Array | None
    """Gradient for the last ``h`` of the top layer, (N, H), where the loss reads it."""
    d_output: Array | None
    """Gradient for the output of every step, (N, T, H), where the loss reads that."""
    d_head: Mapping[str, Array]
    """Gradients for the weights above the recurrent layers."""


def problem_of_estimator(estimator: Any, X: Any, y: Any) -> Problem:
    """Return the problem that a fitted ``RNNClassifier`` or ``RNNRegressor`` has with ``X`` and ``y``.

    Raises
    ------
    NotFittedError
        Before ``fit``.
    TypeError, ValueError
        If the estimator is another one, or if ``X`` or ``y`` does not go with it.
    """
    if not hasattr(type(estimator), "weights_"):
        raise TypeError(f"estimator must be an RNNClassifier or an RNNRegressor, got {type(estimator).__name__}")
    check_is_fitted(estimator)
    network = estimator._network
    if network.config.bidirectional:
        raise ValueError(
            f"estimator must have one direction, but this {type(estimator).__name__} is bidirectional: its second "
            "direction has the steps in the other order"
        )
    sequences = check_sequences(estimator, X, DTYPE, reset=False)
    x, lengths = sequences.batch(slice(None))
    target = _encode(estimator, y)
    check_consistent_length(sequences, target)

    recurrent = recurrent_in_float64(network.config, network.weights)
    _, state = recurrent.forward(x, lengths, return_output=False)
    features = (state if isinstance(state, np.ndarray) else state[0])[-1]
    weight, bias = network.weights["head.weight"], network.weights["head.bias"]
    head = Dense(weight.shape[1], weight.shape[0], dtype=DTYPE)
    head.load_weights({"weight": weight, "bias": bias})
    tape = head.record(features)
    if is_classifier(estimator):
        _, d_output = softmax_cross_entropy(tape.output, target)
    else:
        _, d_output = squared_error(tape.output, target)
        d_output /= target.shape[1]  # the mean over outputs, as in training
    gradients = tape.backward(d_output)
    return Problem(recurrent, x, lengths, gradients.X, None, gradients.weights)


def _encode(estimator: Any, y: Any) -> Array:
    """Return ``y`` as the loss compares it with the outputs of the network."""
    if not is_classifier(estimator):
        values = check_array(y, dtype=DTYPE, ensure_2d=False, input_name="y", estimator=estimator)
        values = values.reshape(len(values), -1)
        if values.shape[1] != len(estimator.y_mean_):
            raise ValueError(f"y must have {len(estimator.y_mean_)} target(s), as in fit, got {values.shape[1]}")
        scale = estimator.y_scale_
        standardized: Array = np.divide(values - estimator.y_mean_, scale, out=np.zeros_like(values), where=scale > 0)
        return standardized
    labels = column_or_1d(y, warn=True)
    classes = estimator.classes_
    unknown = ~np.isin(labels, classes)
    if unknown.any():
        raise ValueError(f"y must hold labels seen in fit, {classes.tolist()}, got {labels[unknown].tolist()[0]!r}")
    codes: Array = np.searchsorted(classes, labels)
    return codes


def recurrent_in_float64(config: RecurrentConfig, weights: Mapping[str, Array]) -> Recurrent:
    """Copy recurrent layers into ones of float64."""
    recurrent = Recurrent(**asdict(replace(config, dtype=DTYPE.name)), random_state=0)
    recurrent.load_weights({name: weights[name] for name in recurrent.weights})
    return recurrent
