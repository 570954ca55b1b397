"""Tell the language of a surname by its letters.

PyTorch's tutorial on character-level classification has 20,000 surnames in 18 languages, in files such as
Russian.txt (https://download.pytorch.org/tutorial/data.zip, folder data/names). Any folder of such files will do:
one text file for each class, one text on each line.

    python examples/surnames.py --data data/names --output surnames.png
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GroupShuffleSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skrnn import RNNClassifier
from skrnn.preprocessing import Stepwise, Tokenizer


def read_names(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return every name and its language. Some names are of several languages."""
    pairs = {
        (line.strip(), path.stem)
        for path in folder.glob("*.txt")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip()
    }
    if not pairs:
        raise SystemExit(f"no names: {folder} has no text files (one for each language, one name on each line)")
    names, languages = zip(*sorted(pairs), strict=True)
    return np.array(names), np.array(languages)


def main() -> None:
    """Fit, score, plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of text files, one for each language")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--output", default="surnames.png", help="where to save the confusion matrix")
    options = parser.parse_args()

    names, languages = read_names(options.data)
    # A name of two languages is in training twice, or in the test twice, never in both.
    train, test = next(GroupShuffleSplit(1, test_size=0.25, random_state=0).split(names, groups=names))
    X_train, X_test, y_train, y_test = names[train], names[test], languages[train], languages[test]
    model = make_pipeline(
        Tokenizer("char", min_frequency=2),
        Stepwise(OneHotEncoder(handle_unknown="ignore", dtype=np.float32)),
        RNNClassifier("gru", hidden_size=64, max_iter=options.epochs, tol=None, random_state=0),
    )
    started = time.perf_counter()
    model.fit(X_train, y_train)
    seconds = time.perf_counter() - started

    print(f"fit on {len(X_train)} names in {len(set(languages))} languages: {seconds:.1f} s")
    print(f"test accuracy on {len(X_test)} names: {model.score(X_test, y_test):.3f}")
    frequent = DummyClassifier().fit(X_train, y_train)
    print(f"always the most frequent language:   {frequent.score(X_test, y_test):.3f}")
    plot(model, X_test, y_test, options.output)


def plot(model: Pipeline, X: np.ndarray, y: np.ndarray, path: str) -> None:
    """Save a picture of which language was taken for which."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("no plot: matplotlib is not installed (pip install matplotlib)")
        return
    from sklearn.metrics import ConfusionMatrixDisplay

    figure, axes = plt.subplots(figsize=(8, 7), layout="constrained")
    ConfusionMatrixDisplay.from_predictions(
        y, model.predict(X), normalize="true", include_values=False, xticks_rotation="vertical", cmap="Blues", ax=axes
    )
    axes.set_title("Languages that surnames were taken for")
    figure.savefig(path, dpi=120)
    print(f"confusion matrix saved to {path}")


if __name__ == "__main__":
    main()
