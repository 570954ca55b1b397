"""Turn what compare.py wrote into the Markdown of docs/performance.md.

python bench/compare.py --json grid.json
python bench/compare.py --fits --json fits.json
python bench/tables.py grid.json fits.json > docs/performance.md
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from compare import figure

Line = dict[str, Any]


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def times(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def grid_table(lines: list[Line]) -> Iterator[str]:
    yield row("cell", "shape", "pass", "threads", "skrnn ms", "share of peak", "PyTorch", "onnxruntime")
    yield row(*["---"] * 3, *["---:"] * 5)
    for line in lines:
        yield row(
            line["cell"],
            line["shape"]["name"],
            {"forward": "forward", "train": "training"}[line["mode"]],
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
        yield row(s["mode"], str(s["threads"]), s["peer"], mean, worst, s["worst"])


def fits_table(lines: list[Line]) -> Iterator[str]:
    yield row("fit", "threads", "skrnn s", "PyTorch s", "ratio")
    yield row("---", *["---:"] * 4)
    for line in lines:
        seconds = line["seconds"]
        ratio = times(line["ratio"]["torch"])
        yield row(line["fit"], str(line["threads"]), figure(seconds["skrnn"]), figure(seconds["torch"]), ratio)


def main(grid_path: str, fits_path: str) -> None:
    grid, fits = (json.loads(Path(path).read_text()) for path in (grid_path, fits_path))
    machine = grid["machine"]
    peaks = ", ".join(f"{figure(peak)} on {n}" for n, peak in grid["peak_gflops"].items())
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if name != "skrnn")
    print(f"""# Performance

Made by `bench/tables.py` from two runs of `bench/compare.py`, whose first lines say how it measures: contenders take
turns within one run, and a ratio is the median, over {grid["grid"][0]["rounds"]} rounds, of the peer's time over ours.
**Above 1, skrnn is faster.** Both sides are checked to compute the same before the clock starts. Peers count with their
better of padded and packed for ragged rows. The share of the peak counts the matrix products alone.

- {machine["cpu"]}, {machine["cores"]} cores, instruction set {machine["isa"]}; code of commit `{machine["commit"]}`
- {versions}
- peak of plain float32 multiply-adds in GFLOP/s, by threads: {peaks}

## Whole fits

Against a loop as a careful PyTorch user writes it (`bench/fits.py`).
""")
    print(*fits_table(fits["fits"]), sep="\n")
    print("\n## The grid\n")
    print(*shape_table(grid["grid"]), sep="\n")
    print("\nOver the whole grid, and where the ratio is lowest:\n")
    print(*summary_table(grid["summary"]), sep="\n")
    print("\nEvery line; a training step is forward, all weight gradients and the gradient of the input.\n")
    print(*grid_table(grid["grid"]), sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
