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

from collections.abc import Callable, Iterator, Sequence
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
    gain_ih: Array | None = None  # (G, H), with layer normalisation
    gain_hh: Array | None = None
    mask: Array | None = None  # (H,) of recurrent dropout: what enters a recurrent product is multiplied by it

    def input(self, x: Array, gates: slice = slice(None)) -> Array:
        """What x contributes to the pre-activations of some gates, all made by one product: (gates, H)."""
        sums = self.W[gates] @ x
        if self.gain_ih is not None:
            sums = self.gain_ih[gates] * normalized(sums)
        return sums + self.b[gates]

    def recurrent(self, operand: Array, gates: slice = slice(None)) -> Array:
        """What h(t-1), or what a cell makes of it, contributes to them."""
        sums = self.U[gates] @ (operand if self.mask is None else self.mask * operand)
        if self.gain_hh is not None:
            sums = self.gain_hh[gates] * normalized(sums)
        return sums + self.d[gates]

    @classmethod
    def of(
        cls,
        cell: type[Cell],
        weight_ih: Array,
        weight_hh: Array,
        bias_ih: Array,
        bias_hh: Array,
        gain_ih: Array | None = None,
        gain_hh: Array | None = None,
        mask: Array | None = None,
    ) -> Weights:
        gates = len(cell.gates)
        hidden_size = weight_hh.shape[1]
        assert weight_hh.shape[0] == gates * hidden_size
        return cls(
            weight_ih.reshape(gates, hidden_size, -1),
            weight_hh.reshape(gates, hidden_size, hidden_size),
            bias_ih.reshape(gates, hidden_size),
            bias_hh.reshape(gates, hidden_size),
            None if gain_ih is None else gain_ih.reshape(gates, hidden_size),
            None if gain_hh is None else gain_hh.reshape(gates, hidden_size),
            mask,
        )


def normalized(sums: Array) -> Array:
    """To mean 0 and variance 1, over all units of all gates given (Ba, Kiros and Hinton 2016)."""
    return (sums - sums.mean()) / np.sqrt(sums.var() + 1e-5)


class Rnn(Cell):
    """Elman's network."""

    name = "rnn"
    gates = ("h",)

    @staticmethod
    def step(w: Weights, x: Array, state: State, f: Activation) -> State:
        (h,) = state
        return (f.value(w.input(x) + w.recurrent(h))[0],)


class Lstm(Cell):
    """Long short-term memory with a forget gate, without peepholes."""

    name = "lstm"
    gates = ("i", "f", "g", "o")
    n_states = 2

    @staticmethod
    def step(w: Weights, x: Array, state: State, f: Activation) -> State:
        h, c = state
        a = w.input(x) + w.recurrent(h)
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
        a, e = w.input(x), w.recurrent(h)
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
        now, later = slice(0, 2), slice(2, 3)
        reset, update = f.gate(w.input(x, now) + w.recurrent(h, now))
        candidate = f.value(w.input(x, later) + w.recurrent(reset * h, later))[0]
        return ((1 - update) * candidate + update * h,)


class Mgu(Cell):
    """Minimal gated unit (Zhou et al., 2016): one gate both forgets and resets."""

    name = "mgu"
    gates = ("f", "n")

    @staticmethod
    def step(w: Weights, x: Array, state: State, f: Activation) -> State:
        (h,) = state
        now, later = slice(0, 1), slice(1, 2)
        forget = f.gate(w.input(x, now) + w.recurrent(h, now))[0]
        candidate = f.value(w.input(x, later) + w.recurrent(forget * h, later))[0]
        return ((1 - forget) * h + forget * candidate,)


CELLS: dict[str, type[Cell]] = {cell.name: cell for cell in Cell.__subclasses__()}


# ---------------------------------------------------------------------------------------------------------------------
# The loop over time, layers and directions: once, for all cells
# ---------------------------------------------------------------------------------------------------------------------


