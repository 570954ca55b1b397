"""Recurrent layers: any cell, any number of layers, one or both directions, ragged rows.

Three classes, one for each state of affairs. :class:`Recurrent` owns weights that may change;
:class:`FrozenRecurrent` is a copy of them that cannot, packed once for fast calls;
:class:`RecurrentStack` is what both, and the training loop, run on: packed weights without checks.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from skrnn import _core
from skrnn.nn._checks import (
    Array,
    check_bool,
    check_choice,
    check_dtype,
    check_exact,
    check_floats,
    check_lengths,
    check_rate,
    check_size,
)
from skrnn.nn.dropout import Dropout, RecurrentMasks
from skrnn.nn.initializers import initialize_recurrent
from skrnn.nn.parameters import Layer, Parameters, read_only_copies
from skrnn.nn.scratch import Scratch

State = Array | tuple[Array, ...]
Lengths = NDArray[np.int64] | None
# What the core wants of one layer and direction:
#   its arrays of states, (N, H) each; its weights or their gradients, in PyTorch's order, gains last.
States = Sequence[Array | None] | None
Group = tuple[Array, ...]


_FIRST = operator.itemgetter(0)

WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
GAINS = ("gain_ih", "gain_hh")

CELLS = tuple(_core.cells())
ACTIVATIONS = _core.activations()


@dataclass(frozen=True)
class RecurrentConfig:
    """The architecture of recurrent layers, without their weights.

    Symbols: N rows, T time steps, I input size, H hidden size, G gates, L layers, D directions.
    A *unit* is one layer in one direction, counted as PyTorch does: ``layer * D + direction``.
    Zoneout is part of it, since inference computes its expectation.
    """

    cell: str
    input_size: int
    hidden_size: int
    num_layers: int = 1
    bidirectional: bool = False
    activation: str = "tanh"
    dtype: str = "float32"
    zoneout: float = 0.0
    layer_norm: bool = False

    def __post_init__(self) -> None:
        check_choice("cell", self.cell, CELLS)
        check_choice("activation", self.activation, ACTIVATIONS)
        for name in ("input_size", "hidden_size", "num_layers"):
            check_size(name, getattr(self, name))
        check_bool("bidirectional", self.bidirectional)
        check_rate("zoneout", self.zoneout)
        check_bool("layer_norm", self.layer_norm)

    def __reduce__(self) -> tuple[Any, ...]:
        # Without what has been cached: a pickle of equal architectures is the same, whatever has been asked of them.
        return RecurrentConfig, tuple(getattr(self, item.name) for item in fields(self))

    @cached_property
    def n_directions(self) -> int:
        """D: 2 when bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    @cached_property
    def n_units(self) -> int:
        """L*D."""
        return self.num_layers * self.n_directions

    @cached_property
    def n_states(self) -> int:
        """1 for cells with ``h`` alone, 2 for cells with ``(h, c)``."""
        return _core.cells()[self.cell].n_states

    @cached_property
    def output_size(self) -> int:
        """D*H."""
        return self.n_directions * self.hidden_size

    @cached_property
    def unit_suffixes(self) -> tuple[str, ...]:
        """What the names of a unit's weights end in: ``l0``, ``l0_reverse``, ``l1``..."""
        directions = ("", "_reverse")[: self.n_directions]
        return tuple(f"l{layer}{direction}" for layer in range(self.num_layers) for direction in directions)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the name and shape of every array of weights, as in PyTorch's ``state_dict``, and of the gains."""
        rows = len(_core.cells()[self.cell].gate_names) * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {}
        for unit, suffix in enumerate(self.unit_suffixes):
            below = self.input_size if unit < self.n_directions else self.output_size
            shapes[f"weight_ih_{suffix}"] = (rows, below)
            shapes[f"weight_hh_{suffix}"] = (rows, self.hidden_size)
            shapes[f"bias_ih_{suffix}"] = (rows,)
            shapes[f"bias_hh_{suffix}"] = (rows,)
            if self.layer_norm:
                shapes[f"gain_ih_{suffix}"] = (rows,)
                shapes[f"gain_hh_{suffix}"] = (rows,)
        return shapes

    def part(self, output: Array | None, direction: int) -> Array | None:
        """Return the part of an output (N, T, D*H) that belongs to one direction, as a view."""
        if output is None or not self.bidirectional:
            return output
        start = direction * self.hidden_size
        return output[:, :, start : start + self.hidden_size]

    def groups(self, named: Mapping[str, Array]) -> list[Group]:
        """Gather arrays by name into one group for each unit."""
        kinds = WEIGHTS + GAINS if self.layer_norm else WEIGHTS
        return [tuple(named[f"{kind}_{suffix}"] for kind in kinds) for suffix in self.unit_suffixes]


