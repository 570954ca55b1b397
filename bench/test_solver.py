"""One solver step on a flat vector of parameters: bound by memory, so its figure of merit is bytes per second."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skrnn import _core

SIZE = 400_000  # parameters of an LSTM with I = 64, H = 256, and somewhat more

OPTIONS = {"learning_rate": 1e-3, "max_grad_norm": 1.0, "decay": 1e-4, "decay_size": SIZE}
SOLVERS: dict[str, tuple[int, dict[str, float]]] = {  # slots, further options
    "sgd": (1, {"momentum": 0.9, "nesterov": 1}),
    "adam": (2, {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "step": 1}),
    "adamw": (2, {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "step": 1}),
    "nadam": (
        2,
        {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "step": 1, "mu": 0.5, "mu_next": 0.5, "mu_product": 0.5},
    ),
    "adagrad": (1, {"epsilon": 1e-10}),
    "rmsprop": (2, {"rho": 0.99, "momentum": 0.0, "epsilon": 1e-8}),
}


@pytest.mark.parametrize("solver", SOLVERS)
def test_solver_step(benchmark: Any, solver: str) -> None:
    n_slots, options = SOLVERS[solver]
    rng = np.random.default_rng(0)
    params = rng.standard_normal(SIZE, dtype=np.float32)
    grads = rng.standard_normal(SIZE, dtype=np.float32)
    slots = [np.zeros(SIZE, dtype=np.float32) for _ in range(n_slots)]
    before = params.copy()
    norm = benchmark(_core.solver_step, solver, params, grads, slots, {**OPTIONS, **options})
    np.testing.assert_allclose(norm, np.linalg.norm(grads.astype(np.float64)), rtol=1e-12)
    # All those steps with one and the same gradient went against it (decay is too small to turn any large one).
    moved = np.sign(params - before) * np.sign(grads)
    assert (moved[np.abs(grads) > 0.1] < 0).mean() > 0.99
