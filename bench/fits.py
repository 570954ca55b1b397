"""Whole fits: an estimator of ours against a loop in PyTorch as a careful user writes it by hand.

Both do the same job: equal data, network, batch size, number of epochs, solver and learning rate, a fresh shuffle in
every epoch, and the validation loss after every epoch where there is validation data. PyTorch gets its fused Adam,
tensors made before the clock starts, and nothing is read back from it inside an epoch.

Keras can stand beside them in a process of its own, since it is large and may want another Python: ``keras_fit.py``
runs the same jobs there. What a user of it waits for is a call of ``fit`` on a new model, tracing of its graph and all;
loading the library is not counted, nor is a first fit.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import machine
import skrnn
from grid import Array
from skrnn import RNNRegressor

torch = machine.optional("torch")

Fit = Callable[[], float]

KERAS_DATA = (
    "cell",
    "activation",
    "hidden_size",
    "epochs",
    "batch_size",
    "X",
    "y",
    "validation_fraction",
    "learning_rate",
)


@dataclass(frozen=True)
class Job:
    """What to fit; ``bound`` is the mean squared error that shows the fit has learned its task."""

    name: str
    cell: str
    activation: str
    hidden_size: int
    epochs: int
    batch_size: int
    X: Array
    y: Array
    validation_fraction: float = 0.0
    bound: float = np.inf
    learning_rate: float = 1e-3

    @contextmanager
    def contenders(self, n_threads: int, keras_python: str | None) -> Iterator[dict[str, Fit]]:
        """Ours first; a call fits a new network and returns its last training error (mean squared)."""
        if torch is None:
            raise SystemExit("whole fits are compared with PyTorch, which is not installed")
        skrnn.set_num_threads(n_threads)
        torch.set_num_threads(n_threads)
        found = {"skrnn": self.fit_skrnn, "torch": self.torch_fit()}
        if keras_python is None:
            yield found
        else:
            with self.keras_fit(keras_python, n_threads) as fit:
                yield {**found, "keras": fit}

    def check(self, loss: float) -> None:
        assert np.isfinite(loss), f"{self.name}: loss {loss}"
        assert loss < self.bound, f"{self.name}: loss {loss}, expected less than {self.bound}"

    def estimator(self) -> RNNRegressor:
        return RNNRegressor(
            cell=self.cell,
            hidden_size=self.hidden_size,
            activation=self.activation,
            solver="adam",
            learning_rate_init=self.learning_rate,
            max_grad_norm=None,
            batch_size=self.batch_size,
            max_iter=self.epochs,
            tol=None,  # all epochs, as the loop does
            early_stopping=self.validation_fraction > 0,
            validation_fraction=self.validation_fraction or 0.1,
            random_state=0,
        )

    def fit_skrnn(self) -> float:
        model = self.estimator().fit(self.X, self.y)
        return float(2 * np.var(self.y) * model.loss_curve_[-1])  # half squared errors of the standardised target

    def torch_fit(self) -> Fit:
        X_all, y_all = torch.from_numpy(self.X), torch.from_numpy(self.y)[:, None]
        n_validation = round(self.validation_fraction * len(self.X))

        def fit() -> float:
            torch.manual_seed(0)
            held_out, kept = torch.randperm(len(X_all)).split([n_validation, len(X_all) - n_validation])
            X, y, X_val, y_val = X_all[kept], y_all[kept], X_all[held_out], y_all[held_out]
            kind = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[self.cell]
            options = {"nonlinearity": self.activation} if self.cell == "rnn" else {}
            network = kind(X.shape[2], self.hidden_size, batch_first=True, **options)
            head = torch.nn.Linear(self.hidden_size, 1)
            parameters = [*network.parameters(), *head.parameters()]
            solver = torch.optim.Adam(parameters, lr=self.learning_rate, fused=True)
            loss_of = torch.nn.functional.mse_loss
            losses, validation_losses = [], []
            for _ in range(self.epochs):
                total = torch.zeros(())
                for batch in torch.randperm(len(X)).split(self.batch_size):
                    solver.zero_grad()
                    loss = loss_of(head(network(X[batch])[0][:, -1]), y[batch])
                    loss.backward()
                    solver.step()
                    total += loss.detach() * len(batch)
                losses.append(total / len(X))
                if n_validation:
                    with torch.inference_mode():
                        validation_losses.append(loss_of(head(network(X_val)[0][:, -1]), y_val))
            return float(losses[-1])

        return fit

    @contextmanager
    def keras_fit(self, python: str, n_threads: int) -> Iterator[Fit]:
        threads = {f"{name}_THREADS": str(n_threads) for name in ("OMP_NUM", "TF_NUM_INTRAOP", "TF_NUM_INTEROP")}
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder, "job.npz")
            np.savez(data, **{name: np.asarray(getattr(self, name)) for name in KERAS_DATA})
            server = subprocess.Popen(
                [python, str(Path(__file__).with_name("keras_fit.py")), str(data)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **threads},
            )
            assert server.stdin is not None
            assert server.stdout is not None
            requests, answers = server.stdin, server.stdout
            if not answers.readline().startswith("keras "):
                raise SystemExit(f"{python} cannot run {Path(__file__).with_name('keras_fit.py')}: has it Keras?")

            def fit() -> float:
                requests.write("fit\n")
                requests.flush()
                return float(answers.readline())

            with server:  # closes its input, which ends it
                yield fit


def sine_job() -> Job:
    """The textbook's: 100 points of a noisy sine, windows of 10, 50 ReLU units, 200 epochs, 20 % for validation."""
    rng = np.random.default_rng(0)
    series = np.sin(0.25 * np.arange(100)) + rng.normal(scale=0.1, size=100)
    windows = np.lib.stride_tricks.sliding_window_view(series, 10)[:-1]
    return Job(
        name="textbook sine, rnn",
        cell="rnn",
        activation="relu",
        hidden_size=50,
        epochs=200,
        batch_size=32,
        X=windows[:, :, None].astype(np.float32),
        y=series[10:].astype(np.float32),
        validation_fraction=0.2,
        bound=0.05,
    )


def epoch_job(cell: str) -> Job:
    """One epoch over 1,024 sequences (T 100, I 64, H 128)."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1024, 100, 64), dtype=np.float32)
    y = X[:, -1].mean(axis=1)
    return Job(
        name=f"one epoch of 1,024 sequences, {cell}",
        cell=cell,
        activation="tanh",
        hidden_size=128,
        epochs=1,
        batch_size=64,
        X=X,
        y=y,
    )


def jobs(cells: Iterable[str]) -> Iterator[Job]:
    yield sine_job()
    for cell in cells:
        yield epoch_job(cell)
