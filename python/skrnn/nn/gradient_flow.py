"""How the gradient of a loss flows back through time, step by step.

Layers are run and played back one time step at a time, each with a tape of its own, so that the
gradient can be looked at between any two steps. What it costs does not matter; for training there
is :meth:`skrnn.nn.Recurrent.record` of whole sequences, with the same gradients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import numpy as np

from skrnn.nn._checks import Array, check_exact, check_floats, check_lengths
from skrnn.nn.recurrent import Recurrent, RecurrentTape, State


class GradientFlow(NamedTuple):
    """What :func:`gradient_flow` returns; N rows, T time steps, L layers, H hidden units."""

    norms: Array
    """Euclidean norm of the gradient for the hidden state ``h`` after each step, of float64 and
    shape (L, N, T); NaN beyond a row's length."""
    X: Array
    """Gradient for ``X`` (N, T, I), zeros beyond a row's length."""
    state: State
    """Gradient for the initial state, (L, N, H) or a tuple of two, as ``tape.backward`` gives it."""
    weights: Mapping[str, Array]
    """Gradient for each array of weights, by name, summed over rows and steps."""


def gradient_flow(
    recurrent: Recurrent,
    X: Array,
    d_features: Array | None,
    lengths: Any = None,
    *,
    d_output: Array | None = None,
) -> GradientFlow:
    """Follow the gradient of a loss back through time.

    The gradient for ``h`` of a layer after step t is the whole derivative of the loss: by way of
    the layer's own later steps, of the layers above, and of what the loss reads at that step. The
    ``c`` of an LSTM is an argument of the steps beside ``h``, as in the equations.

    Where it shrinks or grows from step to step by a factor, it vanishes or explodes exponentially
    (Bengio, Simard and Frasconi 1994; Pascanu, Mikolov and Bengio 2013).

    Parameters
    ----------
    recurrent : Recurrent
        Layers of one direction. Dropout is left out; zoneout drops as in training.
    X : ndarray of shape (N, T, I)
        The input; what lies beyond a row's length is never read.
    d_features : ndarray of shape (N, H) or None
        Gradient of the loss for the ``h`` in which each row ends in the top layer.
    lengths : array-like of int of shape (N,), default=None
        The steps of each row, 0 to T; None means T for all.
    d_output : ndarray of shape (N, T, H), default=None
        Gradient of the loss for the output of every step, for losses that read more than the last;
        values beyond a row's length are not read.

    Returns
    -------
    GradientFlow
        ``norms``, ``X``, ``state`` and ``weights``.

    Raises
    ------
    TypeError
        If an array has another dtype than the layers.
    ValueError
        If the layers are bidirectional (their second direction has steps in the other order), if
        a shape does not fit, or if both gradients are None.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.nn import Recurrent, gradient_flow
    >>> layer = Recurrent("rnn", input_size=2, hidden_size=4, dtype="float64")
    >>> X = np.random.default_rng(0).normal(size=(1, 50, 2))
    >>> flow = gradient_flow(layer, X, np.full((1, 4), 0.5))
    >>> float(flow.norms[0, 0, -1])
    1.0
    >>> bool(flow.norms[0, 0, 0] < 1e-3)  # vanished, 49 steps before the end
    True
    """
    if not isinstance(recurrent, Recurrent):
        raise TypeError(f"recurrent must be a Recurrent, got {type(recurrent).__name__}")
    config, dtype = recurrent.config, recurrent.dtype
    if config.bidirectional:
        raise ValueError(
            "recurrent must have one direction, but it is bidirectional: its second direction has the steps in the "
            "other order, and above it no step comes before another"
        )
    X = check_floats("X", X, dtype, 3)
    if X.shape[2] != config.input_size:
        raise ValueError(f"X must have shape (n_rows, n_steps, input_size={config.input_size}), got {X.shape}")
    n_rows, n_steps, _ = X.shape
    if d_features is None and d_output is None:
        raise ValueError("d_features and d_output are both None: give the gradient of a loss for at least one of them")
    if d_features is not None:
        d_features = check_exact("d_features", d_features, dtype, (n_rows, config.hidden_size))
    if d_output is not None:
        d_output = check_exact("d_output", d_output, dtype, (n_rows, n_steps, config.hidden_size))
    checked = check_lengths(lengths, n_rows, n_steps)
    # (T, N): 1 where a row has this step. A step of length 0 hands the state and its gradient on.
    has_step = (np.arange(n_steps)[:, np.newaxis] < (n_steps if checked is None else checked)).astype(np.int64)
    has_step = np.broadcast_to(has_step, (n_steps, n_rows))

    layers = [_single_layer(recurrent, layer) for layer in range(config.num_layers)]
    tapes = _record_steps(layers, X, has_step)

    norms = np.full((config.num_layers, n_rows, n_steps), np.nan)
    d_x = np.empty_like(X, order="C")
    weights = {name: np.zeros_like(array) for name, array in recurrent.weights.items()}
    d_states = [_zero_state(layer, n_rows) for layer in layers]
    if d_features is not None:
        _hidden(d_states[-1])[0] += d_features
    for t in reversed(range(n_steps)):
        inside = has_step[t] == 1
        # What reaches h of this step from elsewhere than the layer's next step.
        d_above = np.zeros((n_rows, config.hidden_size), dtype)
        if d_output is not None:
            d_above[inside] = d_output[inside, t]
        for layer in reversed(range(config.num_layers)):
            d_h = (_hidden(d_states[layer])[0] + d_above).astype(np.float64)
            norms[layer, inside, t] = np.sqrt(np.square(d_h[inside]).sum(axis=1))
            gradients = tapes[t][layer].backward(np.ascontiguousarray(d_above[:, np.newaxis]), d_states[layer])
            d_states[layer], d_above = gradients.state, gradients.X[:, 0]
            for name, array in gradients.weights.items():
                weights[_name(name, layer)] += array
        d_x[:, t] = d_above
    return GradientFlow(norms, d_x, _stack(d_states), weights)


