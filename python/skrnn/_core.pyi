"""The compiled core: bindings onto the kernels of the instruction set in force.

Everything here is strict: arrays must have the dtype, shape and layout stated, nothing is converted or copied
silently, and a mismatch raises ``ValueError`` or ``TypeError`` naming the argument. Friendly conversion is the task of
:mod:`skrnn.nn`.

Symbols in shapes: N rows (sequences), T time steps, I input size, H hidden size, G gates, C classes, V
vocabulary, E embedding size, F features, A units of attention.
"""

from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

_Float = NDArray[np.float32] | NDArray[np.float64]

__version__: str

@final
class CellInfo:
    """What a cell is, as its header in ``cpp/kernels`` declares it."""

    @property
    def name(self) -> str: ...
    @property
    def gate_names(self) -> tuple[str, ...]:
        """Names of the gates in the order of the rows of ``weight_ih``, for example ``("i", "f", "g", "o")``."""
    @property
    def n_states(self) -> int:
        """1 for ``h`` alone, 2 for ``(h, c)``."""
    @property
    def forget_gate(self) -> int:
        """Index of the gate whose bias starts at 1, or -1."""
    @property
    def keep_gate(self) -> int:
        """Index of the gate that keeps the state as it is where it is near 1, or -1."""
    @property
    def write_gate(self) -> int:
        """Index of the gate that writes a new state where it is near 1, or -1."""

def cells() -> dict[str, CellInfo]: ...
def activations() -> tuple[str, ...]:
    """``("tanh", "relu", "linear")``; ``linear`` makes every nonlinearity the identity (exact tests)."""

def build_info() -> dict[str, str]: ...
def compiled_isas() -> tuple[str, ...]: ...
def available_isas() -> tuple[str, ...]: ...
def get_isa() -> str: ...
def set_isa(name: str) -> None:
    """Choose the instruction set of objects made and functions called from now on; for tests and benches."""

def set_num_threads(n: int) -> int:
    """Cap the threads of every later call; 0 removes the cap. Returns the cap that was in force before."""

def get_num_threads() -> int:
    """Threads a large call made from this Python thread would use now."""

def set_work_per_thread(multiply_adds: float) -> float:
    """How much work is worth a thread; for tests, which lower it to see threads at work on little.

    Returns the value before. No result depends on it.
    """

def fma_peak(dtype: str, n_threads: int) -> float:
    """Measure how many 10^9 floating-point operations per second the multiply-add units give: a bench's yardstick."""

