"""How cost grows: time against rows, steps, units and threads, memory against steps, beside the peers.

    python bench/plots.py                          measure and draw into docs/images (about three minutes)
    python bench/plots.py --quick                  few sizes, few rounds
    python bench/plots.py --json plots.json        ... and keep what was measured
    python bench/plots.py --redraw plots.json      draw again from that

Times are measured as compare.py does, contenders taking turns, but the least of the rounds counts: a slope has no
second time to be divided by. Memory is measured in fresh processes (training_memory.py). The same measurements give the
same files, byte for byte.
"""

from __future__ import annotations

import argparse
import gc
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

import machine
import training_memory
from compare import best_variants, interleave
from grid import CELLS, GRID, Problem, Shape
from peers import contenders

matplotlib.use("Agg")
import matplotlib.pyplot as plt

Line = dict[str, Any]

IMAGES = Path(__file__).parent.parent / "docs" / "images"
STYLE = {"skrnn": ("#d62728", "o"), "torch": ("#1f77b4", "s"), "onnxruntime": ("#2ca02c", "^")}
NAMES = {"skrnn": "skrnn", "torch": "PyTorch", "onnxruntime": "onnxruntime"}
PASSES = {"forward": "forward", "train": "training step"}

# Sizes, and the power of them that the multiply-adds grow by. Few rows do not fill tiles: slopes are those of many.
SIZES = {
    "rows": ((1, 2, 4, 8, 16, 32, 64, 128, 256), 1),
    "steps": ((12, 25, 50, 100, 200, 400), 1),
    "units": ((32, 64, 128, 256, 512), 2),
}
QUICK = {"rows": (16, 64), "steps": (25, 50), "units": (32, 64)}
SCALED = ("medium", "large", "huge", "ragged")


# ---- Measuring ----------------------------------------------------------------------------------


def shape_of(over: str, size: int) -> Shape:
    medium = replace(GRID["medium"], name=f"{over} {size}")
    if over == "rows":
        return replace(medium, batch=size)
    if over == "steps":
        return replace(medium, steps=size)
    return replace(medium, input_size=size, hidden_size=size)


def time_ms(problem: Problem, mode: str, n_threads: int, rounds: int) -> dict[str, float]:
    training = mode == "train"
    gc.collect()
    found = contenders(problem, n_threads, training=training)
    seconds = interleave([c.train if training else c.forward for c in found], rounds)
    best = best_variants([c.name for c in found], seconds)
    return {name: float(np.min(times)) * 1e3 for name, times in best.items()}


def measure_sizes(cells: Sequence[str], rounds: int, quick: bool) -> Iterator[Line]:
    for cell in cells:
        for over, (sizes, _) in SIZES.items():
            for size in QUICK[over] if quick else sizes:
                for mode in PASSES:
                    ms = time_ms(Problem(cell, shape_of(over, size)), mode, 1, rounds)
                    yield {"cell": cell, "mode": mode, "over": over, "size": size, "ms": ms}


def measure_threads(cells: Sequence[str], rounds: int, quick: bool) -> Iterator[Line]:
    cores = machine.available_cores()
    numbers = sorted({n for n in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, cores) if n <= cores})
    for cell in cells:
        for name in SCALED[:1] if quick else SCALED:
            for mode in PASSES:
                for n_threads in numbers:
                    ms = time_ms(Problem(cell, GRID[name]), mode, n_threads, rounds)
                    yield {"cell": cell, "mode": mode, "shape": name, "threads": n_threads, "ms": ms}


def measure_memory(cell: str, quick: bool) -> Iterator[Line]:
    medium = GRID["medium"]
    softwares = [c.name for c in contenders(Problem(cell, GRID["step"]), 1, training=True)]
    for steps in (100, 400) if quick else (50, 100, 200, 400, 800):
        sizes = (medium.batch, steps, medium.input_size, medium.hidden_size)
        peaks = {name: training_memory.measure(name, cell, *sizes)[1] for name in softwares}
        yield {"cell": cell, "steps": steps, "peak": peaks}


