"""Write docs/performance.md from what the other programs here measured.

    python bench/tables.py --run              measure everything, into bench/results/, then write (tens of minutes)
    python bench/tables.py --run --quick      the same with few rounds: does it all run?
    python bench/tables.py --run --keras ~/keras/bin/python        with Keras among the whole fits
    python bench/tables.py                    write again from bench/results/
    python bench/tables.py --grid /path/to/grid.json               ... or from elsewhere

Each part is optional: where its file is missing, so is its section.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from compare import figure

Line = dict[str, Any]

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PAGE = HERE.parent / "docs" / "performance.md"
PARTS = ("grid", "fits", "roofline", "footprint", "plots")
PASSES = {"forward": "forward", "train": "training"}
PEERS = {"torch": "PyTorch", "onnxruntime": "onnxruntime", "keras": "Keras"}


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def times(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def megabytes(n_bytes: float) -> str:
    return f"{n_bytes / 1e6:.1f}"


def prose(text: str) -> Iterator[str]:
    yield from textwrap.wrap(text, 120, break_long_words=False, break_on_hyphens=False)


def runs_section(reports: dict[str, Line]) -> Iterator[str]:
    machines = {part: report["machine"] for part, report in reports.items()}
    first = next(iter(machines.values()))
    versions = ", ".join(f"{name} {version}" for name, version in first["versions"].items() if name != "skrnn")
    yield "## The runs"
    yield ""
    yield f"{first['cpu']}, {first['cores']} cores, instruction set {first['isa']}; {versions}."
    yield ""
    yield row("part", "code of commit", "time", "load when it began")
    yield row(*["---"] * 3, "---:")
    for part, machine in machines.items():
        yield row(part, f"`{machine['commit']}`", machine["time"], f"{machine['load']:.1f}")


# ---- Times beside the peers ---------------------------------------------------------------------


def grid_table(lines: list[Line]) -> Iterator[str]:
    yield row("cell", "shape", "pass", "threads", "skrnn ms", "share of peak", "PyTorch", "onnxruntime")
    yield row(*["---"] * 3, *["---:"] * 5)
    for line in lines:
        yield row(
            line["cell"],
            line["shape"]["name"],
            PASSES[line["mode"]],
            str(line["threads"]),
            figure(line["ms"]["skrnn"]),
            f"{line['share_of_peak']:.0%}",
            times(line["ratio"].get("torch")),
            times(line["ratio"].get("onnxruntime")),
        )


def shape_table(lines: list[Line]) -> Iterator[str]:
    yield row("shape", "rows", "steps", "inputs", "hidden", "")
    yield row("---", *["---:"] * 4, "---")
    for shape in {line["shape"]["name"]: line["shape"] for line in lines}.values():
        remarks = [f"{shape['num_layers']} layers"] if shape["num_layers"] > 1 else []
        remarks += ["both directions"] if shape["bidirectional"] else []
        remarks += ["lengths 10 to 100, uniform"] if shape["ragged"] else []
        numbers = (str(shape[name]) for name in ("batch", "steps", "input_size", "hidden_size"))
        yield row(shape["name"], *numbers, ", ".join(remarks))


def summary_table(summary: list[Line]) -> Iterator[str]:
    yield row("pass", "threads", "peer", "geometric mean", "lowest", "where")
    yield row("---", "---:", "---", "---:", "---:", "---")
    for s in summary:
        mean, worst = times(s["geometric_mean"]), times(s["worst_ratio"])
        yield row(PASSES[s["mode"]], str(s["threads"]), s["peer"], mean, worst, s["worst"])


def fits_section(report: Line) -> Iterator[str]:
    lines = report["fits"]
    peers = [peer for peer in PEERS if any(peer in line["ratio"] for line in lines)]
    yield "## Whole fits"
    yield ""
    yield from prose(
        "Seconds, against a loop as a careful PyTorch user writes it and, where it took part, Keras's own `fit` "
        "(`bench/fits.py`). The textbook's sine: 90 windows of 10 steps, 50 ReLU units, 200 epochs of batches of "
        "32."
    )
    yield ""
    yield row("fit", "threads", "skrnn", *(PEERS[p] for p in peers), *(f"ratio to {PEERS[p]}" for p in peers))
    yield row("---", *["---:"] * (2 + 2 * len(peers)))
    for line in lines:
        seconds = [figure(line["seconds"].get(name)) for name in ("skrnn", *peers)]
        ratios = [figure(line["ratio"].get(name)) for name in peers]
        yield row(line["fit"], str(line["threads"]), *seconds, *ratios)


def grid_section(report: Line) -> Iterator[str]:
    peaks = ", ".join(f"{figure(peak)} on {n}" for n, peak in report["peak_gflops"].items())
    yield "## The grid"
    yield ""
    yield from prose(
        f"Contenders take turns within one run, and a ratio is the median, over {report['grid'][0]['rounds']} "
        "rounds, of the peer's time over ours (`bench/compare.py`). **Above 1, skrnn is faster.** Both sides are "
        "checked to compute the same before the clock starts. Peers count with their better of padded and packed "
        "for ragged rows. The share of the peak counts the matrix products alone; the peak of float32 "
        f"multiply-adds in GFLOP/s, by threads, was {peaks}."
    )
    yield ""
    yield from shape_table(report["grid"])
    yield ""
    yield from prose("Over the whole grid, and where the ratio is lowest:")
    yield ""
    yield from summary_table(report["summary"])
    yield ""
    yield from prose("Every line; a training step is forward, all weight gradients and the gradient of the input.")
    yield ""
    yield from grid_table(report["grid"])


def threads_section(report: Line) -> Iterator[str]:
    """What a second core brings, and what that says of more; nothing where one number of threads was measured."""
    times_of: dict[tuple[str, str, str], dict[int, float]] = {}
    for line in report["grid"]:
        key = (line["cell"], line["shape"]["name"], line["mode"])
        times_of.setdefault(key, {})[line["threads"]] = line["ms"]["skrnn"]
    counts = sorted({line["threads"] for line in report["grid"]})
    if len(counts) < 2:
        return
    n = counts[-1]
    yield "## Threads"
    yield ""
    yield from prose(
        f"Time on one thread over time on {n}, and the serial fraction s that this would be by Amdahl's law, "
        "t(n) = t(1) (s + (1 - s) / n); below 0, a second core brought its caches as well. `at 16` is the "
        "speed-up that this fraction would leave on 16 cores."
    )
    yield ""
    yield row("cell", "shape", "forward", "s", "at 16", "training", "s", "at 16")
    yield row("---", "---", *["---:"] * 6)
    for cell, shape in dict.fromkeys((cell, shape) for cell, shape, _ in times_of):
        cells = []
        for mode in PASSES:
            measured = times_of.get((cell, shape, mode), {})
            if not {1, n} <= set(measured):
                cells += ["-"] * 3
                continue
            speedup = measured[1] / measured[n]
            serial = (n / speedup - 1) / (n - 1)
            cells += [f"{speedup:.2f}", f"{serial:.3f}", f"{1 / (max(serial, 0) + (1 - max(serial, 0)) / 16):.1f}"]
        yield row(cell, shape, *cells)
    yield ""
    yield from prose(
        "What the law does not know. Rows are shared whole, so 64 rows leave 4 to each of 16 threads: one tile of 4 "
        "of its 6 rows, with 16 of the 24 chains of additions, still enough to keep the multiply-adds busy; below 3 "
        "rows per thread, units are shared instead. Each thread reads all panels of weights at every step, which fit "
        "its own second-level cache up to about 256 units; larger ones stream from the shared cache, and 16 cores "
        "share its bandwidth. Serial in a call are: the plan and the tables of row pointers, the states' copies, and "
        "in training the packing of small weights; of a region, its start and one barrier per piece of a "
        "backward call (more with checkpoints). No machine with more cores was at hand to measure it; "
        "`bench/plots.py` draws the curve up to all cores of the machine that it runs on."
    )


# ---- The bound ----------------------------------------------------------------------------------


def parameters_table(p: Line, cores: int) -> Iterator[str]:
    load = {int(size): time for size, time in p["load"].items()}

    def rate(size: int) -> str:
        return f"{1 / load[min(s for s in load if s >= size)]:.0f} GB/s"

    yield row("this machine, one core", "measured")
    yield row("---", "---:")
    yield row(f"multiply-adds, {p['vector_bytes']} bytes wide", f"{p['peak_gflops']:.0f} GFLOP/s")
    yield row("one multiply-add after another", f"{p['latency']:.2f} ns")
    yield row("an addition beside multiply-adds", f"{p['add']:.3f} ns")
    yield row("a division beside multiply-adds", f"{p['divide']:.3f} ns")
    for size, name in ((32 << 10, "32 KiB"), (256 << 10, "256 KiB"), (1 << 20, "1 MiB"), (16 << 20, "16 MiB")):
        yield row(f"reading {name} again and again", rate(size))
    if cores > 1:
        yield row("a value to another core", f"{p['handover']:.0f} ns")
    for mode, name in PASSES.items():
        yield row(f"a {name} call with nothing to compute", f"{p['call_ms'][mode] * 1e3:.1f} us")


def roofline_section(report: Line) -> Iterator[str]:
    yield "## The bound"
    yield ""
    yield from prose(
        "How fast this machine could do each line, from figures measured in one run (`bench/roofline.py`, whose "
        "head says what is counted). A phase (forward; packing, back through time, the products after it) takes "
        "as long as the busiest of: the pipes of vector instructions; reading the recurrent weights at every "
        "step; streaming inputs, tape and gradients; the chain of multiply-adds that one state is. Calls, "
        "threads' start and tiles that are not full are not in the bound."
    )
    yield ""
    yield from parameters_table(report["parameters"], report["machine"]["cores"])
    if "at_the_bound" in report:
        yield ""
        yield from prose(
            "If every line took its bound, and with the call from Python on top, the geometric means would be "
            "(`share`: that of the bound reached; `lowest`: the smallest ratio at the bound):"
        )
        yield ""
        yield row("pass", "threads", "peer", "share", "measured", "at the bound", "and call", "lowest", "where")
        yield row("---", "---:", "---", *["---:"] * 5, "---")
        for s in report["at_the_bound"]:
            ratios = [times(s[name]) for name in ("measured", "at_bound", "at_bound_and_call", "lowest_at_bound")]
            share = f"{s['share']:.0%}"
            yield row(PASSES[s["mode"]], str(s["threads"]), s["peer"], share, *ratios, s["lowest"])
    yield ""
    yield from prose(
        "`epilogue`: vector instructions of the cells' functions. `limit`: what most of the bound is due to. "
        "`of peak`: the share of the peak of multiply-adds that the matrix products would reach at the bound. "
        "`share`: that of the bound reached."
    )
    yield ""
    head = ("cell", "shape", "pass", "threads", "MFLOP", "MB", "epilogue, 1000", "bound ms", "of peak", "limit")
    yield row(*head, "skrnn ms", "share")
    yield row(*["---"] * 3, *["---:"] * 6, "---", *["---:"] * 2)
    for line in report["lines"]:
        yield row(
            line["cell"],
            line["shape"]["name"],
            PASSES[line["mode"]],
            str(line["threads"]),
            figure(line["flops"] / 1e6),
            figure(line["bytes"] / 1e6),
            figure(line["epilogue_instructions"] / 1e3),
            figure(line["bound_ms"]),
            f"{line['bound_of_peak']:.0%}",
            line["limit"],
            figure(line.get("ms")),
            f"{line['share']:.0%}" if "share" in line else "-",
        )


# ---- What it takes besides ----------------------------------------------------------------------


def footprint_section(report: Line) -> Iterator[str]:
    yield "## Memory, import, small calls"
    yield ""
    yield from prose("Measured by `bench/footprint.py`, each figure of memory or import in fresh processes.")
    yield ""
    yield row("", "skrnn", "PyTorch", "onnxruntime")
    yield row("---", *["---:"] * 3)
    imports, disk = report["import_seconds"], report["disk_bytes"]
    softwares = ("skrnn", "torch", "onnxruntime")
    yield row("import, s", *(figure(imports.get(name)) for name in softwares))
    yield row("... beyond scikit-learn's", figure(imports["skrnn beyond scikit-learn"]), "", "")
    yield row("installed, MB", *(megabytes(disk[name]) if name in disk else "-" for name in softwares))
    yield ""
    yield from prose(
        "Peak of what is resident in a training step, in MB, import and all, and in brackets before the step; "
        "skrnn with its estimators and so with scikit-learn, or its layers alone:"
    )
    yield ""
    softwares = ("skrnn", "skrnn.nn", "torch")
    yield row("", "skrnn", "skrnn.nn alone", "PyTorch", "skrnn / PyTorch")
    yield row("---", *["---:"] * 4)
    for line in report["memory"]:
        peak, before = line["peak"], line["before"]
        shown = [f"{megabytes(peak[s])} ({megabytes(before[s])})" if s in peak else "-" for s in softwares]
        share = f"{peak['skrnn'] / peak['torch']:.0%}" if "torch" in peak else "-"
        yield row(f"{line['cell']} {line['shape']}", *shown, share)
    yield ""
    tapes = ", ".join(f"{cell} {n:.0f}" for cell, n in report["tape_bytes"].items())
    yield from prose(
        f"Bytes that a tape keeps for each row and step (float32, H 128), beside the input it refers to: {tapes}."
    )
    yield ""
    yield row("call", "us")
    yield row("---", "---:")
    for name, microseconds in report["calls_us"].items():
        yield row(name, figure(microseconds))


def plots_section(report: Line) -> Iterator[str]:
    yield "## How cost grows"
    yield ""
    yield from prose(
        "Forward passes and training steps on one thread, around the shape *medium* (64 rows, 100 steps, 64 inputs, "
        "128 units), one size varied at a time; inputs grow with the units (`bench/plots.py`). Grey lines have the "
        "slope that arithmetic asks for. Slopes fitted on logarithmic scales to the upper half of the sizes:"
    )
    yield ""
    yield row("cell", "pass", "over", "arithmetic", "skrnn", "PyTorch", "onnxruntime")
    yield row(*["---"] * 3, *["---:"] * 4)
    for line in report["slopes"]:
        slopes = (line["slope"].get(name) for name in ("skrnn", "torch", "onnxruntime"))
        yield row(line["cell"], PASSES[line["mode"]], line["over"], str(line["arithmetic"]), *map(times, slopes))
    yield ""
    growth = ", ".join(f"{name} {n:.0f}" for name, n in report["bytes_per_step"].items())
    yield from prose(
        "Peak memory of a training step grows by so many bytes with each further step of a row, its input and the "
        f"gradients of both included: {growth}."
    )
    for name, caption in report["images"].items():
        yield ""
        yield f"![{caption}](images/{name})"


# ---- The page -----------------------------------------------------------------------------------

HEAD = """# Performance

