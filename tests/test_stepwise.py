"""Stepwise: a transformer of scikit-learn sees every valid step of every sequence once, and forms are kept."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    QuantileTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from running import assert_same_bits
from skrnn import RNNClassifier, RNNEncoder
from skrnn.preprocessing import Stepwise, Tokenizer, pad_sequences

CHECKED = [
    Stepwise(),
    Stepwise(PCA()),
    Stepwise(OneHotEncoder(handle_unknown="ignore")),  # many features of one, and sparse
]


@parametrize_with_checks(CHECKED)
def test_scikit_learn_checks(estimator: Any, check: Callable[[Any], None]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # skipped checks are those of features that it does not claim to have
        check(estimator)


def test_the_checks_were_really_collected() -> None:
    assert all(len(list(estimator_checks_generator(estimator))) > 40 for estimator in CHECKED)


def ragged(n_features: int = 2, n: int = 9, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.normal(5, 3, size=(int(t), n_features)) for t in [1, *rng.integers(1, 8, n - 1)]]


# ---------------------------------------------------------------------------------------------------------------------
# Forms
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "transformer", [StandardScaler(), PCA(1), PolynomialFeatures(2), QuantileTransformer(n_quantiles=5)], ids=str
)
def test_list_in_list_out(transformer: Any) -> None:
    X = ragged()
    want = clone(transformer).fit_transform(np.concatenate(X))
    stepwise = Stepwise(transformer)
    got = stepwise.fit_transform(X)
    assert isinstance(got, list)
    assert [len(x) for x in got] == [len(x) for x in X]
    np.testing.assert_allclose(np.concatenate(got), want, rtol=1e-12, atol=1e-12)
    again = Stepwise(transformer).fit(X).transform(X)
    np.testing.assert_allclose(np.concatenate(again), want, rtol=1e-12, atol=1e-12)
    assert stepwise.n_features_in_ == 2
    assert stepwise.n_features_out_ == want.shape[1]


def test_other_lists_are_read_alike() -> None:
    X = ragged()
    want = Stepwise().fit_transform(X)
    objects = np.empty(len(X), dtype=object)
    objects[:] = X
    for form in (tuple(X), objects, [x.tolist() for x in X]):
        got = Stepwise().fit_transform(form)
        assert isinstance(got, list)
        for a, b in zip(got, want, strict=True):
            assert_same_bits(a, b)


@pytest.mark.parametrize("n_padding", [0, 3])
def test_grid_in_grid_out_and_padding_stays(n_padding: int) -> None:
    X = ragged()
    length = max(map(len, X)) + n_padding
    padded = pad_sequences(X, length=length)
    stepwise = Stepwise().fit(padded)
    got = stepwise.transform(padded)
    assert_same_bits(got, pad_sequences(Stepwise().fit_transform(X), length=length))
    assert np.isnan(got).sum() == 2 * (len(X) * length - sum(map(len, X)))
    np.testing.assert_allclose(stepwise.inverse_transform(got), padded, rtol=1e-12)
    full = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")
    out = Stepwise().fit_transform(full)
    assert out.dtype == np.float32
    assert_same_bits(out, StandardScaler().fit_transform(full.reshape(20, 3)).reshape(4, 5, 3))


def test_padding_of_integers_and_strings() -> None:
    X = np.array([[["a"], ["b"]], [["b"], [np.nan]]], dtype=object)
    got = Stepwise(OrdinalEncoder(dtype=np.int32)).fit_transform(X)
    assert got.dtype == np.float64
    np.testing.assert_array_equal(got[:, :, 0], [[0, 1], [1, np.nan]])
    names = Stepwise(FunctionTransformer(lambda x: x + "!")).fit_transform(X)
    assert names[:, :, 0].tolist() == [["a!", "b!"], ["b!", names[1, 1, 0]]]
    assert np.isnan(names[1, 1, 0])


def test_table_is_univariate_series() -> None:
    X = np.random.default_rng(0).normal(5, 3, size=(6, 4))
    stepwise = Stepwise().fit(X)
    assert stepwise.transformer_.mean_.shape == (1,)
    assert stepwise.n_features_in_ == 4
    got = stepwise.transform(X)
    np.testing.assert_allclose(got, (X - X.mean()) / X.std())
    np.testing.assert_allclose(stepwise.inverse_transform(got), X)
    # other forms of univariate series are welcome then
    assert_same_bits(stepwise.transform(X[:, :3, np.newaxis]), got[:, :3, np.newaxis])
    assert_same_bits(stepwise.transform([X[0], X[1, :2]])[1], got[1, :2])
    with pytest.raises(ValueError, match="X has 2 features, but Stepwise is expecting 1 features"):
        stepwise.transform(np.zeros((3, 4, 2)))
    assert Stepwise(PolynomialFeatures()).fit_transform(X).shape == (6, 4, 3)
    with pytest.raises(ValueError, match="fitted on sequences with 1 feature"):
        Stepwise().fit(X[:, :, np.newaxis]).transform(X)


def test_sequences_without_an_axis_of_features_keep_none() -> None:
    X = [np.array([1.0, 2.0]), np.array([3.0])]
    stepwise = Stepwise(MinMaxScaler()).fit(X)
    assert [x.tolist() for x in stepwise.transform(X)] == [[0, 0.5], [1]]
    assert [x.tolist() for x in stepwise.inverse_transform([np.array([0.5])])] == [[2.0]]
    assert [x.tolist() for x in stepwise.transform([[[2.0]], [3.0]])] == [[[0.5]], [1.0]]
    encoded = Stepwise(OneHotEncoder()).fit_transform([np.array(["a", "b", "a"]), np.array(["c"])])
    assert [x.tolist() for x in encoded] == [[[1, 0, 0], [0, 1, 0], [1, 0, 0]], [[0, 0, 1]]]


def test_missing_values_are_the_transformer_s() -> None:
    X = [np.array([[1.0, np.nan], [3.0, 5.0]]), np.array([[np.nan, 7.0]])]
    got = Stepwise(SimpleImputer()).fit_transform(X)
    assert [x.tolist() for x in got] == [[[1, 6], [3, 5]], [[2, 7]]]
    with pytest.raises(ValueError, match="NaN"):
        Stepwise(PCA()).fit(X)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames_reach_the_transformer(library: str) -> None:
    frames = pytest.importorskip(library)
    pytest.importorskip("narwhals")
    X = [
        frames.DataFrame({"speed": [1.0, 2.0], "gear": ["low", "high"]}),
        frames.DataFrame({"speed": [3.0], "gear": ["low"]}),
    ]
    columns = ColumnTransformer([("scale", MinMaxScaler(), ["speed"]), ("encode", OneHotEncoder(), ["gear"])])
    try:
        columns.fit(X[0])
    except AttributeError:
        pytest.skip(f"this scikit-learn does not read this {library}")
    stepwise = Stepwise(columns)
    got = stepwise.fit_transform(X)
    assert [x.tolist() for x in got] == [[[0, 0, 1], [0.5, 1, 0]], [[1, 0, 1]]]
    assert stepwise.feature_names_in_.tolist() == ["speed", "gear"]
    assert stepwise.get_feature_names_out().tolist() == ["scale__speed", "encode__gear_high", "encode__gear_low"]
    with pytest.raises(ValueError, match=r"X\[1\] has other columns than X\[0\]: expected \['speed', 'gear'\]"):
        stepwise.transform([X[0], X[1][["gear", "speed"]]])
    with pytest.raises(ValueError, match="feature names should match"):
        stepwise.transform([frames.DataFrame({"velocity": [1.0], "gear": ["low"]})])
    with pytest.raises(TypeError, match=r"X\[1\] is ndarray, but X\[0\] is DataFrame"):
        stepwise.transform([X[0], np.zeros((2, 2))])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_names_of_data_frames_are_kept_whatever_scikit_learn_reads(library: str) -> None:
    frames = pytest.importorskip(library)
    X = [frames.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}), frames.DataFrame({"a": [3.0], "b": [5.0]})]
    stepwise = Stepwise(Shift()).fit(X)
    assert stepwise.feature_names_in_.tolist() == ["a", "b"]
    renamed = frames.DataFrame({"a": [3.0], "c": [5.0]})
    with pytest.raises(ValueError, match="feature names should match"):
        stepwise.transform([renamed])
    with pytest.warns(UserWarning, match="X does not have valid feature names, but Stepwise was fitted") as caught:
        stepwise.transform([np.ones((1, 2))])
    assert caught[0].filename == __file__
    assert not hasattr(stepwise.fit([np.ones((1, 2))]), "feature_names_in_")
    with pytest.warns(UserWarning, match="X has feature names, but Stepwise was fitted without"):
        stepwise.transform(X)


def test_names_of_a_table_are_its_time_steps() -> None:
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame({"mon": [1.0, 2.0], "tue": [3.0, 4.0]})
    assert Stepwise().fit(X).get_feature_names_out().tolist() == ["mon", "tue"]
    assert Stepwise(PolynomialFeatures()).fit(X).get_feature_names_out().tolist() == ["1", "x0", "x0^2"]


def test_data_frames_without_narwhals(monkeypatch: pytest.MonkeyPatch) -> None:
    pandas = pytest.importorskip("pandas")
    monkeypatch.setitem(__import__("sys").modules, "narwhals", None)
    with pytest.raises(ImportError, match=r"X is a list of data frames.*scikit-rnn\[frames\]"):
        Stepwise().fit([pandas.DataFrame({"a": [1.0]})])


def test_frames_that_the_transformer_returns_become_arrays() -> None:
    pytest.importorskip("pandas")
    X = ragged()
    want = Stepwise().fit_transform(X)
    stepwise = Stepwise(StandardScaler().set_output(transform="pandas"))
    with sklearn.config_context(transform_output="pandas"):
        for a, b in zip(stepwise.fit_transform(X), want, strict=True):
            assert_same_bits(a, b)


@pytest.mark.parametrize("name", ["pandas", "polars"])
def test_set_output_reaches_the_last_step_and_leaves_sequences(name: str) -> None:
    library = pytest.importorskip(name)
    X = ragged()
    pipeline = make_pipeline(Stepwise(), RNNEncoder("gru", 2, max_iter=1, tol=None, random_state=0))
    want = pipeline.fit_transform(X)
    frame = clone(pipeline.set_output(transform=name)).fit_transform(X)
    assert isinstance(frame, library.DataFrame)
    assert_same_bits(frame.to_numpy(), want)
    stepwise = clone(Stepwise().set_output(transform=name))
    for form in (X, pad_sequences(X)):
        assert type(stepwise.fit_transform(form)) is type(stepwise.transform(form)) is type(form)
    table = np.arange(6.0).reshape(2, 3)
    named = library.DataFrame({"a": table[:, 0], "b": table[:, 1], "c": table[:, 2]})
    assert list(stepwise.fit_transform(named).columns) == list(stepwise.get_feature_names_out())
    assert isinstance(stepwise.set_output(transform=None).transform(named), library.DataFrame)
    assert type(stepwise.set_output(transform="default").transform(named)) is np.ndarray
    spread = Stepwise(PolynomialFeatures()).set_output(transform=name)  # no table any more
    assert spread.fit_transform(table).shape == (2, 3, 3)


def test_set_output_knows_what_scikit_learn_knows() -> None:
    with pytest.raises(ValueError, match=r"transform must be None or one of \('default', .*got 'numpy'"):
        Stepwise().set_output(transform="numpy")


def test_set_output_passes_a_tokenizer() -> None:
    pandas = pytest.importorskip("pandas")
    network = RNNEncoder("gru", 2, embedding_dim=2, max_iter=1, tol=None, random_state=0)
    pipeline = make_pipeline(Tokenizer("char"), network).set_output(transform="pandas")
    assert isinstance(pipeline.fit_transform(["ab", "abc"]), pandas.DataFrame)


# ---------------------------------------------------------------------------------------------------------------------
# The transformer's own verbs
# ---------------------------------------------------------------------------------------------------------------------


def test_partial_fit_goes_on() -> None:
    X = ragged()
    stepwise = Stepwise()
    for part in (X[:3], X[3:4], pad_sequences(X[4:])):
        assert stepwise.partial_fit(part) is stepwise
    whole = StandardScaler().fit(np.concatenate(X))
    np.testing.assert_allclose(stepwise.transformer_.mean_, whole.mean_)
    np.testing.assert_allclose(stepwise.transformer_.var_, whole.var_)
    assert stepwise.transformer_.n_samples_seen_ == sum(map(len, X))
    with pytest.raises(ValueError, match="X has 3 features, but Stepwise is expecting 2 features"):
        stepwise.partial_fit(ragged(3))


def test_verbs_that_the_transformer_lacks() -> None:
    assert not hasattr(Stepwise(PCA()), "partial_fit")
    assert not hasattr(Stepwise(PolynomialFeatures()), "inverse_transform")
    assert hasattr(Stepwise(PCA()), "inverse_transform")
    with pytest.raises(NotFittedError):
        Stepwise().transform(ragged())


class Touchy(TransformerMixin, BaseEstimator):
    """Counts steps, then fails in the method named ``fails``, or of negative numbers."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails

    def _learn(self, method: str, X: Any) -> Touchy:
        self.n_seen_ = getattr(self, "n_seen_", 0) + len(X)
        self.seen_ = getattr(self, "seen_", [])
        self.seen_.append(len(X))
        if method == self.fails or X.min() < 0:
            raise ValueError(f"{method} failed")
        return self

    def fit(self, X: Any, y: Any = None) -> Touchy:
        return self._learn("fit", X)

    def partial_fit(self, X: Any, y: Any = None) -> Touchy:
        return self._learn("partial_fit", X)

    def transform(self, X: Any) -> Any:
        if self.fails == "transform":
            raise ValueError("transform failed")
        return X