def _single_layer(recurrent: Recurrent, layer: int) -> Recurrent:
    """Copy one layer of a stack into a :class:`Recurrent` of its own."""
    config = recurrent.config
    input_size = config.input_size if layer == 0 else config.output_size
    single = Recurrent(**asdict(replace(config, input_size=input_size, num_layers=1)), random_state=layer)
    single.load_weights({name: recurrent.weights[_name(name, layer)] for name in single.weights})
    return single


def _name(name: str, layer: int) -> str:
    """Return the name in a stack of what is called ``..._l0`` in a single layer."""
    return f"{name.removesuffix('_l0')}_l{layer}"


def _record_steps(layers: list[Recurrent], X: Array, has_step: Array) -> list[list[RecurrentTape]]:
    """Record every step of every layer: tapes by step, then by layer."""
    states: list[State | None] = [None] * len(layers)
    tapes = []
    for t, lengths in enumerate(has_step):
        below, of_step = X[:, t : t + 1], []
        for i, layer in enumerate(layers):
            tape = layer.record(below, lengths, states[i], step=t)
            assert tape.output is not None  # asked for
            below, states[i] = tape.output, tape.state
            of_step.append(tape)
        tapes.append(of_step)
    return tapes


def _hidden(state: State) -> Array:
    """Return ``h`` of a state."""
    return state if isinstance(state, np.ndarray) else state[0]


def _zero_state(layer: Recurrent, n_rows: int) -> State:
    shape = (1, n_rows, layer.config.hidden_size)
    zeros = tuple(np.zeros(shape, layer.dtype) for _ in range(layer.config.n_states))
    return zeros[0] if len(zeros) == 1 else zeros


def _stack(states: list[State]) -> State:
    """Put the states of single layers on top of each other."""
    if isinstance(states[0], np.ndarray):
        return np.concatenate(states)
    return tuple(np.concatenate(parts) for parts in zip(*states, strict=True))
