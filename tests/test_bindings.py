"""The compiled core is strict: whatever does not fit raises at the border and names the argument.

A table of arguments and a table of faults; every function is tried with every fault in every argument.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from cases import Array
from running import assert_same_bits, python
from skrnn import _core

N, T, I, H, O = 4, 5, 3, 6, 2  # noqa: E741
GATES = 4  # an LSTM serves here: it has two states, so lists of states can be wrong too


@dataclass
class Call:
    """One function with arguments that fit: try it, or try it with one of them replaced."""

    function: Callable[..., Any]
    arguments: dict[str, Any]
    outputs: tuple[str, ...] = ()
    may_be_none: tuple[str, ...] = ()
    strided: tuple[str, ...] = ()
    """Arguments whose first two axes may have any strides."""
    any_width: tuple[str, ...] = ()
    """Arguments that decide their own last size."""
    any_height: tuple[str, ...] = ()
    """... their own first size."""

    def __call__(self, **replaced: Any) -> Any:
        return self.function(**{**self.arguments, **replaced})

    def array_names(self) -> list[str]:
        return [name for name, value in self.arguments.items() if isinstance(value, np.ndarray)]

    def sequences(self) -> list[str]:
        return [name for name, value in self.arguments.items() if isinstance(value, list)]


def ones(*shape: int, dtype: str = "float32") -> Array:
    return np.ones(shape, dtype)


def make_weights(dtype: str = "float32", **replaced: Any) -> _core.RecurrentWeights:
    arguments = {
        "weight_ih": ones(GATES * H, I, dtype=dtype),
        "weight_hh": ones(GATES * H, H, dtype=dtype),
        "bias_ih": ones(GATES * H, dtype=dtype),
        "bias_hh": ones(GATES * H, dtype=dtype),
        "training": True,
        **replaced,
    }
    return _core.RecurrentWeights("lstm", "tanh", **arguments)


def call_weights() -> Call:
    return Call(
        lambda **arguments: make_weights(**arguments),
        {
            "weight_ih": ones(GATES * H, I),
            "weight_hh": ones(GATES * H, H),
            "bias_ih": ones(GATES * H),
            "bias_hh": ones(GATES * H),
        },
        any_width=("weight_ih",),
    )


def forward_arguments() -> dict[str, Any]:
    return {
        "x": ones(N, T, I),
        "lengths": np.full(N, T, np.int64),
        "reverse": False,
        "state": [ones(N, H), ones(N, H)],
        "output": ones(N, T, H),
        "final_state": [ones(N, H), ones(N, H)],
    }


def call_forward() -> Call:
    return Call(
        make_weights().forward,
        forward_arguments(),
        outputs=("output", "final_state"),
        may_be_none=("lengths", "state", "output", "final_state"),
        strided=("x", "output"),
    )


def call_record() -> Call:
    return Call(
        make_weights().record,
        forward_arguments(),
        outputs=("output", "final_state"),
        may_be_none=("lengths", "state", "output", "final_state"),
        strided=("x", "output"),
    )


def call_backward() -> Call:
    def backward(**arguments: Any) -> None:
        tape = make_weights().record(ones(N, T, I), None, False, None, None, None)
        tape.backward(**arguments)

    return Call(
        backward,
        {
            "d_output": ones(N, T, H),
            "d_final_state": [ones(N, H), ones(N, H)],
            "d_x": ones(N, T, I),
            "d_state": [ones(N, H), ones(N, H)],
            "d_weight_ih": ones(GATES * H, I),
            "d_weight_hh": ones(GATES * H, H),
            "d_bias_ih": ones(GATES * H),
            "d_bias_hh": ones(GATES * H),
        },
        outputs=("d_x", "d_state", "d_weight_ih", "d_weight_hh", "d_bias_ih", "d_bias_hh"),
        may_be_none=("d_output", "d_final_state", "d_x", "d_state"),
        strided=("d_output", "d_x"),
    )


def call_dense_forward() -> Call:
    return Call(
        _core.dense_forward,
        {"x": ones(N, I), "weight": ones(O, I), "bias": ones(O), "out": ones(N, O)},
        outputs=("out",),
        may_be_none=("bias",),
    )


def call_dense_backward() -> Call:
    return Call(
        _core.dense_backward,
        {
            "x": ones(N, I),
            "weight": ones(O, I),
            "d_out": ones(N, O),
            "d_x": ones(N, I),
            "d_weight": ones(O, I),
            "d_bias": ones(O),
        },
        outputs=("d_x", "d_weight", "d_bias"),
        may_be_none=("d_x", "d_bias"),
    )


def call_softmax() -> Call:
    return Call(_core.softmax, {"logits": ones(N, O), "out": ones(N, O)}, outputs=("out",))


def call_softmax_cross_entropy() -> Call:
    return Call(
        _core.softmax_cross_entropy,
        {
            "logits": ones(N, O),
            "target": np.zeros(N, np.int64),
            "weight": ones(N),
            "d_logits": ones(N, O),
        },
        outputs=("d_logits",),
        may_be_none=("weight", "d_logits"),
    )


def loss_of_elements(loss: Callable[..., float], **options: Any) -> Call:
    return Call(
        loss,
        {
            "prediction": ones(N, O),
            "target": ones(N, O),
            "weight": ones(N),
            "d_prediction": ones(N, O),
            **options,
        },
        outputs=("d_prediction",),
        may_be_none=("weight", "d_prediction"),
    )


def call_squared_error() -> Call:
    return loss_of_elements(_core.squared_error)


def call_absolute_error() -> Call:
    return loss_of_elements(_core.absolute_error)


def call_poisson() -> Call:
    return loss_of_elements(_core.poisson)


def call_binary_cross_entropy() -> Call:
    return loss_of_elements(_core.binary_cross_entropy)


def call_huber() -> Call:
    return loss_of_elements(_core.huber, delta=1.0)


def call_quantile() -> Call:
    return loss_of_elements(_core.quantile, quantiles=np.full(O, 0.5, np.float32))


def tokens() -> Array:
    return np.ones((N, T), np.int64)


def lengths() -> Array:
    return np.full(N, T, np.int64)


def call_embedding_forward() -> Call:
    return Call(
        _core.embedding_forward,
        {"tokens": tokens(), "lengths": lengths(), "weight": ones(7, I), "out": ones(N, T, I)},
        outputs=("out",),
        may_be_none=("lengths",),
        any_height=("weight",),
    )


def call_embedding_backward() -> Call:
    return Call(
        _core.embedding_backward,
        {"tokens": tokens(), "lengths": lengths(), "d_out": ones(N, T, I), "padding_idx": 0, "d_weight": ones(7, I)},
        outputs=("d_weight",),
        may_be_none=("lengths",),
        any_height=("d_weight",),
    )


def call_mean_pooling_forward() -> Call:
    return Call(
        _core.mean_pooling_forward,
        {"x": ones(N, T, I), "lengths": lengths(), "out": ones(N, I)},
        outputs=("out",),
        may_be_none=("lengths",),
    )


def call_mean_pooling_backward() -> Call:
    return Call(
        _core.mean_pooling_backward,
        {"d_out": ones(N, I), "lengths": lengths(), "d_x": ones(N, T, I)},
        outputs=("d_x",),
        may_be_none=("lengths",),
    )


def call_max_pooling_forward() -> Call:
    return Call(
        _core.max_pooling_forward,
        {"x": ones(N, T, I), "lengths": lengths(), "out": ones(N, I), "best": np.ones((N, I), np.int64)},
        outputs=("out", "best"),
        may_be_none=("lengths",),
    )


def call_max_pooling_backward() -> Call:
    return Call(
        _core.max_pooling_backward,
        {"d_out": ones(N, I), "best": np.ones((N, I), np.int64), "lengths": lengths(), "d_x": ones(N, T, I)},
        outputs=("d_x",),
        may_be_none=("lengths",),
    )


def attention_arguments() -> dict[str, Any]:
    return {
        "x": ones(N, T, I),
        "lengths": lengths(),
        "weight": ones(O, I),
        "query": ones(O),
        "hidden": ones(N, T, O),
        "alpha": ones(N, T),
    }


def call_attention_pooling_forward() -> Call:
    return Call(
        _core.attention_pooling_forward,
        {**attention_arguments(), "bias": ones(O), "out": ones(N, I)},
        outputs=("hidden", "alpha", "out"),
        may_be_none=("lengths",),
    )


def call_attention_pooling_backward() -> Call:
    return Call(
        _core.attention_pooling_backward,
        {
            **attention_arguments(),
            "d_out": ones(N, I),
            "d_x": ones(N, T, I),
            "d_weight": ones(O, I),
            "d_bias": ones(O),
            "d_query": ones(O),
        },
        outputs=("hidden", "d_x", "d_weight", "d_bias", "d_query"),
        may_be_none=("lengths",),
    )


SGD = {
    "learning_rate": 0.1,
    "max_grad_norm": float("inf"),
    "decay": 0.0,
    "decay_size": 9.0,
    "momentum": 0.9,
    "nesterov": 0.0,
}


def call_solver_step() -> Call:
    def step(**arguments: Any) -> float:
        return _core.solver_step("sgd", options=SGD, **arguments)

    return Call(
        step,
        {"params": ones(9), "grads": ones(9), "slots": [ones(9)]},
        outputs=("params", "slots"),
    )


def call_exp() -> Call:
    return Call(_core.exp, {"x": ones(7), "out": ones(7)}, outputs=("out",))


def call_sigmoid() -> Call:
    return Call(_core.sigmoid, {"x": ones(7), "out": ones(7)}, outputs=("out",))


def call_tanh() -> Call:
    return Call(_core.tanh, {"x": ones(7), "out": ones(7)}, outputs=("out",))


CALLS = {name.removeprefix("call_"): make for name, make in list(globals().items()) if name.startswith("call_")}


# ---------------------------------------------------------------------------------------------------------------------
# Faults: what becomes of a good array, and the words that must be in the complaint
# ---------------------------------------------------------------------------------------------------------------------


def other_dtype(array: Array) -> Array:
    return array.astype(np.int32 if array.dtype == np.int64 else np.float16)


def integers(array: Array) -> Array:
    return array.astype(np.float32 if array.dtype == np.int64 else np.int64)


def byte_swapped(array: Array) -> Array:
    return array.astype(array.dtype.newbyteorder())


def one_axis_more(array: Array) -> Array:
    return array[None]


def one_axis_less(array: Array) -> Array:
    return array[0]


def longer(array: Array) -> Array:
    return np.ones((array.shape[0] + 1, *array.shape[1:]), array.dtype)


def wider(array: Array) -> Array:
    return np.ones((*array.shape[:-1], array.shape[-1] + 1), array.dtype)


def last_axis_strided(array: Array) -> Array:
    return np.ones((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)[..., ::2]


def unaligned(array: Array) -> Array:
    raw = np.zeros(array.nbytes + 1, np.uint8)[1:]
    found = raw.view(array.dtype).reshape(array.shape)
    assert not found.flags.aligned
    return found


def a_list(array: Array) -> Any:
    return array.tolist()


def a_string(array: Array) -> Any:
    return "array"


FAULTS = [
    other_dtype,
    integers,
    byte_swapped,
    one_axis_more,
    one_axis_less,
    longer,
    wider,
    last_axis_strided,
    unaligned,
    a_list,
    a_string,
]


@pytest.fixture(params=CALLS)
def call(request: pytest.FixtureRequest) -> Call:
    return CALLS[request.param]()


def test_good_arguments_pass(call: Call) -> None:
    """And what is only read is the same afterwards."""
    before = copy.deepcopy(call.arguments)
    call()
    for name in call.may_be_none:
        call(**{name: None})
    for name in call.arguments.keys() - set(call.outputs):
        assert_unchanged(call.arguments[name], before[name], name)


def assert_unchanged(got: Any, want: Any, name: str) -> None:
    pairs = zip(got, want, strict=True) if isinstance(want, list) else [(got, want)]
    for one, other in pairs:
        if isinstance(other, np.ndarray):
            assert_same_bits(one, other, name)
        else:
            assert one == other, name


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.__name__)
def test_arrays(call: Call, fault: Callable[[Array], Any]) -> None:
    for name in call.array_names():
        if name in {wider: call.any_width, longer: call.any_height}.get(fault, ()):
            continue
        bad = fault(call.arguments[name])
        with pytest.raises((ValueError, TypeError)) as caught:
            call(**{name: bad})
        # A size that does not fit is a quarrel of two; either may be named. All else is one argument's own fault.
        names = call.array_names() if fault in (longer, wider) else [name]
        assert re.search(rf"\b({'|'.join(names)})\b", str(caught.value)), f"{name}: {caught.value}"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.__name__)
def test_arrays_in_lists(call: Call, fault: Callable[[Array], Any]) -> None:
    for name in call.sequences():
        for k in range(len(call.arguments[name])):
            bad = list(call.arguments[name])
            bad[k] = fault(bad[k])
            with pytest.raises((ValueError, TypeError), match=name):
                call(**{name: bad})


def test_lists_of_the_wrong_length(call: Call) -> None:
    for name in call.sequences():
        good = call.arguments[name]
        for bad in ([], good[:-1], [*good, good[0]]):
            with pytest.raises((ValueError, TypeError), match=name):
                call(**{name: bad})


def test_none_where_an_array_must_be(call: Call) -> None:
    for name in [*call.array_names(), *call.sequences()]:
        if name not in call.may_be_none:
            with pytest.raises((ValueError, TypeError), match=name):
                call(**{name: None})


def test_read_only_outputs(call: Call) -> None:
    for name in call.outputs:
        good = call.arguments[name]
        if isinstance(good, list):
            bad: Any = [array.copy() for array in good]
            bad[-1].flags.writeable = False
        else:
            bad = good.copy()
            bad.flags.writeable = False
        with pytest.raises((ValueError, TypeError), match=name):
            call(**{name: bad})


def test_read_only_inputs_are_welcome(call: Call) -> None:
    for name in call.array_names():
        if name not in call.outputs:
            good = call.arguments[name].copy()
            good.flags.writeable = False
            call(**{name: good})
            assert_same_bits(good, call.arguments[name], name)


def test_columns_must_be_contiguous_unless_said_otherwise(call: Call) -> None:
    """Strides of the first axes: free where documented, refused elsewhere; never a silent copy."""
    for name in call.array_names():
        good = call.arguments[name]
        if good.ndim < 2:
            continue
        store = np.full((2 * good.shape[0], *good.shape[1:]), 3, good.dtype)
        view = store[::2]
        view[...] = good
        if name in call.strided:
            call(**{name: view})
            assert np.all(store[1::2] == 3), name
        else:
            with pytest.raises((ValueError, TypeError), match=name):
                call(**{name: view})


def test_messages_say_what_was_expected_and_what_came() -> None:
    forward = call_forward()
    with pytest.raises(ValueError, match=r"x\b.*3.*\b5\b|x\b.*\b5\b.*3"):
        forward(x=ones(N, T, 5))  # the layer's input size is 3
    with pytest.raises((ValueError, TypeError), match=r"(?s)x\b.*float32.*float64"):
        forward(x=ones(N, T, I, dtype="float64"))
    with pytest.raises(ValueError, match=r"(?s)output\b.*4, 5, 6.*4, 5, 7"):
        forward(output=ones(N, T, H + 1))
    with pytest.raises(ValueError, match=r"(?s)lengths\b.*9"):
        forward(lengths=np.array([1, 2, 9, 0]))


def test_precisions_do_not_mix(call: Call) -> None:
    """One float64 among float32 is an error, in whichever argument it comes."""
    for name in call.array_names():
        good = call.arguments[name]
        if good.dtype == np.float32 and len(call.array_names()) + len(call.sequences()) > 1:
            with pytest.raises((ValueError, TypeError)) as caught:
                call(**{name: good.astype(np.float64)})
            assert "float64" in str(caught.value)


@pytest.mark.parametrize("bad", [-1, T + 1, 2**62, -(2**63)])
def test_lengths_out_of_range(bad: int) -> None:
    wrong = lengths()
    wrong[2] = bad
    for make in CALLS.values():
        call = make()
        if "lengths" in call.arguments:
            with pytest.raises(ValueError, match=r"lengths must be between 0 and T = 5, .* for row 2"):
                call(lengths=wrong)


@pytest.mark.parametrize("bad", [-1, 7, 2**40, -(2**63)])
def test_tokens_out_of_range(bad: int) -> None:
    wrong = tokens()
    wrong[2, 3] = bad
    for make in (call_embedding_forward, call_embedding_backward):
        with pytest.raises(ValueError, match=rf"tokens must be between 0 and V - 1 = 6, got {bad} at row 2, step 3"):
            make()(tokens=wrong)
        make()(tokens=wrong, lengths=np.array([5, 5, 3, 5]))  # never read
    for padding in (-2, 7):
        with pytest.raises(ValueError, match="padding_idx"):
            call_embedding_backward()(padding_idx=padding)


@pytest.mark.parametrize("bad", [-1, T, 2**40])
def test_maxima_that_are_no_steps(bad: int) -> None:
    """Whoever calls backward with an array of their own must not write elsewhere."""
    best = np.ones((N, I), np.int64)
    best[2, 1] = bad
    with pytest.raises(ValueError, match="best must hold steps of its row, got"):
        call_max_pooling_backward()(best=best)
    call_max_pooling_backward()(best=best, lengths=np.array([5, 5, 0, 5]))


@pytest.mark.parametrize("bad", [-1, O, 2**40, -(2**63)])
def test_targets_out_of_range(bad: int) -> None:
    target = np.zeros(N, np.int64)
    target[1] = bad
    with pytest.raises(ValueError, match="target"):
        call_softmax_cross_entropy()(target=target)


def test_unknown_names() -> None:
    arrays = [ones(GATES * H, I), ones(GATES * H, H), ones(GATES * H), ones(GATES * H)]
    with pytest.raises(ValueError, match=r"cell(?=.*'lstn')(?=.*'lstm')"):
        _core.RecurrentWeights("lstn", "tanh", *arrays)
    with pytest.raises(ValueError, match=r"activation(?=.*'tanhh')(?=.*'tanh')"):
        _core.RecurrentWeights("lstm", "tanhh", *arrays)
    with pytest.raises(ValueError, match=r"solver(?=.*'adamm')(?=.*'adam')"):
        _core.solver_step("adamm", ones(3), ones(3), [ones(3)], SGD)


def test_weights_that_do_not_fit_each_other() -> None:
    good = call_weights().arguments
    with pytest.raises(ValueError, match="weight_hh"):
        make_weights(weight_hh=ones(GATES * H, H + 1))
    with pytest.raises(ValueError, match="weight_"):
        make_weights(weight_ih=good["weight_ih"][:-1])  # no whole number of units
    with pytest.raises(ValueError, match="bias_hh"):
        make_weights(bias_hh=ones(GATES * H + 1))


def test_sizes_of_zero() -> None:
    """No units makes no layer. No input, no rows and no steps are sizes like others, or are refused by name."""
    with pytest.raises(ValueError, match="weight_hh"):
        _core.RecurrentWeights("rnn", "tanh", ones(0, 3), ones(0, 0), ones(0), ones(0))
    empty = np.ones((0, T, I), np.float32)
    final = [ones(0, H), ones(0, H)]
    make_weights().forward(empty, None, False, None, ones(0, T, H), final)
    final = [np.full((N, H), np.nan, np.float32) for _ in range(2)]
    state = [np.full((N, H), k, np.float32) for k in range(2)]
    make_weights().forward(ones(N, 0, I), None, False, state, ones(N, 0, H), final)
    assert_same_bits(final, state)


def test_sizes_beyond_all_memory() -> None:
    """Rows without end (a stride of zero) raise; the process lives on and computes."""
    python(
        """
