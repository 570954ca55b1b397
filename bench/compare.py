"""Side by side with PyTorch and onnxruntime: what a forward pass, a training step and a whole fit cost.

    python bench/compare.py                            the whole grid, one line per cell of it
    python bench/compare.py --quick                    three rounds instead of fifteen: does it run at all?
    python bench/compare.py --cells lstm --grid medium large --threads 1 --mode forward
    python bench/compare.py --fits                     whole fits against hand-written PyTorch loops
    python bench/compare.py --fits --keras ~/keras/bin/python      ... and Keras, which that interpreter has; skrnn need
                                                       not be installed there

How it measures. Machines are shared and noisy, so only ratios taken in one run count. Every contender computes the
same network on the same data, which is checked before anything is timed. Then come rounds: in each, every contender
runs one block of calls (about 20 ms of them), the order turning from round to round. A ratio is the peer's time over
ours in the same round; the figure shown is the median over all rounds.

Thread pools. A thread that waits for work by spinning steals the core of whoever runs next. Each contender therefore
waits as suits it best during its own block, and the machine rests for a moment between blocks, long enough for
spinning threads to fall asleep; one call before the clock starts wakes the contender's own. onnxruntime is told to stop
spinning when a call ends (it would otherwise go on for longer than the rest).

Peers come in their better variant where they have two: padded or packed for ragged batches. Figures in GFLOP/s count
the matrix products alone (a training step three times the forward pass) and stand beside the peak of plain fused
multiply-adds that this machine showed in the same run.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

import numpy as np

import fits
import machine
from grid import CELLS, GRID, Array, Problem
from peers import Contender, contenders

Line = dict[str, Any]

REST = 0.012  # seconds between blocks; libgomp's threads spin for a few milliseconds before they sleep
BLOCK = 0.020  # seconds of one block, at least one call


def time_block(call: Callable[[], Any], n_calls: int, *, wake: bool) -> float:
    """Seconds per call."""
    time.sleep(REST)
    if wake:
        call()
    start = time.perf_counter()
    for _ in range(n_calls):
        call()
    return (time.perf_counter() - start) / n_calls


def interleave(calls: Sequence[Callable[[], Any]], rounds: int) -> Array:
    """Seconds per call, (rounds, contenders)."""
    n_calls = []
    for call in calls:
        call()
        once = min(time_block(call, 1, wake=True) for _ in range(2))
        n_calls.append(max(1, math.ceil(BLOCK / once)))
    seconds = np.empty((rounds, len(calls)))
    for r in range(rounds):
        for turn in range(len(calls)):
            i = (r + turn) % len(calls)
            # A call that lasts long wakes its own threads at no cost worth mentioning.
            seconds[r, i] = time_block(calls[i], n_calls[i], wake=n_calls[i] > 1)
    return seconds


def assert_close(what: str, ours: Array, theirs: Array) -> None:
    """In float32, sums of up to 10^5 products in two orders: compare with the size of the largest value."""
    assert ours.shape == theirs.shape, f"{what}: shapes {ours.shape} and {theirs.shape}"
    error = float(np.abs(ours - theirs).max())
    scale = float(np.abs(theirs).max())
    assert error <= 1e-3 * scale, f"{what}: largest difference {error:.2e} beside values up to {scale:.2e}"


def check_same(found: Sequence[Contender], *, training: bool) -> None:
    ours, *peers = found
    for peer in peers:
        assert_close(f"output of {peer.name}", ours.output(), peer.output())
        if training:
            mine, theirs = ours.gradients(), peer.gradients()
            for name, value in theirs.items():
                assert_close(f"gradient of {name} of {peer.name}", np.asarray(mine[name]), value)


def best_variants(names: Sequence[str], seconds: Array) -> dict[str, Array]:
    """Per software the times of its faster variant: "torch" stands for "torch packed" where that is faster."""
    best: dict[str, Array] = {}
    for i, name in enumerate(names):
        software = name.split()[0]
        if software not in best or np.median(seconds[:, i]) < np.median(best[software]):
            best[software] = seconds[:, i]
    return best


def measure(problem: Problem, mode: str, n_threads: int, rounds: int) -> Line:
    training = mode == "train"
    gc.collect()
    found = contenders(problem, n_threads, training=training)
    check_same(found, training=training)
    peaks = [machine.fma_peak(n_threads)]
    seconds = interleave([c.train if training else c.forward for c in found], rounds)
    peaks.append(machine.fma_peak(n_threads))
    peak = max(peaks)  # of this line: a machine that others use has slow minutes
    best = best_variants([c.name for c in found], seconds)
    ours = best["skrnn"]
    gflops = problem.forward_flops * (3 if training else 1) / float(np.median(ours)) / 1e9
    return {
        "cell": problem.cell,
        "shape": asdict(problem.shape),
        "mode": mode,
        "threads": n_threads,
        "rounds": rounds,
        "ms": {name: float(np.median(times)) * 1e3 for name, times in best.items()},
        "ratio": {name: float(np.median(times / ours)) for name, times in best.items() if name != "skrnn"},
        "variants_ms": {c.name: float(np.median(seconds[:, i])) * 1e3 for i, c in enumerate(found)},
        "gflops": gflops,
        "peak_gflops": peak,
        "share_of_peak": gflops / peak,
    }


# ---- What is printed ----------------------------------------------------------------------------


def figure(value: float | None) -> str:
    """Three significant digits, whatever the size."""
    if value is None:
        return "-"
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f}" if value > 0 else "0"


COLUMNS = (
    ("cell", 5),
    ("shape", 14),
    ("mode", 8),
    ("threads", 8),
    ("skrnn ms", 10),
    ("GFLOP/s", 9),
    ("of peak", 8),
    ("torch ms", 10),
    ("ratio", 7),
    ("onnxrt ms", 10),
    ("ratio", 7),
)


def row(values: Sequence[str]) -> str:
    texts = zip(values, COLUMNS, strict=True)
    return " ".join(v.ljust(w) if i < 3 else v.rjust(w) for i, (v, (_, w)) in enumerate(texts))


def show(line: Line) -> str:
    ms, ratio = line["ms"], line["ratio"]
    return row(
        [
            line["cell"],
            line["shape"]["name"],
            line["mode"],
            str(line["threads"]),
            figure(ms["skrnn"]),
            figure(line["gflops"]),
            f"{line['share_of_peak']:.0%}",
            figure(ms.get("torch")),
            figure(ratio.get("torch")),
            figure(ms.get("onnxruntime")),
            figure(ratio.get("onnxruntime")),
        ]
    )


def summaries(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Geometric means over the grid, and the worst line of each kind."""
    found = []
    for mode, n_threads in sorted({(line["mode"], line["threads"]) for line in lines}):
        chosen = [line for line in lines if (line["mode"], line["threads"]) == (mode, n_threads)]
        for peer in ("torch", "onnxruntime", "best peer"):
            ratios = {}
            for line in chosen:
                values = [line["ratio"][peer]] if peer in line["ratio"] else []
                if peer == "best peer":
                    values = list(line["ratio"].values())
                if values:
                    ratios[f"{line['cell']} {line['shape']['name']}"] = min(values)
            if ratios:
                worst = min(ratios, key=ratios.__getitem__)
                found.append(
                    {
                        "mode": mode,
                        "threads": n_threads,
                        "peer": peer,
                        "lines": len(ratios),
                        "geometric_mean": geometric_mean(ratios.values()),
                        "worst": worst,
                        "worst_ratio": ratios[worst],
                        "slower_than_peer": sorted(name for name, value in ratios.items() if value < 1),
                    }
                )
    return found