@pytest.mark.parametrize(
    ("verb", "fails"),
    [
        ("fit", "fit"),
        ("fit", "transform"),
        ("fit_transform", "fit"),
        ("fit_transform", "transform"),
        ("partial_fit", "partial_fit"),
        ("partial_fit", "transform"),
    ],
)
def test_a_fit_that_fails_leaves_nothing(verb: str, fails: str) -> None:
    stepwise = Stepwise(Touchy(fails))
    with pytest.raises(ValueError, match=f"{fails} failed"):
        getattr(stepwise, verb)([np.ones((3, 2))])
    assert vars(stepwise) == {"transformer": stepwise.transformer}


@pytest.mark.parametrize("verb", ["fit", "fit_transform", "partial_fit"])
def test_a_later_fit_that_fails_leaves_the_first(verb: str) -> None:
    stepwise = Stepwise(Touchy()).fit([np.ones((3, 2))])
    before, inner = dict(vars(stepwise)), pickle.dumps(stepwise.transformer_)
    width = 2 if verb == "partial_fit" else 5
    with pytest.raises(ValueError, match="fit failed"):
        getattr(stepwise, verb)(np.full((4, 6, width), -1.0))
    assert vars(stepwise) == before
    assert pickle.dumps(stepwise.transformer_) == inner
    if verb == "partial_fit":
        assert stepwise.partial_fit([np.ones((4, 2))]).transformer_.seen_ == [3, 4]


