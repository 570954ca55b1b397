"""Say how sure a forecast is: three quantiles of next year's sunspots.

A network reads 22 years, two cycles of the sun, and answers with the 10 %, 50 % or 90 % quantile of the next: one model
for each, trained by the pinball loss. The years from 1921 on are for the test. Any CSV with a header will do that has
years and numbers in its first two columns, such as sunspots.csv of statsmodels (statsmodels/datasets/sunspots). Without
--data it is counts made up here, which rise and fall as a sine wave does.

    python examples/quantiles.py --data sunspots.csv --output quantiles.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrnn import RNNRegressor
from skrnn.metrics import mean_pinball
from skrnn.preprocessing import SlidingWindows, Stepwise

WINDOW, FIRST_TEST, LEVELS = 22, 1921, [0.1, 0.5, 0.9]


def read_series(path: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Return years and numbers."""
    if path is None:
        years = np.arange(1700, 2000)
        return years, np.random.default_rng(0).poisson(20 + 15 * np.sin(0.57 * years))
    years, numbers = np.loadtxt(path, delimiter=",", skiprows=1, usecols=(0, 1)).T
    return years, numbers


def main() -> None:
    """Fit a model for each level, score, plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a CSV of years and numbers; without it, counts made up here")
    parser.add_argument("--output", default="quantiles.png", help="where to save the plot")
    options = parser.parse_args()

    years, numbers = read_series(options.data)
    # Roots of counts scatter alike everywhere; the quantiles of numbers are the squares of those of their roots.
    X, y, _, starts = SlidingWindows(WINDOW).cut(np.sqrt(numbers))
    year = years[starts + WINDOW]  # that of the target
    train, test = year < FIRST_TEST, year >= FIRST_TEST

    columns = []
    for level in LEVELS:
        model = make_pipeline(
            Stepwise(StandardScaler()),
            RNNRegressor(
                "gru", 16, loss="quantile", quantile=level, early_stopping=True, validation_fraction=0.2, random_state=0
            ),
        )
        columns.append(model.fit(X[train], y[train]).predict(X[test]) ** 2)
    # The models know nothing of each other; sorted, their quantiles cannot cross.
    predicted, actual = np.sort(np.column_stack(columns), axis=1), y[test] ** 2

    inside = np.mean((predicted[:, 0] <= actual) & (actual <= predicted[:, 2]))
    constant = np.tile(np.quantile(y[train] ** 2, LEVELS), (len(actual), 1))
    print(
        f"fit on {train.sum()} years; of {test.sum()} later ones {inside:.0%} are between the 10 % and 90 % quantiles"
    )
    print(f"pinball loss:                  {mean_pinball(actual, predicted, quantiles=LEVELS):.2f}")
    print(f"of the quantiles of all years: {mean_pinball(actual, constant, quantiles=LEVELS):.2f}")
    plot(year[test], actual, predicted, options.output)


def plot(year: np.ndarray, actual: np.ndarray, predicted: np.ndarray, path: str) -> None:
    """Save a picture of the forecasts and of what came."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("no plot: matplotlib is not installed (pip install matplotlib)")
        return
    figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
    axes.fill_between(year, predicted[:, 0], predicted[:, 2], alpha=0.25, label="predicted: 10 % to 90 %")
    axes.plot(year, predicted[:, 1], label="predicted: median")
    axes.plot(year, actual, ".", color="black", label="what came")
    axes.set(xlabel="year", ylabel="number", title="One year ahead, from the 22 before")
    figure.legend(loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=120)
    print(f"plot saved to {path}")


if __name__ == "__main__":
    main()