class RecurrentStack:
    """The packed weights of all units, and the loops over layers and directions. No checks.

    Parameters
    ----------
    config : RecurrentConfig
        The architecture.
    groups : sequence of (weight_ih, weight_hh, bias_ih, bias_hh), or the same with gain_ih, gain_hh
        The weights of each unit: what :meth:`RecurrentConfig.groups` returns.
    training : bool
        Whether to pack what :meth:`record` needs as well.
    """

    __slots__ = ("config", "units")

    def __init__(self, config: RecurrentConfig, groups: Sequence[Group], training: bool) -> None:
        self.config = config
        self.units = [
            _core.RecurrentWeights(config.cell, config.activation, *group, training=training, zoneout=config.zoneout)
            for group in groups
        ]

    def forward(
        self,
        x: Array,
        lengths: Lengths,
        state: Sequence[States] | None,
        output: Array | None,
        final_state: Sequence[States] | None,
    ) -> None:
        """Run all layers. ``state`` and ``final_state`` are by unit; outputs may be None."""
        config = self.config
        hidden, above = x, output
        for unit, weights in enumerate(self.units):
            layer, direction = divmod(unit, config.n_directions)
            if direction == 0:
                below = hidden
                if layer < config.num_layers - 1:
                    above = hidden = np.empty((*x.shape[:2], config.output_size), dtype=x.dtype)
                else:
                    above = output
            weights.forward(
                below,
                lengths,
                direction == 1,
                None if state is None else state[unit],
                config.part(above, direction),
                None if final_state is None else final_state[unit],
            )

    def record(
        self,
        x: Array,
        lengths: Lengths,
        state: Sequence[States] | None,
        output: Array | None,
        final_state: Sequence[States] | None,
        scratch: Scratch,
        dropout: Dropout,
        step: int,
        checkpoint_steps: int = 0,
        first_step: int = 0,
    ) -> StackTape:
        """Run all layers, with dropout in between and within, and keep what backpropagation needs.

        ``first_step`` is the time step that ``x`` begins with, where it is a piece of sequences.
        """
        config = self.config
        draws = dropout.recurrent_rate > 0.0 or config.zoneout > 0.0
        tapes: list[_core.Tape] = []
        masks: list[Array] = []
        hidden, above = x, output
        for unit, weights in enumerate(self.units):
            layer, direction = divmod(unit, config.n_directions)
            if direction == 0:
                below = hidden
                if layer > 0 and dropout.rate > 0.0:
                    masks.append(dropout.mask(step, layer, below.shape, below.dtype, first_step))
                    np.multiply(below, masks[-1], out=below)
                if layer < config.num_layers - 1:
                    shape = (*x.shape[:2], config.output_size)
                    above = hidden = scratch.empty(("output", layer), shape)
                else:
                    above = output
            tapes.append(
                weights.record(
                    below,
                    lengths,
                    direction == 1,
                    None if state is None else state[unit],
                    config.part(above, direction),
                    None if final_state is None else final_state[unit],
                    scratch.workspace,
                    checkpoint_steps,
                    dropout.recurrent_rate,
                    dropout.key(step, unit) if draws else 0,
                    first_step,
                )
            )
        return StackTape(config, tapes, masks, x.shape, scratch)


