"""Accuracy on real data in its official splits, with default parameters except size, epochs and solver rate.

python bench/accuracy.py --data PATH
python bench/accuracy.py --data PATH --only GunPoint BasicMotions --seeds 3 --json accuracy.json
python bench/accuracy.py --data PATH --quick          the small sets, two seeds
python bench/accuracy.py --data PATH --quick --validate --set memory_steps=None

The last compares a choice of defaults without looking at a test part: four folds of the training part.

PATH is a folder laid out as ``real_data.py`` reads it; a set that is not there is named and left out. Settings are one
per set, and were chosen by parts of the training data; docs/accuracy.md says where a test part had been seen before.
The last line says whether all targets were reached; a set that is absent counts as not reached.
"""

from __future__ import annotations

import argparse
import ast
import json
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import machine
import real_data
from real_data import Split
from skrnn import RNNClassifier
from skrnn.preprocessing import Stepwise


@dataclass(frozen=True)
class Task:
    """A data set and how it is to be learnt."""

    name: str
    load: Callable[[Path], Split]
    target: float
    """The mean accuracy to reach."""
    baseline: float
    """The accuracy of a trivial model on the same test part."""
    baseline_model: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of :class:`RNNClassifier`; what is not here has its default."""
    scale: bool = True
    """Whether features are brought to zero mean and unit variance, over all steps of the training part."""
    large: bool = False
    """Whether ``--quick`` leaves it out."""

    def model(self, seed: int, changes: Mapping[str, Any]) -> Any:
        classifier = RNNClassifier(**{**self.settings, "tol": None, "random_state": seed, **changes})
        return make_pipeline(Stepwise(StandardScaler()), classifier) if self.scale else classifier


TASKS = (
    Task(
        "JapaneseVowels",
        real_data.tsc("JapaneseVowels"),
        target=0.98,
        baseline=0.984,
        baseline_model="ridge on summary statistics",
        settings={
            "hidden_size": 128,
            "num_layers": 2,
            "bidirectional": True,
            "learning_rate": "cosine",
            "max_iter": 60,
        },
    ),
    Task(
        "spoken digits",
        real_data.fsdd,
        target=0.97,
        baseline=0.887,
        baseline_model="ridge on mean and deviation",
        settings={"max_iter": 20},
    ),
    Task(
        "pendigits",
        real_data.pendigits,
        target=0.98,
        baseline=0.977,
        baseline_model="nearest neighbour",
        settings={"num_layers": 2, "bidirectional": True, "learning_rate": "cosine", "max_iter": 30},
    ),
    Task(
        "ItalyPowerDemand",
        real_data.tsc("ItalyPowerDemand"),
        target=0.95,
        baseline=0.681,
        baseline_model="ridge on summary statistics",
        settings={"bidirectional": True, "learning_rate_init": 0.002, "max_iter": 60},
    ),
    Task(
        "BasicMotions",
        real_data.tsc("BasicMotions"),
        target=0.97,
        baseline=0.925,
        baseline_model="ridge on summary statistics",
        settings={"bidirectional": True, "learning_rate_init": 0.002, "max_iter": 60},
    ),
    Task(
        "GunPoint",
        real_data.tsc("GunPoint"),
        target=0.95,
        baseline=0.647,
        baseline_model="ridge on summary statistics",
        settings={"bidirectional": True, "max_iter": 200},
    ),
    Task(
        "MNIST by rows",
        real_data.mnist,
        target=0.985,
        baseline=0.92,
        baseline_model="linear",
        settings={"hidden_size": 128, "learning_rate": "cosine", "max_iter": 10},
        scale=False,  # pixels are from 0 to 1; some are 0 in almost all images and would be blown up
        large=True,
    ),
    Task(
        "snips intent",
        real_data.snips_intent,
        target=0.97,
        baseline=0.123,
        baseline_model="most frequent",
        settings={"embedding_dim": 64, "bidirectional": True, "learning_rate": "cosine", "max_iter": 8},
        scale=False,
        large=True,
    ),
)


@dataclass(frozen=True)
class Result:
    """What came of one task; ``absent`` is the path that is not there, and then there are no scores."""

    task: Task
    n_train: int = 0
    n_test: int = 0
    scores: tuple[float, ...] = ()
    seconds: tuple[float, ...] = ()
    absent: str | None = None

    @property
    def mean(self) -> float:
        return float(np.mean(self.scores))

    @property
    def reached(self) -> bool:
        return bool(self.scores) and self.mean >= self.task.target

    def row(self) -> str:
        task = self.task
        expected = f"{task.target:.3f} | {task.baseline:.3f} ({task.baseline_model})"
        if self.absent is not None:
            return f"| {task.name} | absent: `{self.absent}` | | | | | | {expected} | no |"
        settings = ", ".join(f"{name}={value}" for name, value in task.settings.items())
        spread = f"{self.mean:.4f} | {min(self.scores):.4f} | {np.std(self.scores):.4f}"
        verdict = "yes" if self.reached else "**no**"
        return (
            f"| {task.name} | {settings} | {self.n_train:,} / {self.n_test:,} | {spread} "
            f"| {np.mean(self.seconds):.1f} | {expected} | {verdict} |"
        )

    def as_dict(self) -> dict[str, Any]:
        result = asdict(self)
        del result["task"]["load"]
        return {**result, "mean": self.mean if self.scores else None, "reached": self.reached}


HEAD = (
    "| set | settings beside defaults | train / test | mean | min | std | s per fit | target | baseline | reached |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


def folds(split: Split, seed: int) -> Iterator[Split]:
    """Cut the training part in four, each of which is the test part once."""
    X, y = split.X_train, split.y_train

    def take(rows: Any) -> Any:
        return [X[row] for row in rows] if isinstance(X, list) else X[rows]

    for train, test in StratifiedKFold(4, shuffle=True, random_state=seed).split(y, y):
        yield Split(take(train), y[train], take(test), y[test])


def evaluate(
    task: Task, data: Path, seeds: Iterable[int], changes: Mapping[str, Any] | None = None, *, validate: bool = False
) -> Result:
    try:
        official = task.load(data)
    except FileNotFoundError as error:
        return Result(task, absent=str(Path(error.filename).relative_to(data)))
    scores, seconds = [], []
    for seed in seeds:
        for split in folds(official, seed) if validate else [official]:
            start = time.perf_counter()
            model = task.model(seed, changes or {}).fit(split.X_train, split.y_train)
            seconds.append(time.perf_counter() - start)
            scores.append(float(model.score(split.X_test, split.y_test)))
    return Result(task, len(split.y_train), len(split.y_test), tuple(scores), tuple(seconds))


def change(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE; a value that is no number, None, True or False is a word."""
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return name, value