Made by `bench/tables.py`; its first lines say how to make it anew. Machines are shared and noisy: only what was
measured in one run, taking turns, is compared.

## How it works

**One product.** Every matrix product of the library, forward and backward, runs on one function template: a tile of 6
rows by 4 vectors (3 by 4 where there are 16 registers) whose sums stay in registers over the whole depth, while the
right operand comes from packed panels and the left one is broadcast, element by element, through row pointers. Each
element of a result is one chain of multiply-adds in the order of k. So its bits do not depend on the tile it fell
into, on its neighbours, on padding or on the number of threads ([ADR 0003](adr/0003-one-tile-for-every-product.md)).

**Packed panels and the epilogue.** Weights are packed so that all gates of the same hidden units lie side by side in
a panel. When a tile is done, the cell is computed for those units at once, from the first-level cache:
pre-activations never travel further. x(t) and h(t-1) are two operands of one product; a step is one or two such
stages ([ADR 0005](adr/0005-cells-in-stages.md)). exp, sigmoid and tanh are our own polynomials, vectorised at every
width; an epilogue computes several rows in lockstep ([ADR 0008](adr/0008-epilogues.md)).

**Rows, not padding.** A plan sorts the rows by length and numbers the steps that exist. Direction, raggedness,
strides and layout are pointers in a table, and the time loop, written once for all cells, knows none of them
([ADR 0004](adr/0004-packed-steps.md)).