class StackTape:
    """The tapes of all units of a :class:`RecurrentStack`. No checks."""

    __slots__ = ("_config", "_masks", "_scratch", "_tapes", "_x_shape")

    def __init__(
        self,
        config: RecurrentConfig,
        tapes: list[_core.Tape],
        masks: list[Array],
        x_shape: tuple[int, ...],
        scratch: Scratch,
    ) -> None:
        self._config = config
        self._tapes = tapes
        self._masks = masks
        self._x_shape = x_shape
        self._scratch = scratch

    @property
    def nbytes(self) -> int:
        """Bytes of states and gates kept; 0 after ``backward``."""
        return sum(tape.nbytes for tape in self._tapes)

    def backward(
        self,
        d_output: Array | None,
        d_final_state: Sequence[States] | None,
        d_x: Array | None,
        d_state: Sequence[States] | None,
        gradients: Sequence[Group],
    ) -> None:
        """Backpropagate through all layers; ``gradients`` (by unit) are overwritten."""
        config = self._config
        d_above = d_output
        for layer in reversed(range(config.num_layers)):
            d_below = d_x
            if layer > 0:
                shape = (*self._x_shape[:2], config.output_size)
                d_below = self._scratch.empty(("d_output", layer % 2), shape)
            for direction in range(config.n_directions):
                unit = layer * config.n_directions + direction
                self._tapes[unit].backward(
                    config.part(d_above, direction),
                    None if d_final_state is None else d_final_state[unit],
                    d_below,
                    None if d_state is None else d_state[unit],
                    *gradients[unit],
                    add_to_d_x=direction == 1,
                )
            if layer > 0 and self._masks:
                assert d_below is not None
                np.multiply(d_below, self._masks[layer - 1], out=d_below)
            d_above = d_below


def _by_unit(arrays: Sequence[Array], n_units: int) -> list[list[Array]]:
    """Turn arrays (L*D, N, H), one for each state of the cell, into lists of (N, H) by unit."""
    if n_units == 1:  # what streams, step by step: there every fraction of a microsecond counts
        return [list(map(_FIRST, arrays))]
    return [[array[unit] for array in arrays] for unit in range(n_units)]


def beside(top: Array) -> Array:
    """Put the ``h`` of the directions of one layer, (D, N, H), side by side: (N, D*H). Of one direction, a view."""
    return top.swapaxes(0, 1).reshape(top.shape[1], -1)


def _empty_states(config: RecurrentConfig, n_rows: int, dtype: np.dtype[Any]) -> list[Array]:
    """Make room for one (L*D, N, H) per state of the cell."""
    shape = (config.n_units, n_rows, config.hidden_size)
    h = np.empty(shape, dtype)
    return [h] if config.n_states == 1 else [h, np.empty(shape, dtype)]


def _public(states: Sequence[Array]) -> State:
    """Turn one array per state into what users see: ``h``, or ``(h, c)``."""
    return states[0] if len(states) == 1 else (states[0], states[1])


def _check_input(config: RecurrentConfig, X: Any, dtype: np.dtype[Any]) -> Array:
    checked = check_floats("X", X, dtype, 3)
    if checked.shape[2] != config.input_size:
        raise ValueError(f"X must have shape (n_rows, n_steps, input_size={config.input_size}), got {checked.shape}")
    return checked


def _check_state(
    name: str, config: RecurrentConfig, state: Any, n_rows: int, dtype: np.dtype[Any]
) -> list[list[Array]] | None:
    if state is None:
        return None
    arrays = (state,) if config.n_states == 1 and isinstance(state, np.ndarray) else state
    if not isinstance(arrays, (tuple, list)) or len(arrays) != config.n_states:
        expected = "an array h" if config.n_states == 1 else "a tuple of arrays (h, c)"
        raise TypeError(f"{name} of cell {config.cell!r} must be {expected}")
    shape = (config.n_units, n_rows, config.hidden_size)
    arrays = [check_exact(name, array, dtype, shape) for array in arrays]
    return _by_unit(arrays, config.n_units)


