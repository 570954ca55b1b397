"""First values of weights."""

from __future__ import annotations

import numpy as np

from skrnn import _core
from skrnn.nn._checks import Array


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
    The orthogonal factor of the polar decomposition of a Gaussian matrix, by the Newton-Schulz
    iteration ``Q <- a Q + b Q Q^T Q``. Unlike a QR decomposition by LAPACK it is made of products
    that the compiled core computes, so its bits do not depend on the number of threads.
    """
    gaussian = rng.standard_normal((size, size))
    q: Array = gaussian / np.sqrt(np.square(gaussian).sum())  # singular values are now at most 1
    gram, correction = np.empty_like(q), np.empty_like(q)
    # The smallest singular value is about size**-1.5. First (2, -1) doubles what is small and
    # keeps the rest near 1, then (1.5, -0.5) converges quadratically.
    n_doublings = int(np.ceil(1.5 * np.log2(size))) + 1
    for iteration in range(200):
        transposed = np.ascontiguousarray(q.T)
        _core.dense_forward(transposed, transposed, None, gram)
        if np.square(gram - np.eye(size)).sum() < 1e-20 * size**2:
            break
        _core.dense_forward(q, gram, None, correction)  # the Gram matrix is its own transpose
        q = 2.0 * q - correction if iteration < n_doublings else 1.5 * q - 0.5 * correction
    return q


def initialize_recurrent(
    gates: int,
    forget_gate: int,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array,
    bias_hh: Array,
    rng: np.random.Generator,
) -> None:
    """Set the weights of one recurrent layer and direction in place.

    Input weights are Glorot uniform and recurrent weights orthogonal, gate by gate; biases are
    zero, except that those of the forget gate sum to 1, so that a cell remembers before it has
    learnt to forget (Jozefowicz, Zaremba and Sutskever, "An empirical exploration of recurrent
    network architectures", 2015).
    """
    hidden_size = weight_hh.shape[1]
    for gate in range(gates):
        rows = slice(gate * hidden_size, (gate + 1) * hidden_size)
        weight_ih[rows] = glorot_uniform((hidden_size, weight_ih.shape[1]), rng)
        weight_hh[rows] = orthogonal(hidden_size, rng)
        bias_ih[rows] = 1.0 if gate == forget_gate else 0.0
        bias_hh[rows] = 0.0