def run_row(
    cell: type[Cell], w: Weights, x: Array, state: State, f: Activation, *, reverse: bool, zoneout: Array | None = None
) -> tuple[Array, State]:
    """One row through one layer in one direction: ``x`` is (length, I), exactly what the row holds.

    ``output[t]`` is the first state after reading step t, also when the row is read from its end. ``zoneout``
    (n_states, steps, H): how much of its value each state keeps at each step taken, 1 or 0 or, on average, the rate.
    """
    hidden_size = w.U.shape[1]
    output = np.zeros((len(x), hidden_size), dtype=x.dtype)
    for taken, t in enumerate(reversed(range(len(x))) if reverse else range(len(x))):
        before, state = state, cell.step(w, x[t], state, f)
        if zoneout is not None:
            kept = zoneout[:, taken]
            state = tuple(z * old + (1 - z) * new for z, old, new in zip(kept, before, state, strict=True))
        output[t] = state[0]
    return output, state


def directions(num_layers: int, *, bidirectional: bool) -> Iterator[tuple[int, int, str]]:
    """(layer, direction, suffix of the names of the weights), in the order of the first axis of a state."""
    for layer in range(num_layers):
        for direction in range(2 if bidirectional else 1):
            yield layer, direction, f"l{layer}" + ("_reverse" if direction else "")


PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
GAINS = ("gain_ih", "gain_hh")


def weight_shapes(
    cell: str,
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    *,
    bidirectional: bool = False,
    layer_norm: bool = False,
) -> dict[str, tuple[int, ...]]:
    """Name and shape of every array of weights, in PyTorch's order, gains last."""
    rows = len(CELLS[cell].gates) * hidden_size
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, _, suffix in directions(num_layers, bidirectional=bidirectional):
        below = input_size if layer == 0 else hidden_size * (2 if bidirectional else 1)
        shapes[f"weight_ih_{suffix}"] = (rows, below)
        shapes[f"weight_hh_{suffix}"] = (rows, hidden_size)
        shapes[f"bias_ih_{suffix}"] = (rows,)
        shapes[f"bias_hh_{suffix}"] = (rows,)
        if layer_norm:
            shapes[f"gain_ih_{suffix}"] = (rows,)
            shapes[f"gain_hh_{suffix}"] = (rows,)
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
    dropout: Sequence[Array] = (),
    recurrent: Array | None = None,
    zoneout: Array | float | None = None,
) -> tuple[Array, State]:
    """A whole network: ``X`` (N, T, I) -> output (N, T, D*H), state: ``n_states`` arrays (L*D, N, H).

    Computes in the dtype of ``X``, which may be an integer when the activation is linear. The output is zero beyond a
    row's length; a row of length 0 has zero output, and its final state is its initial state.

    Weights with gains normalise. Masks are given: ``dropout``, for each layer but the first that of its input
    (N, T, D*H); ``recurrent`` (L*D, N, H); ``zoneout`` (n_states, L*D, N, T, H) by steps taken, or a rate, for the
    expectation.
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
    parts = PARTS + GAINS if "gain_ih_l0" in weights else PARTS
    if zoneout is not None:
        zoneout = np.broadcast_to(zoneout, (kind.n_states, num_layers * D, n_rows, n_steps, hidden_size))

    for n in range(n_rows):
        length = n_steps if lengths is None else int(lengths[n])
        below = X[n, :length]
        above: list[Array] = []
        for layer, direction, suffix in directions(num_layers, bidirectional=bidirectional):
            at = layer * D + direction
            mask = None if recurrent is None else recurrent[at, n]
            w = Weights.of(kind, *(weights[f"{part}_{suffix}"] for part in parts), mask=mask)
            if layer > 0 and direction == 0 and len(dropout) > 0:
                below = below * dropout[layer - 1][n, :length]
            row_output, row_state = run_row(
                kind,
                w,
                below,
                tuple(s[at, n] for s in state),
                f,
                reverse=direction == 1,
                zoneout=None if zoneout is None else zoneout[:, at, n],
            )
            for whole, part in zip(final, row_state, strict=True):
                whole[at, n] = part
            above.append(row_output)
            if len(above) == D:
                below, above = np.concatenate(above, axis=1), []
        output[n, :length] = below
    return output, final
