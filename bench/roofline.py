"""The bound: how fast this machine could do each line of the grid, and how much of that a run of compare.py reached.

    python bench/compare.py --json grid.json
    python bench/roofline.py --measured grid.json --json roofline.json
    python bench/roofline.py --count        count the epilogues' instructions anew (for the table EPILOGUE below)

The model. A layer in one direction is done in phases, one after another; a phase takes as long as the busiest of four
resources, which otherwise work side by side:

    pipes      vector instructions: the multiply-adds of the products, on vectors padded as they are in memory, and the
               epilogue's instructions. An addition and a division cost what they cost beside a stream of multiply-adds.
    weights    bytes of recurrent weights: each core reads all of them once for every step, from the level of the cache
               that they fit in. Those of the input are read once a call: x W of all steps needs no waiting.
    stream     bytes of inputs, outputs, tape and gradients, each once per phase that needs it; writes as fast as reads.
    chain      the one chain of multiply-adds that every state is, by the law of equal bits: H multiply-adds and the
               epilogue for each step forward, G*H of them and the epilogue for each step backward, one after another.

Phases: forward; and for a training step also packing the weights for each direction (read and written twice), back
through time, and the products after that (dX, dW, and bias as a feature that is constant 1). dX could run beside the
phase before it; where that is bound by its chain, the bound given here is not the last word.

Cores. Rows are shared out. Where there are fewer rows than cores, the bound is the better of one core alone and units
shared out, with a value handed to the other core for each step.

What a bound here leaves out: the call from Python (measured, and shown beside it), threads' start, tiles that are not
full. Every figure of the machine is measured in this run, by probe.c and the core's peak of multiply-adds, and scaled
by the peak that compare.py saw beside each line, since clocks vary.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import numpy as np

import machine
import tables
from grid import CELLS, GATES, GRID, Problem
from skrnn import _core
from skrnn.nn import Recurrent

Line = dict[str, Any]

HERE = Path(__file__).parent
FLAGS = {
    "baseline": [],
    "avx2": ["-mavx2", "-mfma"],
    "avx512": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma", "-mprefer-vector-width=512"],
    "neon": [],
}
VECTOR_BYTES = {"baseline": 16, "avx2": 32, "avx512": 64, "neon": 16}
SLOTS = {"rnn": 1, "gru": 4, "lstm": 4}  # values per unit and step on a tape, beside the states
STATES = {"rnn": 1, "gru": 1, "lstm": 2}


@dataclass(frozen=True)
class Epilogue:
    """Vector instructions per vector of hidden units: multiplications and multiply-adds, divisions, all else.

    ``chain`` is how many multiply-adds would take as long as the longest way through it.
    """

    multiply: int
    divide: int
    other: int
    chain: int

    @property
    def instructions(self) -> int:
        return self.multiply + self.divide + self.other


# Counted by --count, which compiles epilogue.cpp as the kernels are compiled (GCC 12, AVX-512, float32, tanh) and
# counts the arithmetic in the assembly: not moves, loads, stores or constants. `chain` is counted by hand in math.h: 15
# for a sigmoid or tanh (most of it the polynomial; a division is 3), 1 for each instruction between.
EPILOGUE = {
    "rnn": (Epilogue(10, 1, 9, chain=15), Epilogue(2, 0, 1, chain=2)),
    "gru": (Epilogue(32, 3, 24, chain=33), Epilogue(10, 0, 4, chain=3)),
    "lstm": (Epilogue(53, 5, 39, chain=32), Epilogue(26, 1, 13, chain=4)),
}


# ---- What the machine can do --------------------------------------------------------------------


@dataclass(frozen=True)
class Machine:
    """Times of one core in ns: of one vector instruction, of a byte by size of what is read; and of a call in ms."""

    vector_bytes: int
    multiply: float
    add: float
    divide: float
    latency: float
    handover: float
    load: dict[int, float]
    call_ms: dict[str, float]

    @property
    def lanes(self) -> int:
        return self.vector_bytes // 4

    @property
    def peak(self) -> float:
        """GFLOP/s of one core, as the probe saw it."""
        return 2 * self.lanes / self.multiply

    def read(self, n_bytes: float, of: float) -> float:
        """Time to read so many bytes from a set of ``of`` bytes that is read again and again."""
        fitting = [size for size in self.load if size >= of] or [max(self.load)]
        return n_bytes * self.load[min(fitting)]


def compile_with(flags: Sequence[str], source: Path, output: Path, variable: str, default: str) -> None:
    command = [os.environ.get(variable, default), *flags, str(source), "-o", str(output)]
    try:
        subprocess.run(command, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"roofline.py compiles {source.name} (compiler: ${variable} or {default}): {error}") from error


def probe(rounds: int) -> dict[str, float]:
    """The least time of every kind over so many runs of probe.c."""
    isa = _core.get_isa()
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "probe")
        flags = ["-std=gnu11", "-O2", "-ffp-contract=fast", "-fno-tree-vectorize", "-pthread", "-Wno-psabi"]
        vector = [f"-DVECTOR_BYTES={VECTOR_BYTES[isa]}", *FLAGS[isa]]
        compile_with([*flags, *vector], HERE / "probe.c", program, "CC", "cc")
        for _ in range(rounds):
            answer = subprocess.run(
                [program, str(machine.available_cores())], check=True, capture_output=True, text=True
            )
            for line in answer.stdout.splitlines():
                name, value = line.split()
                best[name] = min(best.get(name, float("inf")), float(value))
    return best


def call_ms() -> dict[str, float]:
    """What a call costs when there is nothing to compute: one row, one step, one feature, one unit."""
    layer = Recurrent("lstm", input_size=1, hidden_size=1)
    frozen = layer.freeze()
    X, d_output = np.ones((1, 1, 1), np.float32), np.ones((1, 1, 1), np.float32)
    calls = {"forward": lambda: frozen.forward(X), "train": lambda: layer.record(X).backward(d_output)}
    best = dict.fromkeys(calls, float("inf"))
    for name, call in calls.items():
        for _ in range(30):
            start = time.perf_counter()
            for _ in range(100):
                call()
            best[name] = min(best[name], (time.perf_counter() - start) * 10)
    return best


def measure_machine(rounds: int) -> Machine:
    found = probe(rounds)
    sizes = sorted((int(name.removeprefix("load_")) for name in found if name.startswith("load_")), reverse=True)
    load: dict[int, float] = {}
    for size in sizes:  # what a larger set shows, a smaller one can do
        load[size] = min(found[f"load_{size}"], *load.values()) if load else found[f"load_{size}"]
    # The probe and the core measure the same thing: whichever was disturbed less.
    lanes = VECTOR_BYTES[_core.get_isa()] // 4
    return Machine(
        vector_bytes=VECTOR_BYTES[_core.get_isa()],
        multiply=min(found["multiply"], 2 * lanes / machine.fma_peak(1)),
        add=max(0.0, found["add"]),
        divide=max(0.0, found["divide"]),
        latency=found["latency"],
        handover=found.get("handover", float("inf")),
        load=load,
        call_ms=call_ms(),
    )


# ---- The bound ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Phase:
    """What one phase of one layer and direction asks for, all cores together."""

    name: str
    multiplies: float = 0.0  # vector multiply-adds of the products
    epilogues: float = 0.0  # vectors of hidden units
    epilogue: Epilogue = Epilogue(0, 0, 0, 0)
    weight_set: float = 0.0  # bytes that every step reads
    steps: float = 0.0  # that wait for one another
    chain: float = 0.0  # multiply-adds one after another, of each of them
    stream: float = 0.0  # bytes

    def seconds(self, m: Machine, rows: int, cores: int) -> tuple[float, str]:
        """The bound, and the resource that sets it."""
        if rows >= cores or self.steps == 0:
            return self._on(m, cores, 1.0, 0.0)
        alone, split = self._on(m, 1, 1.0, 0.0), self._on(m, cores, 1 / cores, m.handover)
        return min(alone, split)

    def _on(self, m: Machine, cores: int, share: float, handover: float) -> tuple[float, str]:
        e = self.epilogue
        once = e.multiply * m.multiply + e.divide * m.divide + e.other * m.add
        weights = self.weight_set * share
        times = {
            "pipes": (self.multiplies * m.multiply + self.epilogues * once) / cores,
            "weights": self.steps * m.read(weights, of=weights),
            "stream": m.read(self.stream, of=self.stream) / cores,
            "chain": self.steps * ((self.chain + e.chain) * m.latency + handover),
        }
        limit = max(times, key=times.__getitem__)
        return times[limit] * 1e-9, limit


def phases(problem: Problem, mode: str, m: Machine) -> Iterator[Phase]:
    shape, cell = problem.shape, problem.cell
    packed, H, G = float(problem.mask.sum()), shape.hidden_size, GATES[cell]
    lengths = problem.lengths
    longest = float(shape.steps if lengths is None else lengths.max())
    forward, backward = EPILOGUE[cell]
    h = -(-H // m.lanes)  # vectors of units
    tape = packed * (SLOTS[cell] + STATES[cell]) * h * m.vector_bytes
    gates = packed * SLOTS[cell] * h * m.vector_bytes
    for layer in range(shape.num_layers):
        n_inputs = shape.input_size if layer == 0 else H * problem.directions
        i = -(-n_inputs // m.lanes)
        recurrent = float(H * G * h * m.vector_bytes)
        weights = float(n_inputs * G * h * m.vector_bytes)
        x, y = 4.0 * packed * n_inputs, 4.0 * packed * H
        training = mode == "train"
        for _ in range(problem.directions):
            if training:
                yield Phase("packing", stream=4 * (weights + recurrent))
            yield Phase(
                "forward",
                multiplies=packed * G * h * (n_inputs + H),
                epilogues=packed * h,
                epilogue=forward,
                weight_set=recurrent if longest > 1 else recurrent + weights,
                steps=longest,
                chain=H,
                stream=x + y + weights + (tape if training else 0.0),
            )
            if training:
                yield Phase(
                    "time",
                    multiplies=packed * G * h * H,
                    epilogues=packed * h,
                    epilogue=backward,
                    weight_set=recurrent,
                    steps=longest,
                    chain=G * H,
                    stream=tape + gates + y,
                )
                yield Phase(
                    "products",
                    multiplies=packed * G * (i * H + h * (n_inputs + 1 + H + 1)),
                    stream=gates + 2 * x + y + weights + recurrent,
                )


def bound(problem: Problem, mode: str, threads: int, m: Machine, peak: float) -> Line:
    """``peak``: GFLOP/s of all threads, for the clock at which the other figure beside this one was taken."""
    scale = m.peak * threads / peak
    rows = problem.shape.batch
    found = list(phases(problem, mode, m))
    times = [phase.seconds(m, rows, threads) for phase in found]
    by_limit: dict[str, float] = {}
    for seconds, limit in times:
        by_limit[limit] = by_limit.get(limit, 0.0) + seconds
    cores = min(rows, threads)
    flops = problem.forward_flops * (3 if mode == "train" else 1)
    bound_seconds = sum(seconds for seconds, _ in times) * scale
    return {
        "cell": problem.cell,
        "shape": asdict(problem.shape),
        "mode": mode,
        "threads": threads,
        "flops": flops,
        "bytes": sum(p.stream + p.weight_set * p.steps * cores for p in found),
        "epilogue_instructions": sum(p.epilogues * p.epilogue.instructions for p in found),
        "bound_ms": bound_seconds * 1e3,
        "bound_of_peak": flops / bound_seconds * 1e-9 / peak,
        "limit": max(by_limit, key=by_limit.__getitem__),
        "call_ms": m.call_ms[mode] * scale,
    }


def at_the_bound(lines: Sequence[Line]) -> Iterator[Line]:
    """Geometric means of the peers' times over ours, if every line of ours took its bound (and the call)."""
    for mode, threads in sorted({(line["mode"], line["threads"]) for line in lines}):
        chosen = [line for line in lines if (line["mode"], line["threads"]) == (mode, threads)]
        for peer in ("torch", "onnxruntime", "best peer"):
            having = [line for line in chosen if (peer == "best peer" and line["ratio"]) or peer in line["ratio"]]
            if not having:
                continue
            ratios = [min(line["ratio"].values()) if peer == "best peer" else line["ratio"][peer] for line in having]
            bounds = [line["bound_ms"] for line in having]
            ms, calls = [line["ms"] for line in having], [line["call_ms"] for line in having]
            lowest = min(range(len(having)), key=lambda k: ratios[k] * ms[k] / bounds[k])
            yield {
                "mode": mode,
                "threads": threads,
                "peer": peer,
                "measured": geometric_mean(ratios),
                "at_bound": geometric_mean(r * t / b for r, t, b in zip(ratios, ms, bounds, strict=True)),
                "at_bound_and_call": geometric_mean(
                    r * t / (b + c) for r, t, b, c in zip(ratios, ms, bounds, calls, strict=True)
                ),
                "share": geometric_mean(b / t for t, b in zip(ms, bounds, strict=True)),
                "lowest_at_bound": ratios[lowest] * ms[lowest] / bounds[lowest],
                "lowest": f"{having[lowest]['cell']} {having[lowest]['shape']['name']}",
            }


