"""Solvers: the textbook's update, written in NumPy, and PyTorch's."""

from __future__ import annotations

import contextlib
import math
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from cases import Array
from running import assert_same_bits
from skrnn import _core
from skrnn.nn import SGD, Adagrad, Adam, AdamW, NAdam, Parameters, RMSprop, Solver

N_STEPS = 6
INF = math.inf


# ---------------------------------------------------------------------------------------------------------------------
# The definition: one step, in float64, on a gradient that is clipped and decayed already
# ---------------------------------------------------------------------------------------------------------------------


def sgd(w: Array, g: Array, memory: list[Array], o: dict[str, float]) -> Array:
    memory[0] = o["momentum"] * memory[0] + g
    return w - o["learning_rate"] * (g + o["momentum"] * memory[0] if o["nesterov"] else memory[0])


def adam(w: Array, g: Array, memory: list[Array], o: dict[str, float]) -> Array:
    memory[0] = o["beta_1"] * memory[0] + (1 - o["beta_1"]) * g
    memory[1] = o["beta_2"] * memory[1] + (1 - o["beta_2"]) * g * g
    mean = memory[0] / (1 - o["beta_1"] ** o["step"])
    square = memory[1] / (1 - o["beta_2"] ** o["step"])
    return w - o["learning_rate"] * mean / (np.sqrt(square) + o["epsilon"])


def nadam(w: Array, g: Array, memory: list[Array], o: dict[str, float]) -> Array:
    memory[0] = o["beta_1"] * memory[0] + (1 - o["beta_1"]) * g
    memory[1] = o["beta_2"] * memory[1] + (1 - o["beta_2"]) * g * g
    square = memory[1] / (1 - o["beta_2"] ** o["step"])
    mean = (1 - o["mu"]) * g / (1 - o["mu_product"]) + o["mu_next"] * memory[0] / (1 - o["mu_product"] * o["mu_next"])
    return w - o["learning_rate"] * mean / (np.sqrt(square) + o["epsilon"])


def adagrad(w: Array, g: Array, memory: list[Array], o: dict[str, float]) -> Array:
    memory[0] = memory[0] + g * g
    return w - o["learning_rate"] * g / (np.sqrt(memory[0]) + o["epsilon"])


def momenta(step: int, beta_1: float, momentum_decay: float) -> dict[str, float]:
    """What NAdam wants to know of a step."""
    mu = [beta_1 * (1 - 0.5 * 0.96 ** (t * momentum_decay)) for t in range(1, step + 2)]
    return {"mu": mu[-2], "mu_next": mu[-1], "mu_product": math.prod(mu[:-1])}


def options_at(o: dict[str, float], step: int) -> dict[str, float]:
    changing = momenta(step, o["beta_1"], o["momentum_decay"]) if "momentum_decay" in o else {}
    return {**o, "step": float(step), **changing}


def rmsprop(w: Array, g: Array, memory: list[Array], o: dict[str, float]) -> Array:
    memory[0] = o["rho"] * memory[0] + (1 - o["rho"]) * g * g
    memory[1] = o["momentum"] * memory[1] + g / (np.sqrt(memory[0]) + o["epsilon"])
    return w - o["learning_rate"] * memory[1]


Update = Callable[[Array, Array, list[Array], dict[str, float]], Array]
UPDATES: dict[str, tuple[Update, int]] = {
    "sgd": (sgd, 1),
    "adam": (adam, 2),
    "adamw": (adam, 2),
    "nadam": (nadam, 2),
    "rmsprop": (rmsprop, 2),
    "adagrad": (adagrad, 1),
}


def clipped(g: Array, largest: float) -> Array:
    norm = float(np.sqrt(np.sum(g * g)))
    return g * (largest / norm) if norm > largest else g


def reference_steps(solver: str, w: Array, gradients: list[Array], o: dict[str, float]) -> Array:
    update, n_slots = UPDATES[solver]
    memory = [np.zeros_like(w) for _ in range(n_slots)]
    decays = np.arange(len(w)) < o["decay_size"]
    for step, gradient in enumerate(gradients, 1):
        g = clipped(gradient, o["max_grad_norm"])
        if solver == "adamw":
            w = w - o["learning_rate"] * o["decay"] * w * decays
        else:
            g = g + o["decay"] * w * decays
        w = update(w, g, memory, options_at(o, step))
    return w