**Few rows.** One or two rows do not fill a tile, and reading all weights for them at every step is what takes the
time. There x W + b is computed beforehand, for a block of steps whose rows do fill tiles, and h U is added to it: the
same chains, paused in memory in between.

**Backward.** A tape keeps the activated gates and the states. Back through time, the gradients of step t+1 times U
are followed by the cell's backward of step t as their epilogue, which overwrites the activations by the gradients of
the pre-activations. Then come the gradients of the inputs, one product over all steps, and those of the weights, in
blocks of steps whose operands are packed first ([ADR 0006](adr/0006-weight-gradients.md)); the bias is one more feature
that is always 1. All this goes through time in pieces, while their gates are in the cache, and a tape may keep
checkpoints alone ([ADR 0009](adr/0009-pieces-and-checkpoints.md)).

**Threads.** One parallel region per call. Rows are shared out, balanced by their steps; where there are too few of
them, hidden units, and the threads meet after each step ([ADR 0007](adr/0007-threads-share-units.md)). Weight
gradients are shared by their elements. A small call stays on one thread. Nothing is added up across threads.

**Instruction sets.** The kernels are compiled once for each, from one source, and chosen at import
([ADR 0001](adr/0001-simd-by-vector-extensions.md))."""

SECTIONS = (
    ("fits", fits_section),
    ("grid", grid_section),
    ("grid", threads_section),
    ("roofline", roofline_section),
    ("footprint", footprint_section),
    ("plots", plots_section),
)


def page(reports: dict[str, Line]) -> Iterator[str]:
    yield HEAD
    for part, section in SECTIONS:
        if part in reports:
            yield ""
            yield from section(reports[part])
    if reports:
        yield ""
        yield from runs_section(reports)


def measure(paths: dict[str, Path], extra: Sequence[str], keras: str | None) -> None:
    """Run the other programs, one after another."""
    fits = ["compare.py", "--fits", *(["--keras", keras] if keras else [])]
    commands: dict[str, list[str]] = {
        "grid": ["compare.py"],
        "fits": fits,
        "roofline": ["roofline.py", "--measured", str(paths["grid"])],
        "footprint": ["footprint.py"],
        "plots": ["plots.py"],
    }
    for part, (program, *arguments) in commands.items():
        command = [sys.executable, str(HERE / program), *arguments, *extra, "--json", str(paths[part])]
        print(f"== {' '.join(command[1:])}", flush=True)
        subprocess.run(command, check=True)


def write(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for part in PARTS:
        parser.add_argument(f"--{part}", type=Path, default=RESULTS / f"{part}.json", metavar="PATH")
    parser.add_argument("--run", action="store_true", help="measure everything first")
    parser.add_argument("--quick", action="store_true", help="with --run: few rounds")
    parser.add_argument("--keras", metavar="PYTHON", help="with --run: an interpreter that has Keras")
    parser.add_argument("--output", type=Path, default=PAGE, metavar="PATH", help="default: docs/performance.md")
    options = parser.parse_args(arguments)
    paths = {part: getattr(options, part) for part in PARTS}
    if options.run:
        measure(paths, ["--quick"] if options.quick else [], options.keras)
    reports = {part: json.loads(path.read_text()) for part, path in paths.items() if path.exists()}
    write(options.output, page(reports))
    print(f"{options.output}: {', '.join(reports) or 'no measurements found'}")


if __name__ == "__main__":
    main()