@final
class RecurrentWeights:
    """One layer in one direction: weights packed for the instruction set in force when made. Immutable.

    Parameters
    ----------
    cell, activation : names from :func:`cells` and :func:`activations`.
    weight_ih : (G*H, I), C-contiguous
    weight_hh : (G*H, H), C-contiguous
    bias_ih, bias_hh : (G*H,)
    gain_ih, gain_hh : (G*H,), or None for no layer normalisation. With them, the sums of a product with ``weight_ih``
        or ``weight_hh`` are normalised over all the gates that it makes, then multiplied by the gains; biases follow.
    zoneout : in [0, 1), the probability that a state keeps its value from one step to the next: drawn when recorded,
        the expectation computed otherwise.
    training : also pack what ``Tape.backward`` needs (required by ``record``).
    """

    def __init__(
        self,
        cell: str,
        activation: str,
        weight_ih: _Float,
        weight_hh: _Float,
        bias_ih: _Float,
        bias_hh: _Float,
        gain_ih: _Float | None = None,
        gain_hh: _Float | None = None,
        *,
        training: bool = False,
        zoneout: float = 0.0,
    ) -> None: ...
    @property
    def cell(self) -> str: ...
    @property
    def activation(self) -> str: ...
    @property
    def isa(self) -> str: ...
    @property
    def input_size(self) -> int: ...
    @property
    def hidden_size(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def forward(
        self,
        x: _Float,
        lengths: NDArray[np.int64] | None,
        reverse: bool,
        state: Sequence[_Float | None] | None,
        output: _Float | None,
        final_state: Sequence[_Float | None] | None,
    ) -> None:
        """Run the layer over time.

        ``x`` (N, T, I): any strides on the first two axes, unit stride on the last. ``lengths`` (N,) with values in
        0..T, or None for T everywhere. ``reverse``: each row runs from its own end to its start, and ``output[n, t]``
        is the state after reading step t. ``state``: one (N, H) array per state of the cell; None, as a whole or for
        one of them, for zeros. ``output`` (N, T, H), written whole (zeros beyond each row's length), any strides on
        the first two axes; None when only the final state is wanted. ``final_state``: one writable (N, H) array per
        state, None where not wanted; they may be those of ``state``. No other output may overlap an input.
        """
    def record(
        self,
        x: _Float,
        lengths: NDArray[np.int64] | None,
        reverse: bool,
        state: Sequence[_Float | None] | None,
        output: _Float | None,
        final_state: Sequence[_Float | None] | None,
        workspace: Workspace | None = None,
        checkpoint_steps: int = 0,
        recurrent_dropout: float = 0.0,
        key: int = 0,
        first_step: int = 0,
    ) -> Tape:
        """As ``forward``, and keep what ``backward`` needs. The tape holds a reference to ``x``.

        With ``checkpoint_steps`` = k > 0 it keeps the states before every k-th step, and the steps since the last of
        them; ``backward`` computes the others again, k at a time. The bits are the same.

        ``recurrent_dropout`` in [0, 1): elements of h are dropped with that probability where they enter recurrent
        products, the others divided by one less it; one mask for each row, the same at all steps. ``key``, a uint64:
        decides that mask and zoneout, beside a row's index in the batch (see :func:`random_words`).
        """

@final
class Workspace:
    """Memory that tapes borrow and give back, so that a training loop does not page-fault at every step."""

    def __init__(self) -> None: ...
    @property
    def nbytes(self) -> int: ...

@final
class Tape:
    """One recorded forward pass of one layer and direction. ``backward`` consumes it: a second call raises."""

    @property
    def nbytes(self) -> int: ...
    def backward(
        self,
        d_output: _Float | None,
        d_final_state: Sequence[_Float | None] | None,
        d_x: _Float | None,
        d_state: Sequence[_Float | None] | None,
        d_weight_ih: _Float,
        d_weight_hh: _Float,
        d_bias_ih: _Float,
        d_bias_hh: _Float,
        d_gain_ih: _Float | None = None,
        d_gain_hh: _Float | None = None,
        *,
        add_to_d_x: bool = False,
    ) -> None:
        """Backpropagation through time.

        ``d_output`` (N, T, H), strides as ``output``; values beyond a row's length are never read. ``d_x`` (N, T, I),
        written whole (zeros beyond each row's length), or added to with ``add_to_d_x``. ``d_state``: one writable
        (N, H) per state. The weight gradients are overwritten; those of the gains are wanted with layer normalisation,
        and only then. Other arguments that are None are taken as zero (inputs) or not computed (outputs).
        """

def random_words(key: int, counter: int, out: NDArray[np.uint32]) -> None:
    """Write the words of Threefry-2x32-13 at the counters (i, counter), 0 <= i < n, into ``out`` (2, n).

    What ``record`` draws. The key of row n: the words n (low, high) of its ``key`` at counter 2**32 - 1. From that:
    recurrent dropout of unit u by the first word u at counter 2**32 - 1; zoneout of state k at the s-th step that the
    row takes by word k of u at counter s. What has probability p happens where a word's upper 31 bits are below
    ``int(p * 2**31)``.
    """

def dense_forward(x: _Float, weight: _Float, bias: _Float | None, out: _Float) -> None:
    """``out = x @ weight.T + bias``: x (N, I), weight (O, I), bias (O,), out (N, O); rows independent bit for bit."""

def dense_backward(
    x: _Float,
    weight: _Float,
    d_out: _Float,
    d_x: _Float | None,
    d_weight: _Float,
    d_bias: _Float | None,
) -> None:
    """Gradients of ``dense_forward``; every output is overwritten."""

def embedding_forward(
    tokens: NDArray[np.int64], lengths: NDArray[np.int64] | None, weight: _Float, out: _Float
) -> None:
    """``out[n, t] = weight[tokens[n, t]]``: tokens (N, T), weight (V, E), out (N, T, E).

    Beyond a row's length tokens are not read and ``out`` is zero. A token that is no row of ``weight`` raises.
    """

def embedding_backward(
    tokens: NDArray[np.int64],
    lengths: NDArray[np.int64] | None,
    d_out: _Float,
    padding_idx: int,
    d_weight: _Float,
) -> None:
    """Gradient of ``embedding_forward`` for the whole matrix, overwritten; sums go in the order of rows and steps.

    The row ``padding_idx`` stays zero; -1 for none.
    """

def mean_pooling_forward(x: _Float, lengths: NDArray[np.int64] | None, out: _Float) -> None:
    """``out`` (N, F) = mean over each row's steps of ``x`` (N, T, F); zeros for a row without steps."""

def mean_pooling_backward(d_out: _Float, lengths: NDArray[np.int64] | None, d_x: _Float) -> None:
    """``d_x`` is written whole, zeros beyond each row's length; as by the two below."""

def max_pooling_forward(x: _Float, lengths: NDArray[np.int64] | None, out: _Float, best: NDArray[np.int64]) -> None:
    """``out`` (N, F) = largest over each row's steps, ``best`` (N, F) the first step that has it; 0, -1 without any."""

def max_pooling_backward(
    d_out: _Float, best: NDArray[np.int64], lengths: NDArray[np.int64] | None, d_x: _Float
) -> None: ...
def attention_pooling_forward(
    x: _Float,
    lengths: NDArray[np.int64] | None,
    weight: _Float,
    bias: _Float,
    query: _Float,
    hidden: _Float,
    alpha: _Float,
    out: _Float,
) -> None:
    """``out`` (N, F) = ``sum_t alpha[t] x[t]``, ``alpha`` (N, T) = softmax over each row's steps of the scores.

    The score of a step is ``query . tanh(weight x[t] + bias)``: weight (A, F), bias and query (A,). ``alpha`` is
    written whole, zeros beyond a row's length. ``hidden`` (N, T, A): room that ``backward`` wants as it was left.
    """

def attention_pooling_backward(
    x: _Float,
    lengths: NDArray[np.int64] | None,
    weight: _Float,
    query: _Float,
    hidden: _Float,
    alpha: _Float,
    d_out: _Float,
    d_x: _Float,
    d_weight: _Float,
    d_bias: _Float,
    d_query: _Float,
) -> None:
    """Gradients of ``attention_pooling_forward``; outputs are overwritten, and ``hidden`` too: once per forward."""

def softmax(logits: _Float, out: _Float) -> None:
    """Row-wise softmax of (N, C)."""

def softmax_cross_entropy(
    logits: _Float, target: NDArray[np.int64], weight: _Float | None, d_logits: _Float | None
) -> float:
    """Sum over rows of ``-weight * log softmax(logits)[target]`` (accumulated in float64) and its gradient."""

def squared_error(prediction: _Float, target: _Float, weight: _Float | None, d_prediction: _Float | None) -> float:
    """Sum over rows of ``weight * 0.5 * sum((prediction - target)**2)``: (N, K) both; and its gradient."""

def absolute_error(prediction: _Float, target: _Float, weight: _Float | None, d_prediction: _Float | None) -> float:
    """As ``squared_error``, of ``|prediction - target|``; its gradient at 0 is 0."""

def huber(
    prediction: _Float, target: _Float, weight: _Float | None, d_prediction: _Float | None, *, delta: float
) -> float:
    """As ``squared_error``, of ``0.5 * e**2`` where ``|e| <= delta``, else ``delta * (|e| - delta / 2)``."""

def quantile(
    prediction: _Float, target: _Float, weight: _Float | None, d_prediction: _Float | None, *, quantiles: _Float
) -> float:
    """As ``squared_error``, of ``max(q * -e, (1 - q) * e)`` with ``e = prediction - target``; its gradient at 0 is 0.

    ``quantiles`` (K,): the level q of each column, in (0, 1).
    """

def poisson(prediction: _Float, target: _Float, weight: _Float | None, d_prediction: _Float | None) -> float:
    """As ``squared_error``, of ``exp(prediction) - target * prediction``."""

def binary_cross_entropy(
    prediction: _Float, target: _Float, weight: _Float | None, d_prediction: _Float | None
) -> float:
    """As ``squared_error``, of ``log(1 + exp(z)) - target * z`` for logits z, without overflow or cancellation."""

def solver_step(
    solver: str,
    params: _Float,
    grads: _Float,
    slots: Sequence[_Float],
    options: dict[str, float],
) -> float:
    """Clip the gradient by its global norm, then update ``params`` in place, in one pass.

    ``solver``: "sgd", "adam", "adamw", "nadam", "rmsprop" or "adagrad". ``params``, ``grads`` and every slot are flat
    and of one size. ``slots``: sgd (velocity), adam, adamw and nadam (first and second moment), rmsprop (mean square,
    velocity), adagrad (sum of squares).
    ``options``: all of ``learning_rate``, ``max_grad_norm`` (inf for none), ``decay`` (L2 added to the clipped
    gradient; for adamw multiplied with the learning rate and taken from the weights), ``decay_size`` (only the first so
    many parameters decay), and per solver ``momentum``, ``nesterov`` (sgd: 0 or 1), ``beta_1``, ``beta_2``,
    ``epsilon``, ``step`` (adam, adamw, nadam: 1 at the first call), ``mu``, ``mu_next``, ``mu_product`` (nadam: the
    momentum of this step and of the next, the product of those of all steps up to this one), ``rho``, ``momentum``,
    ``epsilon`` (rmsprop), ``epsilon`` (adagrad).

    Returns the norm before clipping, summed in float64 in an order that depends on the size alone. A norm that is not
    finite leaves ``params`` and the slots untouched.
    """

def exp(x: _Float, out: _Float) -> None: ...
def sigmoid(x: _Float, out: _Float) -> None: ...
def tanh(x: _Float, out: _Float) -> None: ...
