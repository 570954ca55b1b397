"""The embedding layer: look-up and its gradient against NumPy and PyTorch."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from cases import Array
from running import assert_same_bits
from skrnn.nn import SGD, Embedding, Parameters, Recurrent
from skrnn.testing import gradcheck
from tolerances import allowance, assert_close

V = 11


def batch(rng: np.random.Generator, n_rows: int, n_steps: int, n_features: int) -> tuple[Array, Array, Array]:
    """Tokens with rubbish beyond each length, lengths from 0 to all, and a gradient with NaN beyond each length."""
    tokens = rng.integers(0, V, (n_rows, n_steps))
    lengths = rng.integers(0, n_steps + 1, n_rows)
    lengths[-1] = 0
    lengths[0] = n_steps
    d_output = rng.standard_normal((n_rows, n_steps, n_features)).astype(np.float32).astype(np.float64)
    beyond = np.arange(n_steps) >= lengths[:, None]
    tokens[beyond] = -99
    d_output[beyond] = np.nan
    return tokens, lengths, d_output


@pytest.mark.parametrize("size", [(1, 1, 1), (4, 1, 5), (7, 6, 17), (9, 40, 33)], ids=str)
@pytest.mark.parametrize("padding_idx", [None, 0, V - 1])
def test_embedding(
    dtype: str, isa: str, size: tuple[int, int, int], padding_idx: int | None, rng: np.random.Generator
) -> None:
    n_rows, n_steps, n_features = size
    tokens, lengths, d_output = batch(rng, n_rows + 1, n_steps, n_features)
    layer = Embedding(V, n_features, padding_idx=padding_idx, dtype=dtype, random_state=3)
    weight = layer.weights["weight"]
    tape = layer.record(tokens, lengths)
    assert tape.output.dtype == dtype
    gradient = tape.backward(d_output.astype(dtype)).weights["weight"]

    want, d_weight = np.zeros_like(tape.output), np.zeros((V, n_features))
    for n, length in enumerate(lengths):
        want[n, :length] = weight[tokens[n, :length]]
        for t in range(length):
            if tokens[n, t] != padding_idx:
                d_weight[tokens[n, t]] += d_output[n, t]
    assert_same_bits(tape.output, want)
    assert_same_bits(layer.forward(tokens, lengths), want)
    work = n_rows * n_steps
    assert_close(gradient, d_weight, work**0.5 * allowance(work, dtype), "weight")
    if padding_idx is not None:
        assert not gradient[padding_idx].any()
        assert not weight[padding_idx].any()


def test_embedding_by_differences(isa: str, rng: np.random.Generator) -> None:
    tokens, lengths, d_output = batch(rng, 4, 5, 3)
    layer = Embedding(V, 3, dtype="float64")
    d_output = np.nan_to_num(d_output)
    gradient = layer.record(tokens, lengths).backward(d_output).weights["weight"]
    gradcheck(lambda _: float(np.sum(layer.forward(tokens, lengths) * d_output)), layer.weights["weight"], gradient)


def test_sums_go_in_the_order_of_rows_and_steps(isa: str) -> None:
    """Rounded so that any other order shows."""
    big, one = np.float32(2**24), np.float32(1)
    d_output = np.array([[[big], [one]], [[-big], [one]]], np.float32)
    layer = Embedding(2, 1)
    gradient = layer.record(np.ones((2, 2), int)).backward(d_output).weights["weight"]
    assert gradient[1, 0] == 1.0  # ((big + 1) - big) + 1, the first 1 rounded away


@pytest.mark.parametrize("padding_idx", [None, 4])
def test_torch(dtype: str, padding_idx: int | None, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    tokens = rng.integers(0, V, (6, 9))
    d_output = rng.standard_normal((6, 9, 5)).astype(dtype)
    layer = Embedding(V, 5, padding_idx=padding_idx, dtype=dtype)
    theirs = torch.nn.Embedding(V, 5, padding_idx=padding_idx, dtype=getattr(torch, dtype))
    layer.load_weights({name: w.numpy() for name, w in theirs.state_dict().items()})
    tape = layer.record(tokens)
    their_output = theirs(torch.tensor(tokens))
    their_output.backward(torch.tensor(d_output))
    np.testing.assert_array_equal(tape.output, their_output.detach().numpy())
    gradient = tape.backward(d_output).weights["weight"]
    assert_close(gradient, theirs.weight.grad.numpy(), 9**0.5 * allowance(9, dtype), "weight")


def test_first_values(dtype: str) -> None:
    weight = Embedding(500, 40, padding_idx=3, dtype=dtype, random_state=1).weights["weight"]
    assert not weight[3].any()
    others = np.delete(weight, 3, axis=0)
    n = others.size
    # 5 standard errors of the mean and of the variance
    assert abs(others.mean()) < 5 / n**0.5
    assert abs(others.var() - 1) < 5 * (2 / n) ** 0.5
    assert_same_bits(Embedding(500, 40, padding_idx=3, dtype=dtype, random_state=1).weights["weight"], weight)
    assert not np.array_equal(Embedding(500, 40, padding_idx=3, dtype=dtype, random_state=2).weights["weight"], weight)


def test_it_joins_other_layers(dtype: str) -> None:
    embedding = Embedding(V, 4, padding_idx=0, dtype=dtype)
    recurrent = Recurrent("gru", input_size=4, hidden_size=5, dtype=dtype)
    parameters = Parameters.join({"embedding.": embedding, "": recurrent})
    gradients = parameters.like()
    tokens, lengths = np.array([[3, 1, 4], [1, 0, 0]]), [3, 1]
    lower = embedding.record(tokens, lengths)
    upper = recurrent.record(lower.output, lengths)
    d_tokens = upper.backward(np.ones_like(upper.output), out=gradients).X
    lower.backward(d_tokens, out=gradients)
    d_weight = gradients.views["embedding.weight"]
    np.testing.assert_array_equal(np.flatnonzero(d_weight.any(axis=1)), [1, 3, 4])
    SGD(parameters, decay=0.1).step(gradients)
    assert not embedding.weights["weight"][0].any(), "padding stays zero"
    loaded = pickle.loads(pickle.dumps(embedding))
    assert_same_bits(loaded.forward(tokens, lengths), embedding.forward(tokens, lengths))
    assert loaded.padding_idx == 0


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.uint32, np.uint64])
def test_any_integers(kind: Any) -> None:
    layer = Embedding(V, 3)
    tokens = np.array([[1, 2], [3, 10]])
    assert_same_bits(layer.forward(tokens.astype(kind)), layer.forward(tokens))


def test_what_does_not_fit_is_refused() -> None:
    layer = Embedding(V, 3)
    with pytest.raises(ValueError, match="tokens must be between 0 and V - 1 = 10, got 11 at row 1, step 2"):
        layer.forward([[0, 1, 2], [3, 4, 11]])
    with pytest.raises(ValueError, match="tokens must be between"):
        layer.forward(np.array([[2**64 - 1]], np.uint64))
    with pytest.raises(TypeError, match="tokens must be integers, got dtype float64"):
        layer.forward([[0.0]])
    with pytest.raises(ValueError, match="tokens must have 2 dimensions, got 1"):
        layer.forward([1, 2])
    with pytest.raises(ValueError, match="lengths must be between 0 and the 2"):
        layer.forward([[1, 2]], lengths=[3])
    with pytest.raises(ValueError, match=r"d_output must have shape \(1, 2, 3\)"):
        layer.record([[1, 2]]).backward(np.zeros((1, 2, 4), np.float32))
    with pytest.raises(ValueError, match="padding_idx must be less than num_embeddings=11, got 11"):
        Embedding(V, 3, padding_idx=V)
    for bad in ({"num_embeddings": 0, "embedding_dim": 3}, {"num_embeddings": 3, "embedding_dim": 0}):
        with pytest.raises(ValueError, match="must be greater than zero"):
            Embedding(**bad)
