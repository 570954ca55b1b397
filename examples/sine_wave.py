"""Predict the next point of a noisy sine wave: the textbook's first recurrent network.

100 points are cut into windows of 10, each with the point that follows it. A vanilla network of 50
ReLU units learns the first 80 % of the windows and predicts the rest, which it has not seen.

    python examples/sine_wave.py --output sine_wave.png
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from skrnn import RNNRegressor

WINDOW = 10


def main() -> None:
    """Fit, score, plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default="sine_wave.png", help="where to save the plot")
    output = parser.parse_args().output

    rng = np.random.default_rng(0)
    series = np.sin(0.25 * np.arange(100)) + rng.normal(scale=0.1, size=100)
    windows = np.lib.stride_tricks.sliding_window_view(series, WINDOW)[:-1]
    X = windows[:, :, np.newaxis]  # (n_samples, n_timesteps, n_features)
    y = series[WINDOW:]
    n_train = round(0.8 * len(X))  # time goes on: the last windows validate, not random ones

    model = RNNRegressor(
        "rnn",
        hidden_size=50,
        activation="relu",
        solver="adam",
        learning_rate_init=0.001,
        batch_size=32,
        max_iter=200,
        tol=None,
        random_state=0,
    )
    started = time.perf_counter()
    model.fit(X[:n_train], y[:n_train])
    seconds = time.perf_counter() - started
    predicted = model.predict(X)

    print(f"fit on {n_train} windows, {model.n_iter_} epochs: {1000 * seconds:.0f} ms")
    print(f"training error (RMSE):     {rmse(y[:n_train], predicted[:n_train]):.3f}")
    print(f"validation error (RMSE):   {rmse(y[n_train:], predicted[n_train:]):.3f}")
    print(f"repeating the last point:  {rmse(y[n_train:], windows[n_train:, -1]):.3f}")

    plot(series, predicted, WINDOW + n_train, output)


def rmse(actual: np.ndarray, predicted: np.ndarray) -> float:
    """Return the root of the mean squared error."""
    return float(np.sqrt(np.mean((actual - predicted) ** 2)))


def plot(series: np.ndarray, predicted: np.ndarray, first_unseen: int, path: str) -> None:
    """Save a picture of the series and its predictions."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("no plot: matplotlib is not installed (pip install matplotlib)")
        return
    figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
    axes.plot(series, color="0.6", marker=".", label="actual")
    axes.plot(np.arange(WINDOW, len(series)), predicted, label="predicted from the 10 before")
    axes.axvspan(first_unseen - 0.5, len(series) - 0.5, alpha=0.12, label="not seen in training")
    axes.set(xlabel="time step", ylabel="value", title="A noisy sine wave, one step ahead")
    figure.legend(loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=120)
    print(f"plot saved to {path}")


if __name__ == "__main__":
    main()