class Shift(BaseEstimator):
    """The least that a transformer is."""

    def fit(self, X: Any, y: Any = None) -> Shift:
        self.shift_ = np.asarray(X).min(axis=0)
        return self

    def transform(self, X: Any) -> Any:
        return np.asarray(X) - self.shift_


def test_another_transformer_after_fit() -> None:
    stepwise = Stepwise(PCA()).fit(ragged()).set_params(transformer=StandardScaler())
    assert stepwise.partial_fit is not None
    assert stepwise.inverse_transform is not None
    assert isinstance(stepwise.fit(ragged()).transformer_, StandardScaler)


def test_fit_transform_of_a_transformer_without_one() -> None:
    got = Stepwise(Shift()).fit_transform(ragged())
    assert np.concatenate(got).min() == 0


def test_the_transformer_given_is_left_alone() -> None:
    scaler = StandardScaler()
    Stepwise(scaler).fit(ragged())
    assert not hasattr(scaler, "mean_")


def test_targets_reach_every_step() -> None:
    X = ragged(3, n=20)
    labels = np.array([int(x[:, 1].mean() > 5) for x in X])
    lengths = [len(x) for x in X]
    want = SelectKBest(f_classif, k=1).fit(np.concatenate(X), np.repeat(labels, lengths)).scores_
    np.testing.assert_allclose(Stepwise(SelectKBest(f_classif, k=1)).fit(X, labels).transformer_.scores_, want)
    by_step = [np.full(n, label) for n, label in zip(lengths, labels, strict=True)]
    np.testing.assert_allclose(Stepwise(SelectKBest(f_classif, k=1)).fit(X, by_step).transformer_.scores_, want)
    assert sklearn.utils.get_tags(Stepwise(TargetEncoder())).target_tags.required


