"""What skrnn takes besides the arithmetic: import, disk, memory, and the microseconds around small calls.

    python bench/footprint.py
    python bench/footprint.py --quick --json footprint.json

Times of import are those of fresh processes that take turns, and the median of them. What `import skrnn` costs beyond
scikit-learn is the time of importing the estimators less that of importing just those modules of scikit-learn, SciPy,
NumPy and joblib which they pull in. Memory is the peak of what was resident, in fresh processes (training_memory.py).

Small calls, in microseconds:
    a step of a stream      one row, one step through `FrozenRecurrent.forward`, state in and state out, beside the same
                            step as one call of `_core.RecurrentWeights.forward` with every array at hand. That call
                            contains the binding: checks of the arrays, the plan, the release of the interpreter.
    predict                 one sequence, validated, through a fitted RNNClassifier.
    a step of training      `Trainer.step` on a network of next to nothing (one row, step, feature and unit), beside the
                            seven calls of the core that it makes, made directly with every array at hand: what is left
                            is Python's share. In a fit, an epoch's share comes on top: shuffle, batch, bookkeeping.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import machine
import tables
import training_memory
from grid import CELLS, GRID, Array
from skrnn import RNNClassifier, RNNRegressor, _core
from skrnn.nn import Adam, Dense, Recurrent, SequenceNetwork, Trainer

ESTIMATORS = "from skrnn import RNNClassifier, RNNRegressor"
PEERS = ("torch", "onnxruntime")


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


# ---- Import and disk ----------------------------------------------------------------------------


def import_seconds(rounds: int) -> dict[str, float]:
    """Medians of the time that one statement takes in a fresh process."""
    others = "import sys; {}; print(*[m for m in sys.modules if not m.startswith(('skrnn', '__main__'))])"
    needed = run_python(others.format(ESTIMATORS)).split()
    theirs = "import " + ", ".join(m for m in needed if m.split(".")[0] in ("sklearn", "scipy", "numpy", "joblib"))
    statements = {"skrnn": ESTIMATORS, "scikit-learn": theirs}
    statements |= {name: f"import {name}" for name in PEERS if installed(name)}
    timed = "import time; start = time.perf_counter()\n{}\nprint(time.perf_counter() - start)"
    seconds: dict[str, list[float]] = {name: [] for name in statements}
    for statement in statements.values():
        run_python(timed.format(statement))  # from now on all files are in the cache of the system
    for _ in range(rounds):
        for name, statement in statements.items():
            seconds[name].append(float(run_python(timed.format(statement))))
    pairs = zip(seconds["skrnn"], seconds["scikit-learn"], strict=True)
    beyond = median(ours - base for ours, base in pairs)
    return {**{name: median(values) for name, values in seconds.items()}, "skrnn beyond scikit-learn": beyond}


def run_python(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout


def disk_bytes() -> dict[str, int]:
    """Of the installed packages, without bytecode; the extension counts wherever it lies."""
    found = {}
    for name in ("skrnn", *PEERS):
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue
        folders = [Path(spec.origin).parent]
        folders += [folder for folder in [folders[0].with_name(f"{name}.libs")] if folder.exists()]
        files = {path for folder in folders for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}
        if name == "skrnn":
            files.add(Path(str(_core.__file__)))
        found[name] = sum(path.stat().st_size for path in files)
    return found


# ---- Memory -------------------------------------------------------------------------------------


def memory(cell: str, name: str) -> dict[str, Any]:
    shape = GRID[name]
    sizes = (shape.batch, shape.steps, shape.input_size, shape.hidden_size)
    softwares = [software for software in training_memory.STEPS if installed(software.split(".")[0])]
    found = {software: training_memory.measure(software, cell, *sizes) for software in softwares}
    return {
        "cell": cell,
        "shape": name,
        "before": {software: before for software, (before, _) in found.items()},
        "peak": {software: peak for software, (_, peak) in found.items()},
    }


def tape_bytes(cell: str) -> float:
    """For each row and step, of a tape long enough for its ends not to count."""
    rows, steps, hidden_size = 4, 1000, 128
    weights = packed(Recurrent(cell, input_size=8, hidden_size=hidden_size), training=True)
    x = np.zeros((rows, steps, 8), dtype=np.float32)
    return weights.record(x, None, False, None, None, None).nbytes / (rows * steps)


# ---- Small calls --------------------------------------------------------------------------------


def packed(layer: Recurrent, *, training: bool) -> _core.RecurrentWeights:
    (group,) = layer.config.groups(layer.weights)
    return _core.RecurrentWeights(layer.config.cell, "tanh", *group, training=training)


def microseconds(calls: Sequence[Callable[[], Any]], rounds: int, n_calls: int = 100) -> list[float]:
    """The least time of each; they take turns."""
    best = [float("inf")] * len(calls)
    for _ in range(rounds):
        for i, call in enumerate(calls):
            start = time.perf_counter()
            for _ in range(n_calls):
                call()
            best[i] = min(best[i], (time.perf_counter() - start) / n_calls)
    return [seconds * 1e6 for seconds in best]


def streaming(rounds: int) -> dict[str, float]:
    layer = Recurrent("lstm", input_size=64, hidden_size=128)
    frozen, weights = layer.freeze(), packed(layer, training=False)
    x = np.ones((1, 1, 64), dtype=np.float32)
    state = (np.zeros((1, 1, 128), np.float32), np.zeros((1, 1, 128), np.float32))
    h, c, output = np.zeros((1, 128), np.float32), np.zeros((1, 128), np.float32), np.empty((1, 1, 128), np.float32)

    def core() -> None:
        weights.forward(x, None, False, (h, c), output, (h, c))

    python, bare = microseconds([lambda: frozen.forward(x, None, state), core], rounds)
    return {
        "a step of a stream from Python (LSTM, I 64, H 128)": python,
        "... the same as one call of the core": bare,
        "... Python's share of it": python - bare,
    }


def prediction(rounds: int) -> dict[str, float]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((64, 10, 4), dtype=np.float32)
    model = RNNClassifier(hidden_size=32, max_iter=2, tol=None).fit(X, np.arange(64) % 3)
    array, sequences = X[:1], [X[0]]
    assert model.predict(array).shape == model.predict(sequences).shape == (1,)
    found = microseconds([lambda: model.predict(array), lambda: model.predict(sequences)], rounds, 20)
    names = ("predict of one sequence (T 10, I 4, LSTM, H 32), an array", "... a list of one array")
    return dict(zip(names, found, strict=True))


def training_step(rounds: int) -> dict[str, float]:
    recurrent = Recurrent("rnn", input_size=1, hidden_size=1)
    network = SequenceNetwork(recurrent, Dense(1, 1))
    trainer = Trainer(network, "squared_error", Adam(network.parameters, 1e-6))
    x, target = np.ones((1, 1, 1), np.float32), np.ones((1, 1), np.float32)
    step, calls = microseconds([lambda: trainer.step(x, None, target), core_calls(network, x, target)], rounds)
    return {
        "a step of training on next to nothing": step,
        "... its calls of the core": calls,
        "... Python's share of the step": step - calls,
        "... Python's share in a fit, batches and epochs included": step_in_fit(rounds) - calls,
    }


def core_calls(network: SequenceNetwork, x: Array, target: Array) -> Callable[[], None]:
    """What a step of training asks of the core, and nothing else."""
    (group,) = network.recurrent.config.groups(network.recurrent.weights)
    gradients = [np.empty_like(weight) for weight in group]
    workspace = _core.Workspace()
    h, d_h = np.empty((1, 1), np.float32), np.empty((1, 1), np.float32)
    weight, bias = network.head.weights["weight"], network.head.weights["bias"]
    d_weight, d_bias = np.empty_like(weight), np.empty_like(bias)
    output, d_output, share = (np.ones((1, 1), np.float32) for _ in range(3))
    params, grads, *slots = (np.zeros(8, np.float32) for _ in range(4))
    options = {"learning_rate": 1e-6, "decay": 0.0, "decay_size": 0, "max_grad_norm": np.inf}
    options |= {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "step": 1}

    def calls() -> None:
        weights = _core.RecurrentWeights("rnn", "tanh", *group, training=True)
        tape = weights.record(x, None, False, None, None, (h,), workspace)
        _core.dense_forward(h, weight, bias, output)
        _core.squared_error(output, target, share[0], d_output)
        _core.dense_backward(h, weight, d_output, d_h, d_weight, d_bias)
        tape.backward(None, (d_h,), None, None, *gradients)
        _core.solver_step("adam", params, grads, slots, options)

    return calls


def step_in_fit(rounds: int) -> float:
    """Microseconds of one more step in a fit: 40 epochs less 20, of 8 batches each."""
    X, y = np.ones((8, 1, 1), np.float32), np.arange(8, dtype=np.float32)

    def fit(epochs: int) -> None:
        RNNRegressor("rnn", hidden_size=1, batch_size=1, max_iter=epochs, tol=None, random_state=0).fit(X, y)

    short, long = microseconds([lambda: fit(20), lambda: fit(40)], rounds, 1)
    return (long - short) / (20 * 8)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write everything measured here")
    options = parser.parse_args(arguments)
    rounds = 5 if options.quick else 40
    report: dict[str, Any] = {
        "machine": machine.describe(),
        "calls_us": {**streaming(rounds), **prediction(rounds), **training_step(rounds)},
        "tape_bytes": {cell: tape_bytes(cell) for cell in CELLS},
        "memory": [memory("lstm", "medium"), memory("lstm", "large")],
        "disk_bytes": disk_bytes(),
        "import_seconds": import_seconds(1 if options.quick else 9),
    }
    print(*tables.footprint_section(report), sep="\n")
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
