"""The life of a model in training: weights of samples, validation, going on, interruptions, callbacks, advice."""

from __future__ import annotations

import os
import pickle
import signal
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import mean_pinball_loss
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from cases import Array
from running import assert_same_bits, python
from skrnn import RNNClassifier, RNNRegressor, _core
from skrnn import _callbacks as callbacks_module
from skrnn.nn import Dense, Recurrent, SequenceNetwork, Trainer
from skrnn.nn.scratch import Scratch

ESTIMATORS = (RNNClassifier, RNNRegressor)


@pytest.fixture(params=ESTIMATORS, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> type:
    return request.param


def ragged(n: int = 60, *, seed: int = 0, n_classes: int = 2) -> tuple[list[Array], Array]:
    """Sequences of 3 to 12 steps of 2 features, and the class of the sum of the first."""
    rng = np.random.default_rng(seed)
    X = [rng.standard_normal((int(t), 2)) for t in rng.integers(3, 13, n)]
    sums = np.array([x[:, 0].sum() for x in X])
    return X, np.digitize(sums, np.quantile(sums, np.arange(1, n_classes) / n_classes))


def make(kind: type = RNNClassifier, **options: Any) -> Any:
    settings = {"hidden_size": 8, "max_iter": 4, "tol": None, "random_state": 0, **options}
    return kind("gru", **settings)


def answers(model: Any, X: Any) -> Array:
    return model.predict_proba(X) if isinstance(model, RNNClassifier) else model.predict(X)


def take(X: list[Array], rows: Any) -> list[Array]:
    return [X[row] for row in rows]


# ---------------------------------------------------------------------------------------------------------------------
# Weights of samples and classes
# ---------------------------------------------------------------------------------------------------------------------

FULL_BATCH = {"batch_size": 1000, "dtype": "float64", "max_iter": 20, "learning_rate_init": 0.02}


@pytest.mark.parametrize("options", [{}, {"alpha": 0.1}, {"solver": "adamw", "alpha": 0.1}], ids=str)
def test_a_weight_is_a_number_of_copies(kind: type, options: dict[str, Any]) -> None:
    X, y = ragged(30)
    weight = np.random.default_rng(1).integers(0, 4, 30)
    rows = np.repeat(np.arange(30), weight)
    weighted = make(kind, **FULL_BATCH, **options).fit(X, y, sample_weight=weight)
    repeated = make(kind, **FULL_BATCH, **options).fit(take(X, rows), y[rows])
    # Sums in another order, over 20 steps in float64.
    np.testing.assert_allclose(answers(weighted, X), answers(repeated, X), rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-9)
    without = make(kind, **FULL_BATCH, **options).fit(X, y)
    assert not np.allclose(answers(weighted, X), answers(without, X), rtol=1e-2, atol=1e-3), "weights do something"


def test_no_weight_is_no_sequence(kind: type) -> None:
    """Also where batches are small, and to the last bit."""
    X, y = ragged(40)
    weight = (np.arange(40) % 3 > 0).astype(float)
    kept = np.flatnonzero(weight)
    for options in ({"batch_size": 8}, {"early_stopping": True}, {"class_weight": "balanced"}):
        if kind is RNNClassifier or "class_weight" not in options:
            weighted = make(kind, **options).fit(X, y, sample_weight=weight)
            assert_same_bits(answers(weighted, X), answers(make(kind, **options).fit(take(X, kept), y[kept]), X))


def test_equal_weights_are_no_weights(kind: type) -> None:
    X, y = ragged(40)
    want = answers(make(kind).fit(X, y), X)
    for weight in (np.ones(40), np.full(40, 4), 2.0, [1] * 40):
        assert_same_bits(answers(make(kind).fit(X, y, sample_weight=weight), X), want)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(39), r"sample_weight.shape == \(39,\), expected \(40,\)"),
        (np.ones((40, 1)), "sample_weight must be 1D"),
        (-np.ones(40), "Negative values in sample_weight"),
        (np.zeros(40), "at least one weight that is not zero"),
        (np.full(40, np.nan), "sample_weight contains NaN"),
        ("balanced", "sample_weight must be a number for each sequence"),
    ],
    ids=["short", "column", "negative", "zero", "NaN", "word"],
)
def test_bad_weights(kind: type, weight: Array, message: str) -> None:
    X, y = ragged(40)
    with pytest.raises(ValueError, match=message):
        make(kind).fit(X, y, sample_weight=weight)
    with pytest.raises(ValueError, match=message.replace("sample_weight", "sample_weight_val")):
        make(kind).fit(X, y, X_val=X, y_val=y, sample_weight_val=weight)


def test_class_weights_are_sample_weights() -> None:
    X, y = ragged(60, n_classes=3)
    rare = np.flatnonzero((y != 2) | (np.arange(60) % 4 == 0))
    X, y = take(X, rare), np.array(["a", "b", "c"])[y[rare]]
    counts = {label: np.mean(y == label) for label in "abc"}
    balanced = np.array([1 / (3 * counts[label]) for label in y])
    assert_same_bits(
        answers(make(class_weight="balanced").fit(X, y), X), answers(make().fit(X, y, sample_weight=balanced), X)
    )
    given = make(class_weight={"a": 2.0, "b": 1.0, "c": 0.5}).fit(X, y, sample_weight=np.arange(1, len(y) + 1))
    both = np.array([{"a": 2.0, "b": 1.0, "c": 0.5}[label] for label in y]) * np.arange(1, len(y) + 1)
    assert_same_bits(answers(given, X), answers(make().fit(X, y, sample_weight=both), X))
    with pytest.raises(ValueError, match="'class_weight' parameter of RNNClassifier"):
        make(class_weight="equal").fit(X, y)
    with pytest.raises(ValueError, match="class_weight is not for multilabel"):
        make(class_weight="balanced").fit(X, np.eye(3)[np.arange(len(X)) % 3])


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({0: -1.0, 1: 3.0}, "class_weight must be finite and not negative, got -1.0 for class 0"),
        ({0: np.nan, 1: 1.0}, "class_weight must be finite and not negative, got nan"),
        ({1: np.inf}, "class_weight must be finite and not negative, got inf"),
        ({0: 0.0, 1: 0.0}, "sample_weight and class_weight together leave no sequence of X any weight"),
    ],
    ids=str,
)
def test_bad_class_weights(class_weight: dict[int, float], message: str) -> None:
    X, y = ragged(40)
    with pytest.raises(ValueError, match=message):
        make(class_weight=class_weight).fit(X, y)


def test_class_weights_count_in_all_validation_data() -> None:
    X, y = ragged(40)
    options = {"class_weight": {0: 1.0, 1: 50.0}, "early_stopping": True, "max_iter": 2}
    held_out = make(validation_split="last", validation_fraction=0.25, **options).fit(X, y)
    given = make(**options).fit(X[:30], y[:30], X_val=X[30:], y_val=y[30:])
    assert held_out.validation_loss_curve_ == given.validation_loss_curve_


def test_weights_tell_parts_of_the_data_apart(kind: type) -> None:
    """A fit has all of it, so that weights only say how much sequences count beside each other."""
    X, y = ragged(40)
    options = {"solver": "sgd", "momentum": 0.0, "max_grad_norm": None, "dtype": "float64"}
    first = {"classes": [0, 1]} if kind is RNNClassifier else {}

    def change(weight: float | None) -> Array:
        model = make(kind, **options).partial_fit(X, y, **first)
        before = model.weights_["head.weight"]
        return np.asarray(model.partial_fit(X[:8], y[:8], sample_weight=weight).weights_["head.weight"] - before)

    assert_same_bits(change(1.0), change(None))
    assert np.linalg.norm(change(1e-9)) < 1e-8 * np.linalg.norm(change(None))


