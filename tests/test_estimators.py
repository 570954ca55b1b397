"""The public face: scikit-learn's manners, every form of X, clear errors, and models that learn."""

from __future__ import annotations

import copy
import datetime
import inspect
import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cases import Array
from running import assert_same_bits
from skrnn import RNNClassifier, RNNRegressor
from skrnn.nn import Trainer, log_softmax, softmax
from skrnn.preprocessing import Stepwise, pad_sequences

ESTIMATORS = (RNNClassifier, RNNRegressor)


# ---------------------------------------------------------------------------------------------------------------------
# Data and small models
# ---------------------------------------------------------------------------------------------------------------------


def ragged(n: int = 60, n_features: int = 2, *, seed: int = 0) -> tuple[list[Array], Array]:
    """Sequences of 3 to 12 steps, and the sign of the sum of their first feature."""
    rng = np.random.default_rng(seed)
    X = [rng.standard_normal((int(t), n_features)) for t in rng.integers(3, 13, n)]
    return X, np.array([int(x[:, 0].sum() > 0) for x in X])


def padded(X: list[Array], n_steps: int = 12) -> Array:
    out = np.full((len(X), n_steps, X[0].shape[1]), np.nan)
    for row, x in zip(out, X, strict=True):
        row[: len(x)] = x
    return out


def make(kind: type = RNNClassifier, **options: Any) -> Any:
    settings = {"hidden_size": 12, "max_iter": 3, "tol": None, "random_state": 0, **options}
    return kind("gru", **settings)


def answers(model: Any, X: Any) -> Array:
    return model.predict_proba(X) if isinstance(model, RNNClassifier) else model.predict(X)


@pytest.fixture(params=ESTIMATORS, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> type:
    return request.param


# ---------------------------------------------------------------------------------------------------------------------
# Forms of X
# ---------------------------------------------------------------------------------------------------------------------


def object_array(items: list[Array]) -> Array:
    out = np.empty(len(items), dtype=object)
    for k, item in enumerate(items):
        out[k] = item
    return out


def data_frames(X: list[Array]) -> list[Any]:
    pandas = pytest.importorskip("pandas")
    return [pandas.DataFrame(x) for x in X]


RAGGED_FORMS: dict[str, Callable[[list[Array]], Any]] = {
    "tuple of arrays": tuple,
    "list of lists": lambda X: [x.tolist() for x in X],
    "list of data frames": data_frames,
    "array of arrays": object_array,
    "series of arrays": lambda X: pytest.importorskip("pandas").Series(X, index=np.arange(len(X))[::-1]),
    "padded": padded,
    "padded more": lambda X: padded(X, 20),
    "padded, order F": lambda X: np.asfortranarray(padded(X)),
    "strided": lambda X: [np.repeat(x, 2, axis=0)[::2] for x in X],
    "backwards in memory": lambda X: [x[::-1].copy()[::-1] for x in X],
    "float32": lambda X: [x.astype(np.float32) for x in X],
}


@pytest.mark.parametrize("form", RAGGED_FORMS)
def test_forms_of_ragged_sequences(kind: type, form: str) -> None:
    """Fitted on any form, asked in any form: the same model, bit for bit."""
    X, y = ragged()
    want = answers(make(kind).fit(X, y), X)
    other = RAGGED_FORMS[form](X)
    model = make(kind).fit(other, y)
    assert model.n_features_in_ == 2
    assert_same_bits(answers(model, X), want)
    assert_same_bits(answers(model, other), want)


def test_forms_of_equal_sequences(kind: type, rng: np.random.Generator) -> None:
    X = rng.standard_normal((30, 7, 3))
    y = np.arange(30) % 2
    want = answers(make(kind).fit(X, y), X)
    for other in (list(X), X.astype(np.float32), np.asfortranarray(X), X.tolist(), padded(list(X), 9)):
        model = make(kind).fit(other, y)
        assert model.n_features_in_ == 3
        assert_same_bits(answers(model, other), want)
    assert answers(make(kind).fit(X, y), X[:, :4]).shape[0] == 30, "any number of steps later"


def test_forms_of_univariate_series(kind: type, rng: np.random.Generator) -> None:
    X = rng.standard_normal((30, 7))
    y = np.arange(30) % 2
    table = make(kind).fit(X, y)
    assert table.n_features_in_ == 7, "scikit-learn's rule for a table"
    want = answers(table, X)
    forms = {"3-D": X[:, :, None], "list of 1-D": list(X), "list of columns": [x[:, None] for x in X]}
    for name, other in forms.items():
        model = make(kind).fit(other, y)
        assert model.n_features_in_ == 1, name
        assert_same_bits(answers(model, other), want, name)
    short = make(kind).fit([x[: 3 + n % 5] for n, x in enumerate(X)], y)
    assert np.isfinite(answers(short, list(X))).all()


def test_a_data_frame_of_series(kind: type, rng: np.random.Generator) -> None:
    pandas = pytest.importorskip("pandas")
    X = rng.standard_normal((30, 5))
    y = np.arange(30) % 2
    frame = pandas.DataFrame(X, columns=[f"hour {k}" for k in range(5)])
    model = make(kind).fit(frame, y)
    assert list(model.feature_names_in_) == list(frame.columns)
    assert_same_bits(answers(model, frame), answers(make(kind).fit(X, y), X))
    with pytest.warns(UserWarning, match="feature names"):
        model.predict(X)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename(columns={"hour 0": "minute 0"}))


