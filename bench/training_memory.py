"""Peak memory of one training step in a process of its own: what footprint.py and plots.py start.

python bench/training_memory.py skrnn lstm 64 100 256 256        software, cell, rows, steps, inputs, units

Prints two numbers of bytes: the most that was resident before the step (import, weights and data), and after it. Only
the software asked for is imported: "skrnn" with its estimators and thus with scikit-learn, "skrnn.nn" without.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Step = Callable[[], Any]


def skrnn_step(cell: str, X: Any, d_output: Any) -> Step:
    importlib.import_module("skrnn.regressor")  # with all that an estimator brings along

    return layers_step(cell, X, d_output)


def layers_step(cell: str, X: Any, d_output: Any) -> Step:
    from skrnn.nn import Recurrent

    layer = Recurrent(cell, input_size=X.shape[2], hidden_size=d_output.shape[2])
    return lambda: layer.record(X).backward(d_output)


def torch_step(cell: str, X: Any, d_output: Any) -> Step:
    import torch

    kind = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell]
    module = kind(X.shape[2], d_output.shape[2])
    # Its own layout, without a copy of what NumPy holds.
    x = torch.from_numpy(X.reshape(X.shape[1], X.shape[0], -1)).requires_grad_()
    d = torch.from_numpy(d_output.reshape(d_output.shape[1], d_output.shape[0], -1))
    return lambda: module(x)[0].backward(d)


STEPS = {"skrnn": skrnn_step, "skrnn.nn": layers_step, "torch": torch_step}


def peak_bytes() -> int:
    """VmHWM, that of this program alone: ru_maxrss would remember the process which started it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("this kernel does not report VmHWM")


def main(software: str, cell: str, *sizes: str) -> None:
    rows, steps, inputs, units = map(int, sizes)
    # Written, so that it is in memory before the step.
    step = STEPS[software](
        cell, np.ones((rows, steps, inputs), dtype=np.float32), np.ones((rows, steps, units), dtype=np.float32)
    )
    before = peak_bytes()
    step()
    print(before, peak_bytes())


def measure(software: str, cell: str, rows: int, steps: int, inputs: int, units: int) -> tuple[int, int]:
    """For other programs: bytes before the step and at its peak."""
    command = [sys.executable, __file__, software, cell, *map(str, (rows, steps, inputs, units))]
    before, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return int(before), int(peak)


if __name__ == "__main__":
    main(*sys.argv[1:])