def show_summary(s: dict[str, Any]) -> str:
    text = (
        f"{s['mode']:8} threads {s['threads']}  {s['peer']:12} geometric mean {s['geometric_mean']:6.2f}x"
        f" over {s['lines']} lines, worst {s['worst_ratio']:.2f}x ({s['worst']})"
    )
    if s["slower_than_peer"]:
        text += f"; slower than the peer: {', '.join(s['slower_than_peer'])}"
    return text


# ---- The two programs ---------------------------------------------------------------------------


def run_grid(options: argparse.Namespace) -> Iterator[Line]:
    print(row([name for name, _ in COLUMNS]))
    for name in options.grid:
        for cell in options.cells:
            for n_threads in options.threads:
                for mode in options.mode:
                    line = measure(Problem(cell, GRID[name]), mode, n_threads, options.rounds)
                    print(show(line), flush=True)
                    yield line


def run_fits(options: argparse.Namespace) -> Iterator[Line]:
    for n_threads in options.threads:
        for job in fits.jobs(options.cells):
            with job.contenders(n_threads, options.keras) as found:
                line = measure_fit(job, found, n_threads, max(1, options.rounds // 3))
            shown = "  ".join(f"{name} {figure(value)} s" for name, value in line["seconds"].items())
            ratios = "  ".join(f"{name} {figure(value)}" for name, value in line["ratio"].items())
            print(f"{job.name:36} threads {n_threads}  {shown}  ratio: {ratios}", flush=True)
            yield line


def measure_fit(job: fits.Job, found: dict[str, fits.Fit], n_threads: int, rounds: int) -> Line:
    calls = list(found.values())
    seconds = np.empty((rounds, len(calls)))
    for call in calls:
        call()
    for r in range(rounds):
        for turn in range(len(calls)):
            i = (r + turn) % len(calls)
            time.sleep(REST)
            start = time.perf_counter()
            result = calls[i]()
            seconds[r, i] = time.perf_counter() - start
            job.check(result)
    ours = seconds[:, 0]
    return {
        "fit": job.name,
        "threads": n_threads,
        "rounds": rounds,
        "seconds": {name: median(seconds[:, i]) for i, name in enumerate(found)},
        "ratio": {name: median(seconds[:, i] / ours) for i, name in enumerate(found) if name != "skrnn"},
    }


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument("--grid", nargs="+", choices=list(GRID), default=list(GRID), metavar="NAME")
    parser.add_argument("--mode", nargs="+", choices=("forward", "train"), default=["forward", "train"])
    parser.add_argument("--threads", nargs="+", type=int, help="default: 1 and all cores")
    parser.add_argument("--rounds", type=int, default=15, help="interleaved rounds per line (default 15)")
    parser.add_argument("--quick", action="store_true", help="three rounds")
    parser.add_argument("--fits", action="store_true", help="whole fits instead of the grid")
    parser.add_argument("--keras", metavar="PYTHON", help="with --fits: an interpreter with Keras, a third contender")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write everything measured here")
    options = parser.parse_args(arguments)
    if options.keras and not options.fits:
        parser.error("--keras takes part in --fits only")
    options.rounds = 3 if options.quick else options.rounds
    options.threads = options.threads or sorted({1, machine.available_cores()})
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    about = machine.describe()
    peaks = {n: machine.fma_peak(n) for n in options.threads}
    print(f"{about['cpu']}, {about['cores']} cores, isa {about['isa']}, commit {about['commit']}")
    print(", ".join(f"{name} {version}" for name, version in about["versions"].items()))
    for n_threads, peak in peaks.items():
        print(f"peak of fused multiply-adds, {n_threads} threads: {figure(peak)} GFLOP/s (float32)")
    if about["load"] > 0.5:
        print(f"BUSY: the load of this machine is {about['load']:.1f}; figures for several threads will mislead")
    print()

    report: dict[str, Any] = {"machine": about, "peak_gflops": {str(n): p for n, p in peaks.items()}}
    gc.disable()  # nothing here makes cycles worth a pause in the middle of a block
    if options.fits:
        report["fits"] = list(run_fits(options))
    else:
        report["grid"] = list(run_grid(options))
        report["summary"] = summaries(report["grid"])
        print()
        for summary in report["summary"]:
            print(show_summary(summary))
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
