"""How far two correct computations may lie apart.

A sum of n rounded terms of order 1 has an error that grows, for random roundings, like the square root of n and, in
the worst case, like n. Long experience with recurrent kernels says that a few times log2(n) roundings are enough
in practice when everything stays of order 1, and that no wrong formula hides below it: a missing term, a stale state
or a misplaced bias shows at 1e-3 and more. So the allowance here is

    2 * ceil(log2(work)) * eps * size

where ``work`` counts the terms that meet in one number (the depth of the products, times the steps and layers that
are chained), ``eps`` is the spacing of the precision at 1, and ``size`` is the largest magnitude in the expected
array, at least 1. Running the reference itself in float32 uses at most a tenth to a fifth of it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cases import Array, Problem


def depth(problem: Problem) -> int:
    """Terms of the longest sum of one step: input, state and two biases."""
    case = problem.case
    below = case.hidden_size * problem.n_directions if case.num_layers > 1 else 0
    return max(case.input_size, below) + case.hidden_size + 2


def size(array: Array) -> float:
    return float(max(1.0, np.max(np.abs(array), initial=0.0)))


def allowance(work: int, dtype: Any) -> float:
    return 2 * math.ceil(math.log2(max(work, 2))) * float(np.finfo(dtype).eps)


def forward_tolerance(problem: Problem, dtype: Any) -> float:
    """For outputs and states, to be multiplied with their size."""
    case = problem.case
    return allowance(depth(problem) * max(case.n_steps, 1) * case.num_layers, dtype)


def backward_tolerance(problem: Problem, dtype: Any) -> float:
    """For gradients: the way there and back again, and sums over all the steps of all rows."""
    case = problem.case
    gates = len(problem.weights["bias_hh_l0"]) // case.hidden_size
    work = 2 * gates * depth(problem) * max(case.n_steps, 1) * max(case.n_rows, 1) * case.num_layers
    return 2 * allowance(work, dtype)


def assert_close(got: Array, want: Array, tolerance: float, what: str = "") -> None:
    """Equal up to ``tolerance`` times the size of what is wanted; shapes must agree, nothing broadcasts."""
    assert got.shape == want.shape, f"{what}: shape {got.shape}, expected {want.shape}"
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * size(want), err_msg=what)
