"""Learning-rate schedules: their formulas, their ends, and PyTorch's schedulers."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from skrnn.nn.schedules import KINDS, Schedule, make_schedule

OPTIONS = {"max_iter": 20, "power_t": 0.7, "decay_rate": 0.6, "decay_epochs": 3.0}


def make(kind: str, **options: Any) -> Schedule:
    return make_schedule(kind, **{**OPTIONS, **options})


@pytest.mark.parametrize(
    ("kind", "formula"),
    [
        ("constant", lambda e: 1.0),
        ("adaptive", lambda e: 1.0),
        ("invscaling", lambda e: 1 / (1 + e) ** 0.7),
        ("step", lambda e: 0.6 ** (e // 3)),
        ("exponential", lambda e: 0.6 ** (e / 3)),
        ("cosine", lambda e: (1 + math.cos(math.pi * e / 20)) / 2),
    ],
)
def test_formula(kind: str, formula: Callable[[float], float]) -> None:
    for epoch in (0.0, 0.25, 1.0, 2.999, 3.0, 7.5, 20.0):
        assert make(kind)(epoch) == pytest.approx(formula(epoch), rel=1e-14, abs=1e-16)


@pytest.mark.parametrize("kind", KINDS)
def test_every_schedule(kind: str) -> None:
    schedule = make(kind)
    values = [schedule(e) for e in np.linspace(0, 20, 201)]
    assert all(0 <= v <= 1 for v in values)
    top = int(np.argmax(values))
    assert top == (60 if kind == "onecycle" else 0)
    assert all(np.diff(values[top:]) <= 0), "it falls from its top on"
    assert all(np.diff(values[: top + 1]) >= 0)
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert isinstance(schedule(3), float)
    with pytest.raises(AttributeError):
        schedule.end = 3.0  # type: ignore[attr-defined]


def test_ends() -> None:
    """What has an end stays there: a fit may go on for longer than was planned."""
    for warmup in (0.0, 4.5):
        cosine = make("cosine", final_factor=0.125, warmup_epochs=warmup)
        cycle = make("onecycle", warmup_epochs=warmup)
        for epoch in (20.0, 20.5, 90.0):
            assert cosine(epoch) == 0.125
            assert cycle(epoch) == pytest.approx(1 / 25 / 1e4, rel=1e-12)
        assert cosine(19.0) > 0.125
    cycle = make("onecycle")
    assert cycle(0.0) == pytest.approx(1 / 25, rel=1e-14)
    assert cycle(6.0) == 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_warm_up(kind: str) -> None:
    """A line to the schedule's first value; then the schedule, over what is left of the time."""
    warm, then = make(kind, warmup_epochs=2.5), make(kind, max_iter=17.5)
    assert warm(0.0) == pytest.approx(0.01 * then(0.0))
    assert warm(1.25) == pytest.approx((0.01 + 0.99 / 2) * then(0.0))
    for epoch in (2.5, 3.0, 11.0, 20.0):
        assert warm(epoch) == then(epoch - 2.5)
    assert make(kind, warmup_epochs=0.0) == make(kind)


def torch_rates(torch: Any, make_scheduler: Callable[[Any], Any], n_epochs: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make_scheduler(optimizer)
    rates = []
    for _ in range(n_epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_torch() -> None:
    torch = pytest.importorskip("torch")
    schedulers = torch.optim.lr_scheduler
    pairs: list[tuple[Schedule, Callable[[Any], Any]]] = [
        (make("step"), lambda o: schedulers.StepLR(o, 3, gamma=0.6)),
        (make("exponential", decay_epochs=1.0), lambda o: schedulers.ExponentialLR(o, 0.6)),
        (make("cosine", final_factor=0.1), lambda o: schedulers.CosineAnnealingLR(o, 20, eta_min=0.1)),
        (
            make("cosine", warmup_epochs=4),
            lambda o: schedulers.SequentialLR(
                o,
                [schedulers.LinearLR(o, 0.01, total_iters=4), schedulers.CosineAnnealingLR(o, 16)],
                milestones=[4],
            ),
        ),
    ]
    for schedule, scheduler in pairs:
        got = [schedule(epoch) for epoch in range(20)]
        # They multiply from step to step: some roundings for each.
        np.testing.assert_allclose(got, torch_rates(torch, scheduler, 20), rtol=0, atol=20 * 4 * np.finfo(float).eps)


def test_torch_one_cycle() -> None:
    """Theirs takes n - 1 strides from the first of n steps to the last, and has its top one step early: 0.3 n - 1."""
    torch = pytest.importorskip("torch")
    n_steps = 200
    theirs = torch_rates(torch, lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 1.0, total_steps=n_steps), n_steps - 1)
    ours = make("onecycle")
    top = 0.3 * n_steps - 1
    for step, rate in enumerate(theirs):
        share = step / top * 0.3 if step <= top else 0.3 + (step - top) / (n_steps - 1 - top) * 0.7
        assert ours(share * 20) == pytest.approx(rate, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("max_iter", 0),
        ("power_t", -0.1),
        ("decay_rate", 0.0),
        ("decay_rate", 1.5),
        ("decay_epochs", 0),
        ("final_factor", -0.5),
        ("final_factor", 1.5),
        ("warmup_epochs", -1),
        ("warmup_epochs", 20),
        ("warmup_epochs", math.nan),
    ],
)
def test_numbers_out_of_range(name: str, bad: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be"):
        make("cosine", **{name: bad})


def test_unknown_kind() -> None:
    with pytest.raises(ValueError, match=r"learning_rate must be one of 'constant', .*got 'cosin'"):
        make("cosin")
