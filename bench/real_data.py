"""Real data sets in their official splits, read from a folder outside the project: nothing of them is kept here.

Each reader takes the folder and returns a :class:`Split` with samples first, then time, then features, or raises
FileNotFoundError with the path that is missing. Sets of equal length are arrays, the others lists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Sequences = Array | list[Array]

UNKNOWN, N_SPECIAL = 1, 2  # tokens: 0 is padding, 1 a word that training has too rarely
MIN_COUNT = 2  # rarer words of the training part are UNKNOWN, so that its vector is trained, too


@dataclass(frozen=True)
class Split:
    """The official training and test part of one data set."""

    X_train: Sequences
    y_train: Array
    X_test: Sequences
    y_test: Array


def read_ts(path: Path) -> tuple[Sequences, Array]:
    """One file of the UEA and UCR archive: a case is a line of channels (":") of values (",") and its class."""
    X, y = [], []
    for line in path.read_text().splitlines():
        if not line.strip() or line.startswith(("#", "@")):
            continue
        *channels, label = line.split(":")
        X.append(np.array([channel.split(",") for channel in channels], dtype=np.float32).T)
        y.append(label.strip())
    return stacked(X), np.array(y)


def stacked(X: list[Array]) -> Sequences:
    """An array where all sequences are of one length."""
    return np.stack(X) if len({len(x) for x in X}) == 1 else X


def tsc(name: str) -> Callable[[Path], Split]:
    def load(data: Path) -> Split:
        parts = (read_ts(data / "tsc" / name / f"{name}_{part}.ts") for part in ("TRAIN", "TEST"))
        (X_train, y_train), (X_test, y_test) = parts
        return Split(X_train, y_train, X_test, y_test)

    return load


def fsdd(data: Path) -> Split:
    """Spoken digits: 13 MFCC every 10 ms; the official test part is the first recordings of each speaker and digit."""
    with np.load(data / "fsdd" / "fsdd_mfcc13.npz") as file:
        X = np.split(file["X"], np.cumsum(file["length"])[:-1])
        y, is_test = file["y"], file["is_test"]
    train, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    return Split([X[i] for i in train], y[train], [X[i] for i in test], y[test])


def pendigits(data: Path) -> Split:
    """Pen strokes: 8 points (x, y) of the pen's way."""

    def read(name: str) -> tuple[Array, Array]:
        table = np.loadtxt(data / "pendigits" / name, delimiter=",", dtype=np.float32, ndmin=2)
        return table[:, :-1].reshape(len(table), 8, 2), table[:, -1].astype(np.int64)

    return Split(*read("pendigits.tra"), *read("pendigits.tes"))


def mnist(data: Path) -> Split:
    """Handwritten digits, one row of the image at each time step, scaled to [0, 1]."""
    with np.load(data / "mnist" / "mnist.npz") as file:
        X_train, y_train, X_test, y_test = (file[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    return Split(np.float32(X_train) / 255, y_train, np.float32(X_test) / 255, y_test)


def snips_intent(data: Path) -> Split:
    """Requests to an assistant as word numbers, and what each wants; words are known from the training part alone."""

    def read(part: str) -> tuple[list[list[str]], Array]:
        folder = data / "snips" / part
        sentences = [line.split() for line in (folder / "seq.in").read_text(encoding="utf-8").splitlines()]
        return sentences, np.array((folder / "label").read_text(encoding="utf-8").split())

    (train, y_train), (test, y_test) = read("train"), read("test")
    counts = Counter(word for sentence in train for word in sentence)
    known = sorted(word for word, count in counts.items() if count >= MIN_COUNT)
    number = {word: N_SPECIAL + i for i, word in enumerate(known)}

    def tokens(sentences: list[list[str]]) -> list[Array]:
        return [np.array([number.get(word, UNKNOWN) for word in sentence], dtype=np.int64) for sentence in sentences]

    return Split(tokens(train), y_train, tokens(test), y_test)
