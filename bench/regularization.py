"""What recurrent dropout, zoneout and layer normalisation cost, as ratios to the layer without them.

python bench/regularization.py [CELL [N T I H]]        lstm, 32 rows of 100 steps, 64 inputs, 128 units

All variants take turns, so that whatever else the machine does meets them alike; a line is the median, over turns, of
the ratio to the plain layer in the same turn, on one thread. Answers are checked: a training step with rates too small
for anything to be drawn must give the plain layer's output.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import machine
import skrnn
from skrnn import _core
from skrnn.nn import Recurrent

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "recurrent dropout": {"recurrent_dropout": 0.3},
    "zoneout": {"zoneout": 0.1},
    "layer normalisation": {"layer_norm": True},
    "all three": {"recurrent_dropout": 0.3, "zoneout": 0.1, "layer_norm": True},
}
TURNS = 40


def ratios(calls: dict[str, Callable[[], Any]]) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(TURNS + 2):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn >= 2:  # warm
                times[name].append(time.perf_counter() - start)
    plain = times["plain"]
    return {name: statistics.median(t / p for t, p in zip(ts, plain, strict=True)) for name, ts in times.items()}


def main(cell: str = "lstm", *sizes: str) -> None:
    n_rows, n_steps, input_size, hidden_size = map(int, sizes or (32, 100, 64, 128))
    skrnn.set_num_threads(1)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, n_steps, input_size)).astype("float32")
    d_output = rng.standard_normal((n_rows, n_steps, hidden_size)).astype("float32")

    def layer(**options: Any) -> Recurrent:
        return Recurrent(cell, input_size=input_size, hidden_size=hidden_size, **options)

    np.testing.assert_array_equal(layer(recurrent_dropout=1e-30).record(X, step=0).output, layer().record(X).output)

    def training_step(one: Recurrent) -> Callable[[], Any]:
        gradients = one.parameters.like()
        return lambda: one.record(X, step=0).backward(d_output, out=gradients)

    def inference(one: Recurrent) -> Callable[[], Any]:
        frozen = one.freeze()
        return lambda: frozen.forward(X)

    layers = {name: layer(**options) for name, options in VARIANTS.items()}
    trained = ratios({name: training_step(one) for name, one in layers.items()})
    inferred = ratios({name: inference(one) for name, one in layers.items()})
    sizes_used = f"N {n_rows}, T {n_steps}, I {input_size}, H {hidden_size}"
    print(f"{cell}, {sizes_used}; {machine.cpu_name()}, {_core.get_isa()}")
    print("| | training step | inference |\n|---|---|---|")
    for name in VARIANTS:
        print(f"| {name} | {trained[name]:.2f} | {inferred[name]:.2f} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