ADAM = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
VARIANTS: dict[str, tuple[str, dict[str, float]]] = {
    "sgd": ("sgd", {"momentum": 0.0, "nesterov": 0}),
    "sgd momentum": ("sgd", {"momentum": 0.9, "nesterov": 0}),
    "sgd nesterov": ("sgd", {"momentum": 0.9, "nesterov": 1}),
    "adam": ("adam", ADAM),
    "adam with other constants": ("adam", {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}),
    "adamw": ("adamw", ADAM),
    "nadam": ("nadam", {**ADAM, "momentum_decay": 4e-3}),
    "nadam with other constants": ("nadam", {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3, "momentum_decay": 0.5}),
    "adagrad": ("adagrad", {"epsilon": 1e-10}),
    "rmsprop": ("rmsprop", {"rho": 0.99, "momentum": 0.0, "epsilon": 1e-8}),
    "rmsprop momentum": ("rmsprop", {"rho": 0.9, "momentum": 0.5, "epsilon": 1e-6}),
}


def draw(size: int) -> tuple[Array, list[Array]]:
    rng = np.random.default_rng(size)

    def numbers() -> Array:
        return rng.standard_normal(size).astype(np.float32).astype(np.float64)

    return numbers(), [numbers() for _ in range(N_STEPS)]


def run_core(
    solver: str, w: Array, gradients: list[Array], o: dict[str, float], dtype: str
) -> tuple[Array, list[float]]:
    w = w.astype(dtype)
    slots = [np.zeros_like(w) for _ in range(UPDATES[solver][1])]
    norms = [
        _core.solver_step(solver, w, g.astype(dtype), slots, options_at(o, step)) for step, g in enumerate(gradients, 1)
    ]
    return w, norms


def tolerance(dtype: str, o: dict[str, float]) -> dict[str, float]:
    """A step has about ten roundings of numbers of the size of the update, and one of the weight itself.

    Adam and RMSprop divide by a root that a constant close to 1 (0.999, rounded to float32) makes: 1 - 0.999 is
    formed in float64, so only the constant's own rounding remains, and it cancels in the ratio of the moments up to
    some eps per step.
    """
    eps = float(np.finfo(dtype).eps)
    return {"rtol": 4 * N_STEPS * eps, "atol": 40 * N_STEPS * eps * o["learning_rate"]}


