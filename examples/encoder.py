"""Learn from many digits without labels, then from a few with labels.

scikit-learn's digits are images of 8 x 8 pixels, here sequences of eight rows. An `RNNEncoder` reads
1347 of them and learns to write each down again from the 64 numbers that it keeps: no label is
needed for that. A logistic regression then learns from few labels, on these numbers, on the raw
pixels, or on what the encoder gave before it had learned anything. Each score is the mean over ten
draws of the labelled images, on 450 others.

    python examples/encoder.py --output encoder.png
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrnn import RNNEncoder

LABELLED = (20, 50, 200)
DRAWS = 10


def main() -> None:
    """Encode, classify, compare, plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default="encoder.png", help="where to save the plot")
    output = parser.parse_args().output

    pixels, y = load_digits(return_X_y=True)
    rows = pixels.reshape(-1, 8, 8) / 16  # (n_samples, n_timesteps, n_features), between 0 and 1
    train, test, y_train, y_test = train_test_split(rows, y, stratify=y, random_state=0)

    encoder = RNNEncoder("lstm", 32, bidirectional=True, max_iter=60, tol=None, random_state=0)
    started = time.perf_counter()
    encoder.fit(train)
    print(f"fit on {len(train)} images without labels: {time.perf_counter() - started:.1f} s")
    error, spread = np.sqrt(2 * encoder.loss_), np.sqrt(np.var(train, axis=0).mean())
    print(f"error of a pixel that was written down (RMSE): {error:.3f}, of the mean image instead: {spread:.3f}")

    untrained = clone(encoder).set_params(max_iter=1, learning_rate_init=1e-12).fit(train)
    tables = {
        "encoder": (encoder.transform(train), encoder.transform(test)),
        "pixels": (train.reshape(len(train), -1), test.reshape(len(test), -1)),
        "untrained": (untrained.transform(train), untrained.transform(test)),
    }
    scores = {name: score_by_labels(*table, y_train, y_test) for name, table in tables.items()}
    print("test accuracy after", *(f"{n} labels" for n in LABELLED), sep="    ")
    for name, values in scores.items():
        print(f"{name:19s}", *(f"{score:9.3f}" for score in values.mean(axis=1)), sep="    ")

    plot(scores, output)


def score_by_labels(train: np.ndarray, test: np.ndarray, y_train: np.ndarray, y_test: np.ndarray) -> np.ndarray:
    """Return the accuracy for each number of labels and each draw of them."""
    scores = np.empty((len(LABELLED), DRAWS))
    for k, n_labelled in enumerate(LABELLED):
        for draw in range(DRAWS):
            some, _ = train_test_split(
                np.arange(len(train)), train_size=n_labelled, stratify=y_train, random_state=draw
            )
            model = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-3))
            scores[k, draw] = model.fit(train[some], y_train[some]).score(test, y_test)
    return scores


def plot(scores: dict[str, np.ndarray], path: str) -> None:
    """Save a picture of accuracies by the number of labels."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("no plot: matplotlib is not installed (pip install matplotlib)")
        return
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for name, values in scores.items():
        axes.errorbar(LABELLED, values.mean(axis=1), yerr=values.std(axis=1), marker="o", capsize=3, label=name)
    axes.set(xscale="log", xticks=LABELLED, xticklabels=LABELLED)
    axes.set(xlabel="labelled images", ylabel="test accuracy", title="A logistic regression on few labels")
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
    print(f"plot saved to {path}")


if __name__ == "__main__":
    main()
