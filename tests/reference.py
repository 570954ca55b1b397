"""The definition of correct: recurrent cells in NumPy, one small class per cell.

Everything else in the tests is measured against this file, so it is written to be read, not to be fast: one sequence
at a time, one time step at a time. Padding, the order of rows and their neighbours cannot matter here because a row
never meets another row, and the steps beyond a row's length are never visited.

Symbols: N rows (sequences), T time steps, I input size, H hidden size, G gates, L layers, D directions.
Names, shapes and gate order of the weights are those of PyTorch: ``weight_ih_l0 (G*H, I)``, ``weight_hh_l0 (G*H, H)``,
``bias_ih_l0 (G*H,)``, ``bias_hh_l0 (G*H,)``, and the same with ``_reverse`` for the second direction.

A new cell is one new class in the section "Cells"; ``CELLS`` finds it by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]
Function = Callable[[Array], Array]
State = tuple[Array, ...]


# ---------------------------------------------------------------------------------------------------------------------
# Activations
# ---------------------------------------------------------------------------------------------------------------------


def identity(x: Array) -> Array:
    return x


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def sigmoid(x: Array) -> Array:
    with np.errstate(over="ignore"):  # exp(-x) may be infinite, and 1 / (1 + inf) is the right answer: 0
        return 1 / (1 + np.exp(-x))


class Activation(NamedTuple):
    gate: Function
    """For what opens and closes."""
    value: Function
    """For what is stored or shown: the candidate and the output."""


ACTIVATIONS = {
    "tanh": Activation(gate=sigmoid, value=np.tanh),
    "relu": Activation(gate=sigmoid, value=relu),
    "linear": Activation(gate=identity, value=identity),  # exact on integers: every rounding vanishes
}


# ---------------------------------------------------------------------------------------------------------------------
# Cells: one step of one row
# ---------------------------------------------------------------------------------------------------------------------


class Cell:
    """What every cell says of itself, and the shape of its one method."""

    name: ClassVar[str]
    gates: ClassVar[tuple[str, ...]]
    n_states: ClassVar[int] = 1

    @staticmethod
    def step(w: Weights, x: Array, state: State, f: Activation) -> State:
        raise NotImplementedError


class Weights(NamedTuple):
    """One layer in one direction, cut into gates: ``W[k]`` is the block of gate k."""

    W: Array  # (G, H, I)
    U: Array  # (G, H, H)
    b: Array  # (G, H), added to the input's part
    d: Array  # (G, H), added to the recurrent part

    @classmethod
    def of(cls, cell: type[Cell], weight_ih: Array, weight_hh: Array, bias_ih: Array, bias_hh: Array) -> Weights:
        gates = len(cell.gates)
        hidden_size = weight_hh.shape[1]
        assert weight_hh.shape[0] == gates * hidden_size
        return cls(
            weight_ih.reshape(gates, hidden_size, -1),
            weight_hh.reshape(gates, hidden_size, hidden_size),
            bias_ih.reshape(gates, hidden_size),
            bias_hh.reshape(gates, hidden_size),
        )


class Rnn(Cell):
    """Elman's network."""

    name = "rnn"
    gates = ("h",)

    @staticmethod
    def step(w: Weights, x: Array, state: State, f: Activation) -> State:
        (h,) = state
        return (f.value(w.W[0] @ x + w.b[0] + w.U[0] @ h + w.d[0]),)


class Lstm(Cell):
    """Long short-term memory with a forget gate, without peepholes."""

    name = "lstm"
    gates = ("i", "f", "g", "o")
    n_states = 2

    @staticmethod
    def step(w: Weights, x: Array, state: State, f: Activation) -> State:
        h, c = state
        a = w.W @ x + w.b + w.U @ h + w.d
        input_gate, forget_gate, candidate, output_gate = f.gate(a[0]), f.gate(a[1]), f.value(a[2]), f.gate(a[3])
        c = forget_gate * c + input_gate * candidate
        return output_gate * f.value(c), c


class Gru(Cell):
    """Gated recurrent unit; the reset gate is applied after the product with the recurrent weights."""

    name = "gru"
    gates = ("r", "z", "n")

    @staticmethod
    def step(w: Weights, x: Array, state: State, f: Activation) -> State:
        (h,) = state
        a, e = w.W @ x + w.b, w.U @ h + w.d
        reset, update = f.gate(a[0] + e[0]), f.gate(a[1] + e[1])
        candidate = f.value(a[2] + reset * e[2])
        return ((1 - update) * candidate + update * h,)