@pytest.mark.parametrize("size", [1, 7, 16, 33, 1000])
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("max_grad_norm", [INF, 0.5])
@pytest.mark.parametrize("variant", VARIANTS)
def test_definition(dtype: str, isa: str, variant: str, max_grad_norm: float, decay: float, size: int) -> None:
    solver, options = VARIANTS[variant]
    o = {
        "learning_rate": 0.05,
        "max_grad_norm": max_grad_norm,
        "decay": decay,
        "decay_size": float(size * 2 // 3),
        **options,
    }
    w, gradients = draw(size)
    got, norms = run_core(solver, w, gradients, o, dtype)
    np.testing.assert_allclose(got, reference_steps(solver, w, gradients, o), **tolerance(dtype, o))
    # Squares of float32 are exact in float64; summing n of them rounds n times.
    want = [math.sqrt(math.fsum(g * g)) for g in gradients]
    np.testing.assert_allclose(norms, want, rtol=size * np.finfo(np.float64).eps, atol=0)


@contextlib.contextmanager
def torch_float64(torch: Any) -> Iterator[None]:
    """PyTorch keeps the product of NAdam's momenta in its default precision."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize("variant", VARIANTS)
def test_torch(dtype: str, isa: str, variant: str) -> None:
    torch = pytest.importorskip("torch")
    solver, options = VARIANTS[variant]
    o = {"learning_rate": 0.05, "max_grad_norm": INF, "decay": 0.1, "decay_size": 50.0, **options}
    w, gradients = draw(50)
    names = {"learning_rate": "lr", "decay": "weight_decay", "rho": "alpha", "epsilon": "eps"}
    theirs = {names[k]: v for k, v in o.items() if k in names}
    if "beta_1" in o:
        theirs["betas"] = (o["beta_1"], o["beta_2"])
    if "momentum_decay" in o:
        theirs["momentum_decay"] = o["momentum_decay"]
    if "momentum" in o:
        theirs["momentum"] = o["momentum"]
    if "nesterov" in o:
        theirs["nesterov"] = bool(o["nesterov"])
    kinds = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "nadam": "NAdam"}
    kinds |= {"rmsprop": "RMSprop", "adagrad": "Adagrad"}
    parameter = torch.nn.Parameter(torch.tensor(w))
    with torch_float64(torch):
        optimizer = getattr(torch.optim, kinds[solver])([parameter], **theirs)
        for g in gradients:
            parameter.grad = torch.tensor(g)
            optimizer.step()
    got, _ = run_core(solver, w, gradients, o, dtype)
    np.testing.assert_allclose(got, parameter.detach().numpy(), **tolerance(dtype, o))


def test_clipping_keeps_the_direction_and_torch_agrees(dtype: str, isa: str) -> None:
    torch = pytest.importorskip("torch")
    w, (g, *_) = draw(200)
    plain = {"learning_rate": 1.0, "decay": 0.0, "decay_size": 0.0, "momentum": 0.0, "nesterov": 0}
    zero = np.zeros_like(w)
    got, (norm,) = run_core("sgd", zero, [g], {**plain, "max_grad_norm": 2.0}, dtype)
    parameter = torch.nn.Parameter(torch.zeros(200, dtype=torch.float64))
    parameter.grad = torch.tensor(g)
    their_norm = torch.nn.utils.clip_grad_norm_([parameter], 2.0).item()
    assert norm == pytest.approx(their_norm, rel=200 * np.finfo(np.float64).eps)
    # PyTorch adds 1e-6 to the norm it divides by; ours is clipped to 2 itself.
    np.testing.assert_allclose(-got, parameter.grad.numpy(), rtol=1e-6 / norm + 4 * np.finfo(dtype).eps)
    eps = float(np.finfo(dtype).eps)
    assert abs(np.linalg.norm(got.astype(np.float64)) - 2) <= 2 * 2 * eps
    loose, _ = run_core("sgd", zero, [g], {**plain, "max_grad_norm": 2 * norm}, dtype)
    np.testing.assert_array_equal(-loose, g.astype(dtype))  # nothing to clip, nothing changed


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_gradient_that_is_not_finite_moves_nothing(dtype: str, isa: str, variant: str, bad: float) -> None:
    solver, options = VARIANTS[variant]
    o = {"learning_rate": 0.1, "max_grad_norm": 1.0, "decay": 0.1, "decay_size": 9.0, **options}
    w, gradients = draw(40)
    w = w.astype(dtype)
    slots = [np.full_like(w, 0.25) for _ in range(UPDATES[solver][1])]
    before = w.copy()
    g = gradients[0].astype(dtype)
    g[17] = bad
    assert not math.isfinite(_core.solver_step(solver, w, g, slots, options_at(o, 1)))
    assert_same_bits(w, before)
    for slot in slots:
        assert_same_bits(slot, np.full_like(w, 0.25))


def test_a_norm_beyond_float32_is_still_finite(isa: str) -> None:
    """Squares of large float32 numbers are summed in float64, where they fit."""
    g = np.full(10, 1e30, np.float32)
    w = np.zeros(10, np.float32)
    o = {"learning_rate": 1.0, "max_grad_norm": 1.0, "decay": 0.0, "decay_size": 0.0}
    o |= {"momentum": 0.0, "nesterov": 0}
    norm = _core.solver_step("sgd", w, g, [np.zeros_like(w)], o)
    assert norm == pytest.approx(math.sqrt(10) * float(g[0]), rel=1e-14)
    np.testing.assert_allclose(w, -1 / math.sqrt(10), rtol=4 * np.finfo(np.float32).eps)


CLASSES: list[tuple[Any, dict[str, Any], str, dict[str, float]]] = [
    (SGD, {"momentum": 0.8, "nesterov": True}, "sgd", {"momentum": 0.8, "nesterov": 1}),
    (SGD, {"momentum": 0.8, "nesterov": False}, "sgd", {"momentum": 0.8, "nesterov": 0}),
    (Adam, ADAM, "adam", ADAM),
    (AdamW, ADAM, "adamw", ADAM),
    (NAdam, {**ADAM, "momentum_decay": 0.1}, "nadam", {**ADAM, "momentum_decay": 0.1}),
    (Adagrad, {"epsilon": 1e-6}, "adagrad", {"epsilon": 1e-6}),
    (
        RMSprop,
        {"rho": 0.8, "momentum": 0.3, "epsilon": 1e-6},
        "rmsprop",
        {"rho": 0.8, "momentum": 0.3, "epsilon": 1e-6},
    ),
]


@pytest.mark.parametrize(
    ("kind", "arguments", "solver", "options"),
    CLASSES,
    ids=["nesterov", "sgd", "adam", "adamw", "nadam", "adagrad", "rmsprop"],
)
def test_classes(dtype: str, kind: Any, arguments: dict[str, Any], solver: str, options: dict[str, float]) -> None:
    """The classes of ``skrnn.nn`` hand everything on: memory, steps, decay of matrices alone, clipping."""
    parameters = Parameters({"bias": (5,), "weight": (4, 3)}, np.dtype(dtype))
    assert parameters.decay_size == 12
    w, gradients = draw(17)
    parameters.values[:] = w
    moving = kind(parameters, 0.03, decay=0.2, max_grad_norm=2.0, **arguments)
    gradient = parameters.like()
    for g in gradients:
        gradient.values[:] = g
        norm = moving.step(gradient)
        assert norm == pytest.approx(np.linalg.norm(g), rel=1e-6)
    o = {"learning_rate": 0.03, "decay": 0.2, "decay_size": 12.0, "max_grad_norm": 2.0, **options}
    want, _ = run_core(solver, w, gradients, o, dtype)
    assert_same_bits(parameters.values, want)
    assert moving.n_steps == N_STEPS
    np.testing.assert_array_equal(parameters.views["weight"].ravel(), parameters.values[:12])
    gradient.values[3] = np.nan
    assert not math.isfinite(moving.step(gradient))
    assert moving.n_steps == N_STEPS, "a step that was not taken does not count"
    moving.learning_rate = 0.0
    gradient.values[:] = 1
    before = parameters.values.copy()
    moving.step(gradient)
    np.testing.assert_array_equal(parameters.values, before)


def test_what_is_not_parameters_is_refused() -> None:
    parameters = Parameters({"weight": (4, 3), "bias": (5,)}, np.dtype("float32"))
    for wrong in (parameters.values, parameters.views, [parameters], None):
        with pytest.raises(TypeError, match=r"parameters must be a skrnn\.nn\.Parameters"):
            SGD(wrong)
        with pytest.raises(TypeError, match=r"gradients must be a skrnn\.nn\.Parameters"):
            SGD(parameters).step(wrong)
    with pytest.raises(TypeError, match="gradients has dtype float64"):
        SGD(parameters).step(Parameters({"weight": (4, 3), "bias": (5,)}, np.dtype("float64")))
    for shapes in ({"weight": (3, 4), "bias": (5,)}, {"bias": (5,), "weight": (4, 3)}, {"weight": (4, 3)}):
        with pytest.raises(ValueError, match="names and shapes"):
            SGD(parameters).step(Parameters(shapes, np.dtype("float32")))


# ---------------------------------------------------------------------------------------------------------------------
# The state between steps
# ---------------------------------------------------------------------------------------------------------------------

SOLVERS = [SGD, Adagrad, Adam, AdamW, NAdam, RMSprop]


def moving(kind: type[Solver], dtype: str, w: Array) -> Solver:
    parameters = Parameters({"weight": (4, 3), "bias": (5,)}, np.dtype(dtype))
    parameters.values[:] = w
    return kind(parameters, 0.03, decay=0.1, max_grad_norm=2.0)


def take_steps(solver: Solver, gradients: list[Array]) -> None:
    gradient = solver.parameters.like()
    for g in gradients:
        gradient.values[:] = g
        solver.step(gradient)


@pytest.mark.parametrize("kind", SOLVERS)
def test_a_restored_solver_goes_on_with_the_same_bits(dtype: str, kind: type[Solver]) -> None:
    w, gradients = draw(17)
    whole = moving(kind, dtype, w)
    take_steps(whole, gradients[:2])
    unmoved = moving(kind, dtype, whole.parameters.values)
    state = whole.state()
    restored = moving(kind, dtype, whole.parameters.values)
    take_steps(restored, gradients[:1])  # what it remembers of this must go
    restored.parameters.values[:] = whole.parameters.values
    restored.load_state(state)
    pickled = pickle.loads(pickle.dumps(restored))
    assert restored.n_steps == 2
    for solver in (whole, restored, pickled, unmoved):
        take_steps(solver, gradients[2:])
    assert_same_bits(restored.parameters.values, whole.parameters.values)
    assert_same_bits(pickled.parameters.values, whole.parameters.values)
    assert not np.array_equal(unmoved.parameters.values, whole.parameters.values), "the state matters"
    assert (
        restored.state().keys()
        == state.keys()
        == {"n_steps", *kind.slot_names} | ({"mu_product"} if kind is NAdam else set())
    )
    assert whole.state()["n_steps"] == N_STEPS
    assert state["n_steps"] == 2, "a state is a copy"


@pytest.mark.parametrize("kind", SOLVERS)
def test_a_state_that_does_not_fit_is_refused(kind: type[Solver]) -> None:
    w, gradients = draw(17)
    solver = moving(kind, "float32", w)
    take_steps(solver, gradients)
    before, slot = solver.state(), kind.slot_names[0]
    for bad, match in [
        ({k: v for k, v in before.items() if k != slot}, "these names"),
        ({**before, "third_moment": before[slot]}, "these names"),
        ({**before, slot: before[slot][:-1]}, rf"state\['{slot}'\] must have shape \(17,\)"),
        ({**before, slot: before[slot].astype(np.float64)}, rf"state\['{slot}'\] has dtype float64"),
        ({**before, "n_steps": -1}, r"state\['n_steps'\] must be at least 0"),
        *([({**before, "mu_product": 2.0}, r"state\['mu_product'\] must be")] if kind is NAdam else []),
        ({**before, "n_steps": 1.0}, r"state\['n_steps'\] must be an integer"),
    ]:
        with pytest.raises((TypeError, ValueError), match=match):
            solver.load_state(bad)
    after = solver.state()
    assert after["n_steps"] == N_STEPS
    assert_same_bits(after[slot], before[slot])


def test_a_step_not_taken_leaves_the_momentum_of_nadam() -> None:
    w, gradients = draw(17)
    plain, disturbed = moving(NAdam, "float64", w), moving(NAdam, "float64", w)
    take_steps(plain, gradients)
    take_steps(disturbed, [*gradients[:3], np.full(17, np.inf), *gradients[3:]])
    assert_same_bits(disturbed.parameters.values, plain.parameters.values)


@pytest.mark.parametrize("kind", [Adagrad, NAdam], ids=["Adagrad", "NAdam"])
def test_many_steps_as_torch(dtype: str, kind: Any) -> None:
    """The momentum of NAdam changes slowly, and sums of Adagrad grow: over a few steps a mistake might hide."""
    torch = pytest.importorskip("torch")
    options = {"initial_accumulator_value": 0.5} if kind is Adagrad else {"momentum_decay": 0.05}
    w, gradients = draw(50)
    parameters = Parameters({"bias": (50,)}, np.dtype(dtype))
    parameters.values[:] = w
    solver = kind(parameters, 0.01, **options)
    theirs = torch.nn.Parameter(torch.tensor(w))
    with torch_float64(torch):
        optimizer = getattr(torch.optim, kind.__name__)([theirs], lr=0.01, **options)
        for _ in range(50):
            take_steps(solver, gradients)
            for g in gradients:
                theirs.grad = torch.tensor(g)
                optimizer.step()
    n_steps, eps = 50 * N_STEPS, float(np.finfo(dtype).eps)
    # Of each step some roundings of its size, and one of the weight, which random signs add up like a root.
    np.testing.assert_allclose(
        parameters.values, theirs.detach().numpy(), rtol=0, atol=eps * (4 * n_steps**0.5 + 40 * n_steps * 0.01)
    )
    assert np.max(np.abs(parameters.values - w)) > 0.1


def test_adagrad_begins_with_what_it_is_told() -> None:
    w, _ = draw(17)
    solver = Adagrad(moving(SGD, "float64", w).parameters, initial_accumulator_value=0.25)
    np.testing.assert_array_equal(solver.state()["sum_of_squares"], np.full(17, 0.25))
    for bad in (-1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="initial_accumulator_value"):
            Adagrad(solver.parameters, initial_accumulator_value=bad)