def test_frames_of_sequences_have_names(kind: type) -> None:
    pandas = pytest.importorskip("pandas")
    X, y = ragged()
    frames = [pandas.DataFrame(x, columns=["left", "right"]) for x in X]
    model = make(kind).fit(frames, y)
    assert list(model.feature_names_in_) == ["left", "right"]
    assert_same_bits(answers(model, frames), answers(make(kind).fit(X, y), X))
    with pytest.raises(ValueError, match=r"X\[3\]"):
        make(kind).fit([*frames[:3], frames[3][["right", "left"]], *frames[4:]], y)


def test_integers_and_booleans_are_numbers(kind: type, rng: np.random.Generator) -> None:
    X = rng.integers(0, 2, (30, 6, 2))
    y = np.arange(30) % 2
    want = answers(make(kind).fit(X.astype(float), y), X.astype(float))
    for other in (X, X.astype(bool), X.astype(np.uint8), X.astype(np.float16)):
        assert_same_bits(answers(make(kind).fit(other, y), other), want)


def test_x_is_not_changed(kind: type) -> None:
    X, y = ragged()
    for form in (X, padded(X)):
        before = copy.deepcopy(form)
        frozen = form if isinstance(form, list) else [form]
        for array in frozen:
            array.flags.writeable = False
        make(kind).fit(form, y).predict(form)
        for array, old in zip(frozen, before if isinstance(form, list) else [before], strict=True):
            np.testing.assert_array_equal(array, old)


# ---------------------------------------------------------------------------------------------------------------------
# Errors
# ---------------------------------------------------------------------------------------------------------------------


def with_item(X: list[Array], index: int, item: Any) -> list[Any]:
    return [*X[:index], item, *X[index + 1 :]]


def with_value(X: list[Array], sample: int, step: int, value: float) -> list[Array]:
    changed = [x.copy() for x in X]
    changed[sample][step, 1] = value
    return changed


BAD_X: dict[str, tuple[Callable[[list[Array]], Any], str]] = {
    "NaN": (lambda X: with_value(X, 7, 2, np.nan), r"(?s)NaN.*sample 7.*step 2"),
    "infinity": (lambda X: with_value(X, 4, 1, np.inf), r"(?s)infinity.*sample 4.*step 1"),
    "too large": (lambda X: with_value(X, 4, 1, 1e300), r"(?s)too large.*float32.*sample 4.*step 1"),
    "NaN in a grid": (
        lambda X: padded(with_value(X, 7, 2, np.nan)),
        r"(?s)NaN.*sample 7.*step 2",
    ),
    "gap in a grid": (
        lambda X: padded(with_item(X, 5, np.vstack([X[5][:1], [[np.nan] * 2], X[5][1:3]]))),
        r"(?s)NaN.*sample 5.*step 1",
    ),
    "nothing but padding": (lambda X: padded(with_item(X, 3, X[3][:0])), r"(?s)[Ss]ample 3"),
    "no steps": (lambda X: with_item(X, 3, X[3][:0]), r"(?s)0 time step.*X\[3\]"),
    "no features": (lambda X: with_item(X, 3, X[3][:, :0]), r"(?s)0 feature.*X\[3\]"),
    "other features": (lambda X: with_item(X, 9, X[9][:, :1]), r"(?s)X\[9\] has 1 feature.*2"),
    "words": (lambda X: with_item(X, 9, [["a", "b"]]), r"X\[9\].*strings"),
    "numbers as words": (lambda X: with_item(X, 9, X[9].astype(str)), r"X\[9\].*strings"),
    "words among objects": (lambda X: with_item(X, 9, np.array([["1", 2.0]], object)), r"X\[9\].*strings"),
    "dates": (lambda X: with_item(X, 9, X[9].astype("M8[s]")), r"X\[9\].*dates"),
    "a grid of dates": (lambda X: padded(X).astype("M8[s]"), r"X .*dates"),
    "a mask": (lambda X: with_item(X, 9, np.ma.masked_less(X[9], 0)), r"X\[9\] is a masked array"),
    "a masked grid": (lambda X: np.ma.masked_invalid(padded(X)), r"X is a masked array"),
    "complex": (lambda X: with_item(X, 9, X[9] + 1j), r"(?s)[Cc]omplex.*X\[9\]"),
    "too deep": (lambda X: with_item(X, 9, X[9][None]), r"(?s)X\[9\].*3 dim"),
    "ragged inside": (lambda X: with_item(X, 9, [[1, 2], [3]]), r"X\[9\]"),
    "scalars": (lambda X: [1.0] * len(X), r"[Rr]eshape"),
    "nothing": (lambda X: [], r"0 sample"),
    "four axes": (lambda X: np.zeros((60, 3, 3, 3)), r"dim 4"),
    "an empty grid": (lambda X: np.zeros((0, 3, 3)), r"0 sample"),
    "a grid of no steps": (lambda X: np.zeros((60, 0, 3)), r"0 time step"),
    "a grid of no features": (lambda X: np.zeros((60, 3, 0)), r"0 feature"),
}


