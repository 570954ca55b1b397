"""The same network in PyTorch, for the tests that hold us to it. They skip themselves where torch is absent."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from cases import Array, Problem

SHARED = [("rnn", "tanh"), ("rnn", "relu"), ("lstm", "tanh"), ("gru", "tanh")]
"""The cells and activations that PyTorch has too."""


class Answer(NamedTuple):
    output: Array
    state: tuple[Array, ...]
    grad_X: Array
    grad_state: tuple[Array, ...]
    grad_weights: dict[str, Array]


def run(problem: Problem, dtype: str = "float64") -> Answer:
    """Forward and backward; the loss is sum(output * d_output) + sum(state * d_state).

    Packed sequences refuse rows of length 0, so the case must have none.
    """
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    case = problem.case
    assert (problem.cell, case.activation) in SHARED
    torch_dtype = getattr(torch, dtype)
    options = {"nonlinearity": case.activation} if problem.cell == "rnn" else {}
    module = getattr(torch.nn, problem.cell.upper())(
        input_size=case.input_size,
        hidden_size=case.hidden_size,
        num_layers=case.num_layers,
        bidirectional=case.bidirectional,
        batch_first=True,
        dtype=torch_dtype,
        **options,
    )
    module.load_state_dict({name: torch.tensor(value) for name, value in problem.weights.items()})

    def leaf(array: Array) -> Any:
        return torch.tensor(array, dtype=torch_dtype, requires_grad=True)

    X = leaf(problem.X)
    if problem.state is None:
        shape = problem.d_state[0].shape
        state = tuple(leaf(np.zeros(shape)) for _ in problem.d_state)
    else:
        state = tuple(leaf(s) for s in problem.state)
    hx: Any = state if len(state) > 1 else state[0]
    if problem.lengths is None:
        output, final = module(X, hx)
    else:
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            X, torch.tensor(problem.lengths), batch_first=True, enforce_sorted=False
        )
        output, final = module(packed, hx)
        output, _ = torch.nn.utils.rnn.pad_packed_sequence(output, batch_first=True, total_length=X.shape[1])
    if len(state) == 1:
        final = (final,)
    loss = (output * torch.tensor(problem.d_output, dtype=torch_dtype)).sum()
    for s, d in zip(final, problem.d_state, strict=True):
        loss = loss + (s * torch.tensor(d, dtype=torch_dtype)).sum()
    loss.backward()

    def numpy(tensor: Any) -> Array:
        return tensor.detach().numpy()

    return Answer(
        output=numpy(output),
        state=tuple(numpy(s) for s in final),
        grad_X=numpy(X.grad),
        grad_state=tuple(numpy(s.grad) for s in state),
        grad_weights={name: numpy(p.grad) for name, p in module.named_parameters()},
    )