def main(arguments: list[str] | None = None) -> list[Result]:
    names = [task.name for task in TASKS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets")
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"of: {', '.join(names)}")
    parser.add_argument("--seeds", type=int, help="fits of each set, with random_state 0, 1...; default 5")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write every score, setting and time there as well")
    parser.add_argument("--set", nargs="+", type=change, default=[], metavar="NAME=VALUE", help="another parameter")
    parser.add_argument("--validate", action="store_true", help="four folds of the training part, not the test part")
    parser.add_argument("--quick", action="store_true", help="two seeds, without the large sets")
    options = parser.parse_args(arguments)
    if unknown := set(options.only or ()) - set(names):
        parser.error(f"--only: unknown {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    if not options.data.is_dir():
        parser.error(f"--data: there is no folder {options.data}")
    n_seeds = options.seeds or (2 if options.quick else 5)
    if n_seeds < 1:
        parser.error("--seeds must be at least 1")

    here = machine.describe()
    print(f"skrnn {here['versions']['skrnn']} ({here['commit']}), {here['isa']}, {here['cpu']}, {n_seeds} seeds\n")
    if options.validate or options.set:
        print(f"{'Four folds of training parts' if options.validate else 'Test parts'}, with {dict(options.set)}\n")
    print(HEAD, flush=True)
    results = []
    for task in TASKS:
        if task.name in options.only if options.only else not (options.quick and task.large):
            changes = dict(options.set)
            results.append(evaluate(task, options.data, range(n_seeds), changes, validate=options.validate))
            print(results[-1].row(), flush=True)
    n_reached = sum(result.reached for result in results)
    print(f"\n{n_reached} of {len(results)} targets reached.")
    for result in results:
        if result.absent is not None:
            print(f"{result.task.name} was not measured: no {result.absent} in {options.data}.")
    if options.json:
        options.json.write_text(json.dumps({"machine": here, "results": [r.as_dict() for r in results]}, indent=1))
    return results


if __name__ == "__main__":
    warnings.simplefilter("ignore", ConvergenceWarning)
    main()
