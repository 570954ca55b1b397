"""Networks that learn from sequences alone: to predict each next step, or to write down again what they have read.

Both have an output for every time step, and the sequence itself says what it should be. Rows count alike, however many
steps they have: the loss of a row is the mean over its steps.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from skrnn.nn._checks import Array
from skrnn.nn.dense import Dense
from skrnn.nn.embedding import Embedding
from skrnn.nn.network import HEAD, EncoderNetwork, EncoderPass, HeadPass, StepsPass, check_head
from skrnn.nn.parameters import Parameters
from skrnn.nn.pooling import Pooling
from skrnn.nn.recurrent import Lengths, Recurrent
from skrnn.nn.scratch import Scratch

DECODER = "decoder."


class NextStepNetwork(EncoderNetwork):
    """Recurrent layers whose output at each time step a dense layer turns into a guess at the next one.

    Pooling has no part in that; it is for the features of the network once it is frozen.

    Parameters
    ----------
    recurrent : Recurrent
        The recurrent layers, of one direction.
    head : Dense
        From ``recurrent.output_size`` to the features of a time step, or to a score for each token.
    embedding, pooling, tbptt_steps
        As for :class:`~skrnn.nn.SequenceNetwork`, but that pooling must not have weights, which
        nothing would train, and that ``tbptt_steps`` always cuts rows into pieces.

    Raises
    ------
    TypeError, ValueError
        If the layers are of other kinds, or their dtypes or sizes do not fit; if there are two
        directions, of which one would see the answer; if pooling has weights.
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
        if recurrent.config.bidirectional:
            raise ValueError("recurrent must have one direction: the other would see the step that is to be predicted")
        if pooling is not None and pooling.weights:
            raise ValueError(f"pooling {pooling.config.kind!r} has weights, which predicting steps would not train")
        check_head(head, "recurrent", recurrent)
        _check_step(head, self)
        self.head = head

    @property
    def step_size(self) -> int:
        """Numbers that a layer keeps of a time step, at most."""
        return max(super().step_size, self.head.output_size)

    def training_pass(self, gradients: Parameters, scratch: Scratch) -> NextStepPass:
        """Return what a trainer computes with; at least one row must have two steps."""
        return NextStepPass(self, gradients, scratch)


class Autoencoder(EncoderNetwork):
    """Recurrent layers that read a sequence, and others that write it down from the features alone, last step first.

    The decoder sees the features at every time step, and nothing of the sequence (the unconditional
    decoder of Srivastava, Mansimov and Salakhutdinov, "Unsupervised learning of video
    representations using LSTMs", 2015). The order is theirs: what was read last is written first.

    Parameters
    ----------
    recurrent : Recurrent
        The recurrent layers that read.
    decoder : Recurrent
        Those that write, of one direction: from ``recurrent.output_size`` features.
    head : Dense
        From ``decoder.output_size`` to the features of a time step, or to a score for each token.
    embedding, pooling, tbptt_steps
        As for :class:`~skrnn.nn.SequenceNetwork`; ``tbptt_steps`` also cuts what is written into
        pieces, beginning with the last time step.

    Raises
    ------
    TypeError, ValueError
        If the layers are of other kinds, or their dtypes or sizes do not fit.
    """

    def __init__(
        self,
        recurrent: Recurrent,
        decoder: Recurrent,
        head: Dense,
        *,
        embedding: Embedding | None = None,
        pooling: Pooling | None = None,
        tbptt_steps: int | None = None,
    ) -> None:
        above = {DECODER: ("decoder", decoder, Recurrent), HEAD: ("head", head, Dense)}
        super().__init__(recurrent, above, embedding=embedding, pooling=pooling, tbptt_steps=tbptt_steps)
        if decoder.config.input_size != recurrent.output_size:
            raise ValueError(
                f"decoder.input_size must be recurrent.output_size={recurrent.output_size}, "
                f"got {decoder.config.input_size}"
            )
        if decoder.config.bidirectional:
            raise ValueError("decoder must have one direction: it writes step after step")
        check_head(head, "decoder", decoder)
        _check_step(head, self)
        self.decoder = decoder
        self.head = head

    @property
    def step_size(self) -> int:
        """Numbers that a layer keeps of a time step, at most."""
        return max(super().step_size, self.decoder.output_size, self.head.output_size)

    def training_pass(self, gradients: Parameters, scratch: Scratch) -> AutoencoderPass:
        """Return what a trainer computes with; at least one row must have a step."""
        return AutoencoderPass(self, gradients, scratch)


