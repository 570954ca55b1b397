"""The same fits in Keras: a server for ``compare.py --fits --keras PYTHON``, run by an interpreter that has Keras.

It knows nothing of skrnn, which need not be installed there. It gets one job in an .npz file and leaves backend and
defaults to Keras; then each line it reads asks for one fit of a new network, answered by the last training loss.
"""

from __future__ import annotations

import sys
from typing import Any

import keras
import numpy as np

LAYERS = {"rnn": keras.layers.SimpleRNN, "gru": keras.layers.GRU, "lstm": keras.layers.LSTM}


def fit(job: dict[str, Any]) -> float:
    keras.utils.set_random_seed(0)
    X, y = job["X"], job["y"]
    order = np.random.default_rng(0).permutation(len(X))
    held_out, kept = np.split(order, [round(float(job["validation_fraction"]) * len(X))])
    model = keras.Sequential(
        [
            keras.Input(X.shape[1:]),
            LAYERS[str(job["cell"])](int(job["hidden_size"]), activation=str(job["activation"])),
            keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer=keras.optimizers.Adam(float(job["learning_rate"])), loss="mse")
    history = model.fit(
        X[kept],
        y[kept],
        batch_size=int(job["batch_size"]),
        epochs=int(job["epochs"]),
        validation_data=(X[held_out], y[held_out]) if len(held_out) else None,
        verbose=0,
    )
    return float(history.history["loss"][-1])


def main(path: str) -> None:
    job = dict(np.load(path))
    print(f"keras {keras.__version__} on {keras.backend.backend()}", flush=True)
    for _ in sys.stdin:
        print(fit(job), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