import resource
import numpy as np
from skrnn import _core

weights = _core.RecurrentWeights(
    "rnn", "tanh", *(np.ones(s, np.float32) for s in [(6, 3), (6, 6), 6, 6]), training=True
)
one = np.ones((1, 1, 3), np.float32)
resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))  # in case the system promises any amount
for shape in [(2**40, 1, 3), (1, 2**40, 3), (2**31, 2**31, 3)]:
    try:
        weights.record(np.broadcast_to(one, shape), None, False, None, None, None)
    except (MemoryError, ValueError, OverflowError):
        pass
    else:
        raise AssertionError(shape)
out = np.zeros((1, 1, 6), np.float32)
weights.forward(one, None, False, None, out, None)
assert np.all(out > 0.99)
"""
    )


def test_record_needs_training_weights() -> None:
    with pytest.raises((ValueError, RuntimeError), match="training"):
        make_weights(training=False).record(ones(N, T, I), None, False, None, None, None)


def test_backward_wants_the_shapes_that_were_recorded() -> None:
    backward = call_backward()
    with pytest.raises(ValueError, match="d_output"):
        backward(d_output=ones(N, T - 1, H))
    with pytest.raises(ValueError, match="d_x"):
        backward(d_x=ones(N + 1, T, I))


def test_a_refused_backward_leaves_the_tape_playable() -> None:
    tape = make_weights().record(ones(N, T, I), None, False, None, None, None)
    good = call_backward().arguments
    with pytest.raises(ValueError, match="d_output"):
        tape.backward(**{**good, "d_output": ones(N, T, H + 1)})
    tape.backward(**good)


def test_a_tape_keeps_its_input_alive() -> None:
    """The tape borrows x; whoever made x may forget it."""
    good = call_backward().arguments
    rng = np.random.default_rng(0)
    values = rng.standard_normal((N, T, I)).astype(np.float32)
    answers = []
    for kept in (True, False):
        x = values.copy()
        tape = make_weights().record(x, None, False, None, None, None)
        if not kept:
            del x
            rubbish = [np.full((N, T, I), 9, np.float32) for _ in range(100)]  # to take its place
        out = {name: np.zeros_like(a) if isinstance(a, np.ndarray) else a for name, a in good.items()}
        tape.backward(**{**out, "d_output": ones(N, T, H)})
        answers.append(out["d_weight_ih"])
    del rubbish
    assert_same_bits(*answers)


def test_missing_solver_options_are_named() -> None:
    for name in SGD:
        with pytest.raises((ValueError, KeyError), match=name):
            _core.solver_step("sgd", ones(9), ones(9), [ones(9)], {k: v for k, v in SGD.items() if k != name})


def test_weights_cannot_be_changed() -> None:
    weights = make_weights()
    for name in ("cell", "activation", "isa", "input_size", "hidden_size", "nbytes"):
        with pytest.raises(AttributeError):
            setattr(weights, name, 1)
    assert (weights.cell, weights.activation) == ("lstm", "tanh")
    assert (weights.input_size, weights.hidden_size) == (I, H)
    assert weights.nbytes >= 4 * GATES * H * (I + H + 1)


def test_weights_are_copied() -> None:
    """Packed at construction: what the arrays hold afterwards does not matter."""
    arrays = {name: a.copy() for name, a in call_weights().arguments.items()}
    weights = make_weights(**arrays)
    before = np.zeros((N, T, H), np.float32)
    weights.forward(ones(N, T, I), None, False, None, before, None)
    for array in arrays.values():
        array[...] = np.nan
    after = np.zeros_like(before)
    weights.forward(ones(N, T, I), None, False, None, after, None)
    assert_same_bits(after, before)