def test_targets_of_other_lengths_are_not_shown() -> None:
    """A translation, say: nothing that a scaler should choke on."""
    X = ragged(n=3)
    for y in ([np.zeros(9), np.zeros(1), np.zeros(4)], [["a", "b"], ["c"], []]):
        assert len(Stepwise().fit_transform(X, y)) == 3
    with pytest.raises(ValueError, match="y must have one entry per sequence: expected 3, got 2"):
        Stepwise().fit(X, [0, 1])


@pytest.mark.parametrize("form", ["of sequences", "of steps", "padded"])
def test_sample_weight(form: str) -> None:
    """A weight of two is a sequence twice, and one of zero is a sequence left out."""
    X = ragged(n=4)
    weight: Any = np.array([2.0, 0.0, 1.0, 1.0])
    if form != "of sequences":
        weight = [np.full(len(x), w) for x, w in zip(X, weight, strict=True)]
    data: Any = X
    if form == "padded":
        data, weight = pad_sequences(X), pad_sequences(weight, value=77.0)
    want = Stepwise().fit([X[0], X[0], X[2], X[3]]).transformer_
    for fit in (Stepwise.fit, Stepwise.fit_transform, Stepwise.partial_fit):
        got = Stepwise()
        fit(got, data, sample_weight=weight)
        np.testing.assert_allclose(got.transformer_.mean_, want.mean_)
        np.testing.assert_allclose(got.transformer_.var_, want.var_)
    with pytest.raises(ValueError, match="sample_weight must have one entry per sequence: expected 4, got 3"):
        Stepwise().fit(X, sample_weight=[1, 2, 3])
    with pytest.raises(ValueError, match=r"sample_weight must .* expected lengths \(1, .*got \(9, 9, 9, 9\)"):
        Stepwise().fit(X, sample_weight=[np.ones(9)] * 4)