@pytest.mark.parametrize("fault", BAD_X)
def test_bad_x(kind: type, fault: str) -> None:
    """The message names what is wrong and where: the sample and, where there is one, the step."""
    X, y = ragged()
    spoil, message = BAD_X[fault]
    with pytest.raises((ValueError, TypeError), match=message):
        make(kind).fit(spoil(X), y)
    model = make(kind).fit(X, y)
    with pytest.raises((ValueError, TypeError), match=message):
        model.predict(spoil(X))


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("odd", [datetime.datetime(2024, 1, 1), datetime.timedelta(1)])
def test_dates_in_data_frames_are_no_numbers(kind: type, library: str, odd: Any) -> None:
    frame = pytest.importorskip(library).DataFrame({"level": [1.0, 2.0], "when": [odd, odd]})
    for X, where in ((frame, "X"), ([frame, frame], r"X\[0\]")):
        with pytest.raises(TypeError, match=f"{where} is not of numbers: column 'when' holds dates or times"):
            make(kind).fit(X, [0, 1])
    model = make(kind).fit(np.zeros((2, 2, 2)), [0, 1])
    with pytest.raises(TypeError, match="column 'when' holds dates or times"):
        model.predict([frame])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames_of_one_length(kind: type, library: str) -> None:
    """Their numbers lie column by column."""
    library = pytest.importorskip(library)
    X = [np.random.default_rng(k).normal(size=(3, 2)) for k in range(60)]
    y = np.arange(60) % 2
    frames = [library.DataFrame({"a": x[:, 0], "b": x[:, 1]}) for x in X]
    assert_same_bits(make(kind).fit(frames, y).predict(frames), make(kind).fit(X, y).predict(X))


def test_a_padded_table(kind: type) -> None:
    """Whose columns are fixed time steps: the message says what padding needs."""
    padded_table = pad_sequences([np.ones(3), np.ones(2)])
    for X in (padded_table, padded_table.tolist()):
        with pytest.raises(
            ValueError, match=r"(?s)Input X contains NaN.*sample 1 at time step 2.*X\[:, :, np.newaxis\]"
        ):
            make(kind).fit(X, [0, 1])
    model = make(kind).fit(padded_table[:, :, np.newaxis], [0, 1])
    assert len(model.predict(padded_table[:, :, np.newaxis])) == 2


def test_columns_of_sequences(kind: type) -> None:
    X, y = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [0, 1, 0]
    want = make(kind).fit([np.array(x) for x in X], y).predict([[7.0]])
    for name in ("pandas", "polars"):
        library = pytest.importorskip(name)
        frame = library.DataFrame({"s": [np.array(x) for x in X]})
        model = make(kind).fit(frame["s"], y)
        assert model.n_features_in_ == 1
        assert_same_bits(model.predict([[7.0]]), want)
        make(kind).fit(library.Series([[1.0], [2.0, 3.0]]), y[:2])
        make(kind).fit(library.Series([[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]]), y[:2]).predict(np.zeros((1, 3, 2)))
        for estimator in (make(kind), Stepwise()):
            with pytest.raises(ValueError, match=r"X may be an array .* pass that column: X\['name'\]"):
                estimator.fit(frame, y)


def test_other_features_than_fitted(kind: type) -> None:
    X, y = ragged()
    model = make(kind).fit(X, y)
    name = kind.__name__
    for other in ([x[:, :1] for x in X], np.zeros((3, 4, 1))):
        with pytest.raises(ValueError, match=f"X has 1 features, but {name} is expecting 2 features"):
            model.predict(other)
    with pytest.raises(ValueError, match=r"2 dimensions.*2 feature"):
        model.predict(np.zeros((3, 2)))
    table = make(kind).fit(np.random.default_rng(0).standard_normal((60, 5)), y)
    with pytest.raises(ValueError, match=f"X has 4 features, but {name} is expecting 5 features"):
        table.predict(np.zeros((3, 4)))


def test_before_fit(kind: type) -> None:
    X, _ = ragged()
    with pytest.raises(NotFittedError):
        make(kind).predict(X)
    assert not hasattr(make(kind), "loss_curve_")