def test_class_weights_in_parts_of_the_data() -> None:
    X, y = ragged(40)
    one = np.flatnonzero(y == 0)

    def fit(class_weight: Any) -> Any:
        return make(class_weight=class_weight).partial_fit(take(X, one), y[one], classes=[0, 1])

    assert not np.array_equal(answers(fit({0: 1e-3}), X), answers(fit({1: 5.0}), X))
    assert_same_bits(answers(fit({1: 5.0}), X), answers(fit(None), X))
    with pytest.raises(ValueError, match=r"class_weight='balanced' is not supported for partial_fit"):
        fit("balanced")


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_a_target_that_is_constant_at_first(loss: str) -> None:
    X, _ = ragged(100)
    y = np.array([x[-1, 0] for x in X]) ** 2 * 100
    start = np.zeros(3)
    model = make(RNNRegressor, loss=loss).partial_fit(X[:3], start)
    assert (model.predict(X) == 0).all()
    model.partial_fit(X, y)
    seen = np.r_[0.0, y]
    scale = seen.std() if loss == "squared_error" else seen.mean()
    np.testing.assert_allclose(model.y_scale_, scale, rtol=1e-14)
    for _ in range(30):
        model.partial_fit(X, y)
    assert model.score(X, y) > 0.3


def test_one_sequence_at_a_time() -> None:
    X, _ = ragged(40)
    y = np.array([x[-1, 0] for x in X])
    model = make(RNNRegressor, learning_rate_init=0.01)
    for _ in range(20):
        for row in range(40):
            model.partial_fit(X[row : row + 1], y[row : row + 1])
    assert model.score(X, y) > 0.5, "0 where each call has a scale of its own"


def test_the_scale_of_targets_is_weighted() -> None:
    X, _ = ragged(20)
    y = np.arange(20.0)
    weight = np.arange(20) % 3
    model = make(RNNRegressor).fit(X, y, sample_weight=weight)
    mean = np.average(y, weights=weight)
    np.testing.assert_allclose(model.y_mean_, mean, rtol=1e-14)
    np.testing.assert_allclose(model.y_scale_, np.sqrt(np.average((y - mean) ** 2, weights=weight)), rtol=1e-14)


# ---------------------------------------------------------------------------------------------------------------------
# Validation
# ---------------------------------------------------------------------------------------------------------------------


def test_validation_on_given_data(kind: type) -> None:
    X, y = ragged(80)
    model = make(kind, max_iter=6).fit(X[:60], y[:60], X_val=X[60:], y_val=y[60:])
    assert len(model.validation_loss_curve_) == 6
    assert_same_bits(
        answers(model, X), answers(make(kind, max_iter=6).fit(X[:60], y[:60]), X), "watched, and nothing else"
    )
    # The loss of a batch of everything before its step is the validation loss of the epoch before.
    again = make(kind, max_iter=7, batch_size=60, shuffle=False).fit(X[:60], y[:60], X_val=X[:60], y_val=y[:60])
    np.testing.assert_allclose(again.validation_loss_curve_[:-1], again.loss_curve_[1:], rtol=2e-6)


def test_early_stopping_on_given_data_keeps_the_best(kind: type) -> None:
    X, _ = ragged(90)
    y = np.random.default_rng(5).integers(0, 2, 90)
    options = {"learning_rate_init": 0.03, "max_iter": 40}
    data = {"X_val": X[60:], "y_val": y[60:]}
    model = make(kind, early_stopping=True, **options).fit(X[:60], y[:60], **data)
    best = int(np.argmin(model.validation_loss_curve_)) + 1
    assert best < 40
    assert model.best_loss_ == min(model.validation_loss_curve_)
    stopped = make(kind, **{**options, "max_iter": best}).fit(X[:60], y[:60])
    assert_same_bits(answers(model, X), answers(stopped, X))


def test_early_stopping_goes_on_from_the_best(kind: type) -> None:
    """Steps that move nothing leave the best model, and a worse one does not take its place."""
    X, _ = ragged(90)
    y = np.random.default_rng(5).integers(0, 2, 90)
    data = {"X_val": X[60:], "y_val": y[60:]}
    model = make(kind, early_stopping=True, learning_rate_init=0.03, max_iter=40, warm_start=True)
    model.fit(X[:60], y[:60], **data)
    want, best = answers(model, X), model.best_loss_
    model.set_params(learning_rate_init=1e-30, max_iter=2).fit(X[:60], y[:60], **data)
    assert model.best_loss_ == best
    assert_same_bits(answers(model, X), want)
    model.set_params(solver="sgd", learning_rate_init=100.0, max_iter=3).fit(X[:60], y[:60], **data)
    assert model.best_loss_ == best < min(model.validation_loss_curve_[-3:])
    assert_same_bits(answers(model, X), want)


def test_validation_that_is_no_number() -> None:
    X, y = ragged(60)
    data = {"X_val": X[40:], "y_val": y[40:] * 1e300}
    with pytest.raises(ValueError, match="Training diverged in epoch 1: the validation loss is not finite"):
        make(RNNRegressor, early_stopping=True).fit(X[:40], y[:40], **data)
    assert make(RNNRegressor).fit(X[:40], y[:40], **data).validation_loss_curve_ == [np.inf] * 4, "watched, no more"


