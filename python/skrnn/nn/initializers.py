"""First values of weights."""

from __future__ import annotations

import numpy as np

from skrnn import _core
from skrnn.nn._checks import Array

_BLOCK = 32  # rows of an orthogonal matrix that are made orthogonal to all before them at once


def glorot_uniform(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Draw a matrix that keeps the variance of signals going up and of gradients going down.

    Uniform between -b and b, where b = sqrt(6 / (rows + columns)) (Glorot and Bengio,
    "Understanding the difficulty of training deep feedforward neural networks", 2010).

    Parameters
    ----------
    shape : (int, int)
        Outputs and inputs.
    rng : numpy.random.Generator
        Where the values come from.

    Returns
    -------
    ndarray of float64
    """
    bound = np.sqrt(6.0 / sum(shape))
    matrix: Array = rng.uniform(-bound, bound, size=shape)
    return matrix


def orthogonal(size: int, rng: np.random.Generator) -> Array:
    """Draw an orthogonal matrix, uniformly among all: it neither shrinks nor stretches a state.

    Proposed for deep linear networks by Saxe, McClelland and Ganguli, "Exact solutions to the
    nonlinear dynamics of learning in deep linear neural networks", 2014.

    Parameters
    ----------
    size : int
        Rows and columns.
    rng : numpy.random.Generator
        Where the values come from.

    Returns
    -------
    ndarray of shape (size, size) and dtype float64

    Notes
    -----
    The rows of a Gaussian matrix, made orthonormal one after the other by Gram and Schmidt. That is
    a QR decomposition whose triangle has a positive diagonal, so the matrix is uniformly (Haar)
    distributed (Mezzadri, "How to generate random matrices from the classical compact groups",
    2007). Its products are the compiled core's: unlike those of BLAS and LAPACK, their bits do not
    depend on the number of threads.
    """
    q: Array = rng.standard_normal((size, size))
    for start in range(0, size, _BLOCK):
        done, block = q[:start], q[start : start + _BLOCK]
        done_transposed = np.ascontiguousarray(done.T)
        for _ in range(2):  # the second time removes what the rounding of the first has left
            if start > 0:
                shares, projection = np.empty((len(block), start)), np.empty_like(block)
                _core.dense_forward(block, done, None, shares)
                _core.dense_forward(shares, done_transposed, None, projection)
                block -= projection
            for k, row in enumerate(block):
                row /= np.sqrt(np.square(row).sum())
                later = block[k + 1 :]
                later -= (later * row).sum(axis=1, keepdims=True) * row
    return q


def initialize_recurrent(
    info: _core.CellInfo,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array,
    bias_hh: Array,
    *,
    memory_steps: float | None,
    rng: np.random.Generator,
) -> None:
    """Set the weights of one recurrent layer and direction in place.

    Input weights are Glorot uniform and recurrent weights orthogonal, gate by gate; biases are
    zero, except that those of the forget gate sum to 1, so that a cell remembers before it has
    learnt to forget (Jozefowicz, Zaremba and Sutskever, "An empirical exploration of recurrent
    network architectures", 2015).

    With ``memory_steps`` = T the units of a cell with gates begin with memories of 1 to T steps
    instead: where u is uniform in [1, T - 1], one for each unit, the bias of the gate that keeps the
    state is log(u), and that of the gate that writes it -log(u) (Tallec and Ollivier, "Can recurrent
    neural networks warp time?", 2018).
    """
    hidden_size = weight_hh.shape[1]
    for gate in range(len(info.gate_names)):
        rows = slice(gate * hidden_size, (gate + 1) * hidden_size)
        weight_ih[rows] = glorot_uniform((hidden_size, weight_ih.shape[1]), rng)
        weight_hh[rows] = orthogonal(hidden_size, rng)
        bias_ih[rows] = 1.0 if gate == info.forget_gate else 0.0
        bias_hh[rows] = 0.0
    if memory_steps is not None:
        bias = np.log(rng.uniform(1.0, max(memory_steps, 3.0) - 1.0, size=hidden_size))
        for gate, sign in ((info.keep_gate, 1.0), (info.write_gate, -1.0)):
            if gate >= 0:
                bias_ih[gate * hidden_size : (gate + 1) * hidden_size] = sign * bias