def test_bad_y(kind: type) -> None:
    X, y = ragged()
    with pytest.raises(ValueError, match="requires y to be passed"):
        make(kind).fit(X, None)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        make(kind).fit(X, y[:-1])
    with pytest.raises(ValueError, match="NaN"):
        make(kind).fit(X, np.where(y == 0, np.nan, 1.0))


def test_bad_labels() -> None:
    X, y = ragged()
    with pytest.raises(ValueError, match="Unknown label type"):
        make().fit(X, y + 0.5 * np.arange(60))
    with pytest.warns(DataConversionWarning):
        make().fit(X, y[:, None])


# One wrong value for each parameter, and one that is right but for its type.
BAD_PARAMETERS: list[tuple[str, Any]] = [
    ("cell", "lstn"),
    ("cell", 3),
    ("hidden_size", 0),
    ("hidden_size", 2.5),
    ("num_layers", 0),
    ("bidirectional", "yes"),
    ("activation", "sigmoid"),
    ("activation", "linear"),
    ("pooling", "sum"),
    ("dropout", 1.0),
    ("dropout", -0.1),
    ("recurrent_dropout", 1.0),
    ("zoneout", 1.0),
    ("layer_norm", 1),
    ("memory_steps", 0),
    ("memory_steps", "long"),
    ("embedding_dim", 0),
    ("num_embeddings", 2.5),
    ("padding_idx", -1),
    ("loss", "log_loss"),
    ("quantile", 1.0),
    ("huber_delta", 0.0),
    ("solver", "lbfgs"),
    ("learning_rate", "plateau"),
    ("learning_rate_init", 0.0),
    ("learning_rate_init", float("nan")),
    ("power_t", -1.0),
    ("decay_rate", 0.0),
    ("decay_rate", 1.5),
    ("decay_epochs", 0),
    ("warmup_epochs", -1),
    ("momentum", 1.5),
    ("nesterovs_momentum", None),
    ("beta_1", 1.0),
    ("beta_2", -1),
    ("epsilon", 0),
    ("alpha", -1e-3),
    ("max_grad_norm", 0.0),
    ("max_grad_norm", float("nan")),
    ("batch_size", 0),
    ("batch_size", "all"),
    ("max_iter", 0),
    ("shuffle", "no"),
    ("tol", -1.0),
    ("early_stopping", 1.5),
    ("validation_fraction", 0.0),
    ("validation_fraction", 1.0),
    ("validation_split", "first"),
    ("n_iter_no_change", 0),
    ("class_weight", "equal"),
    ("warm_start", None),
    ("tbptt_steps", 0),
    ("random_state", "seed"),
    ("verbose", "loud"),
    ("callbacks", [print]),
    ("dtype", "float16"),
    ("dtype", None),
    ("dtype", np.float16),
]


@pytest.mark.parametrize(("name", "value"), BAD_PARAMETERS, ids=str)
def test_bad_parameters(kind: type, name: str, value: Any) -> None:
    X, y = ragged(10)
    if name not in inspect.signature(kind).parameters:
        pytest.skip(f"{kind.__name__} has no {name}")
    model = make(kind).set_params(**{name: value})  # no complaint before fit
    with pytest.raises(ValueError, match=rf"'{name}' parameter of {kind.__name__}") as caught:
        model.fit(X, y)
    assert repr(value) in str(caught.value)


def test_no_parameter_is_tried_that_nobody_has() -> None:
    names = {name for kind in ESTIMATORS for name in inspect.signature(kind).parameters}
    assert names == {name for name, _ in BAD_PARAMETERS}


def test_every_parameter_is_tried_and_documented(kind: type) -> None:
    names = set(inspect.signature(kind).parameters)
    assert names == {name for name, _ in BAD_PARAMETERS} & names
    text = inspect.getdoc(kind) or ""
    for name in names:
        assert name in text
    fitted = make(kind).fit(*ragged())
    for name in vars(fitted):
        if name.endswith("_") and not name.startswith("_"):
            assert name in text, f"{name} is set by fit and not documented"


# ---------------------------------------------------------------------------------------------------------------------
# Manners
# ---------------------------------------------------------------------------------------------------------------------


def test_clone_and_pickle(kind: type) -> None:
    X, y = ragged()
    model = make(kind, num_layers=2, bidirectional=True).fit(X, y)
    want = answers(model, X)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert other.get_params() == model.get_params()
        assert_same_bits(answers(other, X), want)
    fresh = clone(model)
    assert not hasattr(fresh, "n_iter_")
    assert_same_bits(answers(fresh.fit(X, y), X), want)


def test_pipeline() -> None:
    rng = np.random.default_rng(0)
    X = 100 + 50 * rng.standard_normal((80, 9))
    y = np.where(X.mean(axis=1) > 100, "high", "low")
    model = make_pipeline(StandardScaler(), make(max_iter=40, learning_rate_init=0.02))
    assert model.fit(X[:60], y[:60]).score(X[60:], y[60:]) > 0.7
    assert list(model.classes_) == ["high", "low"]


