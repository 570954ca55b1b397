"""Where the time of a fit goes: in the compiled core, or in Python around it.

    python bench/fit_profile.py --units 64 --sequences 1000 --steps 20

Every call into the core is timed by a stand-in for the module ``skrnn._core``. What the stand-in costs is kept out:
each fit with it comes with one without, whose time less that of the calls is the time outside. One thread, the median
of several pairs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from contextlib import ExitStack
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np

import skrnn
from skrnn import RNNClassifier, _core


class Clock:
    """Adds up the time of calls by the name of what was called."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.calls: Counter[str] = Counter()

    def timed(self, name: str, function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls[name] += 1
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started

        return call


class TimedTape:
    def __init__(self, tape: Any, clock: Clock) -> None:
        self._tape = tape
        self.backward = clock.timed("Tape.backward", tape.backward)


class TimedWeights:
    def __init__(self, clock: Clock, *args: Any, **kwargs: Any) -> None:
        weights = clock.timed("RecurrentWeights", _core.RecurrentWeights)(*args, **kwargs)
        self.forward = clock.timed("RecurrentWeights.forward", weights.forward)
        record = clock.timed("RecurrentWeights.record", weights.record)
        self.record = lambda *a, **k: TimedTape(record(*a, **k), clock)


class TimedCore:
    """Looks like ``skrnn._core``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        value = getattr(_core, name)
        if name == "RecurrentWeights":
            value = partial(TimedWeights, self._clock)
        elif callable(value) and not isinstance(value, type):
            value = self._clock.timed(name, value)
        setattr(self, name, value)
        return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cell", default="lstm")
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--sequences", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--features", type=int, default=4)
    parser.add_argument("--ragged", action="store_true", help="lengths from half of --steps on")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()

    rng = np.random.default_rng(0)
    shape = (options.sequences, options.steps, options.features)
    X: Any = rng.standard_normal(shape, dtype=np.float32)
    y = np.digitize(X[:, -3:, 0].sum(axis=1), [-1.0, 1.0])
    if options.ragged:
        X = [x[int(start) :] for x, start in zip(X, rng.integers(0, options.steps // 2, len(X)), strict=True)]
    skrnn.set_num_threads(1)
    model = RNNClassifier(options.cell, options.units, max_iter=options.epochs, tol=None, random_state=0)
    model.fit(X, y)

    modules = [
        module for name, module in sys.modules.items() if name.startswith("skrnn.nn") and hasattr(module, "_core")
    ]
    shares, totals, best, steps = [], [], {}, 0
    for _ in range(options.repeats):
        clock = Clock()
        with ExitStack() as stack:
            for module in modules:
                stack.enter_context(patch.object(module, "_core", TimedCore(clock)))
            model.fit(X, y)
        best, steps = dict(clock.seconds), clock.calls["solver_step"]  # the fitted model goes on counting
        started = time.perf_counter()
        model.fit(X, y)
        totals.append(time.perf_counter() - started)
        shares.append(1 - sum(best.values()) / totals[-1])
    assert model.score(X, y) > 0.6
    total = float(np.median(totals))
    print(
        f"{options.cell}, {options.units} units, {options.sequences} sequences of {'up to ' * options.ragged}"
        f"{options.steps} steps and {options.features} features: {options.epochs} epochs, {steps} steps, "
        f"{1000 * total:.0f} ms ({1e6 * total / steps:.0f} us a step), instruction set {_core.get_isa()}"
    )
    print(f"outside the core: {100 * float(np.median(shares)):.1f} % (median of {options.repeats} pairs of fits)")
    for name, seconds in sorted(best.items(), key=lambda item: -item[1]):
        print(f"  {name:<26} {100 * seconds / totals[-1]:5.1f} %")


if __name__ == "__main__":
    main()
