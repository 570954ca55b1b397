"""Forward passes and training steps of single layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from grid import CELLS, GRID, Problem
from peers import Skrnn

SHAPES = ("step", "row-small", "tutorial", "small", "medium", "ragged")


def skrnn_layer(cell: str, shape: str, n_threads: int) -> Skrnn:
    return Skrnn(Problem(cell, GRID[shape]), n_threads)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("cell", CELLS)
def test_forward(benchmark: Any, cell: str, shape: str, n_threads: int) -> None:
    layer = skrnn_layer(cell, shape, n_threads)
    output, _ = benchmark(layer.forward)
    recorded = layer.layer.record(layer.X, layer.lengths).output
    np.testing.assert_array_equal(output, recorded)  # inference and training compute the same bits
    assert np.abs(output).max() <= 1.0


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("cell", CELLS)
def test_training_step(benchmark: Any, cell: str, shape: str, n_threads: int) -> None:
    layer = skrnn_layer(cell, shape, n_threads)
    grads = benchmark(layer.train)
    # Backpropagation is linear in the gradient it starts from, and halving it is exact.
    half = layer.layer.record(layer.X, layer.lengths).backward(layer.d_output * np.float32(0.5))
    for name, value in half.weights.items():
        np.testing.assert_array_equal(grads.weights[name], 2 * value, err_msg=name)
    np.testing.assert_array_equal(grads.X, 2 * half.X)
