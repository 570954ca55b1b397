"""The network of the estimators: an embedding if any, recurrent layers, pooling over time, one dense layer.

All but the dense layer are :class:`EncoderNetwork`, which the networks of :mod:`skrnn.nn.self_supervised` share.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from skrnn import _core
from skrnn.nn._checks import Array, check_dtype, check_lengths, check_size
from skrnn.nn.dense import Dense
from skrnn.nn.embedding import Embedding, d_embed, embed
from skrnn.nn.parameters import Layer, Parameters, read_only_copies
from skrnn.nn.pooling import Pooling, PoolingConfig, PoolingSaved
from skrnn.nn.recurrent import (
    FrozenRecurrent,
    Group,
    Lengths,
    Recurrent,
    RecurrentConfig,
    RecurrentStack,
    StackTape,
    State,
    States,
    beside,
)
from skrnn.nn.scratch import Scratch

HEAD = "head."
EMBEDDING = "embedding."
POOLING = "pooling."

# What masks take for the first step of the pieces that rows end in, which rows reach at different steps.
_LAST_PIECE = 2**31


class Network(Protocol):
    """What a :class:`~skrnn.nn.trainer.Trainer` can train."""

    parameters: Parameters
    dtype: np.dtype[Any]

    def training_pass(self, gradients: Parameters, scratch: Scratch) -> TrainingPass:
        """Return what computes outputs and gradients, with all its memory in ``scratch``."""
        ...


class TrainingPass(Protocol):
    """Forward and backward through a network, without checks, made to cost little besides its arithmetic."""

    def run(self, x: Array, lengths: Lengths) -> Array:
        """Return the outputs (M, K); nothing is kept or dropped."""
        ...

    def record(self, x: Array, lengths: Lengths, step: int) -> Array:
        """Return the outputs (M, K), and keep what :meth:`backward` needs; ``step`` chooses the masks of dropout."""
        ...

    def targets(
        self, x: Array, lengths: Lengths, target: Array | None, weight: Array | None
    ) -> tuple[Array, Array | None]:
        """Return what the outputs last computed should be, and the weight (M,) of each or None.

        ``target`` and ``weight`` are those of the rows of ``x``. Where the sequences themselves hold what should come
        out, there is no other ``target``.
        """
        ...

    def backward(self, d_output: Array) -> None:
        """Write the gradients of all parameters, from that of the outputs last recorded."""
        ...


class EncoderNetwork(ABC):
    """Base of networks that begin alike: an embedding if any, recurrent layers, pooling over time.

    What comes out of these is the *features* of a sequence, (N, D*H). A subclass says what is above.

    Parameters
    ----------
    recurrent, embedding, pooling, tbptt_steps
        As for :class:`SequenceNetwork`.
    above : mapping of str to (str, Layer, type)
        For the prefix of the names of its weights each layer above: its own name, itself, its class.
    """

    def __init__(
        self,
        recurrent: Recurrent,
        above: Mapping[str, tuple[str, Layer, type[Layer]]],
        *,
        embedding: Embedding | None = None,
        pooling: Pooling | None = None,
        tbptt_steps: int | None = None,
    ) -> None:
        layers: dict[str, tuple[str, Layer | None, type[Layer]]] = {
            "": ("recurrent", recurrent, Recurrent),
            **above,
            EMBEDDING: ("embedding", embedding, Embedding),
            POOLING: ("pooling", pooling, Pooling),
        }
        for name, layer, kind in layers.values():
            if layer is None and kind in (Embedding, Pooling):
                continue
            if not isinstance(layer, kind):
                raise TypeError(f"{name} must be a {kind.__name__}, got {type(layer).__name__}")
            if layer.dtype != recurrent.dtype:
                raise TypeError(f"{name} has dtype {layer.dtype}, but recurrent has {recurrent.dtype}")
        if embedding is not None and embedding.embedding_dim != recurrent.config.input_size:
            raise ValueError(
                f"embedding.embedding_dim must be recurrent.input_size={recurrent.config.input_size}, "
                f"got {embedding.embedding_dim}"
            )
        if tbptt_steps is not None:
            tbptt_steps = check_size("tbptt_steps", tbptt_steps)
            if recurrent.config.bidirectional:
                raise ValueError("tbptt_steps goes with one direction: the other would need states of the future")
        self.recurrent = recurrent
        self.embedding = embedding
        self.pooling = pooling
        self.tbptt_steps = tbptt_steps
        self.dtype = recurrent.dtype
        self.parameters = Parameters.join(
            {prefix: layer for prefix, (_, layer, _) in layers.items() if layer is not None and layer.weights}
        )

    @property
    def step_size(self) -> int:
        """Numbers that a layer keeps of a time step, at most."""
        return max(self.recurrent.output_size, self.recurrent.config.input_size)

    @abstractmethod
    def training_pass(self, gradients: Parameters, scratch: Scratch) -> TrainingPass:
        """Return what a trainer computes with."""

    def freeze(self) -> FrozenEncoder:
        """Return an immutable copy of the network as it is now, packed for fast calls; it computes features."""
        return FrozenEncoder(self.recurrent.config, self.parameters.views, *self._frozen_options())

    def _frozen_options(self) -> tuple[PoolingConfig | None, int | None]:
        return (
            None if self.pooling is None else self.pooling.config,
            None if self.embedding is None else self.embedding.padding_idx,
        )


class SequenceNetwork(EncoderNetwork):
    """Recurrent layers whose states a dense layer turns into one output for each sequence.

    Parameters
    ----------
    recurrent : Recurrent
        The recurrent layers.
    head : Dense
        From ``recurrent.output_size`` to the outputs, of the same dtype.
    embedding : Embedding, default=None
        Turns integer tokens into the inputs of the recurrent layers; None where the inputs are
        numbers.
    pooling : Pooling, default=None
        What becomes of the outputs of all time steps of the top layer. None takes the last state:
        the final ``h``; with two directions that of the forward one, at the row's end, beside that
        of the backward one, at the row's beginning.
    tbptt_steps : int, default=None
        Truncated backpropagation through time (Williams and Peng, "An efficient gradient-based
        algorithm for on-line training of recurrent network trajectories", 1990): states are carried
        over the whole sequence, gradients over at most so many steps. Without pooling these are
        the last steps of each row; with pooling the row is cut into pieces of that length, beginning
        at its first step. None cuts nothing.

    Raises
    ------
    TypeError, ValueError
        If the layers are of other kinds, or their dtypes or sizes do not fit; if ``tbptt_steps`` is
        given for two directions, of which one would need the states of the future.

    Attributes
    ----------
    parameters : Parameters
        The weights of all layers: those of the recurrent ones under their own names, the others as
        ``head.weight``, ``head.bias``, ``embedding.weight`` and ``pooling.weight`` and so on.
    dtype : numpy.dtype
        That of weights and outputs.
    """

    def __init__(
        self,
        recurrent: Recurrent,
        head: Dense,
        *,
        embedding: Embedding | None = None,
        pooling: Pooling | None = None,
        tbptt_steps: int | None = None,
    ) -> None:
        above = {HEAD: ("head", head, Dense)}
        super().__init__(recurrent, above, embedding=embedding, pooling=pooling, tbptt_steps=tbptt_steps)
        check_head(head, "recurrent", recurrent)
        self.head = head

    def training_pass(self, gradients: Parameters, scratch: Scratch) -> SequencePass:
        """Return what a trainer computes with."""
        return SequencePass(self, gradients, scratch)

    def freeze(self) -> FrozenSequenceNetwork:
        """Return an immutable copy of the network as it is now, packed for fast calls."""
        return FrozenSequenceNetwork(self.recurrent.config, self.parameters.views, *self._frozen_options())


def check_head(head: Dense, name: str, below: Recurrent) -> None:
    """Raise unless a dense layer fits on top of recurrent ones."""
    if head.input_size != below.output_size:
        raise ValueError(f"head.input_size must be {name}.output_size={below.output_size}, got {head.input_size}")


class StepsPass:
    """Recurrent layers whose outputs of all steps are wanted, forward and backward.

    Parameters
    ----------
    recurrent : Recurrent
        The layers.
    views, gradient_views : mapping of str to ndarray
        Their weights and where the gradients of these go, by the layers' own names.
    tbptt_steps : int or None
        Rows are cut into pieces of so many steps: states go from each to the next, gradients do not.
    scratch : Scratch
        Where all memory is.
    """

    def __init__(
        self,
        recurrent: Recurrent,
        views: Mapping[str, Array],
        gradient_views: Mapping[str, Array],
        tbptt_steps: int | None,
        scratch: Scratch,
    ) -> None:
        self._config = recurrent.config
        self._dropout = recurrent.dropout
        self._groups = self._config.groups(views)
        self._gradient_groups = self._config.groups(gradient_views)
        self._tbptt_steps = tbptt_steps
        self._scratch = scratch
        self._scratches: list[Scratch] = []  # of pieces, whose tapes live at the same time
        self._piece_groups: list[Group] = []  # where the gradients of a piece go before they are added up
        self._tapes: list[tuple[slice, StackTape]] = []

    def run(self, x: Array, lengths: Lengths, output: Array) -> None:
        """Fill ``output`` (N, T, D*H); nothing is kept or dropped."""
        RecurrentStack(self._config, self._groups, training=False).forward(x, lengths, None, output, None)

    def record(self, x: Array, lengths: Lengths, output: Array, step: int) -> None:
        """Fill ``output`` (N, T, D*H), and keep a tape of every piece, begun in the state that the one before left."""
        stack = RecurrentStack(self._config, self._groups, training=True)
        n_rows, n_steps, _ = x.shape
        k = n_steps if self._tbptt_steps is None else min(self._tbptt_steps, n_steps)
        state: Sequence[States] | None = None
        self._tapes = []
        for number, start in enumerate(range(0, n_steps, k)):
            part = slice(start, min(start + k, n_steps))
            part_lengths = lengths
            if k < n_steps and lengths is not None:
                part_lengths = np.clip(lengths - start, 0, part.stop - start)
            following = None
            if part.stop < n_steps:
                following = place_for_states(self._config, self._scratch, ("state of piece", number), n_rows)
            if number == len(self._scratches):
                self._scratches.append(Scratch(output.dtype, self._scratch.workspace))
            tape = stack.record(
                x[:, part],
                part_lengths,
                state,
                output[:, part],
                following,
                self._scratches[number],
                self._dropout,
                step,
                first_step=start,
            )
            self._tapes.append((part, tape))
            state = following

    def backward(self, d_output: Array, d_x: Array | None) -> None:
        """Write the gradients of all weights, added up over pieces, and fill ``d_x``."""
        if len(self._tapes) > 1 and not self._piece_groups:
            self._piece_groups = [tuple(map(np.empty_like, group)) for group in self._gradient_groups]
        for number, (part, tape) in enumerate(self._tapes):
            groups = self._gradient_groups if number == 0 else self._piece_groups
            tape.backward(d_output[:, part], None, None if d_x is None else d_x[:, part], None, groups)
            if number > 0:
                for total, addend in zip(self._gradient_groups, groups, strict=True):
                    for array, more in zip(total, addend, strict=True):
                        array += more
        self._tapes = []


class EncoderPass:
    """From sequences to features and back, for the :class:`TrainingPass` of a subclass of :class:`EncoderNetwork`."""

    def __init__(self, network: EncoderNetwork, gradients: Parameters, scratch: Scratch) -> None:
        self._config = network.recurrent.config
        self._dropout = network.recurrent.dropout
        self._embedding = network.embedding
        self._pooling = None if network.pooling is None else network.pooling.config
        self._tbptt_steps = network.tbptt_steps
        self._scratch = scratch
        views, gradient_views = network.parameters.views, gradients.views
        self._views, self._gradient_views = views, gradient_views
        self._groups = self._config.groups(views)
        self._gradient_groups = self._config.groups(gradient_views)
        # Of the final states only the `h` of the top layer is wanted.
        self._states_below: list[States] = [None] * (self._config.n_units - self._config.n_directions)
        self._states_beside = (None,) * (self._config.n_states - 1)
        self._steps = StepsPass(network.recurrent, views, gradient_views, network.tbptt_steps, scratch)
        # What `record_features` leaves to `backward_features`.
        self._tape: StackTape
        self._tokens: tuple[Array, Lengths]
        self._embedded: Array | None = None
        self._saved: PoolingSaved

    def run_features(self, x: Array, lengths: Lengths) -> Array:
        """Return the features (N, D*H); nothing is kept or dropped."""
        x = self._embed(x, lengths)
        if self._pooling is None:
            h, final = self._top_states("state", len(x))
            RecurrentStack(self._config, self._groups, training=False).forward(x, lengths, None, None, final)
            return beside(h)
        output = self._scratch.empty("pooled output", (*x.shape[:2], self._config.output_size))
        self._steps.run(x, lengths, output)
        return self._pooling.pool(output, lengths, self._pooling_weights(self._views), self._scratch)[0]

    def record_features(self, x: Array, lengths: Lengths, step: int) -> Array:
        """Return the features (N, D*H), and keep what :meth:`backward_features` needs."""
        n_rows, n_steps, _ = x.shape
        if self._pooling is not None:
            x = self._embed(x, lengths)
            output = self._scratch.empty("pooled output", (n_rows, n_steps, self._config.output_size))
            self._steps.record(x, lengths, output, step)
            weights = self._pooling_weights(self._views)
            features, self._saved = self._pooling.pool(output, lengths, weights, self._scratch)
            return features
        stack = RecurrentStack(self._config, self._groups, training=True)
        state, first_step = None, 0
        if self._tbptt_steps is not None:  # also where nothing is cut off: that depends on the longest row
            first_step = _LAST_PIECE
            if self._tbptt_steps < n_steps:
                x, lengths, state = self._carry(stack, x, lengths, step, self._tbptt_steps)
        h, final = self._top_states("state", n_rows)
        x = self._embed(x, lengths)
        self._tape = stack.record(
            x, lengths, state, None, final, self._scratch, self._dropout, step, first_step=first_step
        )
        return beside(h)

    def backward_features(self, d_features: Array) -> None:
        """Write the gradients of all parameters below the features."""
        d_x = self._place_for_d_embedded()
        if self._pooling is None:
            n_rows = len(d_features)
            d_h, d_final = self._top_states("d_state", n_rows)
            d_h[:] = d_features.reshape(n_rows, *d_h.shape[::2]).swapaxes(0, 1)
            self._tape.backward(None, d_final, d_x, None, self._gradient_groups)
            del self._tape
        else:
            d_weights = self._pooling_weights(self._gradient_views)
            self._steps.backward(self._pooling.backward(self._saved, d_features, d_weights, self._scratch), d_x)
        self._backward_embedding(d_x)

    def _carry(
        self, stack: RecurrentStack, x: Array, lengths: Lengths, step: int, k: int
    ) -> tuple[Array, Lengths, Sequence[States]]:
        """Return the last k steps of each row, their lengths, and the state before them.

        That state is computed as in training, with dropout, but nothing of it is kept.
        """
        n_before = x.shape[1] - k
        before_lengths = end_lengths = None
        end = x[:, n_before:]
        if lengths is not None:
            before_lengths, end_lengths = np.maximum(lengths - k, 0), np.minimum(lengths, k)
            places = before_lengths[:, np.newaxis] + np.arange(k)
            end = np.take_along_axis(x, places[:, :, np.newaxis], axis=1)
        state: Sequence[States] | None = None
        for start in range(0, n_before, k):
            piece = x[:, start : min(start + k, n_before)]
            piece_lengths = None if before_lengths is None else np.clip(before_lengths - start, 0, piece.shape[1])
            following = place_for_states(self._config, self._scratch, ("carried", start // k % 2), len(x))
            piece = self._embed(piece, piece_lengths)
            stack.record(
                piece, piece_lengths, state, None, following, self._scratch, self._dropout, step, first_step=start
            )
            state = following
        assert state is not None
        return end, end_lengths, state

    def _embed(self, x: Array, lengths: Lengths) -> Array:
        """Turn tokens (N, T, 1) into inputs; numbers are inputs as they are."""
        if self._embedding is None:
            return x
        tokens = np.ascontiguousarray(x[:, :, 0])
        embedded = self._scratch.empty("embedded", (*tokens.shape, self._config.input_size))
        embed(tokens, lengths, self._views[f"{EMBEDDING}weight"], embedded)
        self._tokens, self._embedded = (tokens, lengths), embedded
        return embedded

    def _place_for_d_embedded(self) -> Array | None:
        return None if self._embedded is None else self._scratch.empty("d_embedded", self._embedded.shape)

    def _backward_embedding(self, d_x: Array | None) -> None:
        """Write the gradient of the embedding, where there is one, from that of what it gave."""
        if d_x is not None:
            assert self._embedding is not None
            d_weight = self._gradient_views[f"{EMBEDDING}weight"]
            d_embed(*self._tokens, d_x, self._embedding.padding_idx, d_weight)

    def _pooling_weights(self, views: Mapping[str, Array]) -> Mapping[str, Array]:
        assert self._pooling is not None
        return {name: views[f"{POOLING}{name}"] for name in self._pooling.shapes()}

    def _top_states(self, name: str, n_rows: int) -> tuple[Array, Sequence[States]]:
        """Return a place for the ``h`` that the top layer ends in, (D, N, H), and what the core wants of it by unit."""
        h = self._scratch.empty(name, (self._config.n_directions, n_rows, self._config.hidden_size))
        return h, [*self._states_below, *[(direction, *self._states_beside) for direction in h]]


def place_for_states(config: RecurrentConfig, scratch: Scratch, name: Hashable, n_rows: int) -> Sequence[States]:
    """Return a place for all states of all units."""
    states = scratch.empty(name, (config.n_units, config.n_states, n_rows, config.hidden_size))
    return [list(unit) for unit in states]


class SequencePass(EncoderPass):
    """The :class:`TrainingPass` of a :class:`SequenceNetwork`."""

    def __init__(self, network: SequenceNetwork, gradients: Parameters, scratch: Scratch) -> None:
        super().__init__(network, gradients, scratch)
        self._head = HeadPass(self._views, self._gradient_views, scratch)

    def run(self, x: Array, lengths: Lengths) -> Array:
        """Return the outputs (N, K); nothing is kept or dropped."""
        return self._head.forward(self.run_features(x, lengths))

    def record(self, x: Array, lengths: Lengths, step: int) -> Array:
        """Return the outputs (N, K), and keep what :meth:`backward` needs."""
        return self._head.forward(self.record_features(x, lengths, step))

    def targets(
        self, x: Array, lengths: Lengths, target: Array | None, weight: Array | None
    ) -> tuple[Array, Array | None]:
        """Return them as they are: there is one output for each row."""
        assert target is not None
        return target, weight

    def backward(self, d_output: Array) -> None:
        """Write the gradients of all parameters."""
        self.backward_features(self._head.backward(d_output))


class HeadPass:
    """The dense layer on top, forward and backward."""

    def __init__(self, views: Mapping[str, Array], gradient_views: Mapping[str, Array], scratch: Scratch) -> None:
        self._weights = views[f"{HEAD}weight"], views[f"{HEAD}bias"]
        self._gradients = gradient_views[f"{HEAD}weight"], gradient_views[f"{HEAD}bias"]
        self._scratch = scratch
        self._x: Array

    def forward(self, x: Array) -> Array:
        """Return the outputs (M, K), and keep what :meth:`backward` needs: ``x`` (M, F) itself."""
        self._x = x
        output = self._scratch.empty("head", (len(x), len(self._weights[1])))
        _core.dense_forward(x, *self._weights, output)
        return output

    def backward(self, d_output: Array) -> Array:
        """Write the gradients of the weights, and return that of ``x``."""
        d_x = self._scratch.empty("d_features", self._x.shape)
        _core.dense_backward(self._x, self._weights[0], d_output, d_x, *self._gradients)
        return d_x


class FrozenEncoder:
    """What turns sequences into features and no longer changes: made by :meth:`EncoderNetwork.freeze`.

    Any number of threads may call :meth:`features` at once. Pickles hold the plain weights.

    Attributes
    ----------
    config : RecurrentConfig
        The architecture of the recurrent layers.
    pooling : PoolingConfig or None
        What becomes of the time steps; None takes the last state.
    padding_idx : int or None
        The token whose embedding is zero.
    weights : mapping of str to ndarray
        Copies of those of all layers, read-only.
    dtype : numpy.dtype
        That of weights and outputs, and of inputs that are not tokens.
    """

    def __init__(
        self,
        config: RecurrentConfig,
        weights: Mapping[str, Array],
        pooling: PoolingConfig | None = None,
        padding_idx: int | None = None,
    ) -> None:
        self.config = config
        self.pooling = pooling
        self.padding_idx = padding_idx
        self.dtype = check_dtype(config.dtype)
        self._recurrent = FrozenRecurrent(config, weights)
        others = read_only_copies(weights, (name for name in weights if name not in self._recurrent.weights))
        self._embedding = others.get(f"{EMBEDDING}weight")
        names = () if pooling is None else pooling.shapes()
        self._pooling_weights = {name: others[f"{POOLING}{name}"] for name in names}
        self.weights: Mapping[str, Array] = MappingProxyType({**self._recurrent.weights, **others})

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.config, dict(self.weights), self.pooling, self.padding_idx)

    @property
    def num_embeddings(self) -> int | None:
        """How many tokens there are; None where inputs are numbers."""
        return None if self._embedding is None else len(self._embedding)

    def features(self, X: Array, lengths: Any = None) -> Array:
        """Return what the layers above see of each row.

        Parameters
        ----------
        X : ndarray of shape (N, T, I), or of int64 (N, T, 1) for a network with an embedding
            The input; what lies beyond a row's length is never read.
        lengths : array-like of int of shape (N,), default=None
            The steps of each row; None means T for all.

        Returns
        -------
        ndarray of shape (N, D*H)

        Raises
        ------
        TypeError, ValueError
            If a dtype or shape does not fit.
        """
        if self._embedding is not None:
            embedded = np.empty((*X.shape[:2], self._embedding.shape[1]), self.dtype)
            lengths = check_lengths(lengths, *X.shape[:2])
            embed(np.ascontiguousarray(X[:, :, 0]), lengths, self._embedding, embedded)
            X = embedded
        if self.pooling is None:
            _, state = self._recurrent.forward(X, lengths, return_output=False)
            return last_features(self.config, state)
        output, _ = self._recurrent.forward(X, lengths)
        assert output is not None
        lengths = check_lengths(lengths, *X.shape[:2])
        scratch = Scratch(self.dtype, _core.Workspace())
        return self.pooling.pool(output, lengths, self._pooling_weights, scratch)[0]


class FrozenSequenceNetwork(FrozenEncoder):
    """A network that no longer changes: made by :meth:`SequenceNetwork.freeze`.

    Any number of threads may call :meth:`forward` at once. Attributes are those of :class:`FrozenEncoder`.
    """

    def __init__(
        self,
        config: RecurrentConfig,
        weights: Mapping[str, Array],
        pooling: PoolingConfig | None = None,
        padding_idx: int | None = None,
    ) -> None:
        super().__init__(config, weights, pooling, padding_idx)
        self._head = self.weights[f"{HEAD}weight"], self.weights[f"{HEAD}bias"]

    def forward(self, X: Array, lengths: Any = None) -> Array:
        """Return the output of each row.

        Parameters
        ----------
        X, lengths
            As for :meth:`features`.

        Returns
        -------
        ndarray of shape (N, O)

        Raises
        ------
        TypeError, ValueError
            If a dtype or shape does not fit.
        """
        output = np.empty((len(X), len(self._head[1])), dtype=self.dtype)
        _core.dense_forward(self.features(X, lengths), *self._head, output)
        return output


def last_features(config: RecurrentConfig, state: State) -> Array:
    """Return the final ``h`` of the top layer's directions side by side: (N, D*H)."""
    h = state if isinstance(state, np.ndarray) else state[0]
    return beside(h[-config.n_directions :])
