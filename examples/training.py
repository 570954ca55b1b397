"""Watch a training, stop it in time, interrupt it and go on, all on handwritten digits read row by row.

Early stopping keeps the weights of the best epoch. Ctrl-C in the middle of a fit (this program presses it
itself) leaves a model that works, and warm_start finishes the fit as if nothing had happened. partial_fit
learns from data that come bit by bit.

    python examples/training.py --output training.png
"""

from __future__ import annotations

import argparse
import signal
import warnings
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skrnn import RNNClassifier


class PressCtrlC:
    """A callback with the four methods of scikit-learn's protocol: it presses Ctrl-C after some epochs."""

    def __init__(self, epochs: int) -> None:
        self.epochs_left = epochs

    def setup(self, estimator: Any, context: Any) -> None:
        """Do nothing."""

    on_fit_task_begin = teardown = setup

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Count epochs."""
        if context.task_name == "epoch":
            self.epochs_left -= 1
            if self.epochs_left == 0:
                signal.raise_signal(signal.SIGINT)


def main() -> None:
    """Train in three ways, plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default="training.png", help="where to save the loss curves")
    output = parser.parse_args().output

    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X.reshape(-1, 8, 8) / 16, y, stratify=y, random_state=0)

    stopped = RNNClassifier("gru", hidden_size=32, early_stopping=True, max_iter=60, random_state=0)
    stopped.fit(X_train, y_train)  # a tenth of the images is held out; X_val=, y_val= would name others
    best = int(np.argmin(stopped.validation_loss_curve_)) + 1
    print(f"early stopping: {stopped.n_iter_} epochs, best was {best}, accuracy {stopped.score(X_test, y_test):.3f}")

    whole = RNNClassifier("gru", hidden_size=32, max_iter=20, tol=None, random_state=0).fit(X_train, y_train)
    halted = RNNClassifier("gru", hidden_size=32, max_iter=20, tol=None, callbacks=[PressCtrlC(8)], random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        halted.fit(X_train, y_train)
    print(f"Ctrl-C: {caught[-1].message}")
    print(f"interrupted: {halted.n_iter_} epochs, accuracy {halted.score(X_test, y_test):.3f}")
    curve = list(halted.loss_curve_)
    halted.set_params(warm_start=True).fit(X_train, y_train)
    same = bool((halted.predict_proba(X_test) == whole.predict_proba(X_test)).all())
    print(f"resumed: {halted.n_iter_} epochs, accuracy {halted.score(X_test, y_test):.3f}, as if never halted: {same}")

    stream = RNNClassifier("gru", hidden_size=32, random_state=0)
    for rows in np.array_split(np.tile(np.arange(len(X_train)), 10), 40):  # ten times over, a quarter at a time
        stream.partial_fit(X_train[rows], y_train[rows], classes=np.arange(10))
    print(f"partial_fit: {stream.n_iter_} calls, accuracy {stream.score(X_test, y_test):.3f}")
    plot(stopped, halted, curve, output)


def plot(stopped: RNNClassifier, resumed: RNNClassifier, until_then: list[float], path: str) -> None:
    """Save a picture of the loss curves."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("no plot: matplotlib is not installed (pip install matplotlib)")
        return
    from skrnn.inspection import LossCurveDisplay

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
    LossCurveDisplay.from_estimator(stopped, ax=left, name="GRU", log_scale=True)
    left.set_title("Early stopping keeps the epoch of the dot")
    plain = {"ax": right, "log_scale": True, "mark_best": False}
    LossCurveDisplay.from_estimator(resumed, name="resumed", line_kw={"linewidth": 1}, **plain)
    LossCurveDisplay(loss_curve=until_then, name="until Ctrl-C").plot(line_kw={"linewidth": 4}, **plain)
    right.set(title="Interrupted after epoch 8, and resumed", ylabel="")
    figure.savefig(path, dpi=120)
    print(f"loss curves saved to {path}")


if __name__ == "__main__":
    main()
