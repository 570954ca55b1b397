"""Tell what a sentence asks for: words as tokens, an embedding, and a recurrent network.

The snips sentences (https://github.com/sonos/nlu-benchmark, as prepared for slot filling) come in folders train and
test, each with a file seq.in of sentences and a file label of intents, line by line. Without --data it is a few
hundred sentences made up here.

    python examples/intents.py --data snips --output intents.png
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline

from skrnn import RNNClassifier
from skrnn.preprocessing import Tokenizer


def read(folder: Path) -> tuple[list[str], list[str]]:
    """Return sentences and their intents."""
    sentences, intents = (
        (folder / name).read_text(encoding="utf-8").rstrip("\n").split("\n") for name in ("seq.in", "label")
    )
    return sentences, intents


def make_up() -> tuple[list[str], list[str]]:
    """Return sentences of three patterns: only the words' meaning and order tell what they ask for."""
    asked = {
        "PlayMusic": (["play", "put on", "start"], ["some", "the new", "my old"], ["jazz", "record", "waltz", "song"]),
        "GetWeather": (["will it", "does it", "could it"], ["rain", "snow", "thaw"], ["today", "at noon", "in Rome"]),
        "BookTable": (["book", "find", "get"], ["a table", "two seats", "a room"], ["today", "at noon", "in Rome"]),
    }
    pairs = [(" ".join(words), intent) for intent, parts in asked.items() for words in itertools.product(*parts)]
    return [sentence for sentence, _ in pairs], [intent for _, intent in pairs]


def main() -> None:
    """Fit, score, plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of snips; without it, sentences made up here")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--output", default="intents.png", help="where to save the confusion matrix")
    options = parser.parse_args()

    if options.data is None:
        X_train, X_test, y_train, y_test = train_test_split(*make_up(), test_size=0.25, random_state=0)
    else:
        (X_train, y_train), (X_test, y_test) = read(options.data / "train"), read(options.data / "test")
    model = make_pipeline(
        Tokenizer(lowercase=True, min_frequency=2),  # rare words teach the network what to make of unknown ones
        RNNClassifier("gru", 64, embedding_dim=32, padding_idx=0, max_iter=options.epochs, tol=None, random_state=0),
    )
    started = time.perf_counter()
    model.fit(X_train, y_train)
    print(f"fit on {len(X_train)} sentences of {len(set(y_train))} intents: {time.perf_counter() - started:.1f} s")
    print(f"test accuracy on {len(X_test)} sentences: {model.score(X_test, y_test):.3f}")
    print(f"always the most frequent intent: {DummyClassifier().fit(X_train, y_train).score(X_test, y_test):.3f}")
    for row in np.flatnonzero(model.predict(X_test) != np.array(y_test))[:3]:
        print(f"  wrong: {X_test[row]!r} is {y_test[row]}, not {model.predict([X_test[row]])[0]}")
    plot(model, X_test, y_test, options.output)


def plot(model: Pipeline, X: list[str], y: list[str], path: str) -> None:
    """Save a picture of which intent was taken for which."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("no plot: matplotlib is not installed (pip install matplotlib)")
        return
    from sklearn.metrics import ConfusionMatrixDisplay

    figure, axes = plt.subplots(figsize=(7, 6), layout="constrained")
    ConfusionMatrixDisplay.from_predictions(
        y, model.predict(X), xticks_rotation=30, cmap="Blues", colorbar=False, ax=axes
    )
    plt.setp(axes.get_xticklabels(), ha="right")
    axes.set_title("Intents that sentences were taken for")
    figure.savefig(path, dpi=120)
    print(f"confusion matrix saved to {path}")


if __name__ == "__main__":
    main()