class GruResetBefore(Cell):
    """Gated recurrent unit as first published; the reset gate is applied to the state, before the product."""

    name = "gru_reset_before"
    gates = ("r", "z", "n")

    @staticmethod
    def step(w: Weights, x: Array, state: State, f: Activation) -> State:
        (h,) = state
        a = w.W @ x + w.b
        reset = f.gate(a[0] + w.U[0] @ h + w.d[0])
        update = f.gate(a[1] + w.U[1] @ h + w.d[1])
        candidate = f.value(a[2] + w.U[2] @ (reset * h) + w.d[2])
        return ((1 - update) * candidate + update * h,)


class Mgu(Cell):
    """Minimal gated unit (Zhou et al., 2016): one gate both forgets and resets."""

    name = "mgu"
    gates = ("f", "n")

    @staticmethod
    def step(w: Weights, x: Array, state: State, f: Activation) -> State:
        (h,) = state
        a = w.W @ x + w.b
        forget = f.gate(a[0] + w.U[0] @ h + w.d[0])
        candidate = f.value(a[1] + w.U[1] @ (forget * h) + w.d[1])
        return ((1 - forget) * h + forget * candidate,)


CELLS: dict[str, type[Cell]] = {cell.name: cell for cell in Cell.__subclasses__()}


# ---------------------------------------------------------------------------------------------------------------------
# The loop over time, layers and directions: once, for all cells
# ---------------------------------------------------------------------------------------------------------------------


def run_row(
    cell: type[Cell], w: Weights, x: Array, state: State, f: Activation, *, reverse: bool
) -> tuple[Array, State]:
    """One row through one layer in one direction: ``x`` is (length, I), exactly what the row holds.

    ``output[t]`` is the first state after reading step t, also when the row is read from its end.
    """
    hidden_size = w.U.shape[1]
    output = np.zeros((len(x), hidden_size), dtype=x.dtype)
    for t in reversed(range(len(x))) if reverse else range(len(x)):
        state = cell.step(w, x[t], state, f)
        output[t] = state[0]
    return output, state


def directions(num_layers: int, *, bidirectional: bool) -> Iterator[tuple[int, int, str]]:
    """(layer, direction, suffix of the names of the weights), in the order of the first axis of a state."""
    for layer in range(num_layers):
        for direction in range(2 if bidirectional else 1):
            yield layer, direction, f"l{layer}" + ("_reverse" if direction else "")


PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def weight_shapes(
    cell: str, input_size: int, hidden_size: int, num_layers: int = 1, *, bidirectional: bool = False
) -> dict[str, tuple[int, ...]]:
    """Name and shape of every array of weights, in PyTorch's order."""
    rows = len(CELLS[cell].gates) * hidden_size
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, _, suffix in directions(num_layers, bidirectional=bidirectional):
        below = input_size if layer == 0 else hidden_size * (2 if bidirectional else 1)
        shapes[f"weight_ih_{suffix}"] = (rows, below)
        shapes[f"weight_hh_{suffix}"] = (rows, hidden_size)
        shapes[f"bias_ih_{suffix}"] = (rows,)
        shapes[f"bias_hh_{suffix}"] = (rows,)
    return shapes


def run(
    cell: str,
    activation: str,
    weights: dict[str, Array],
    X: Array,
    lengths: Array | None = None,
    state: State | None = None,
    *,
    num_layers: int = 1,
    bidirectional: bool = False,
) -> tuple[Array, State]:
    """A whole network: ``X`` (N, T, I) -> output (N, T, D*H), state: ``n_states`` arrays (L*D, N, H).

    Computes in the dtype of ``X``, which may be an integer when the activation is linear. The output is zero beyond a
    row's length; a row of length 0 has zero output, and its final state is its initial state.
    """
    kind, f = CELLS[cell], ACTIVATIONS[activation]
    n_rows, n_steps, _ = X.shape
    hidden_size = weights["weight_hh_l0"].shape[1]
    D = 2 if bidirectional else 1
    shape = (num_layers * D, n_rows, hidden_size)
    if state is None:
        state = tuple(np.zeros(shape, dtype=X.dtype) for _ in range(kind.n_states))
    final = tuple(np.zeros(shape, dtype=X.dtype) for _ in range(kind.n_states))
    output = np.zeros((n_rows, n_steps, D * hidden_size), dtype=X.dtype)

    for n in range(n_rows):
        length = n_steps if lengths is None else int(lengths[n])
        below = X[n, :length]
        above: list[Array] = []
        for layer, direction, suffix in directions(num_layers, bidirectional=bidirectional):
            w = Weights.of(kind, *(weights[f"{part}_{suffix}"] for part in PARTS))
            at = layer * D + direction
            row_output, row_state = run_row(kind, w, below, tuple(s[at, n] for s in state), f, reverse=direction == 1)
            for whole, part in zip(final, row_state, strict=True):
                whole[at, n] = part
            above.append(row_output)
            if len(above) == D:
                below, above = np.concatenate(above, axis=1), []
        output[n, :length] = below
    return output, final
