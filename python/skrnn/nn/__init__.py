"""Layers: parameters, tapes, losses and solvers, on NumPy arrays and the compiled core alone.

Every layer has the same two verbs. ``forward`` computes and forgets; ``record`` computes and
returns a tape, whose ``backward`` gives the gradients. ``freeze`` gives an immutable copy whose
weights are packed for the processor once, which any number of threads may call.
"""

from skrnn.nn.dense import Dense, DenseGradients, DenseTape
from skrnn.nn.dropout import Dropout, RecurrentMasks
from skrnn.nn.embedding import Embedding, EmbeddingGradients, EmbeddingTape
from skrnn.nn.gradient_flow import GradientFlow, gradient_flow
from skrnn.nn.initializers import glorot_uniform, orthogonal
from skrnn.nn.losses import (
    absolute_error,
    binary_cross_entropy,
    get_loss,
    huber,
    log_softmax,
    poisson,
    quantile,
    sigmoid,
    softmax,
    softmax_cross_entropy,
    squared_error,
)
from skrnn.nn.network import FrozenEncoder, FrozenSequenceNetwork, SequenceNetwork
from skrnn.nn.parameters import Layer, Parameters
from skrnn.nn.pooling import Pooling, PoolingConfig, PoolingGradients, PoolingSaved, PoolingTape
from skrnn.nn.recurrent import FrozenRecurrent, Recurrent, RecurrentGradients, RecurrentTape
from skrnn.nn.schedules import make_schedule
from skrnn.nn.self_supervised import Autoencoder, NextStepNetwork
from skrnn.nn.solvers import SGD, Adagrad, Adam, AdamW, NAdam, RMSprop, Solver
from skrnn.nn.trainer import DivergenceError, Trainer

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Autoencoder",
    "Dense",
    "DenseGradients",
    "DenseTape",
    "DivergenceError",
    "Dropout",
    "Embedding",
    "EmbeddingGradients",
    "EmbeddingTape",
    "FrozenEncoder",
    "FrozenRecurrent",
    "FrozenSequenceNetwork",
    "GradientFlow",
    "Layer",
    "NAdam",
    "NextStepNetwork",
    "Parameters",
    "Pooling",
    "PoolingConfig",
    "PoolingGradients",
    "PoolingSaved",
    "PoolingTape",
    "RMSprop",
    "Recurrent",
    "RecurrentGradients",
    "RecurrentMasks",
    "RecurrentTape",
    "SequenceNetwork",
    "Solver",
    "Trainer",
    "absolute_error",
    "binary_cross_entropy",
    "get_loss",
    "glorot_uniform",
    "gradient_flow",
    "huber",
    "log_softmax",
    "make_schedule",
    "orthogonal",
    "poisson",
    "quantile",
    "sigmoid",
    "softmax",
    "softmax_cross_entropy",
    "squared_error",
]