def test_grid_search_over_lists() -> None:
    X, y = ragged(60)
    search = GridSearchCV(make(), {"hidden_size": [4, 8], "cell": ["rnn", "lstm"]}, cv=2)
    search.fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(X).shape == (60,)


def test_cross_validation_over_lists(kind: type) -> None:
    X, y = ragged(60)
    assert cross_val_score(make(kind), X, y, cv=3).shape == (3,)


def test_fit_returns_self_and_sets_only_what_it_says(kind: type) -> None:
    X, y = ragged()
    model = make(kind)
    before = set(vars(model))
    assert model.fit(X, y) is model
    assert all(name.endswith("_") or name.startswith("_") for name in set(vars(model)) - before)
    state = copy.copy(vars(model))
    model.predict(X)
    assert vars(model) == state, "predict changes nothing"


def fit_and_fail(model: Any, X: Any, y: Any, patch: pytest.MonkeyPatch, fault: str) -> None:
    """Fit on other data, and fail at one stage or another."""
    if fault == "y":
        y = np.where(y == 0, np.nan, 1.0)
    if fault == "training":
        patch.setattr(Trainer, "step", lambda *_: 1 / 0)
    if fault == "hold-out":
        model.set_params(early_stopping=True, validation_fraction=0.999)
    with pytest.raises((ValueError, ZeroDivisionError)):
        model.fit([np.hstack([x, x]) for x in X], y)
    patch.undo()


@pytest.mark.parametrize("fault", ["y", "training", "hold-out"])
def test_a_failed_fit_leaves_no_trace(kind: type, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = ragged()
    model = make(kind)
    fit_and_fail(model, X, y, monkeypatch, fault)
    assert not [name for name in vars(model) if name.endswith("_")]
    with pytest.raises(NotFittedError):
        model.predict(X)
    labels = np.where(y == 0, 5, 7)
    model = make(kind).fit(X, labels)
    before, want = copy.copy(vars(model)), answers(model, X)
    fit_and_fail(model, X, y, monkeypatch, fault)
    model.set_params(early_stopping=False, validation_fraction=0.1)
    assert vars(model) == before
    assert_same_bits(answers(model, X), want)


def test_random_state_of_every_kind(kind: type) -> None:
    X, y = ragged()
    for seed in (np.random.RandomState(1), np.random.default_rng(1), None):
        assert np.isfinite(answers(make(kind, random_state=seed).fit(X, y), X)).all()
    np.random.seed(3)  # noqa: NPY002
    model = make(kind, random_state=None)
    want, other = answers(model.fit(X, y), X), answers(model.fit(X, y), X)
    np.random.seed(3)  # noqa: NPY002
    assert_same_bits(answers(model.fit(X, y), X), want, "NumPy's global state, as everywhere in scikit-learn")
    assert not np.array_equal(other, want)
    first, second = (np.random.RandomState(1) for _ in range(2))
    assert_same_bits(
        answers(make(kind, random_state=first).fit(X, y), X),
        answers(make(kind, random_state=second).fit(X, y), X),
    )


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_weights_are_those_of_pytorch(name: str) -> None:
    """``weights_`` has the names, shapes and order of gates that PyTorch's state_dict has, and cannot be changed."""
    torch = pytest.importorskip("torch")
    X, _ = ragged(40)
    y = np.arange(40) % 3
    X = [x.astype(np.float32) for x in X]
    model = RNNClassifier(name, 7, 2, bidirectional=True, max_iter=2, tol=None, random_state=0)
    model.fit(X, y)
    module = getattr(torch.nn, name.upper())(2, 7, 2, bidirectional=True, batch_first=True)
    named = {name: torch.tensor(w) for name, w in model.weights_.items()}
    head = torch.nn.Linear(14, 3)
    head.load_state_dict({name: named.pop(f"head.{name}") for name in ("weight", "bias")})
    module.load_state_dict(named)
    with torch.no_grad():
        for x, shares in zip(X, model.predict_proba(X), strict=True):
            output, _ = module(torch.tensor(x)[None])
            last = torch.cat([output[0, -1, :7], output[0, 0, 7:]])
            theirs = torch.softmax(head(last), 0).numpy()
            # Two layers of at most 12 steps in float32 on both sides; see tolerances.py.
            np.testing.assert_allclose(shares, theirs, rtol=0, atol=40 * np.finfo(np.float32).eps)
    want = model.predict_proba(X)
    for name, weights in model.weights_.items():
        with pytest.raises(ValueError, match="read-only"):
            weights[...] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            weights.flags.writeable = True
        with pytest.raises(TypeError, match="item assignment"):
            model.weights_[name] = np.zeros_like(weights)
    assert_same_bits(pickle.loads(pickle.dumps(model)).predict_proba(X), want)
    with pytest.raises(NotFittedError):
        make().weights_  # noqa: B018


# ---------------------------------------------------------------------------------------------------------------------
# Answers
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["no", "yes", "perhaps"]),
        np.array([5, -3, 10]),
        np.array([0.0, 1.0, 2.0]),
        np.array(["a", "b", "c"], dtype=object),
    ],
    ids=["words", "integers", "floats", "objects"],
)
def test_labels_of_any_type(labels: Array) -> None:
    X, _ = ragged()
    y = labels[np.arange(60) % 3]
    model = make().fit(X, y)
    np.testing.assert_array_equal(model.classes_, np.unique(labels))
    shares = model.predict_proba(X)
    assert shares.shape == (60, 3)
    # Three shares, each rounded, of a sum that was rounded.
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=0, atol=8 * np.finfo(np.float32).eps)
    np.testing.assert_array_equal(model.predict(X), model.classes_[shares.argmax(axis=1)])
    # A share has some roundings, whose relative error is the absolute one of its logarithm.
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(shares), rtol=0, atol=8 * np.finfo(np.float32).eps)
    assert model.score(X, y) == np.mean(model.predict(X) == y)