def test_a_divergence_does_not_mix_training_and_validation(kind: type) -> None:
    X, y = ragged(60)
    model = make(kind, early_stopping=True, warm_start=True, random_state=None, solver="sgd").fit(X, y)
    held_out = model._training_state.held_out
    model.set_params(learning_rate_init=1e30, max_grad_norm=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    model.set_params(learning_rate_init=0.01).fit(X, y)
    np.testing.assert_array_equal(model._training_state.held_out, held_out)


def test_errors_of_validation_data_name_it(kind: type) -> None:
    X, y = ragged(60)
    with pytest.raises(ValueError, match=r"^X_val: X has 1 features"):
        make(kind).fit(X, y, X_val=[x[:, :1] for x in X], y_val=y)
    with pytest.raises(ValueError, match=r"\[60, 59\], of X_val and y_val"):
        make(kind).fit(X, y, X_val=X, y_val=y[:59])


def test_weights_of_validation_data(kind: type) -> None:
    X, y = ragged(60)
    data = {"X_val": X[40:], "y_val": y[40:]}
    weight = np.r_[np.zeros(10), np.ones(10)]
    weighted = make(kind).fit(X[:40], y[:40], **data, sample_weight_val=weight)
    fewer = make(kind).fit(X[:40], y[:40], X_val=X[50:], y_val=y[50:])
    np.testing.assert_allclose(weighted.validation_loss_curve_, fewer.validation_loss_curve_, rtol=1e-6)


def test_the_last_part_is_held_out() -> None:
    """Of sequences in the order of time. The mean of the targets shows which ones were trained on."""
    X, _ = ragged(50)
    y = np.arange(50.0)
    model = make(RNNRegressor, early_stopping=True, validation_split="last", validation_fraction=0.2).fit(X, y)
    assert model.y_mean_ == pytest.approx(np.arange(40).mean(), rel=1e-14)
    assert len(model.validation_loss_curve_) == 4


def test_half_of_the_validation_data(kind: type) -> None:
    X, y = ragged(20)
    with pytest.raises(ValueError, match="X_val is provided, but y_val was not"):
        make(kind).fit(X, y, X_val=X)
    with pytest.raises(ValueError, match="y_val is provided, but X_val was not"):
        make(kind).fit(X, y, y_val=y)
    with pytest.raises(ValueError, match="sample_weight_val is provided"):
        make(kind).fit(X, y, sample_weight_val=y)
    with pytest.raises(ValueError, match=r"X has 1 features.*expecting 2"):
        make(kind).fit(X, y, X_val=[x[:, :1] for x in X], y_val=y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        make(kind).fit(X, y, X_val=X, y_val=y[:-1])


def test_validation_labels_nobody_has_seen() -> None:
    X, y = ragged(20)
    with pytest.raises(ValueError, match=r"y_val contains labels.*\[7\]"):
        make().fit(X, y, X_val=X, y_val=np.full(20, 7))


# ---------------------------------------------------------------------------------------------------------------------
# Going on
# ---------------------------------------------------------------------------------------------------------------------

OPTIONS: list[dict[str, Any]] = [
    {},
    {"solver": "sgd", "learning_rate_init": 0.05},
    {"solver": "nadam", "shuffle": False},
    {"solver": "rmsprop", "batch_size": 7},
    {"solver": "adagrad", "bidirectional": True},
    {"num_layers": 2, "dropout": 0.3, "recurrent_dropout": 0.2, "zoneout": 0.1},
    {"layer_norm": True, "pooling": "attention", "alpha": 0.01},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_twice_half_is_the_whole(kind: type, options: dict[str, Any]) -> None:
    X, y = ragged(40)
    whole = make(kind, max_iter=6, **options).fit(X, y)
    halves = make(kind, max_iter=3, warm_start=True, **options).fit(X, y)
    halves = pickle.loads(pickle.dumps(halves)).fit(X, y)
    assert halves.n_iter_ == 6
    assert halves.loss_curve_ == whole.loss_curve_
    assert_same_bits(answers(halves, X), answers(whole, X))


def test_partial_fits_are_epochs(kind: type) -> None:
    X, y = ragged(40)
    whole = make(kind, max_iter=5, learning_rate="exponential", decay_epochs=1).fit(X, y)
    parts = make(kind, learning_rate="exponential", decay_epochs=1, max_iter=77)
    first = {"classes": [0, 1]} if kind is RNNClassifier else {}
    for epoch in range(5):
        assert parts.partial_fit(X, y, **first) is parts
        first = {}
        assert parts.n_iter_ == epoch + 1
    assert_same_bits(answers(parts, X), answers(whole, X))
    assert parts.history_["learning_rate"] == whole.history_["learning_rate"]


def test_partial_fit_after_fit_goes_on(kind: type) -> None:
    X, y = ragged(40)
    model = make(kind, max_iter=30, learning_rate_init=0.02).fit(X, y)
    before = model.loss_curve_[-1]
    for _ in range(5):
        model.partial_fit(X, y)
    assert model.n_iter_ == 35
    assert model.loss_curve_[-1] < max(2 * before, 0.2 * model.loss_curve_[0]), (
        "the solver begins anew, the weights do not"
    )


def test_partial_fit_wants_to_know_the_classes() -> None:
    X, y = ragged(40)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        make().partial_fit(X, y)
    model = make().partial_fit(X[:5], np.zeros(5, int), classes=[0, 1, 2])
    assert list(model.classes_) == [0, 1, 2]
    model.partial_fit(X, y)
    with pytest.raises(ValueError, match="not the same as on last call"):
        model.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"labels that are not among the classes .*\[9\]"):
        model.partial_fit(X, y + 9 * (y == 1) - (y == 1))
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
        model.set_params(early_stopping=True).partial_fit(X, y)


def test_another_architecture_cannot_go_on(kind: type) -> None:
    X, y = ragged(40)
    model = make(kind, warm_start=True).fit(X, y)
    want = answers(model, X)
    for change in (
        {"hidden_size": 9},
        {"num_layers": 2},
        {"bidirectional": True},
        {"cell": "rnn"},
        {"cell": "gru_reset_before"},
        {"pooling": "attention"},
        {"pooling": "mean"},
        {"activation": "relu"},
        {"layer_norm": True},
        {"dtype": "float64"},
    ):
        other = pickle.loads(pickle.dumps(model)).set_params(**change)
        for goes_on in (other.fit, other.partial_fit):
            with pytest.raises(ValueError, match="architecture was another"):
                goes_on(X, y)
        assert_same_bits(answers(other.set_params(**model.get_params()), X), want)
    with pytest.raises(ValueError, match=r"X has 1 features.*expecting 2"):
        model.fit([x[:, :1] for x in X], y)


def test_a_failed_warm_start_can_be_repeated(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = ragged(40)
    model = make(kind, warm_start=True).fit(X, y)
    want = answers(pickle.loads(pickle.dumps(model)).fit(X, y), X)
    step = Trainer.step

    def fail(self: Trainer, *arguments: Any) -> float:
        if self.n_steps % 7 == 6:
            raise MemoryError
        return step(self, *arguments)

    monkeypatch.setattr(Trainer, "step", fail)
    with pytest.raises(MemoryError):
        model.fit(X, y)
    monkeypatch.undo()
    assert_same_bits(answers(model.fit(X, y), X), want)


# ---------------------------------------------------------------------------------------------------------------------
# Ctrl-C
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def answer_to_ctrl_c() -> Iterator[None]:
    """As a program in the foreground does; one in the background may have been told to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt_at(steps: int, monkeypatch: pytest.MonkeyPatch, times: int = 1) -> None:
    """Send Ctrl-C in the middle of a step."""
    step = Trainer.step
    taken = 0

    def interrupted(self: Trainer, *arguments: Any) -> float:
        nonlocal taken
        taken += 1
        if taken == steps:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
        return step(self, *arguments)

    monkeypatch.setattr(Trainer, "step", interrupted)


INTERRUPTED: list[dict[str, Any]] = [
    *OPTIONS,
    {"early_stopping": True, "learning_rate_init": 0.05},
    {"learning_rate": "onecycle"},
    {"learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 1},
]


@pytest.mark.parametrize("options", INTERRUPTED, ids=str)
@pytest.mark.parametrize("at", [1, 14])
def test_interrupted_and_resumed_is_uninterrupted(
    kind: type, options: dict[str, Any], at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = ragged(40)
    options = {"max_iter": 8, "warm_start": True, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        whole = make(kind, **options).fit(X, y)
        interrupt_at(at, monkeypatch)
        with pytest.warns(UserWarning, match=r"interrupted.*warm_start"):
            model = make(kind, **options).fit(X, y)
        monkeypatch.undo()
        assert model.n_iter_ < whole.n_iter_
        assert np.isfinite(answers(model, X)).all(), "a model that can be used"
        resumed = pickle.loads(pickle.dumps(model)).fit(X, y)
    assert resumed.loss_curve_ == whole.loss_curve_
    assert resumed.validation_loss_curve_ == whole.validation_loss_curve_
    assert_same_bits(answers(resumed, X), answers(whole, X))


def test_interrupted_without_a_thought_of_it(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody sets warm_start in time."""
    X, y = ragged(40)
    whole = make(kind, max_iter=8).fit(X, y)
    interrupt_at(11, monkeypatch)
    with pytest.warns(UserWarning, match="interrupted"):
        model = make(kind, max_iter=8).fit(X, y)
    monkeypatch.undo()
    assert_same_bits(answers(clone(model).fit(X, y), X), answers(whole, X))
    assert_same_bits(answers(model.set_params(warm_start=True).fit(X, y), X), answers(whole, X))


def test_interrupted_in_the_last_step(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = ragged(40)
    want = make(kind, max_iter=2).fit(X, y)
    interrupt_at(10, monkeypatch)  # of 5 for each epoch
    with pytest.warns(UserWarning, match="in its last step: it is complete"):
        model = make(kind, max_iter=2).fit(X, y)
    assert_same_bits(answers(model, X), answers(want, X))
    assert model.loss_curve_ == want.loss_curve_
    assert not hasattr(model, "_training_state")


def test_interrupted_in_a_part_of_the_data(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = ragged(40)
    model = make(kind, warm_start=True, max_iter=2).fit(X, y)
    interrupt_at(3, monkeypatch)
    with pytest.warns(UserWarning, match=r"interrupted by user. The model is that of the steps so far.$"):
        model.partial_fit(X, y)
    monkeypatch.undo()
    assert model.n_iter_ == 2
    before = answers(model, X)
    model.fit(X, y)
    assert model.n_iter_ == 4
    assert not np.array_equal(answers(model, X), before)


@pytest.mark.parametrize("other", ["weights", "early stopping", "validation"])
def test_interrupted_and_fitted_to_other_data(kind: type, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to resume: it is a warm start."""
    X, y = ragged(40)
    model = make(kind, warm_start=True, early_stopping=other == "validation")
    interrupt_at(3, monkeypatch)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, y)
    monkeypatch.undo()
    if other == "weights":
        model.fit(X, y, sample_weight=np.arange(40) > 10)
    elif other == "early stopping":
        model.set_params(early_stopping=True).fit(X, y)
    else:
        model.fit(X, y, X_val=X, y_val=y)
    assert model.n_iter_ == 4


def test_interrupted_with_early_stopping_and_fitted_to_other_data(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes on is the model, which is that of the best epoch, not the last steps of an interrupted fit."""
    X, _ = ragged(60)
    y = np.random.default_rng(5).integers(0, 2, 60)
    model = make(kind, early_stopping=True, learning_rate_init=0.05, max_iter=100, warm_start=True)
    interrupt_at(300, monkeypatch)
    with pytest.warns(UserWarning, match="The model is that of the best epoch so far"):
        model.fit(X, y)
    monkeypatch.undo()
    want = answers(model, X)
    assert model.best_loss_ < model.validation_loss_curve_[-1]
    model.set_params(early_stopping=False, learning_rate_init=1e-30).partial_fit(X[:50], y[:50])
    assert_same_bits(answers(model, X), want)


def test_a_generator_is_not_shared(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = ragged(40)
    options = {"warm_start": True, "dropout": 0.5, "num_layers": 2}
    want = make(kind, **{**options, "random_state": np.random.default_rng(3)}).fit(X, y)
    generator = np.random.default_rng(3)
    model = make(kind, **{**options, "random_state": generator})
    interrupt_at(7, monkeypatch)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, y)
    monkeypatch.undo()
    generator.random(5)
    assert_same_bits(answers(model.fit(X, y), X), answers(want, X))


def test_a_second_ctrl_c_does_not_wait(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = ragged(40)
    model = make(kind)
    interrupt_at(3, monkeypatch, times=2)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert not hasattr(model, "n_iter_")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_from_outside() -> None:
    done = python(
        """
import os, signal, threading, time, warnings
import numpy as np
from skrnn import RNNRegressor
signal.signal(signal.SIGINT, signal.default_int_handler)
rng = np.random.default_rng(0)
X, y = rng.standard_normal((400, 60, 8)), rng.standard_normal(400)
model = RNNRegressor("lstm", 64, max_iter=10**6, tol=None, random_state=0)
sent = []
def send():
    sent.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)
threading.Timer(1.0, send).start()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model.fit(X, y)
print(time.perf_counter() - sent[0], model.predict(X[:2]).shape, [str(w.message)[:20] for w in caught])
""",
        OMP_NUM_THREADS="1",
    )
    seconds, rest = done.stdout.split(maxsplit=1)
    assert "interrupted" in rest
    # A step takes milliseconds; the limit is for a machine that is busy.
    assert float(seconds) < 5


# ---------------------------------------------------------------------------------------------------------------------
# Truncated backpropagation through time
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
def test_long_enough_is_not_truncated(pooling: str) -> None:
    X, y = ragged(40)
    want = answers(make(pooling=pooling).fit(X, y), X)
    assert_same_bits(answers(make(pooling=pooling, tbptt_steps=12).fit(X, y), X), want)
    shorter = make(pooling=pooling, tbptt_steps=3).fit(X, y)
    assert not np.array_equal(answers(shorter, X), want)


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
def test_the_state_is_carried(pooling: str) -> None:
    """One batch of everything: the first loss is that of the first weights, whatever gradients do."""
    X, y = ragged(40)
    options = {"pooling": pooling, "batch_size": 40, "num_layers": 2, "dtype": "float64"}
    whole, cut = make(**options).fit(X, y), make(**options, tbptt_steps=2).fit(X, y)
    assert cut.loss_curve_[0] == pytest.approx(whole.loss_curve_[0], rel=1e-14)
    assert cut.loss_curve_[1] != pytest.approx(whole.loss_curve_[1], rel=1e-9)
    alike = make(**options, tbptt_steps=2).fit(np.stack([x[:3] for x in X]), y)
    listed = make(**options, tbptt_steps=2).fit([x[:3] for x in X], y)
    assert_same_bits(alike.weights_["weight_hh_l1"], listed.weights_["weight_hh_l1"])


@pytest.mark.parametrize("options", [{"zoneout": 0.5}, {"recurrent_dropout": 0.5}], ids=str)
def test_pieces_have_the_masks_of_the_whole(options: dict[str, Any]) -> None:
    X, y = ragged(40)
    options = {"pooling": "mean", "batch_size": 40, "num_layers": 2, "dtype": "float64", **options}
    whole, cut = make(**options).fit(X, y), make(**options, tbptt_steps=2).fit(X, y)
    assert cut.loss_curve_[0] == pytest.approx(whole.loss_curve_[0], rel=1e-14)


def test_zoneout_is_drawn_anew_in_each_piece() -> None:
    """Were it the same everywhere, half of the units would stay at 0 for ever."""
    recurrent = Recurrent("gru", input_size=2, hidden_size=32, zoneout=0.5, random_state=0)
    network = SequenceNetwork(recurrent, Dense(32, 1, random_state=0), tbptt_steps=1)
    computed = network.training_pass(network.parameters.like(), Scratch(np.dtype(np.float32), _core.Workspace()))
    x = np.random.default_rng(0).standard_normal((20, 10, 2)).astype(np.float32)
    for lengths in (None, np.full(20, 9)):
        assert np.mean(computed.record_features(x, lengths, 0) == 0) < 0.02
    assert np.mean(computed.record_features(x, np.full(20, 2), 0) == 0) == pytest.approx(0.25, abs=0.1)


def test_truncated_learns_what_is_near() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 30, 1))
    near, far = (X[:, -2, 0] > 0).astype(int), (X[:, 0, 0] > 0).astype(int)
    options = {"tbptt_steps": 5, "max_iter": 30, "learning_rate_init": 0.02}
    assert make(**options).fit(X, near).score(X, near) > 0.95
    assert make(**options).fit(X, far).score(X, far) < 0.9


def test_truncation_needs_one_direction() -> None:
    X, y = ragged(20)
    with pytest.raises(ValueError, match=r"tbptt_steps goes with bidirectional=False"):
        make(tbptt_steps=3, bidirectional=True).fit(X, y)


# ---------------------------------------------------------------------------------------------------------------------
# Learning rates
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "want"),
    [
        ({"learning_rate": "constant"}, lambda e: 1.0),
        ({"learning_rate": "invscaling", "power_t": 0.7}, lambda e: (1 + e) ** -0.7),
        ({"learning_rate": "step", "decay_rate": 0.3, "decay_epochs": 2}, lambda e: 0.3 ** (e // 2)),
        ({"learning_rate": "exponential", "decay_rate": 0.3, "decay_epochs": 2}, lambda e: 0.3 ** (e / 2)),
        ({"learning_rate": "cosine"}, lambda e: (1 + np.cos(np.pi * e / 5)) / 2),
    ],
    ids=lambda value: value["learning_rate"] if isinstance(value, dict) else "",
)
def test_schedules(kind: type, options: dict[str, Any], want: Callable[[float], float]) -> None:
    X, y = ragged(20)  # the last of the two steps of an epoch begins in its middle
    model = make(kind, max_iter=5, batch_size=10, learning_rate_init=0.01, **options).fit(X, y)
    rates = [0.01 * want(epoch + 0.5) for epoch in range(5)]
    np.testing.assert_allclose(model.history_["learning_rate"], rates, rtol=1e-12)


def test_warm_up_and_one_cycle(kind: type) -> None:
    X, y = ragged(20)
    options = {"max_iter": 10, "batch_size": 20, "learning_rate_init": 0.01}
    rates = make(kind, warmup_epochs=4, **options).fit(X, y).history_["learning_rate"]
    assert rates[0] < rates[1] < rates[3] <= rates[4] == rates[9] == 0.01
    rates = make(kind, learning_rate="onecycle", **options).fit(X, y).history_["learning_rate"]
    assert rates[0] < 0.1 * max(rates)
    assert rates[-1] < 0.1 * max(rates)
    assert 0.005 < max(rates) <= 0.01


def test_adaptive_divides_where_others_stop() -> None:
    X, _ = ragged(40)
    y = np.random.default_rng(0).integers(0, 2, 40)
    options = {"tol": 0.01, "n_iter_no_change": 2, "max_iter": 300}
    constant = make(**options).fit(X, y)
    adaptive = make(learning_rate="adaptive", **options).fit(X, y)
    n = constant.n_iter_
    assert adaptive.loss_curve_[:n] == constant.loss_curve_
    rates = adaptive.history_["learning_rate"]
    assert rates[n - 1] == 0.005
    assert rates[n] == pytest.approx(0.001)
    assert adaptive.n_iter_ < 300
    assert rates[-1] <= 1e-6, "it gave up when the rate was small"


def test_history(kind: type) -> None:
    X, y = ragged(40)
    model = make(kind, max_grad_norm=1e-3, early_stopping=True).fit(X, y)
    assert set(model.history_) == {"loss", "validation_loss", "learning_rate", "gradient_norm", "seconds"}
    assert {len(curve) for curve in model.history_.values()} == {4}
    assert model.history_["loss"] == model.loss_curve_
    assert min(model.history_["gradient_norm"]) > 1e-3, "before clipping"
    assert min(model.history_["seconds"]) > 0
    assert model.n_timesteps_seen_ == (3, 12)


# ---------------------------------------------------------------------------------------------------------------------
# Callbacks
# ---------------------------------------------------------------------------------------------------------------------


class Recorder:
    """Writes down what it hears; ``stop_after`` epochs it wants to stop."""

    def __init__(self, stop_after: int | None = None, fail_at: int | None = None) -> None:
        self.stop_after = stop_after
        self.fail_at = fail_at
        self.events: list[str] = []
        self.scores: list[float] = []

    def setup(self, estimator: Any, context: Any) -> None:
        self.events.append(f"setup {context.task_name} {context.max_subtasks}")

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        self.events.append(f"begin {context.task_name} {context.task_id}")

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, X: Any, y: Any, metadata: Any, fitted_estimator: Any
    ) -> bool:
        self.events.append(f"end {context.task_name} {context.task_id}")
        if context.task_name != "epoch":
            return False
        self.scores.append(fitted_estimator.score(X, y))
        assert fitted_estimator.n_iter_ == context.task_id + 1
        assert metadata is None or "sample_weight" in metadata
        if context.task_id + 1 == self.fail_at:
            raise RuntimeError("the callback failed")
        return context.task_id + 1 == self.stop_after

    def teardown(self, estimator: Any, context: Any) -> None:
        self.events.append("teardown")


@pytest.fixture(params=["scikit-learn's", "ours"])
def protocol(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both implementations of the protocol, where scikit-learn has one."""
    if request.param == "ours":
        ours = callbacks_module._CallbackSupportMixin
        monkeypatch.setattr(callbacks_module, "with_callbacks", callbacks_module._with_callbacks)
        for cls in ESTIMATORS:
            for name in ("set_callbacks", "_init_callback_context"):
                monkeypatch.setattr(cls, name, getattr(ours, name), raising=False)
    elif callbacks_module.CallbackSupportMixin is callbacks_module._CallbackSupportMixin:
        pytest.skip("this scikit-learn has no callbacks")
    return request.param


class Saver(Recorder):
    """Pickles the model after the third epoch."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def on_fit_task_end(self, estimator: Any, context: Any, *, X: Any, fitted_estimator: Any) -> bool:
        if (context.task_name, context.task_id) == ("epoch", 2):
            self.path.write_bytes(pickle.dumps(fitted_estimator))
        return False


def test_callbacks_hear_of_every_epoch(kind: type, protocol: str) -> None:
    X, y = ragged(40)
    recorder, other = Recorder(), Recorder()
    model = make(kind, max_iter=2, callbacks=[recorder]).set_callbacks(other).fit(X, y)
    assert recorder.events == [
        "setup fit 2",
        "begin fit 0",
        "begin epoch 0",
        "end epoch 0",
        "begin epoch 1",
        "end epoch 1",
        "end fit 0",
        "teardown",
    ]
    assert other.events == recorder.events
    assert recorder.scores[-1] == model.score(X, y)
    assert_same_bits(answers(model, X), answers(make(kind, max_iter=2).fit(X, y), X), "they change nothing")
    assert not {"_callback_fit_ctx", "_skl_callbacks_to_teardown"} & set(vars(model))


def test_a_callback_can_stop(kind: type, protocol: str) -> None:
    X, y = ragged(40)
    model = make(kind, max_iter=50, callbacks=[Recorder(stop_after=3)]).fit(X, y, sample_weight=np.ones(40))
    assert model.n_iter_ == 3
    assert_same_bits(answers(model, X), answers(make(kind, max_iter=3).fit(X, y), X))


def test_what_one_step_ruins() -> None:
    """The loss of an epoch of one step is that before the step."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 30, 2))
    y = (X[:, :, 0].sum(axis=1) > 0).astype(int)
    settings = {"solver": "sgd", "max_grad_norm": None, "learning_rate_init": 1.0, "max_iter": 20, "batch_size": 40}
    model = RNNClassifier("rnn", 16, activation="relu", random_state=0, tol=None, **settings)
    with pytest.warns(ConvergenceWarning, match="Training diverged"):
        model.fit(X, y)
    assert model.loss_curve_[-1] > 10 * model.best_loss_
    assert np.isfinite(answers(model, X)).all()
    again = pickle.loads(pickle.dumps(model)).set_params(warm_start=True, learning_rate_init=1e-30, max_iter=1)
    assert again.fit(X, y).loss_curve_[-1] == pytest.approx(model.best_loss_, rel=1e-5)


def test_a_callback_can_save_the_model(kind: type, protocol: str, tmp_path: Path) -> None:
    """What it saves is as good as an interrupted fit: the rest gives what the whole gives, bit for bit."""
    X, y = ragged(40)
    options = {"max_iter": 6, "num_layers": 2, "dropout": 0.3}
    whole = make(kind, **options, callbacks=[Saver(tmp_path / "model.pickle")]).fit(X, y)
    saved = pickle.loads((tmp_path / "model.pickle").read_bytes())
    assert_same_bits(answers(saved, X), answers(make(kind, **{**options, "max_iter": 3}).fit(X, y), X))
    saver = saved.callbacks[0]
    saver.events.clear()
    assert_same_bits(answers(saved.set_params(warm_start=True).fit(X, y), X), answers(whole, X))
    assert saver.events.count("begin fit 0") == 1, "heard once"


def test_a_callback_that_fails(kind: type, protocol: str) -> None:
    X, y = ragged(40)
    recorder = Recorder(fail_at=2)
    model = make(kind, callbacks=[recorder])
    with pytest.raises(RuntimeError, match="the callback failed"):
        model.fit(X, y)
    assert recorder.events[-1] == "teardown"
    assert not [name for name in vars(model) if name.endswith("_") or name.startswith("_")]


class Careful(Recorder):
    """Takes what is documented by name alone, and keeps the estimators that it is given."""

    def setup(self, *, estimator: Any, context: Any) -> None:
        super().setup(estimator, context)
        self.fitted: list[Any] = []

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, X: Any, y: Any, metadata: Any, fitted_estimator: Any
    ) -> bool:
        self.fitted.append(fitted_estimator)
        return super().on_fit_task_end(
            estimator, context, X=X, y=y, metadata=metadata, fitted_estimator=fitted_estimator
        )

    def teardown(self, *, estimator: Any, context: Any) -> None:
        super().teardown(estimator, context)
        if self.fail_at == 0:
            raise RuntimeError("the teardown failed")


def test_callbacks_are_called_as_scikit_learn_calls_them(kind: type, protocol: str) -> None:
    X, y = ragged(40)
    one, other = Careful(), Careful()
    make(kind, max_iter=2, callbacks=[one, other]).fit(X, y)
    assert one.events == other.events
    assert len(one.fitted) == 3
    for a, b in zip(one.fitted[:2], other.fitted[:2], strict=True):
        assert a is b, "made once for all callbacks"


def test_a_teardown_that_fails_keeps_no_other_from_its_own(kind: type, protocol: str) -> None:
    X, y = ragged(40)
    last = Careful()
    with pytest.raises(RuntimeError, match="the teardown failed"):
        make(kind, max_iter=2, callbacks=[Careful(fail_at=0), last]).fit(X, y)
    assert last.events[-1] == "teardown"
    with pytest.raises(ExceptionGroup) as caught:
        make(kind, max_iter=2, callbacks=[Careful(fail_at=0), Careful(fail_at=0)]).fit(X, y)
    assert len(caught.value.exceptions) == 2


def test_what_is_no_callback() -> None:
    X, y = ragged(20)
    for bad in ([print], [Recorder], Recorder(), "all"):
        with pytest.raises(ValueError, match="'callbacks' parameter of RNNClassifier must be a list of callbacks"):
            make(callbacks=bad).fit(X, y)
    with pytest.raises(TypeError):
        make().set_callbacks(print)


# ---------------------------------------------------------------------------------------------------------------------
# Advice
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("factor", "word"), [(1000.0, "large"), (1e-5, "small")])
def test_badly_scaled_input_is_warned_of(kind: type, factor: float, word: str) -> None:
    X, y = ragged(20)
    X = [x * [1.0, factor] if factor > 1 else x * factor for x in X]
    with pytest.warns(UserWarning, match=rf"Features of X are {word}.*feature [01].*Stepwise\(.*StandardScaler"):
        make(kind).fit(X, y)


def test_what_is_well_scaled_enough(kind: type) -> None:
    X, y = ragged(20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rare = (np.arange(20) == 7).astype(float)
        make(kind).fit([np.c_[x, np.full(len(x), 9.9), np.zeros(len(x))] for x in X], y)
        make(kind).fit([np.c_[x, np.where(np.arange(len(x)) < 1, r, 0)] for x, r in zip(X, rare, strict=True)], y)
    with pytest.warns(UserWarning, match="Features of X are small: no two values of feature 1 differ by more than"):
        make(kind).fit([x * [1.0, 1e-6] for x in X], y)
    with pytest.warns(UserWarning, match="Features of X are small: no two values of feature 0 differ by more than"):
        make(kind).fit([5 + x[:, :1] * 1e-4 for x in X], y)
    with pytest.warns(UserWarning, match="or set embedding_dim, if these are tokens"):
        make(kind).fit([np.arange(50, 60)] * 20, y)


def test_warnings_point_to_the_user(kind: type) -> None:
    X, y = ragged(20)
    for options in ({}, {"callbacks": [Recorder()]}):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            make(kind, tol=0.1, **options).fit([100 * x for x in X], y)
            make(kind, dropout=0.5).fit(X, y)
        assert [w.filename for w in caught] == [__file__] * 3, [str(w.message) for w in caught]


def test_combinations_without_a_meaning(kind: type) -> None:
    X, y = ragged(20)
    first = {"classes": [0, 1]} if kind is RNNClassifier else {}
    with pytest.raises(ValueError, match="learning_rate='adaptive' waits for"):
        make(kind, learning_rate="adaptive").fit(X, y)
    for schedule in ("adaptive", "cosine", "onecycle"):
        with pytest.raises(ValueError, match=f"partial_fit does not support learning_rate='{schedule}'"):
            make(kind, learning_rate=schedule, tol=1e-4).partial_fit(X, y, **first)
    with pytest.warns(UserWarning, match=r"dropout=0.5 is between layers, and does nothing with num_layers=1"):
        make(kind, dropout=0.5).fit(X, y)


def explode(X: list[Array], y: Array, **options: Any) -> str:
    """Return what is said of a divergence in the first epoch, when no weights are worth to be kept."""
    settings = {"solver": "sgd", "learning_rate_init": 1e4, "max_grad_norm": None, "max_iter": 60, "tol": None}
    model = RNNRegressor("rnn", 16, random_state=0, **{**settings, **options})
    before = model.__dict__.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match=r"^Training diverged in epoch 1: ") as caught:
            model.fit(X, y)
    assert model.__dict__ == before
    return str(caught.value)


def test_the_likely_cause_of_a_divergence() -> None:
    X, y = ragged(40)
    assert "likely cause is a learning_rate_init that is too large (it is 10000" in explode(X, y)
    relu = explode(X, y, activation="relu", learning_rate_init=10.0)
    assert "likely cause is activation='relu'" in relu
    assert "It may also be a learning_rate_init" in relu
    unscaled = explode([1e4 * x for x in X], y, activation="relu", learning_rate_init=1.0)
    assert "likely cause is features that are not scaled (the root mean square of feature" in unscaled
    assert "max_grad_norm" in unscaled


def soaring(**options: Any) -> tuple[Any, Array, Array]:
    """A model that learns, and then diverges while its learning rate rises."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 6, 2))
    y = 3 * X[:, -1, 0] + 10
    settings = {"solver": "sgd", "max_grad_norm": None, "learning_rate_init": 5.0, "warmup_epochs": 39, "max_iter": 40}
    model = RNNRegressor("lstm", 8, tol=None, random_state=0, **{**settings, **options})
    with pytest.warns(ConvergenceWarning, match=r"those with the smallest loss so far, are kept"):
        model.fit(X, y)
    assert model.n_iter_ < 40
    return model, X, y


def test_what_a_divergence_leaves() -> None:
    """The weights that the epoch of the smallest loss began with, from which training can go on."""
    predictions: list[Array] = []

    class Watcher:
        def setup(self, estimator: Any, context: Any) -> None: ...

        def on_fit_task_begin(self, estimator: Any, context: Any) -> None: ...

        def on_fit_task_end(self, estimator: Any, context: Any, *, X: Any, fitted_estimator: Any) -> None:
            if context.task_name == "epoch":
                predictions.append(fitted_estimator.predict(X))

        def teardown(self, estimator: Any, context: Any) -> None: ...

    model, X, y = soaring(callbacks=[Watcher()])
    best = int(np.argmin(model.loss_curve_)) + 1
    assert 3 < best < model.n_iter_ == len(predictions)
    assert_same_bits(model.predict(X), predictions[best - 2])  # a loss is of the weights that its epoch began with
    assert model.score(X, y) > 0.8
    assert model.best_loss_ == min(model.loss_curve_)

    model, X, y = soaring(warm_start=True)
    model.set_params(learning_rate_init=1e-3, warmup_epochs=0, max_iter=5).fit(X, y)
    assert model.n_iter_ == best + len(model.loss_curve_[best:])
    assert len(model.loss_curve_) > 5
    assert max(model.loss_curve_[-5:]) < 2 * model.loss_curve_[best - 1]


# ---------------------------------------------------------------------------------------------------------------------
# Losses and kinds of targets
# ---------------------------------------------------------------------------------------------------------------------


def noisy(n: int = 400) -> tuple[list[Array], Array]:
    """Targets whose mean, median and quantiles lie apart."""
    X, _ = ragged(n)
    rng = np.random.default_rng(1)
    return X, np.array([x[-1, 0] for x in X]) + rng.exponential(1.0, n)


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_quantiles_cover(quantile: float) -> None:
    X, y = noisy()
    options = {
        "loss": "quantile",
        "quantile": quantile,
        "max_iter": 60,
        "learning_rate_init": 0.02,
        "learning_rate": "cosine",
    }
    model = make(RNNRegressor, **options).fit(X, y)
    assert np.mean(y < model.predict(X)) == pytest.approx(quantile, abs=0.06)
    if quantile != 0.5:  # of training data the squared error may come as near to the median
        other = make(RNNRegressor, **{**options, "loss": "squared_error"}).fit(X, y)
        losses = [mean_pinball_loss(y, fitted.predict(X), alpha=quantile) for fitted in (model, other)]
        assert losses[0] < losses[1]


def test_robust_losses_resist_outliers() -> None:
    X, _ = ragged(300)
    clean = np.array([x[-1, 0] for x in X])
    y = clean.copy()
    y[::20] += 50.0
    options = {"max_iter": 40, "learning_rate_init": 0.01, "batch_size": 32}
    errors = {
        loss: np.median(np.abs(make(RNNRegressor, loss=loss, **extra, **options).fit(X, y).predict(X) - clean))
        for loss, extra in [("squared_error", {}), ("absolute_error", {}), ("huber", {"huber_delta": 0.05})]
    }
    assert errors["absolute_error"] < 0.5 * errors["squared_error"]
    assert errors["huber"] < 0.5 * errors["squared_error"]


def test_poisson_predicts_means_of_counts() -> None:
    X, _ = ragged(400)
    rate = np.exp(np.array([x[-1, 0] for x in X]))
    y = np.random.default_rng(0).poisson(30 * rate)
    model = make(RNNRegressor, loss="poisson", max_iter=60, learning_rate_init=0.01).fit(X, y)
    predicted = model.predict(X)
    assert (predicted > 0).all()
    assert np.corrcoef(np.log(predicted), np.log(rate))[0, 1] > 0.98
    assert predicted.mean() == pytest.approx(y.mean(), rel=0.05)
    with pytest.raises(ValueError, match=r"Some value.* of y are negative"):
        model.fit(X, -y)


def test_several_labels_at_once() -> None:
    X, _ = ragged(300)
    y = np.array([[x[-1, 0] > 0, x[-1, 1] > 0, True] for x in X]).astype(int)
    model = make(max_iter=40, learning_rate_init=0.02).fit(X, y)
    assert model.n_outputs_ == 3
    assert list(model.classes_) == [0, 1, 2]
    assert model.score(X, y) > 0.9
    shares = model.predict_proba(X)
    assert_same_bits(model.predict(X), (shares > 0.5).astype(np.int64))
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(shares), rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="Unknown label type: multiclass-multioutput"):
        make().fit(X, np.arange(900).reshape(300, 3) % 3)
    with pytest.raises(ValueError, match="as in the first fit"):
        model.set_params(warm_start=True).fit(X, y[:, :2])
    from scipy.sparse import csr_array

    assert_same_bits(answers(make().fit(X, csr_array(y)), X), answers(make().fit(X, y), X))


def test_units_begin_with_memories_of_different_length(kind: type) -> None:
    """memory_steps is the mean length, unless somebody says otherwise; one step of a tiny rate leaves it as it was."""
    X, y = ragged(40)
    options = {"hidden_size": 200, "max_iter": 1, "batch_size": 40, "learning_rate_init": 1e-9}
    mean = np.mean([len(x) for x in X])
    for cell, rows, sign in (("gru", slice(200, 400), 1), ("lstm", slice(200, 400), 1), ("lstm", slice(0, 200), -1)):
        for given, steps in (("auto", mean), (50, 50)):
            model = make(kind, **options, memory_steps=given).set_params(cell=cell).fit(X, y)
            bias = sign * model.weights_["bias_ih_l0"][rows].astype(float)
            assert np.log(1) - 1e-6 <= bias.min() < 0.2
            assert 0.9 * np.log(steps - 1) < bias.max() <= np.log(steps - 1) + 1e-6
    plain = make(kind, **options, memory_steps=None).set_params(cell="lstm").fit(X, y)
    np.testing.assert_allclose(plain.weights_["bias_ih_l0"], np.repeat([0, 1, 0, 0], 200), atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "max", "attention"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_pooling_learns(pooling: str, bidirectional: bool) -> None:
    X, y = ragged(200)
    options = {"pooling": pooling, "bidirectional": bidirectional, "max_iter": 60, "learning_rate_init": 0.03}
    model = make(**options).fit(X[:150], y[:150])
    assert model.score(X[150:], y[150:]) >= 0.8
    alone = np.concatenate([model.predict_proba([x]) for x in X])
    assert_same_bits(alone, model.predict_proba(X), "whatever the neighbours")


# ---------------------------------------------------------------------------------------------------------------------
# Tokens
# ---------------------------------------------------------------------------------------------------------------------


def words(n: int = 200, *, seed: int = 0) -> tuple[list[Array], Array]:
    """Sequences of tokens 1 to 9; the class says whether there are more of 3 than of 5."""
    rng = np.random.default_rng(seed)
    X = [rng.integers(1, 10, int(t)) for t in rng.integers(2, 9, n)]
    return X, np.array([int((x == 3).sum() > (x == 5).sum()) for x in X])


def padded_tokens(X: list[Array], width: int, value: int = 0) -> Array:
    out = np.full((len(X), width), value)
    for row, x in zip(out, X, strict=True):
        row[: len(x)] = x
    return out


def test_tokens_of_every_form(kind: type) -> None:
    pandas = pytest.importorskip("pandas")
    X, y = words()
    options = {"embedding_dim": 5, "padding_idx": 0, "batch_size": 16}
    model = make(kind, max_iter=20, learning_rate_init=0.02, **options).fit(X, y)
    want = answers(model, X)
    if kind is RNNClassifier:
        assert model.score(X, y) > 0.9
    assert model.n_features_in_ == 1
    assert model.weights_["embedding.weight"].shape == (10, 5)
    assert not model.weights_["embedding.weight"][0].any()
    for form in (
        [x.tolist() for x in X],
        [x.astype(np.uint8) for x in X],
        [x[:, None] for x in X],
        [pandas.Series(x) for x in X],
        padded_tokens(X, 8),
        padded_tokens(X, 20),
        padded_tokens(X, 8)[:, :, None],
        pandas.DataFrame(padded_tokens(X, 8)),
        tuple(X),
    ):
        assert_same_bits(answers(model, form), want)
        again = make(kind, max_iter=20, learning_rate_init=0.02, **options).fit(form, y)
        assert_same_bits(answers(again, X), want)
    alone = np.concatenate([answers(model, [x]) for x in X])
    assert_same_bits(alone, want)
    assert_same_bits(answers(pickle.loads(pickle.dumps(model)), X), want)


@pytest.mark.parametrize(
    ("spoil", "kind_of_error", "message"),
    [
        (lambda X: [*X[:3], X[3] + 0.5], TypeError, r"X\[3\] has dtype float64.*tokens"),
        (lambda X: [*X[:3], np.array(["a", "b"])], TypeError, r"X\[3\].*strings"),
        (lambda X: [*X[:3], -X[3]], ValueError, r"range \[0, .*got -\d+ in sample 3 at time step 0"),
        (lambda X: [*X[:3], X[3][:0]], ValueError, r"0 time step.*X\[3\]"),
        (lambda X: [*X[:3], np.zeros(4, int)], ValueError, r"0 time step.*X\[3\].*nothing but padding"),
        (lambda X: [*X[:3], np.ones((2, 2), int)], ValueError, r"X\[3\] has shape \(2, 2\)"),
        (lambda X: X[0], ValueError, r"X\[0\] has shape \(\).*pass \[X\]"),
        (lambda X: np.ones((2, 2, 2), int), ValueError, r"X has shape \(2, 2, 2\)"),
        (lambda X: [], ValueError, "0 sample"),
        (lambda X: 7, TypeError, "X must be an array"),
    ],
    ids=["floats", "words", "negative", "empty", "padding", "two axes", "one sequence", "3-D", "nothing", "a number"],
)
def test_bad_tokens(kind: type, spoil: Any, kind_of_error: type[Exception], message: str) -> None:
    X, y = words(40)
    model = make(kind, embedding_dim=3, padding_idx=0)
    with pytest.raises(kind_of_error, match=message):
        model.fit(spoil(X), y[:4])
    model.fit(X, y)
    with pytest.raises(kind_of_error, match=message):
        model.predict(spoil(X))


def test_unknown_tokens(kind: type) -> None:
    X, y = words(40)
    model = make(kind, embedding_dim=3).fit(X, y)
    with pytest.raises(ValueError, match=r"range \[0, 10\), got 12 in sample 1 at time step 2.*num_embeddings"):
        model.predict([X[0], np.array([1, 2, 12])])
    assert len(make(kind, embedding_dim=3, num_embeddings=13).fit(X, y).predict([np.array([12])])) == 1
    with pytest.raises(ValueError, match=r"range \[0, 5\)"):
        make(kind, embedding_dim=3, num_embeddings=5).fit(X, y)
    with pytest.raises(ValueError, match="padding_idx=7 must be below num_embeddings=5"):
        make(kind, embedding_dim=3, num_embeddings=5, padding_idx=7).fit(X, y)
    for name in ("padding_idx", "num_embeddings"):
        with pytest.raises(ValueError, match=f"{name}=1 goes with an embedding"):
            make(kind, **{name: 1}).fit(X, y)


def test_tokens_of_validation_data_count(kind: type) -> None:
    X, y = words(40)
    model = make(kind, embedding_dim=3).fit(X, y, X_val=[np.array([30])], y_val=[1])
    assert model.weights_["embedding.weight"].shape == (31, 3)
    again = model.fit(X, y, X_val=[np.array([50])], y_val=[1])
    assert again.weights_["embedding.weight"].shape == (51, 3)


def test_tokens_go_on(kind: type) -> None:
    X, y = words(40)
    whole = make(kind, embedding_dim=3, tbptt_steps=3).fit(X, y)
    halves = make(kind, embedding_dim=3, tbptt_steps=3, max_iter=2, warm_start=True).fit(X, y).fit(X, y)
    assert_same_bits(answers(halves, X), answers(whole, X))
    with pytest.raises(ValueError, match=r"range \[0, 10\)"):
        halves.fit([*X[:-1], np.array([10])], y)


# ---------------------------------------------------------------------------------------------------------------------
# Manners
# ---------------------------------------------------------------------------------------------------------------------


def test_validation_data_passes_through_a_pipeline() -> None:
    """With metadata routing, X_val goes through the steps before; what the network sees is scaled."""
    from sklearn import config_context

    rng = np.random.default_rng(0)
    X = 500 + 100 * rng.standard_normal((60, 7))
    y = (X.mean(axis=1) > 500).astype(int)
    with config_context(enable_metadata_routing=True):
        final = make(early_stopping=True, max_iter=6).set_fit_request(X_val=True, y_val=True, sample_weight=True)
        model = Pipeline([("scale", StandardScaler()), ("rnn", final)], transform_input=["X_val"])
        model.steps[0][1].set_fit_request(sample_weight=True)
        model.fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:], sample_weight=np.ones(40))
    scaler = StandardScaler().fit(X[:40])
    direct = make(early_stopping=True, max_iter=6)
    direct.fit(scaler.transform(X[:40]), y[:40], X_val=scaler.transform(X[40:]), y_val=y[40:])
    assert model[-1].validation_loss_curve_ == direct.validation_loss_curve_
    assert_same_bits(model.predict_proba(X), direct.predict_proba(scaler.transform(X)))


def test_html_has_a_link_to_the_documentation(kind: type) -> None:
    page = make(kind)._repr_html_()
    assert f"#{kind.__name__.lower()}" in page


def test_polars(kind: type) -> None:
    polars = pytest.importorskip("polars")
    X, y = ragged(40)
    want = answers(make(kind).fit(X, y), X)
    frames = [polars.DataFrame(x, schema=["left", "right"]) for x in X]
    model = make(kind).fit(frames, polars.Series(y), sample_weight=polars.Series(np.ones(40)))
    assert list(model.feature_names_in_) == ["left", "right"]
    assert_same_bits(answers(model, frames), want)
    table = np.stack([x[:3, 0] for x in X])
    frame = polars.DataFrame(table, schema=["a", "b", "c"])
    model = make(kind).fit(frame, y)
    if hasattr(StandardScaler().fit(frame), "feature_names_in_"):  # names of a table are scikit-learn's to read
        assert list(model.feature_names_in_) == ["a", "b", "c"]
    assert_same_bits(answers(model, frame), answers(make(kind).fit(table, y), table))


def test_progress_bar(kind: type, protocol: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    from skrnn.callbacks import ProgressBar

    X, y = ragged(40)
    model = clone(make(kind, max_iter=3, callbacks=[ProgressBar()])).fit(X, y, X_val=X, y_val=y)
    shown = capsys.readouterr().err
    assert f"{kind.__name__}: 100%" in shown
    assert "3/3" in shown
    assert f"validation_loss={model.validation_loss_curve_[-1]:.4f}" in shown
    assert_same_bits(answers(pickle.loads(pickle.dumps(model)), X), answers(model, X))
    model.partial_fit(X, y)
    shown = capsys.readouterr().err
    assert "100%" in shown
    assert "1/1" in shown


def test_scikit_learns_own_callbacks(kind: type) -> None:
    callback = pytest.importorskip("sklearn.callback")
    X, y = ragged(40)
    monitor = callback.ScoringMonitor(scoring="accuracy" if kind is RNNClassifier else "r2")
    model = make(kind, max_iter=3).set_callbacks(monitor).fit(X, y)
    (log,) = monitor.get_logs() if isinstance(monitor.get_logs(), list) else [monitor.get_logs()]
    (name,) = {"accuracy", "r2", "score"} & set(log.data[0])
    scores = [row[name] for row in log.data if row["task_name"] == "epoch"]
    assert len(scores) == 3
    assert scores[-1] == model.score(X, y)
