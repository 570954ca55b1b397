"""From a fitted estimator to what :func:`skrnn.nn.gradient_flow` wants: the one place that knows how it is made."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from skrnn._training import Examples
from skrnn.classifier import RNNClassifier
from skrnn.nn import Dense, Embedding, EmbeddingTape, GradientFlow, Pooling, Recurrent, gradient_flow
from skrnn.nn.network import EMBEDDING, HEAD, POOLING, last_features
from skrnn.nn.recurrent import RecurrentConfig
from skrnn.regressor import RNNRegressor

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
    d_above: Sequence[Array] = ()
    """Gradients for the weights of the layers above."""
    embedding: EmbeddingTape | None = None
    """The layer below, if any, as it made ``X``."""

    def solve(self) -> tuple[GradientFlow, list[Array]]:
        """Return the flow of the gradient, and that for every array of weights of the network."""
        flow = gradient_flow(self.recurrent, self.X, self.d_features, self.lengths, d_output=self.d_output)
        d_below: Sequence[Array] = ()
        if self.embedding is not None:
            d_below = list(self.embedding.backward(flow.X).weights.values())
        return flow, [*flow.weights.values(), *self.d_above, *d_below]


def problem_of_estimator(estimator: Any, X: Any, y: Any) -> Problem:
    """Return the problem that a fitted ``RNNClassifier`` or ``RNNRegressor`` has with ``X`` and ``y``.

    Raises
    ------
    NotFittedError
        Before ``fit``.
    TypeError, ValueError
        If the estimator is another one, or if ``X`` or ``y`` does not go with it.
    """
    if not isinstance(estimator, (RNNClassifier, RNNRegressor)):
        raise TypeError(f"estimator must be an RNNClassifier or an RNNRegressor, got {type(estimator).__name__}")
    check_is_fitted(estimator)
    network = estimator._network
    if network.config.bidirectional:
        raise ValueError(
            f"estimator must have one direction, but this {type(estimator).__name__} is bidirectional: its second "
            "direction has the steps in the other order"
        )
    estimator = copy.copy(estimator)  # the same in all but the precision of data and loss
    estimator.dtype = DTYPE.name
    sequences = estimator._check_sequences(X, reset=False)
    check_consistent_length(sequences, y)
    examples = estimator._to_targets(Examples(sequences, estimator._encode(y, first=False)))
    x, lengths = examples.sequences.batch(slice(None))

    def part(prefix: str) -> Mapping[str, Array]:
        return {name.removeprefix(prefix): w for name, w in network.weights.items() if name.startswith(prefix)}

    embedding = None
    if network.num_embeddings is not None:
        layer = Embedding(
            network.num_embeddings, network.config.input_size, padding_idx=network.padding_idx, dtype=DTYPE
        )
        layer.load_weights(part(EMBEDDING))
        embedding = layer.record(x[:, :, 0], lengths)
        x = embedding.output
    recurrent = recurrent_in_float64(network.config, network.weights)
    output, state = recurrent.forward(x, lengths)
    pooled = None
    features = last_features(network.config, state)
    if network.pooling is not None:
        assert output is not None  # asked for
        pooling = Pooling(**asdict(network.pooling), dtype=DTYPE)
        pooling.load_weights(part(POOLING))
        pooled = pooling.record(output, lengths)
        features = pooled.output
    weights = part(HEAD)
    head = Dense(weights["weight"].shape[1], weights["weight"].shape[0], dtype=DTYPE)
    head.load_weights(weights)
    top = head.record(features)

    d_top = np.empty_like(top.output)
    share = np.full(len(d_top), len(d_top) / examples.target.size)  # a sequence's loss is the mean over its outputs
    estimator._get_loss()(top.output, examples.target, share, d_top)
    gradients = top.backward(d_top)
    d_above = list(gradients.weights.values())
    if pooled is None:
        return Problem(recurrent, x, lengths, gradients.X, None, d_above, embedding)
    below = pooled.backward(gradients.X)
    return Problem(recurrent, x, lengths, None, below.X, [*d_above, *below.weights.values()], embedding)


def recurrent_in_float64(config: RecurrentConfig, weights: Mapping[str, Array]) -> Recurrent:
    """Copy recurrent layers into ones of float64."""
    recurrent = Recurrent(**asdict(replace(config, dtype=DTYPE.name)), random_state=0)
    recurrent.load_weights({name: weights[name] for name in recurrent.weights})
    return recurrent
