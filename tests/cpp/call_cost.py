#!/usr/bin/env python3
"""What one call costs, held against call_cost.json: figures that noise cannot touch.

Allocations and parallel regions per call are exact. Instructions (callgrind) are those of 2n calls
less those of n, per call, and may be 2 % off the committed figure either way: fewer is a win to be
written down. They belong to a compiler and its major version; where another one compiles, only the
exact counts are checked.

    cmake --preset default -B build/cost -DSKRNN_MODULE=OFF
    cmake --build build/cost --target call_cost
    tests/cpp/call_cost.py              # checks build/cost/call_cost; --write renews the figures
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
FIGURES = Path(__file__).with_suffix(".json")
TOLERANCE = 0.02
ISAS = ("baseline", "avx2")  # what valgrind can run
EXACT = ("allocations", "regions", "regions_with_threads")  # as the driver prints them

Figures = dict[str, int]  # case -> per call


def run(*command: str | Path, threads: int) -> list[str]:
    """Lines of output, of a program that sees as little of this machine as possible."""
    environment = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout.splitlines()


def count_exactly(driver: Path, isa: str) -> dict[str, Figures]:
    """Allocations and regions; without the latter where the driver cannot count them."""
    rows = [line.split() for line in run(driver, "counts", isa, threads=2)]
    columns = zip(*(figures for _, *figures in rows), strict=True)
    cases = [case for case, *_ in rows]
    return {name: dict(zip(cases, map(int, column), strict=True)) for name, column in zip(EXACT, columns, strict=False)}


def count_instructions(driver: Path, isa: str) -> Figures:
    """From one run: callgrind notes its count whenever `boundary` is entered, thrice per case."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        options = ("--combine-dumps=yes", "--dump-before=boundary", f"--callgrind-out-file={out}")
        lines = run("valgrind", "--tool=callgrind", *options, driver, "instructions", isa, threads=1)
        totals = [int(total) for total in re.findall(r"^totals: (\d+)$", out.read_text(), re.MULTILINE)]
    cases = [line.split() for line in lines]
    assert len(totals) == 3 * len(cases) + 1, "before, between and after the calls of each case, and at exit"
    figures = {}
    for i, (case, n) in enumerate(cases):
        _, once, twice = totals[3 * i : 3 * i + 3]
        figures[case] = round((twice - once) / int(n))
    return figures


def differences(name: str, got: Figures, want: Figures, tolerance: float = 0) -> list[str]:
    """A line for each figure that is missing, left over or too far from what it was."""
    lines = []
    for case in [*got, *(want.keys() - got.keys())]:
        if case not in want:
            lines.append(f"{name}: {case}: {got[case]}, and no figure to hold it against")
        elif case not in got:
            lines.append(f"{name}: {case}: a figure, and no such case")
        elif abs(got[case] - want[case]) > tolerance * want[case]:
            change = f" ({got[case] / want[case] - 1:+.1%})" if want[case] else ""
            lines.append(f"{name}: {case}: {want[case]} -> {got[case]}{change}")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("driver", type=Path, nargs="?", default=ROOT / "build" / "cost" / "call_cost")
    parser.add_argument("--write", action="store_true", help="renew the figures of call_cost.json")
    arguments = parser.parse_args()
    driver = arguments.driver.resolve()
    if not driver.exists():
        sys.exit(f"there is no {driver}: see --help")
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {"instructions": {}}
    about = dict(line.split(maxsplit=1) for line in run(driver, "about", threads=1))
    compiler = about["compiler"].split(".")[0]
    isas = about["isas"].split()
    changed: list[str] = []
    left_out: list[str] = []

    # ---- Allocations and parallel regions: the same on every instruction set
    exact = {isa: count_exactly(driver, isa) for isa in isas}
    if about["regions"] != "counted":
        left_out.append(f"parallel regions per call: {compiler} opens them in its own way, or not at all")
    for isa in isas:
        for name, got in exact[isa].items():
            changed += differences(f"{name} ({isa})", got, figures.get(name, {}))

    # ---- Instructions: a compiler's and an instruction set's own
    instructions: dict[str, Figures] = {}
    known = figures["instructions"].get(compiler, {})
    if not shutil.which("valgrind"):
        left_out.append("instructions per call: valgrind is not here")
    elif about["optimized"] != "yes":
        left_out.append("instructions per call: the driver was compiled without optimisation")
    elif not known and not arguments.write:
        left_out.append(
            f"instructions per call: no figures for {compiler}, but for {', '.join(figures['instructions'])}"
        )
    else:
        left_out += [f"instructions per call on {isa}: not on this machine" for isa in ISAS if isa not in isas]
        here = [isa for isa in ISAS if isa in isas]
        with ThreadPoolExecutor() as pool:
            counts = pool.map(lambda isa: count_instructions(driver, isa), here)
            instructions = dict(zip(here, counts, strict=True))
        for isa, got in instructions.items():
            changed += differences(f"instructions ({isa})", got, known.get(isa, {}), TOLERANCE)

    # ---- What came of it
    for line in changed:
        print("CHANGED ", line)
    for line in left_out:
        print("LEFT OUT", line)
    n_exact = sum(len(got) for counts in exact.values() for got in counts.values())
    n_instructions = sum(map(len, instructions.values()))
    print(
        f"call_cost: {n_exact} exact counts and {n_instructions} of instructions by {compiler}, {len(changed)} changed"
    )
    if not arguments.write:
        if changed:
            print("If that is meant, --write renews the figures; the commit says why.")
        return 1 if changed else 0

    if left_out:
        sys.exit("Nothing is written: figures are complete or not at all.")
    if any(counts != exact[isas[0]] for counts in exact.values()):
        sys.exit("Nothing is written: the instruction sets must not differ in allocations and regions.")
    figures = {**exact[isas[0]], "instructions": {**figures["instructions"], compiler: instructions}}
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