def slopes(lines: Sequence[Line]) -> Iterator[Line]:
    for cell, mode, over in dict.fromkeys((line["cell"], line["mode"], line["over"]) for line in lines):
        chosen = [line for line in lines if (line["cell"], line["mode"], line["over"]) == (cell, mode, over)]
        upper = chosen[-max(2, (len(chosen) + 1) // 2) :]
        sizes = np.log([line["size"] for line in upper])
        fitted = {
            name: np.polyfit(sizes, np.log([line["ms"][name] for line in upper]), 1)[0] for name in upper[0]["ms"]
        }
        slope = {name: float(value) for name, value in fitted.items()}
        yield {"cell": cell, "mode": mode, "over": over, "arithmetic": SIZES[over][1], "slope": slope}


def bytes_per_step(lines: Sequence[Line]) -> dict[str, float]:
    row_steps = [line["steps"] * GRID["medium"].batch for line in lines]
    return {
        name: float(np.polyfit(row_steps, [line["peak"][name] for line in lines], 1)[0]) for name in lines[0]["peak"]
    }


def measure(options: argparse.Namespace) -> Line:
    rounds = 2 if options.quick else 5
    sizes = list(measure_sizes(options.cells, rounds, options.quick))
    memory = list(measure_memory(options.cells[0], options.quick))
    return {
        "machine": machine.describe(),
        "sizes": sizes,
        "slopes": list(slopes(sizes)),
        "threads": list(measure_threads(options.cells, rounds, options.quick)),
        "memory": memory,
        "bytes_per_step": bytes_per_step(memory),
    }


# ---- Drawing ------------------------------------------------------------------------------------


def curve(axes: Any, name: str, x: Sequence[float], y: Sequence[float], **options: Any) -> None:
    colour, marker = STYLE[name]
    axes.plot(x, y, color=colour, marker=marker, markersize=4, linewidth=1.4, **{"label": NAMES[name], **options})


def logarithmic(axes: Any, ticks: Sequence[int]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.grid(color="0.9", linewidth=0.6)


def draw_sizes(report: Line, cell: str) -> Any:
    figure, grid = plt.subplots(2, 3, figsize=(10, 6), layout="constrained")
    for row, (mode, title) in zip(grid, PASSES.items(), strict=True):
        for axes, (over, (_, power)) in zip(row, SIZES.items(), strict=True):
            keys = (cell, mode, over)
            lines = [line for line in report["sizes"] if (line["cell"], line["mode"], line["over"]) == keys]
            sizes = [line["size"] for line in lines]
            logarithmic(axes, sizes)
            last = lines[-1]["ms"]["skrnn"]
            guide = [last * (size / sizes[-1]) ** power for size in sizes]
            axes.plot(sizes, guide, color="0.6", linestyle="--", linewidth=1, label=f"slope {power}")
            for name in lines[0]["ms"]:
                curve(axes, name, sizes, [line["ms"][name] for line in lines])
            axes.set_xlabel(over)
            axes.set_title(f"{cell}, {title}", fontsize=10)
            axes.legend(fontsize=7, frameon=False)
        row[0].set_ylabel("ms")
    return figure


def draw_threads(report: Line, cell: str) -> Any:
    lines = [line for line in report["threads"] if line["cell"] == cell]
    shapes = list(dict.fromkeys(line["shape"] for line in lines))
    figure, grid = plt.subplots(2, len(shapes), figsize=(2.6 * len(shapes) + 1, 6), layout="constrained", squeeze=False)
    for row, (mode, title) in zip(grid, PASSES.items(), strict=True):
        for axes, shape in zip(row, shapes, strict=True):
            chosen = [line for line in lines if (line["mode"], line["shape"]) == (mode, shape)]
            threads = [line["threads"] for line in chosen]
            axes.plot(threads, threads, color="0.6", linestyle="--", linewidth=1, label="as many times")
            for name in chosen[0]["ms"]:
                curve(axes, name, threads, [chosen[0]["ms"][name] / line["ms"][name] for line in chosen])
            axes.set_xticks(threads)
            axes.grid(color="0.9", linewidth=0.6)
            axes.set_xlabel("threads")
            axes.set_title(f"{cell} {shape}, {title}", fontsize=9)
            axes.legend(fontsize=7, frameon=False)
        row[0].set_ylabel("times faster than one thread")
    return figure


def draw_memory(report: Line) -> Any:
    lines = report["memory"]
    figure, axes = plt.subplots(figsize=(5, 3.4), layout="constrained")
    for name in lines[0]["peak"]:
        label = f"{NAMES[name]}: {report['bytes_per_step'][name]:.0f} bytes per row and step"
        steps, peaks = [line["steps"] for line in lines], [line["peak"][name] / 1e6 for line in lines]
        curve(axes, name, steps, peaks, label=label)
    axes.set_ylim(bottom=0)
    axes.grid(color="0.9", linewidth=0.6)
    axes.set_xlabel("steps")
    axes.set_ylabel("MB, peak of the process")
    axes.set_title(f"{lines[0]['cell']}, training step, 64 rows, 128 units", fontsize=10)
    axes.legend(fontsize=8, frameon=False)
    return figure


def draw(report: Line, folder: Path) -> dict[str, str]:
    """Write the images; returns their captions."""
    folder.mkdir(parents=True, exist_ok=True)
    figures: dict[str, tuple[Any, str]] = {}
    for cell in dict.fromkeys(line["cell"] for line in report["sizes"]):
        figures[f"time-{cell}.svg"] = draw_sizes(report, cell), f"Time of {cell} against rows, steps and units"
        figures[f"threads-{cell}.svg"] = draw_threads(report, cell), f"Speed of {cell} against threads"
    figures["memory.svg"] = draw_memory(report), "Peak memory of a training step against steps"
    # Text as text keeps the files small; a salt and no date make them reproducible.
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "skrnn"}):
        for name, (figure, _) in figures.items():
            figure.savefig(folder / name, metadata={"Date": None})
            plt.close(figure)
    return {name: caption for name, (_, caption) in figures.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=["lstm"])
    parser.add_argument("--quick", action="store_true", help="few sizes, few rounds")
    parser.add_argument("--images", type=Path, default=IMAGES, metavar="FOLDER", help="default: docs/images")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write everything measured here")
    parser.add_argument("--redraw", type=Path, metavar="PATH", help="measure nothing, draw what --json wrote")
    options = parser.parse_args(arguments)
    report = measure(options) if options.redraw is None else json.loads(options.redraw.read_text())
    report["images"] = draw(report, options.images)
    for line in report["slopes"]:
        shown = "  ".join(f"{name} {slope:.2f}" for name, slope in line["slope"].items())
        print(
            f"{line['cell']} {line['mode']:8} over {line['over']:6} slope of arithmetic {line['arithmetic']}: {shown}"
        )
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
