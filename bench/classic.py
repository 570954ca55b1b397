"""The classic problems of long memory, learnt by the estimators with default parameters except size and epochs.

python bench/classic.py
python bench/classic.py --seeds 1 --picture classic.png --json classic.json

- Adding problem (Hochreiter and Schmidhuber 1997; Le, Jaitly and Hinton 2015): two marked numbers among 200 are to be
  added. LSTM and GRU solve it (mean squared error on new sequences below 0.01), the vanilla network stays at 0.1 or
  above: no better than one that predicts the mean, which gets 1/6.
- Copy memory (Hochreiter and Schmidhuber 1997; Arjovsky, Shah and Bengio 2016): ten symbols of eight are to be given
  back after a delay of 50 steps. An estimator answers once, so all ten are asked for at the end, as indicators. LSTM
  solves it (more than 99 % of the symbols right, where guessing gets one in eight).

The picture shows why, for the networks of the adding problem: how much of the gradient of the loss reaches each time
step, before and after training.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import machine
from skrnn import RNNRegressor
from skrnn.datasets import make_adding_problem, make_copy_memory
from skrnn.nn import Recurrent

Array = NDArray[Any]

N_STEPS = 200
DELAY, N_SYMBOLS, N_RECALL = 50, 8, 10
N_TEST = 1000
TEST_SEED = 10_000  # added to a seed: sequences that are in no training set


@dataclass(frozen=True)
class Problem:
    name: str
    make: Callable[[int, int], tuple[Array, Array]]
    """From the number of sequences and the seed to ``(X, y)``."""
    score: Callable[[Array, Array], float]
    """From predictions and ``y`` to what is reported."""
    measure: str
    trivial: float
    """The score of a model that has no memory."""


@dataclass(frozen=True)
class Run:
    """One network on one problem, and what is expected of the scores of all seeds."""

    problem: Problem
    cell: str
    expected: str
    check: Callable[[float], bool]
    n_samples: int
    settings: Mapping[str, Any] = field(default_factory=dict)

    def fit(self, seed: int, max_iter: int | None = None, n_samples: int | None = None) -> RNNRegressor:
        settings = {**self.settings, **({} if max_iter is None else {"max_iter": max_iter})}
        X, y = self.problem.make(n_samples or self.n_samples, seed)
        return RNNRegressor(self.cell, **settings, tol=None, random_state=seed).fit(X, y)


def make_adding(n_samples: int, seed: int) -> tuple[Array, Array]:
    return make_adding_problem(n_samples, N_STEPS, random_state=seed)


def make_copy(n_samples: int, seed: int) -> tuple[Array, Array]:
    return make_copy_memory(n_samples, DELAY, n_symbols=N_SYMBOLS, n_recall=N_RECALL, target="all", random_state=seed)


def squared_error(predicted: Array, y: Array) -> float:
    return float(np.square(predicted - y).mean())


def symbols_right(predicted: Array, y: Array) -> float:
    given, asked = (scores.reshape(-1, N_RECALL, N_SYMBOLS).argmax(axis=2) for scores in (predicted, y))
    return float((given == asked).mean())


ADDING = Problem(f"adding problem, T {N_STEPS}", make_adding, squared_error, "test MSE", 1 / 6)
COPY = Problem(
    f"copy memory, {N_RECALL} symbols, delay {DELAY}", make_copy, symbols_right, "symbols right", 1 / N_SYMBOLS
)

RUNS = (
    Run(ADDING, "lstm", "< 0.01", lambda mse: mse < 0.01, 2000, {"max_iter": 20}),
    Run(ADDING, "gru", "< 0.01", lambda mse: mse < 0.01, 2000, {"max_iter": 20}),
    Run(ADDING, "rnn", ">= 0.1", lambda mse: mse >= 0.1, 2000, {"max_iter": 20}),
    Run(COPY, "lstm", "> 0.99", lambda right: right > 0.99, 4000, {"hidden_size": 128, "max_iter": 35}),
)


@dataclass(frozen=True)
class Result:
    problem: str
    cell: str
    n_samples: int
    settings: Mapping[str, Any]
    expected: str
    scores: tuple[float, ...]
    seconds: tuple[float, ...]
    as_expected: bool


HEAD = (
    "| problem | cell | settings beside defaults | sequences | measure | mean | worst | expected | without memory "
    "| s per fit | as expected |\n|---|---|---|---|---|---|---|---|---|---|---|"
)


def evaluate(run: Run, seeds: Iterable[int], **smaller: int) -> tuple[Result, RNNRegressor]:
    """Fit once for each seed; return what came of it and the first model."""
    models, scores, seconds = [], [], []
    for seed in seeds:
        start = time.perf_counter()
        models.append(run.fit(seed, **smaller))
        seconds.append(time.perf_counter() - start)
        X, y = run.problem.make(N_TEST, TEST_SEED + seed)
        scores.append(run.problem.score(models[-1].predict(X), y))
    met = all(map(run.check, scores))
    result = Result(
        run.problem.name, run.cell, run.n_samples, run.settings, run.expected, tuple(scores), tuple(seconds), met
    )
    return result, models[0]


def row(run: Run, result: Result) -> str:
    settings = ", ".join(f"{name}={value}" for name, value in run.settings.items())
    worst = (max if run.expected.startswith("<") else min)(result.scores)
    return (
        f"| {result.problem} | {run.cell} | {settings} | {run.n_samples:,} | {run.problem.measure} "
        f"| {np.mean(result.scores):.4f} | {worst:.4f} | {run.expected} | {run.problem.trivial:.3f} "
        f"| {np.mean(result.seconds):.1f} | {'yes' if result.as_expected else '**no**'} |"
    )


def draw(models: Mapping[str, RNNRegressor], path: Path) -> None:
    """Plot how the gradient flows through the networks of the adding problem, new and trained."""
    import matplotlib.pyplot as plt

    from skrnn.inspection import GradientFlowDisplay

    X, y = make_adding_problem(64, N_STEPS, random_state=TEST_SEED)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), sharey=True, layout="constrained")
    for (cell, model), color in zip(models.items(), ("#0072B2", "#009E73", "#D55E00"), strict=False):
        style = {"color": color}
        new = Recurrent(
            cell, input_size=2, hidden_size=model.hidden_size, memory_steps=N_STEPS, random_state=model.random_state
        )
        GradientFlowDisplay.from_recurrent(new, X, random_state=0, ax=left, name=cell.upper(), line_kw=style)
        GradientFlowDisplay.from_estimator(model, X, y, ax=right, name=cell.upper(), line_kw=style)
    left.set_title("new networks, a gradient of norm 1 at the last step")
    right.set_title("trained networks, the gradient of their loss")
    right.set_ylabel("")
    figure.suptitle(f"Adding problem, T = {N_STEPS}: what reaches the first steps")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main(arguments: list[str] | None = None) -> list[Result]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="fits of each network; default 3")
    parser.add_argument("--picture", type=Path, metavar="PATH", help="save a plot of the gradients there (PNG, SVG)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write every score, setting and time there as well")
    options = parser.parse_args(arguments)
    if options.seeds < 1:
        parser.error("--seeds must be at least 1")

    here = machine.describe()
    print(
        f"skrnn {here['versions']['skrnn']} ({here['commit']}), {here['isa']}, {here['cpu']}, {options.seeds} seeds\n"
    )
    print(HEAD, flush=True)
    results, adders = [], {}
    for run in RUNS:
        result, model = evaluate(run, range(options.seeds))
        results.append(result)
        if run.problem is ADDING:
            adders[run.cell] = model
        print(row(run, result), flush=True)
    print(f"\n{sum(result.as_expected for result in results)} of {len(results)} as expected.")
    if options.picture:
        draw(adders, options.picture)
        print(f"Picture: {options.picture}")
    if options.json:
        options.json.write_text(json.dumps({"machine": here, "results": [asdict(r) for r in results]}, indent=1))
    return results


if __name__ == "__main__":
    main()