def test_two_booleans() -> None:
    X, y = ragged()
    model = make().fit(X, y.astype(bool))
    assert model.predict(X).dtype == bool


def test_regression_of_several_numbers() -> None:
    X, _ = ragged(200)
    y = np.array([[1000 + 10 * x[-1, 0], -0.001 * x[-1, 1]] for x in X])
    model = make(RNNRegressor, max_iter=80, learning_rate_init=0.02).fit(X, y)
    assert model.predict(X).shape == (200, 2)
    assert model.score(X, y) > 0.9, "whatever the scale of the targets"
    one = make(RNNRegressor).fit(X, y[:, 0])
    assert one.predict(X).shape == (200,)
    column = make(RNNRegressor).fit(X, y[:, :1])
    assert_same_bits(column.predict(X)[:, 0], one.predict(X))


@pytest.mark.parametrize("value", [3.0, 0.1, 0.0, -1e300, 1e-300])
def test_a_constant_target(value: float) -> None:
    X, _ = ragged()
    predicted = make(RNNRegressor).fit(X, np.full(60, value)).predict(X)
    np.testing.assert_allclose(predicted, value, rtol=10 * np.finfo(float).eps, atol=0)  # roundings of a mean
    assert len(set(predicted)) == 1


@pytest.mark.parametrize(("offset", "factor"), [(1.7e9, 1.0), (-1e12, 1e-2), (0.0, 1e200), (0.0, 1e-300)])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_targets_of_any_size(offset: float, factor: float, early_stopping: bool) -> None:
    """Seconds since 1970, say: the network, in float32, sees none of it."""
    X, _ = ragged(200)
    y = np.array([x[-1, 0] for x in X])
    settings = {"max_iter": 40, "learning_rate_init": 0.02, "early_stopping": early_stopping}
    want = make(RNNRegressor, **settings).fit(X, y).predict(X)
    model = make(RNNRegressor, **settings).fit(X, offset + factor * y)
    got = (model.predict(X) - offset) / factor
    assert np.mean((got - y) ** 2) < 0.1 * np.var(y)
    rounding = 4 * np.finfo(float).eps * abs(offset / factor)
    # The target's own rounding, and what training makes of the difference.
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-2 + rounding)
    np.testing.assert_array_equal(model.predict(X[:1]), model.predict(X)[:1])


def test_scale_is_that_of_what_is_trained_on() -> None:
    """Not of what is held out: else the validation loss would know what it must not."""
    X, _ = ragged(40)
    y = np.arange(40.0)
    model = make(RNNRegressor, early_stopping=True, validation_fraction=0.25).fit(X, y)
    means = np.array([model.y_mean_[0] * 30])
    assert means != pytest.approx(np.mean(y) * 30), "of all"
    np.testing.assert_allclose(means, np.rint(means), rtol=1e-12, err_msg="the mean of 30 whole numbers")


def test_log_probabilities_are_finite() -> None:
    X, y = ragged(40)
    model = make(max_iter=60, learning_rate_init=0.02).fit(X, y)
    with np.errstate(under="ignore"):
        sure = log_softmax(1000 * np.log(model.predict_proba(X)))
    assert (softmax(1000 * np.log(model.predict_proba(X))) == 0).any()
    assert np.isfinite(sure).all()
    together = model.predict_log_proba(X)
    for rows in ([0], [39], [3, 1, 4, 1, 5]):
        assert_same_bits(model.predict_log_proba([X[n] for n in rows]), together[rows])


# ---------------------------------------------------------------------------------------------------------------------
# Learning
# ---------------------------------------------------------------------------------------------------------------------


