"""Layers: parameters, tapes, losses and solvers, on NumPy arrays and the compiled core alone.

Every layer has the same two verbs. ``forward`` computes and forgets; ``record`` computes and
returns a tape, whose ``backward`` gives the gradients. ``freeze`` gives an immutable copy whose
weights are packed for the processor once, which any number of threads may call.
"""

from skrnn.nn.dense import Dense, DenseGradients, DenseTape
from skrnn.nn.dropout import Dropout
from skrnn.nn.gradient_flow import GradientFlow, gradient_flow
from skrnn.nn.initializers import glorot_uniform, orthogonal
from skrnn.nn.losses import log_softmax, softmax, softmax_cross_entropy, squared_error
from skrnn.nn.network import FrozenSequenceNetwork, SequenceNetwork
from skrnn.nn.parameters import Layer, Parameters
from skrnn.nn.recurrent import FrozenRecurrent, Recurrent, RecurrentGradients, RecurrentTape
from skrnn.nn.solvers import SGD, Adam, AdamW, RMSprop, Solver
from skrnn.nn.trainer import DivergenceError, Trainer

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Dense",
    "DenseGradients",
    "DenseTape",
    "DivergenceError",
    "Dropout",
    "FrozenRecurrent",
    "FrozenSequenceNetwork",
    "GradientFlow",
    "Layer",
    "Parameters",
    "RMSprop",
    "Recurrent",
    "RecurrentGradients",
    "RecurrentTape",
    "SequenceNetwork",
    "Solver",
    "Trainer",
    "glorot_uniform",
    "gradient_flow",
    "log_softmax",
    "orthogonal",
    "softmax",
    "softmax_cross_entropy",
    "squared_error",
]