def _forward(
    stack: RecurrentStack, dtype: np.dtype[Any], X: Any, lengths: Any, state: Any, return_output: bool
) -> tuple[Array | None, State]:
    """Check the arguments of ``forward`` and run the layers."""
    config = stack.config
    X = _check_input(config, X, dtype)
    n_rows, n_steps, _ = X.shape
    output = None
    if return_output:
        output = np.empty((n_rows, n_steps, config.output_size), dtype)
    final = _empty_states(config, n_rows, dtype)
    stack.forward(
        X,
        check_lengths(lengths, n_rows, n_steps),
        _check_state("state", config, state, n_rows, dtype),
        output,
        _by_unit(final, config.n_units),
    )
    return output, _public(final)


class RecurrentGradients(NamedTuple):
    """What ``RecurrentTape.backward`` returns."""

    X: Array
    """Gradient for ``X`` (N, T, I), zeros beyond a row's length."""
    state: State
    """Gradient for the initial state, formed like the state."""
    weights: Mapping[str, Array]
    """Gradient for each array of weights, by name; views of one flat vector."""
    parameters: Parameters
    """That vector, for a solver: ``out`` where it was given."""


class RecurrentTape:
    """One recorded forward pass of a :class:`Recurrent`.

    Attributes
    ----------
    output : ndarray of shape (N, T, D*H), or None when recorded without it
    state : ndarray of shape (L*D, N, H), or a tuple (h, c) of two
        The final state.
    """

    def __init__(
        self,
        layer: Recurrent,
        tape: StackTape,
        output: Array | None,
        state: State,
        x_shape: tuple[int, ...],
    ) -> None:
        self.output = output
        self.state = state
        self._layer = layer
        self._tape = tape
        self._x_shape = x_shape

    @property
    def nbytes(self) -> int:
        """Bytes of states and gates that the tape keeps for ``backward``; 0 once it is used up."""
        return self._tape.nbytes

    def backward(
        self, d_output: Array | None, d_state: State | None = None, *, out: Parameters | None = None
    ) -> RecurrentGradients:
        """Backpropagate through time. The tape is used up: it can be called once.

        Parameters
        ----------
        d_output : ndarray of shape (N, T, D*H) or None
            Gradient of the loss for the output; values beyond a row's length are not read.
        d_state : ndarray of shape (L*D, N, H), tuple of two for cells with (h, c), or None
            Gradient of the loss for the final state.
        out : Parameters, default=None
            Formed like ``layer.parameters``: where to write the gradients of the weights, instead
            of new memory. Of joined layers each writes its own share and leaves the rest.

        Returns
        -------
        RecurrentGradients
            ``X``, ``state``, ``weights`` and ``parameters``.

        Raises
        ------
        RuntimeError
            At a second call.
        TypeError, ValueError
            If an argument has another dtype or shape.
        """
        config, dtype = self._layer.config, self._layer.dtype
        n_rows, n_steps, _ = self._x_shape
        if d_output is not None:
            shape = (n_rows, n_steps, config.output_size)
            d_output = check_exact("d_output", d_output, dtype, shape)
        d_final = _check_state("d_state", config, d_state, n_rows, dtype)
        parameters, weights = self._layer._place_for_gradients(out)
        d_x = np.empty(self._x_shape, dtype=dtype)
        d_initial = _empty_states(config, n_rows, dtype)
        self._tape.backward(d_output, d_final, d_x, _by_unit(d_initial, config.n_units), config.groups(weights))
        return RecurrentGradients(d_x, _public(d_initial), weights, parameters)