def test_digits_read_row_by_row() -> None:
    X, y = load_digits(return_X_y=True)
    X = X.reshape(-1, 8, 8) / 16
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    model = RNNClassifier("lstm", 64, max_iter=40, tol=None, random_state=0).fit(X_train, y_train)
    assert model.score(X_test, y_test) >= 0.97


def test_every_cell_learns(cell: str, dtype: str) -> None:
    """To add up a sequence is within reach of each of them."""
    X, y = ragged(200)
    model = RNNClassifier(cell, 16, max_iter=40, tol=None, learning_rate_init=0.02, dtype=dtype, random_state=0)
    model.fit(X[:150], y[:150])
    assert model.score(X[150:], y[150:]) >= 0.85
    assert model.predict_proba(X).dtype == dtype


@pytest.mark.parametrize(
    "options",
    [
        {"solver": "sgd", "learning_rate_init": 0.1},
        {"solver": "sgd", "learning_rate_init": 0.1, "nesterovs_momentum": False},
        {"solver": "adamw", "alpha": 0.01},
        {"solver": "rmsprop", "learning_rate_init": 0.005},
        {"num_layers": 2, "dropout": 0.2},
        {"bidirectional": True},
        {"activation": "relu"},
        {"batch_size": 200},
        {"batch_size": 7, "shuffle": False},
        {"max_grad_norm": None},
        {"alpha": 0.001},
    ],
    ids=str,
)
def test_every_option_learns(options: dict[str, Any]) -> None:
    X, y = ragged(200)
    settings = {"max_iter": 60, "learning_rate_init": 0.02, **options}
    model = make(**settings).fit(X[:150], y[:150])
    assert model.score(X[150:], y[150:]) >= 0.85
    assert model.loss_curve_[-1] < 0.6 * model.loss_curve_[0]


def test_loss_curve(kind: type) -> None:
    X, y = ragged(100)
    model = make(kind, max_iter=30, learning_rate_init=0.02).fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 30
    assert model.loss_ == model.loss_curve_[-1] < 0.7 * model.loss_curve_[0]
    assert model.best_loss_ == min(model.loss_curve_)
    assert model.validation_loss_curve_ is None


def test_the_reported_loss_is_the_loss() -> None:
    """One batch of everything: the first loss is that of the first weights, by definition."""
    X, y = ragged(50)
    one = make(max_iter=1, batch_size=50, shuffle=False).fit(X, y)
    two = make(max_iter=2, batch_size=50, shuffle=False).fit(X, y)
    want = float(-np.mean(np.log(one.predict_proba(X)[np.arange(50), y].astype(np.float64))))
    # The loss of the second epoch is computed before its step: on the model after one. Ten roundings of float32.
    assert two.loss_curve_[1] == pytest.approx(want, rel=10 * float(np.finfo(np.float32).eps))
    assert two.loss_curve_[0] == one.loss_curve_[0]


def test_training_stops_when_nothing_is_gained() -> None:
    X, y = ragged(40)
    model = make(max_iter=500, tol=1e-2, n_iter_no_change=3, learning_rate_init=0.02).fit(X, y)
    curve = model.loss_curve_
    assert model.n_iter_ == len(curve) < 500
    gains = [min(curve[:k]) - curve[k] for k in range(1, len(curve))]
    assert max(gains[-4:]) <= 1e-2, "more than three epochs in a row gained less than tol"
    assert gains[-5] > 1e-2, "and it did not wait longer"


def test_too_few_epochs_warn(kind: type) -> None:
    X, y = ragged(40)
    with pytest.warns(ConvergenceWarning, match="2"):
        make(kind, max_iter=2, tol=1e-6).fit(X, y)


def test_early_stopping_keeps_the_best_weights(kind: type) -> None:
    """Labels without meaning: the held-out loss soon rises, and the model is the one before it did."""
    X, _ = ragged(100)
    y = np.random.default_rng(5).integers(0, 2, 100)
    options = {"early_stopping": True, "validation_fraction": 0.3, "learning_rate_init": 0.03}
    model = make(kind, max_iter=60, **options).fit(X, y)
    curve = model.validation_loss_curve_
    best = int(np.argmin(curve)) + 1
    assert best < 60, "the loss never rose, so nothing is proven"
    assert model.best_loss_ == min(curve)
    stopped = make(kind, max_iter=best, **options).fit(X, y)
    assert_same_bits(answers(model, X), answers(stopped, X))
    patient = make(kind, max_iter=60, **options).set_params(tol=1e-4, n_iter_no_change=4).fit(X, y)
    assert patient.n_iter_ < 60
    assert patient.validation_loss_curve_ == curve[: patient.n_iter_]
    assert_same_bits(
        answers(patient, X),
        answers(
            make(kind, max_iter=int(np.argmin(patient.validation_loss_curve_)) + 1, **options).fit(X, y),
            X,
        ),
    )