@pytest.fixture
def routing() -> Iterator[None]:
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def test_metadata_routing(routing: None) -> None:
    X, y = ragged(n=4), np.array([0, 1, 0, 1])
    weight = np.array([2.0, 0.0, 1.0, 1.0])
    want = Stepwise().fit([X[0], X[0], X[2], X[3]]).transformer_.mean_
    asking = Stepwise(StandardScaler().set_fit_request(sample_weight=True))
    np.testing.assert_allclose(asking.fit(X, sample_weight=weight).transformer_.mean_, want)
    pipeline = Pipeline([("scale", asking), ("keep", "passthrough")]).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(pipeline[0].transformer_.mean_, want)
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        Stepwise(StandardScaler()).fit(X, sample_weight=weight)


# ---------------------------------------------------------------------------------------------------------------------
# Among scikit-learn's tools
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Features of X are large")  # on purpose: there is a choice not to centre them
def test_grid_search_over_a_nested_parameter() -> None:
    rng = np.random.default_rng(0)
    X = [rng.normal(100, 5, size=(int(t), 2)) for t in rng.integers(3, 9, 30)]
    y = np.array([int(x[-1, 0] > 100) for x in X])
    pipeline = make_pipeline(
        Stepwise(StandardScaler()), RNNClassifier("gru", hidden_size=4, max_iter=8, tol=None, random_state=0)
    )
    grid = {"stepwise__transformer__with_mean": [False, True], "stepwise__transformer": [StandardScaler()]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    chosen = search.best_params_["stepwise__transformer__with_mean"]
    assert search.best_estimator_[0].transformer_.with_mean is chosen
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    assert_same_bits(again.predict_proba(X), search.predict_proba(X))
    assert "StandardScaler" in search.best_estimator_._repr_html_()


# ---------------------------------------------------------------------------------------------------------------------
# Errors
# ---------------------------------------------------------------------------------------------------------------------


class Summary(TransformerMixin, BaseEstimator):
    def fit(self, X: Any, y: Any = None) -> Summary:
        return self

    def transform(self, X: Any) -> Any:
        return np.zeros((7, 2))


@pytest.mark.parametrize(
    ("X", "error", "text"),
    [
        ([], ValueError, "0 sample"),
        ([np.zeros((2, 2)), np.zeros((0, 2))], ValueError, r"0 time step.* at X\[1\]"),
        ([np.zeros((2, 2)), np.zeros((2, 3))], ValueError, r"X\[1\] has shape \(2, 3\), but X\[0\] has shape \(2, 2\)"),
        ([np.zeros((2, 2)), np.zeros((2, 2, 2))], ValueError, r"X\[1\] must have shape .*got ndarray of shape"),
        ([1.0, 2.0], ValueError, r"X\[0\] must have shape .*got float of shape \(\)"),
        ([[[1, 2], [3]]], ValueError, r"X\[0\] must be an array"),
        (["text"], TypeError, r"X\[0\] must be a sequence of time steps, got str"),
        ([np.zeros(2), np.array(["a"])], TypeError, r"X\[1\] has dtype <U1, but X\[0\] has dtype float64"),
        (np.zeros((2, 0, 1)), ValueError, "0 time step"),
        (np.zeros((2, 2, 2, 2)), ValueError, "dim <= 3"),
        (np.full((2, 3, 1), np.nan), ValueError, r"X\[0\] is NaN altogether"),
        (np.ma.masked_array(np.zeros((2, 3, 1))), TypeError, "masked"),
        ([np.ma.masked_array(np.zeros(2))], TypeError, r"X\[0\] is a masked array"),
        (np.zeros(3), ValueError, "Expected 2D array, got 1D array"),
    ],
)
def test_bad_input(X: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        Stepwise().fit(X)


def test_bad_transformers() -> None:
    for transformer in ("scale", StandardScaler, RNNClassifier()):
        with pytest.raises(TypeError, match="'transformer' parameter of Stepwise must be None or an instance"):
            Stepwise(transformer).fit(ragged())
    with pytest.raises(ValueError, match=r"one row for each time step: expected shape \(1, n_outputs\), got \(7, 2\)"):
        Stepwise(Summary()).fit(ragged())
    with pytest.raises(ValueError, match="X has 3 features, but Stepwise returns 1 features"):
        Stepwise(PCA(1)).fit(ragged(2)).inverse_transform(ragged(3))