class FrozenRecurrent:
    """Recurrent layers that no longer change: made by :meth:`Recurrent.freeze`.

    The weights are packed once for the instruction set in force. Any number of threads may call
    :meth:`forward` at once. Pickles hold the plain weights, never packed ones.

    Attributes
    ----------
    config : RecurrentConfig
        The architecture.
    weights : mapping of str to ndarray
        Copies, read-only.
    """

    def __init__(self, config: RecurrentConfig, weights: Mapping[str, Array]) -> None:
        self.config = config
        self.weights = read_only_copies(weights, config.shapes())
        self._dtype = check_dtype(config.dtype)
        self._stack = RecurrentStack(config, config.groups(self.weights), training=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenRecurrent, (self.config, dict(self.weights))

    def forward(
        self,
        X: Array,
        lengths: Any = None,
        state: State | None = None,
        *,
        return_output: bool = True,
    ) -> tuple[Array | None, State]:
        """Compute as :meth:`Recurrent.forward` does."""
        return _forward(self._stack, self._dtype, X, lengths, state, return_output)


class Recurrent(Layer):
    """Recurrent layers with PyTorch's names, shapes and gate order of weights.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru", "gru_reset_before", "mgu"}, default="lstm"
        The cell.
    input_size : int
        Features of each time step (I).
    hidden_size : int
        Units of each layer and direction (H).
    num_layers : int, default=1
        Layers on top of each other (L).
    bidirectional : bool, default=False
        Whether a second set of units reads each row from its end (D = 2).
    activation : {"tanh", "relu", "linear"}, default="tanh"
        The nonlinearity of the state. With "linear" all gates are the identity as well, which
        makes exact tests possible and is of no other use.
    dropout : float, default=0.0
        Probability of dropping an element of the outputs that one layer hands to the next, when
        recording; :meth:`record` then wants to know the step. Never applied by :meth:`forward`.
    recurrent_dropout : float, default=0.0
        Probability of dropping an element of ``h`` where it enters the recurrent products, when
        recording: one mask for each row, layer and direction, the same at all time steps (Gal and
        Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks",
        2016). What is kept is divided by ``1 - recurrent_dropout``. Uses of ``h`` element by
        element, such as the update of a GRU, are not masked; the products that take a gated state
        (``r * h`` in "gru_reset_before", ``f * h`` in "mgu") take it times the same mask.
    zoneout : float, default=0.0
        Probability that an element of a state, ``h`` or ``c``, keeps its value of the time step
        before instead of taking the new one, drawn anew for each time step when recording (Krueger
        et al., "Zoneout: regularizing RNNs by randomly preserving hidden activations", 2017).
        :meth:`forward` computes the expectation, ``zoneout * before + (1 - zoneout) * new``. The
        ``h`` of an LSTM is computed from its new ``c``, whether ``c`` takes that or not.
    layer_norm : bool, default=False
        Whether to normalise what enters the cell (Ba, Kiros and Hinton, "Layer normalization",
        2016): the input sums ``W x`` and the recurrent sums ``U h``, each on its own, to mean 0 and
        variance 1 over all gates' units of the row, times a gain, with the biases added after that.
        1e-5 is added to variances. In the two-stage cells "gru_reset_before" and "mgu" the gate
        that waits for another one is normalised apart from it. The ``c`` of an LSTM is not
        normalised before its output, unlike in the paper.
    memory_steps : float or None, default=None
        For about how many time steps the units of cells with gates should remember before they have
        learned anything: their biases then begin as in Tallec and Ollivier, "Can recurrent neural
        networks warp time?", 2018. None lets the forget gate begin at 1 and the others at 0.
    dtype : {"float32", "float64"}, default="float32"
        That of weights, inputs and outputs.
    random_state : int, numpy.random.Generator or None, default=0
        Decides the first weights and all masks.

    Attributes
    ----------
    weights : mapping of str to ndarray
        ``weight_ih_l0`` (G*H, I), ``weight_hh_l0`` (G*H, H), ``bias_ih_l0`` (G*H,),
        ``bias_hh_l0`` (G*H,), then ``_l0_reverse`` and ``_l1``...: writable views of one flat
        vector. Input weights begin Glorot uniform, recurrent weights orthogonal, biases zero but
        for the forget gate, whose sum is 1. With ``layer_norm`` also the gains ``gain_ih_l0``
        (G*H,) and ``gain_hh_l0`` (G*H,), which begin at 1.
    parameters : Parameters
        That vector, for a solver.
    config : RecurrentConfig
        The architecture.
    output_size : int
        D*H.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.nn import Recurrent
    >>> layer = Recurrent("gru", input_size=3, hidden_size=5, bidirectional=True)
    >>> X = np.zeros((2, 7, 3), dtype="float32")
    >>> output, state = layer.forward(X, lengths=[7, 4])
    >>> output.shape, state.shape
    ((2, 7, 10), (2, 2, 5))
    """

    def __init__(
        self,
        cell: str = "lstm",
        *,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        activation: str = "tanh",
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        zoneout: float = 0.0,
        layer_norm: bool = False,
        memory_steps: float | None = None,
        dtype: DTypeLike = "float32",
        random_state: int | np.random.Generator | None = 0,
    ) -> None:
        if memory_steps is not None and not memory_steps > 0:
            raise ValueError(f"memory_steps must be a number greater than zero or None, got {memory_steps!r}")
        self.config = RecurrentConfig(
            cell,
            input_size,
            hidden_size,
            num_layers,
            bidirectional,
            activation,
            check_dtype(dtype).name,
            zoneout,
            layer_norm,
        )
        super().__init__(self.config.shapes(), check_dtype(dtype))
        self.output_size = self.config.output_size
        rng = np.random.default_rng(random_state)
        info = _core.cells()[cell]
        for group in self.config.groups(self.weights):
            weight_ih, weight_hh, bias_ih, bias_hh, *gains = group
            initialize_recurrent(info, weight_ih, weight_hh, bias_ih, bias_hh, memory_steps=memory_steps, rng=rng)
            for gain in gains:
                gain.fill(1.0)
        self.dropout = Dropout(dropout, int(rng.integers(2**63)), recurrent_dropout)
        self._workspace = _core.Workspace()

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        del state["_workspace"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._workspace = _core.Workspace()

    def freeze(self) -> FrozenRecurrent:
        """Return an immutable copy of the layers as they are now, packed for fast calls."""
        return FrozenRecurrent(self.config, self.weights)

    def forward(
        self,
        X: Array,
        lengths: Any = None,
        state: State | None = None,
        *,
        return_output: bool = True,
    ) -> tuple[Array | None, State]:
        """Run over time; nothing is remembered.

        The weights are packed anew at each call, since they may have changed. For many calls,
        ``freeze`` the layer first.

        Parameters
        ----------
        X : ndarray of shape (N, T, I)
            The input; what lies beyond a row's length is never read.
        lengths : array-like of int of shape (N,), default=None
            The steps of each row, 0 to T; None means T for all.
        state : ndarray of shape (L*D, N, H), tuple of two for cells with (h, c), default=None
            The initial state; None means zeros.
        return_output : bool, default=True
            Whether the output of every step is wanted, or the final state alone.

        Returns
        -------
        output : ndarray of shape (N, T, D*H), or None without ``return_output``
            The first state of the last layer at each step, zeros beyond a row's length. With two
            directions, ``output[n, t]`` holds the state of each after it has read step t.
        state : ndarray of shape (L*D, N, H), or a tuple (h, c) of two
            The state after each row's last step. That of a row of length 0 is its initial state.

        Raises
        ------
        TypeError
            If an array has another dtype than the layer; nothing is converted silently.
        ValueError
            If a shape does not fit.
        """
        stack = RecurrentStack(self.config, self.config.groups(self.weights), training=False)
        return _forward(stack, self.dtype, X, lengths, state, return_output)

    def record(
        self,
        X: Array,
        lengths: Any = None,
        state: State | None = None,
        *,
        return_output: bool = True,
        step: int | None = None,
        checkpoint_steps: int | None = None,
    ) -> RecurrentTape:
        """Run over time and keep what ``backward`` needs.

        Parameters
        ----------
        X, lengths, state, return_output
            As for :meth:`forward`. ``X`` must not change until ``backward`` is done.
        step : int, default=None
            The number of the training step, which chooses the masks of dropout, recurrent dropout
            and zoneout: with any of them it must be given, a new one for each step.
        checkpoint_steps : int, default=None
            For long sequences: keep the states before every so many time steps alone, and let
            ``backward`` compute what lies between them again, bit for bit the same. The tape then
            takes about ``n_states * T / checkpoint_steps + (n_states + n_slots) *
            checkpoint_steps`` values per row and hidden unit instead of ``(n_states + n_slots) *
            T``, least near ``checkpoint_steps = sqrt(T)``, and a training step up to one more
            forward pass (Chen et al. 2016). None keeps everything.

        Returns
        -------
        RecurrentTape
            With ``output``, ``state``, ``nbytes`` and ``backward(d_output, d_state=None, out=None)``.

        Raises
        ------
        TypeError, ValueError
            As :meth:`forward`; if ``step`` is missing or negative, or ``checkpoint_steps`` is no
            positive integer.
        """
        config, dtype = self.config, self.dtype
        if step is None:
            if self.dropout.rate > 0.0 or self.dropout.recurrent_rate > 0.0 or config.zoneout > 0.0:
                raise ValueError(
                    "step must be given to a layer with dropout, recurrent_dropout or zoneout: each training step "
                    "has its own masks"
                )
            step = 0
        step = check_size("step", step, low=0)
        if checkpoint_steps is not None:
            checkpoint_steps = check_size("checkpoint_steps", checkpoint_steps)
        X = _check_input(config, X, dtype)
        n_rows, n_steps, _ = X.shape
        stack = RecurrentStack(config, config.groups(self.weights), training=True)
        output = None
        if return_output:
            output = np.empty((n_rows, n_steps, config.output_size), dtype=dtype)
        final = _empty_states(config, n_rows, dtype)
        tape = stack.record(
            X,
            check_lengths(lengths, n_rows, n_steps),
            _check_state("state", config, state, n_rows, dtype),
            output,
            _by_unit(final, config.n_units),
            Scratch(dtype, self._workspace),
            self.dropout,
            step,
            checkpoint_steps or 0,
        )
        return RecurrentTape(self, tape, output, _public(final), X.shape)

    def masks(self, step: int, n_rows: int, n_steps: int) -> RecurrentMasks:
        """Return all that :meth:`record` drops from a batch at one step of training: to look at, or to check.

        Parameters
        ----------
        step : int
            The step of training.
        n_rows, n_steps : int
            Rows (N) and time steps (T) of the batch.

        Returns
        -------
        RecurrentMasks
            ``dropout``, ``recurrent`` and ``zoneout``, each empty or None where it is off.
        """
        step = check_size("step", step, low=0)
        n_rows, n_steps = check_size("n_rows", n_rows, low=0), check_size("n_steps", n_steps, low=0)
        config, dropout, units = self.config, self.dropout, range(self.config.n_units)
        between = (n_rows, n_steps, config.output_size)
        within = (config.n_states, n_rows, n_steps, config.hidden_size)
        layers = range(1, config.num_layers) if dropout.rate > 0.0 else ()
        recurrent = zoneout = None
        if dropout.recurrent_rate > 0.0:
            shape = (n_rows, config.hidden_size)
            recurrent = np.stack([dropout.recurrent_mask(step, unit, shape, self.dtype) for unit in units])
        if config.zoneout > 0.0:
            zoneout = np.stack([dropout.zoneout_mask(step, unit, within, config.zoneout) for unit in units], axis=1)
        return RecurrentMasks(
            tuple(dropout.mask(step, layer, between, self.dtype) for layer in layers), recurrent, zoneout
        )