def test_early_stopping_holds_out_in_proportion() -> None:
    """Rare classes are among the held-out sequences; too few of them is an error that says so."""
    X, _ = ragged(60)
    y = np.array([0] * 54 + [1] * 6)
    make(early_stopping=True, validation_fraction=0.34).fit(X, y)
    for fault in (np.array([0] * 59 + [1]), np.arange(60) % 7):
        with pytest.raises(ValueError, match=r"validation_fraction=0.1 .*class"):
            make(early_stopping=True).fit(X, fault)
    with pytest.raises(ValueError, match=r"validation_fraction=0.999 .*none is left"):
        make(RNNRegressor, early_stopping=True, validation_fraction=0.999).fit(X, y)


def test_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    X, y = ragged(40)
    make(max_iter=4).fit(X, y)
    assert capsys.readouterr().out == ""
    make(max_iter=4, verbose=True).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert all("loss" in line for line in lines)
    make(max_iter=5, verbose=2, early_stopping=True).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1].split("/")[0] for line in lines] == ["2", "4", "5"]
    assert all("validation" in line for line in lines)


def test_interrupted_training_leaves_a_model(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = ragged(64)
    steps = 0
    step = Trainer.step

    def interrupted(self: Trainer, *arguments: Any, **options: Any) -> float:
        nonlocal steps
        steps += 1
        if steps == 5:  # two steps make an epoch
            raise KeyboardInterrupt
        return step(self, *arguments, **options)

    monkeypatch.setattr(Trainer, "step", interrupted)
    model = make(kind, max_iter=50, batch_size=32)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, y)
    assert model.n_iter_ == 2
    monkeypatch.undo()
    assert_same_bits(answers(model, X), answers(make(kind, max_iter=2, batch_size=32).fit(X, y), X))


def test_one_class() -> None:
    """Nothing to tell apart is no reason to fail: that class is the answer."""
    X, _ = ragged(20)
    model = make().fit(X, np.full(20, "only"))
    assert set(model.predict(X)) == {"only"}
    np.testing.assert_array_equal(model.predict_proba(X), 1)


def test_one_sequence(kind: type) -> None:
    X, y = ragged(2)
    model = make(kind).fit(X[:1], y[:1])
    assert len(model.predict(X[:1])) == 1
    assert len(model.predict([X[0][:1]])) == 1, "of one step"


def test_large_inputs_are_read_in_parts(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prediction cuts its input where memory says so; nobody can tell."""
    from skrnn import _sequences

    X, y = ragged()
    model = make(kind).fit(X, y)
    want = answers(model, X)
    for size in (1, 500, 1500):
        monkeypatch.setattr(_sequences, "_CHUNK_SIZE", size)
        assert_same_bits(answers(model, X), want)
        assert_same_bits(answers(model, padded(X)), want)


def test_one_long_sequence_is_in_a_part_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from skrnn import _sequences

    monkeypatch.setattr(_sequences, "_CHUNK_SIZE", 100)
    lengths = np.array([5] * 10 + [60] + [5] * 10)
    starts = lengths.cumsum() - lengths
    sequences = _sequences.Sequences(np.zeros((lengths.sum(), 1)), starts=starts, lengths=lengths)
    parts = [range(21)[rows] for rows in sequences.chunks(2)]
    assert [row for part in parts for row in part] == list(range(21)), "all rows, in their order"
    assert [len(part) for part in parts] == [10, 1, 10]


def test_other_names_of_a_dtype(kind: type) -> None:
    X, y = ragged()
    want = answers(make(kind).fit(X, y), X)
    for dtype in (np.float32, np.dtype("float32")):
        assert_same_bits(answers(clone(make(kind, dtype=dtype)).fit(X, y), X), want)
    assert_same_bits(
        answers(make(kind, max_grad_norm=np.inf).fit(X, y), X), answers(make(kind, max_grad_norm=None).fit(X, y), X)
    )
    with pytest.raises(ValueError, match="must be a bool"):
        make(kind, shuffle=2).fit(X, y)


def test_joblib_can_save(kind: type) -> None:
    import joblib

    X, y = ragged()
    model = make(kind).fit(X, y)
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    assert_same_bits(answers(joblib.load(file), X), answers(model, X))


def test_what_is_no_array_is_named() -> None:
    y = [0, 1, 0, 1]
    for X in ((row for row in np.zeros((4, 3))), {"a": [1.0, 2.0]}, 3.0):
        with pytest.raises(TypeError, match=f"X must be an array.*got {type(X).__name__}"):
            RNNClassifier(max_iter=1).fit(X, y)
    for bad in (["up", "down", "up", "down"], [[1.0], [1.0, 2.0], [1.0], [1.0]], np.zeros((4, 2, 2))):
        with pytest.raises(ValueError, match="y must hold one number, or one row of numbers, for each sequence"):
            RNNRegressor(max_iter=1).fit(np.zeros((4, 3)), bad)
