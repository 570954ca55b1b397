"""Read handwritten digits row by row.

scikit-learn's digits are images of 8 x 8 pixels. To a recurrent network each one is a sequence of
eight time steps with eight features: the rows, from top to bottom. An LSTM reads them, and what it
remembers at the end says which digit it saw.

    python examples/quickstart.py --output quickstart.png
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler

from skrnn import RNNClassifier


def rows_as_steps(pixels: np.ndarray) -> np.ndarray:
    """Turn (n_samples, 64) pixels into (n_samples, 8 time steps, 8 features)."""
    return pixels.reshape(-1, 8, 8)


def main() -> None:
    """Fit, score, plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default="quickstart.png", help="where to save the loss curve")
    output = parser.parse_args().output

    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

    model = make_pipeline(
        MinMaxScaler(),
        FunctionTransformer(rows_as_steps),
        RNNClassifier("lstm", verbose=10, random_state=0),
    )
    started = time.perf_counter()
    model.fit(X_train, y_train)
    print(f"fit on {len(X_train)} images: {time.perf_counter() - started:.2f} s")
    print(f"test accuracy on {len(X_test)} images: {model.score(X_test, y_test):.3f}")

    plot_loss_curve(model[-1], output)


def plot_loss_curve(classifier: RNNClassifier, path: str) -> None:
    """Save a picture of how the training loss fell."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("no plot: matplotlib is not installed (pip install matplotlib)")
        return
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    axes.semilogy(range(1, classifier.n_iter_ + 1), classifier.loss_curve_)
    axes.set(xlabel="epoch", ylabel="training loss (cross-entropy)")
    axes.set_title("An LSTM learns to read digits row by row")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    print(f"loss curve saved to {path}")


if __name__ == "__main__":
    main()