def _check_step(head: Dense, network: EncoderNetwork) -> None:
    """Raise unless the outputs of a dense layer can be compared with a time step."""
    if network.embedding is None:
        name, size = "recurrent.input_size", network.recurrent.config.input_size
    else:
        name, size = "embedding.num_embeddings", network.embedding.num_embeddings
    if head.output_size != size:
        raise ValueError(f"head.output_size must be {name}={size}, got {head.output_size}")


class StepsHead:
    """The dense layer on the outputs of all steps (N, T, F): a row for each step within its row's length, in order."""

    def __init__(self, views: Mapping[str, Array], gradient_views: Mapping[str, Array], scratch: Scratch) -> None:
        self._head = HeadPass(views, gradient_views, scratch)
        self._scratch = scratch
        self._shape: tuple[int, ...]
        self._lengths: Lengths
        self._places: NDArray[np.int64]  # of the steps within lengths, where there are any, among all N * T

    def forward(self, output: Array, lengths: Lengths) -> Array:
        """Return the outputs (M, K); steps in the padding take no part."""
        self._shape, self._lengths = output.shape, lengths
        steps = output.reshape(-1, output.shape[2])
        if lengths is not None:
            self._places = np.flatnonzero(np.arange(output.shape[1]) < lengths[:, np.newaxis])
            packed = self._scratch.empty("steps", (len(self._places), output.shape[2]))
            steps = np.take(steps, self._places, axis=0, out=packed, mode="clip")
        return self._head.forward(steps)

    def backward(self, d_output: Array) -> Array:
        """Write the gradients of the weights, and return that of the steps (N, T, F), arbitrary beyond lengths."""
        d_steps = self._head.backward(d_output)
        if self._lengths is None:
            return d_steps.reshape(self._shape)
        unpacked = self._scratch.empty("d_steps", self._shape)
        unpacked.reshape(-1, self._shape[2])[self._places] = d_steps
        return unpacked

    def rows_and_steps(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where the outputs last computed come from; only where there are lengths."""
        rows, steps = np.divmod(self._places, self._shape[1])
        return rows, steps

    def weights(self, weight: Array | None) -> Array | None:
        """Return a weight for each of the outputs last computed, such that a mean over all is one over rows of means.

        Rows without a step count for nothing.
        """
        if self._lengths is None:
            return None if weight is None else np.repeat(weight, self._shape[1])
        n_outputs, n_rows = len(self._places), np.count_nonzero(self._lengths)
        shares = n_outputs / (n_rows * np.maximum(self._lengths, 1))
        if weight is not None:
            shares *= weight
        return np.repeat(shares, self._lengths)


class NextStepPass(EncoderPass):
    """The :class:`~skrnn.nn.network.TrainingPass` of a :class:`NextStepNetwork`."""

    def __init__(self, network: NextStepNetwork, gradients: Parameters, scratch: Scratch) -> None:
        super().__init__(network, gradients, scratch)
        self._head = StepsHead(self._views, self._gradient_views, scratch)

    def run(self, x: Array, lengths: Lengths) -> Array:
        """Return what is expected of all steps but the first (M, K); nothing is kept or dropped."""
        x, lengths, output = self._before_last(x, lengths)
        self._steps.run(self._embed(x, lengths), lengths, output)
        return self._head.forward(output, lengths)

    def record(self, x: Array, lengths: Lengths, step: int) -> Array:
        """Return what is expected of all steps but the first (M, K), and keep what :meth:`backward` needs."""
        x, lengths, output = self._before_last(x, lengths)
        self._steps.record(self._embed(x, lengths), lengths, output, step)
        return self._head.forward(output, lengths)

    def targets(
        self, x: Array, lengths: Lengths, target: Array | None, weight: Array | None
    ) -> tuple[Array, Array | None]:
        """Return what the steps are (M, K), or their tokens (M,), and their weights."""
        if lengths is None:
            following = x[:, 1:]
        else:
            rows, steps = self._head.rows_and_steps()
            following = x[rows, steps + 1]
        return _as_target(following, self._embedding is not None), _cast(self._head.weights(weight), self._config.dtype)

    def backward(self, d_output: Array) -> None:
        """Write the gradients of all parameters."""
        d_x = self._place_for_d_embedded()
        self._steps.backward(self._head.backward(d_output), d_x)
        self._backward_embedding(d_x)

    def _before_last(self, x: Array, lengths: Lengths) -> tuple[Array, Lengths, Array]:
        """Return all steps but the last of each row, how many these are, and a place for their outputs."""
        x = x[:, :-1]
        output = self._scratch.empty("output", (*x.shape[:2], self._config.output_size))
        return x, None if lengths is None else np.maximum(lengths - 1, 0), output


class AutoencoderPass(EncoderPass):
    """The :class:`~skrnn.nn.network.TrainingPass` of an :class:`Autoencoder`."""

    def __init__(self, network: Autoencoder, gradients: Parameters, scratch: Scratch) -> None:
        super().__init__(network, gradients, scratch)
        views, gradient_views = (
            {name.removeprefix(DECODER): view for name, view in named.items() if name.startswith(DECODER)}
            for named in (self._views, self._gradient_views)
        )
        self._decoder_size = network.decoder.output_size
        # Memory of its own: what is kept of it lives beside what is kept of the layers below.
        self._decoder_scratch = Scratch(network.dtype, scratch.workspace)
        self._decoder = StepsPass(network.decoder, views, gradient_views, network.tbptt_steps, self._decoder_scratch)
        self._head = StepsHead(self._views, self._gradient_views, self._decoder_scratch)
        self._input_shape: tuple[int, ...]

    def run(self, x: Array, lengths: Lengths) -> Array:
        """Return the steps of the sequences as written down (M, K), last ones first; nothing is kept or dropped."""
        repeated, output = self._repeat(self.run_features(x, lengths), x)
        self._decoder.run(repeated, lengths, output)
        return self._head.forward(output, lengths)

    def record(self, x: Array, lengths: Lengths, step: int) -> Array:
        """Return the steps of the sequences as written down (M, K), and keep what :meth:`backward` needs."""
        repeated, output = self._repeat(self.record_features(x, lengths, step), x)
        self._decoder.record(repeated, lengths, output, step)
        return self._head.forward(output, lengths)

    def targets(
        self, x: Array, lengths: Lengths, target: Array | None, weight: Array | None
    ) -> tuple[Array, Array | None]:
        """Return what the steps are (M, K), or their tokens (M,), last ones first, and their weights."""
        if lengths is None:
            reversed_ = x[:, ::-1]
        else:
            rows, steps = self._head.rows_and_steps()
            reversed_ = x[rows, lengths[rows] - 1 - steps]
        return _as_target(reversed_, self._embedding is not None), _cast(self._head.weights(weight), self._config.dtype)

    def backward(self, d_output: Array) -> None:
        """Write the gradients of all parameters."""
        d_repeated = self._decoder_scratch.empty("d_repeated", self._input_shape)
        self._decoder.backward(self._head.backward(d_output), d_repeated)
        d_features = self._decoder_scratch.empty("d_repeated once", (len(d_repeated), self._config.output_size))
        self.backward_features(np.sum(d_repeated, axis=1, out=d_features))

    def _repeat(self, features: Array, x: Array) -> tuple[Array, Array]:
        """Return the features at every time step, in no more memory than once, and a place for the outputs."""
        n_rows, n_steps, _ = x.shape
        self._input_shape = n_rows, n_steps, self._config.output_size
        output = self._decoder_scratch.empty("output", (n_rows, n_steps, self._decoder_size))
        return np.broadcast_to(features[:, np.newaxis], self._input_shape), output


def _as_target(steps: Array, are_tokens: bool) -> Array:
    """Return time steps as a loss takes them: numbers (M, K), tokens (M,)."""
    return np.ascontiguousarray(steps.reshape(-1) if are_tokens else steps.reshape(-1, steps.shape[-1]))


def _cast(weight: Array | None, dtype: str) -> Array | None:
    return None if weight is None else weight.astype(dtype, copy=False)