# ---- The programs -------------------------------------------------------------------------------


def count_epilogues() -> None:
    isa = _core.get_isa()
    flags = ["-std=c++17", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi", "-S"]
    with tempfile.TemporaryDirectory() as folder:
        assembly = Path(folder, "epilogue.s")
        compile_with([*flags, *FLAGS[isa]], HERE / "epilogue.cpp", assembly, "CXX", "c++")
        counts: dict[str, Counter[str]] = {}
        for line in assembly.read_text().splitlines():
            if label := re.match(r"(\w+_(?:forward|backward)):", line):
                count = counts.setdefault(label[1], Counter())
            elif (code := re.match(r"\s+(v?p?\w+)\s.*%[xyz]mm", line)) and not re.search("mov|broadcast", code[1]):
                kind = "divide" if "div" in code[1] else "multiply" if re.search("mul|fn?m", code[1]) else "other"
                count[kind] += 1
    for name, count in counts.items():
        print(f"{name:14} " + "  ".join(f"{kind} {count[kind]}" for kind in ("multiply", "divide", "other")))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--measured", type=Path, metavar="PATH", help="what compare.py --json wrote: its lines")
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS), help="without --measured")
    parser.add_argument("--grid", nargs="+", choices=list(GRID), default=list(GRID), metavar="NAME", help="likewise")
    parser.add_argument("--threads", nargs="+", type=int, help="likewise; default: 1 and all cores")
    parser.add_argument("--quick", action="store_true", help="probe the machine once instead of ten times")
    parser.add_argument("--count", action="store_true", help="count the epilogues' instructions, and nothing else")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write everything here, for tables.py")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    if options.count:
        count_epilogues()
        return
    m = measure_machine(1 if options.quick else 10)
    report: Line = {"machine": machine.describe(), "parameters": {**asdict(m), "peak_gflops": m.peak}}
    if options.measured is not None:
        lines = []
        for line in json.loads(options.measured.read_text())["grid"]:
            problem = Problem(line["cell"], GRID[line["shape"]["name"]])
            reached = bound(problem, line["mode"], line["threads"], m, line["peak_gflops"])
            ms = line["ms"]["skrnn"]
            lines.append({**reached, "ms": ms, "share": reached["bound_ms"] / ms, "ratio": line["ratio"]})
        report["at_the_bound"] = list(at_the_bound(lines))
    else:
        lines = [
            bound(Problem(cell, GRID[name]), mode, threads, m, m.peak * threads)
            for name in options.grid
            for cell in options.cells
            for threads in options.threads or sorted({1, machine.available_cores()})
            for mode in ("forward", "train")
        ]
    report["lines"] = lines
    print(*tables.roofline_section(report), sep="\n")
    for line in lines:
        if line.get("share", 0) > 1.02:  # peaks measured seconds apart agree to a percent or two
            name = f"{line['cell']} {line['shape']['name']} {line['mode']} threads {line['threads']}"
            print(f"BEYOND THE BOUND, so the model or a figure of the machine is wrong: {name}, {line['share']:.0%}")
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
