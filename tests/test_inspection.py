"""Displays show what they say they show."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cases import Array
from skrnn import RNNClassifier, RNNRegressor
from skrnn.inspection import GradientFlowDisplay, LossCurveDisplay
from skrnn.nn import FrozenSequenceNetwork, Recurrent, gradient_flow
from skrnn.testing import gradcheck

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")
plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def figures() -> Iterator[None]:
    yield
    plt.close("all")


def drawn(display: Any) -> None:
    """Draw it; a warning of matplotlib would be an error."""
    display.figure_.canvas.draw()


def labels(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


# ---------------------------------------------------------------------------------------------------------------------
# Loss curves
# ---------------------------------------------------------------------------------------------------------------------


def data() -> tuple[Array, Array]:
    X = np.random.default_rng(0).normal(size=(40, 6, 2))
    return X, np.where(X[:, -1, 0] > 0, "up", "down")


def classifier(**parameters: Any) -> RNNClassifier:
    return RNNClassifier(hidden_size=3, max_iter=5, tol=None, random_state=0, **parameters)


def test_loss_curve() -> None:
    model = classifier().fit(*data())
    display = LossCurveDisplay.from_estimator(model)
    (line,) = display.lines_
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(line.get_ydata(), model.loss_curve_)
    assert (display.best_.get_xdata(), display.best_.get_ydata()) == ([5], [min(model.loss_curve_)])
    assert labels(display.ax_)[0] == "RNNClassifier, training"
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("epoch", "mean loss")
    assert display.figure_ is display.ax_.figure
    assert display.ax_.get_yscale() == "linear"
    drawn(display)


def test_validation_loss_curve_decides_what_is_best() -> None:
    display = LossCurveDisplay(loss_curve=[3.0, 2.0, 1.0], validation_loss_curve=[3.0, 2.5, np.nan]).plot()
    training, validation = display.lines_
    assert (training.get_linestyle(), validation.get_linestyle()) == ("-", "--")
    assert training.get_color() == validation.get_color()
    assert (display.best_.get_xdata(), display.best_.get_ydata()) == ([2], [2.5])
    assert labels(display.ax_) == ["training", "validation", "best: 2.5 in epoch 2"]

    fitted = classifier(early_stopping=True, validation_fraction=0.3).fit(*data())
    display = LossCurveDisplay.from_estimator(fitted, name="model", mark_best=False, log_scale=True)
    np.testing.assert_array_equal(display.lines_[1].get_ydata(), fitted.validation_loss_curve_)
    assert display.best_ is None
    assert display.ax_.get_yscale() == "log"
    assert labels(display.ax_) == ["model, training", "model, validation"]
    drawn(display)


def test_several_estimators_on_one_axis() -> None:
    first = LossCurveDisplay(loss_curve=[2.0, 1.0], name="a").plot(mark_best=False)
    second = LossCurveDisplay(loss_curve=[2.0, 1.5], name="b").plot(
        first.ax_, mark_best=False, line_kw={"linewidth": 3}
    )
    assert second.ax_ is first.ax_
    assert labels(first.ax_) == ["a, training", "b, training"]
    assert first.lines_[0].get_color() != second.lines_[0].get_color()
    assert second.lines_[0].get_linewidth() == 3


def test_loss_curves_that_are_empty_or_not_finite_are_drawn() -> None:
    for curve in ([], [np.inf, np.nan]):
        display = LossCurveDisplay(loss_curve=curve).plot()
        assert display.best_ is None
        drawn(display)


def test_loss_curve_of_whom() -> None:
    X, y = data()
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(classifier())
    table = X[:, -1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = make_pipeline(StandardScaler(), MLPClassifier((3,), max_iter=3)).fit(table, y)
    with pytest.raises(TypeError, match="estimator must have the attribute loss_curve_, but Pipeline has none"):
        LossCurveDisplay.from_estimator(pipeline)
    assert len(LossCurveDisplay.from_estimator(pipeline[-1]).lines_) == 1
    with pytest.raises(ValueError, match=r"loss_curve must have one dimension, got shape \(1, 2\)"):
        LossCurveDisplay(loss_curve=[[1.0, 2.0]]).plot()


def test_matplotlib_is_asked_for_clearly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"LossCurveDisplay.plot requires matplotlib.*pip install"):
        LossCurveDisplay(loss_curve=[1.0]).plot()
    with pytest.raises(ImportError, match=r"GradientFlowDisplay.plot requires matplotlib"):
        GradientFlowDisplay(norms=np.ones((1, 1, 2)), weight_grad_norm=1.0).plot()


# ---------------------------------------------------------------------------------------------------------------------
# The flow of gradients
# ---------------------------------------------------------------------------------------------------------------------


def ragged(rng: np.random.Generator, n: int = 7) -> list[Array]:
    return [rng.normal(size=(int(length), 2)) for length in rng.integers(1, 6, size=n)]


def log_loss(output: Array, y: Array, classes: Array) -> Array:
    log_proba = output - np.log(np.exp(output).sum(axis=1, keepdims=True))
    return -log_proba[np.arange(len(y)), np.searchsorted(classes, y)]


def differences(function: Callable[[], float], x: Array) -> Array:
    """The differences alone: the tolerance takes anything for the gradient. Layer norm bends much in a short way."""
    return gradcheck(lambda _: function(), x, np.zeros_like(x), step=2e-4, atol=1e300)


def check_against_differences(model: Any, X: Any, y: Any, losses: Callable[[Array], Array]) -> None:
    """``losses`` are those of each sequence, of what the network gives out."""
    network = model._network
    weights = {name: np.array(value) for name, value in model.weights_.items()}
    x, lengths = model._check_sequences(X, reset=False).batch(slice(None))

    def mean_loss() -> float:
        moved = FrozenSequenceNetwork(network.config, weights, network.pooling, network.padding_idx)
        return float(losses(moved.forward(x, lengths)).mean())

    gradients = {name: differences(mean_loss, array) for name, array in weights.items()}
    if network.padding_idx is not None:  # stays zero, whatever differences say
        gradients["embedding.weight"][network.padding_idx] = 0.0
    display = GradientFlowDisplay.from_estimator(model, X, y)
    norm = np.sqrt(sum(np.square(gradient).sum() for gradient in gradients.values()))
    np.testing.assert_allclose(display.weight_grad_norm, norm, rtol=1e-6)
    assert display.norms.shape == (model.num_layers, *x.shape[:2])
    if network.pooling is None:
        h = network.features(x, lengths).copy()
        of_h = differences(lambda: losses(h @ weights["head.weight"].T + weights["head.bias"]).sum(), h)
        last = np.full(len(x), x.shape[1] - 1) if lengths is None else lengths - 1
        at_end = display.norms[-1, np.arange(len(x)), last]
        np.testing.assert_allclose(at_end, np.linalg.norm(of_h, axis=1), rtol=1e-6)


def log_losses(output: Array, rows: Array) -> Array:
    if output.shape[1] == 1:  # the score of the second of two classes
        output = np.hstack([np.zeros_like(output), output])
    log_proba = output - np.log(np.exp(output).sum(axis=1, keepdims=True))
    return -log_proba[np.arange(len(rows)), rows]


@pytest.mark.parametrize(
    ("n_classes", "options"),
    [
        (2, {"cell": "lstm", "num_layers": 2}),
        (3, {"cell": "lstm"}),
        (3, {"cell": "gru", "pooling": "mean"}),
        (2, {"cell": "gru", "pooling": "max", "num_layers": 2}),
        (3, {"cell": "mgu", "pooling": "attention"}),
        (2, {"cell": "rnn", "layer_norm": True, "dropout": 0.5, "num_layers": 2, "recurrent_dropout": 0.5}),
        (2, {"cell": "lstm", "tbptt_steps": 2}),
    ],
    ids=str,
)
def test_gradient_of_a_classifier(n_classes: int, options: dict[str, Any], rng: np.random.Generator) -> None:
    X, y = ragged(rng, 20), np.array(["a", "b", "c"])[np.arange(20) % n_classes]
    model = classifier(dtype="float64", **options).fit(X, y)
    rows = np.searchsorted(model.classes_, y[:7])
    check_against_differences(model, X[:7], y[:7], lambda output: log_losses(output, rows))


@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("padding_idx", [None, 0])
def test_gradient_of_a_network_with_an_embedding(
    padding_idx: int | None, pooling: str, rng: np.random.Generator
) -> None:
    X, y = [rng.integers(1, 5, size=int(n)) for n in rng.integers(1, 6, size=20)], np.arange(20) % 3
    model = classifier(dtype="float64", embedding_dim=2, padding_idx=padding_idx, pooling=pooling).fit(X, y)
    check_against_differences(model, X[:7], y[:7], lambda output: log_losses(output, y[:7]))


def test_gradient_of_multilabel_targets(rng: np.random.Generator) -> None:
    X, y = ragged(rng, 20), rng.integers(2, size=(20, 3))
    model = classifier(dtype="float64").fit(X, y)
    signs = 2 * y[:7] - 1
    check_against_differences(model, X[:7], y[:7], lambda output: np.log1p(np.exp(-signs * output)).mean(axis=1))


@pytest.mark.parametrize("loss", ["squared_error", "huber", "quantile", "poisson"])
def test_gradient_of_a_regressor(loss: str, rng: np.random.Generator) -> None:
    X, y = ragged(rng, 20), rng.random(size=(20, 2))
    if loss in ("squared_error", "huber"):
        y[:, 1] = 5.0  # a target that is constant has no scale
    model = RNNRegressor(
        "gru", hidden_size=3, max_iter=3, tol=None, random_state=0, dtype="float64", loss=loss, huber_delta=0.5
    ).fit(X, y)
    scale = np.where(model.y_scale_ > 0, model.y_scale_, np.inf)
    target = (y[:7] - model.y_mean_) / scale

    def losses(output: Array) -> Array:
        error = output - target
        if loss == "poisson":
            return (np.exp(output) - target * output).mean(axis=1)
        if loss == "huber":
            small = np.abs(error) <= 0.5
            return np.where(small, 0.5 * error**2, 0.5 * (np.abs(error) - 0.25)).mean(axis=1)
        if loss == "quantile":
            return np.maximum(-model.quantile * error, (1 - model.quantile) * error).mean(axis=1)
        return 0.5 * (error**2).mean(axis=1)

    check_against_differences(model, X[:7], y[:7], losses)


@pytest.mark.parametrize("loss", ["squared_error", "quantile"])
def test_the_estimator_stays_as_it_is(loss: str, rng: np.random.Generator) -> None:
    X, y = ragged(rng, 10), rng.normal(size=10)
    model = RNNRegressor(hidden_size=3, max_iter=2, tol=None, random_state=0, loss=loss).fit(X, y)
    before, predicted = dict(vars(model)), model.predict(X)
    GradientFlowDisplay.from_estimator(model, X, y)
    assert vars(model) == before
    np.testing.assert_array_equal(model.predict(X), predicted)


def test_precision_does_not_hide_what_vanishes(rng: np.random.Generator) -> None:
    X = rng.normal(size=(3, 400, 2))
    single, double = (Recurrent("gru", input_size=2, hidden_size=4, dtype=dtype) for dtype in ("float32", "float64"))
    double.load_weights(single.weights)
    want = GradientFlowDisplay.from_recurrent(double, X, random_state=0)
    for layer in (single, single.freeze()):
        got = GradientFlowDisplay.from_recurrent(layer, X, random_state=0)
        np.testing.assert_array_equal(got.norms, want.norms)
    assert 0 < want.norms[0, :, 0].max() < np.finfo(np.float32).tiny
    drawn(want)


def test_from_recurrent(rng: np.random.Generator) -> None:
    X, lengths = rng.normal(size=(4, 6, 2)), np.array([6, 1, 0, 3])
    layer = Recurrent("lstm", input_size=2, hidden_size=5, num_layers=2, dtype="float64")
    unit = GradientFlowDisplay.from_recurrent(layer, X, lengths=lengths, random_state=0)
    np.testing.assert_allclose(unit.norms[1, [0, 1, 3], [5, 0, 2]], 1.0)
    assert np.isnan(unit.norms[:, 2]).all()
    d_features = rng.normal(size=(4, 5))
    display = GradientFlowDisplay.from_recurrent(layer, X, d_features, lengths)
    flow = gradient_flow(layer, X, d_features, lengths)
    np.testing.assert_array_equal(display.norms, flow.norms)
    norm = np.sqrt(sum(np.square(gradient / 4).sum() for gradient in flow.weights.values()))  # of the mean of 4 losses
    np.testing.assert_allclose(display.weight_grad_norm, norm)
    assert labels(display.ax_) == ["lstm, layer 0", "lstm, layer 1"]
    again = GradientFlowDisplay.from_recurrent(layer, X, lengths=lengths, random_state=0)
    np.testing.assert_array_equal(again.norms, unit.norms)


NORMS = np.array([[[1.0, 2.0, 3.0], [5.0, np.nan, np.nan]], [[4.0, 5.0, 6.0], [8.0, np.nan, np.nan]]])


def ys(lines: Any) -> list[list[float]]:
    return [line.get_ydata().tolist() for line in lines]


def test_means_and_lines_by_layer() -> None:
    display = GradientFlowDisplay(norms=NORMS, weight_grad_norm=1.0, name="net").plot()
    assert ys(display.lines_) == [[3.0, 2.0, 3.0], [6.0, 5.0, 6.0]]
    assert display.lines_[0].get_xdata().tolist() == [1, 2, 3]
    assert labels(display.ax_) == ["net, layer 0", "net, layer 1"]
    assert display.clipped_lines_ == []
    assert display.ax_.get_yscale() == "log"
    assert display.ax_.get_xlabel() == "time step $t$"
    for layer in (1, -1):
        assert ys(display.plot(layer=layer).lines_) == [[6.0, 5.0, 6.0]]
    drawn(display)


def test_sequences_aligned_at_their_ends() -> None:
    display = GradientFlowDisplay(norms=NORMS, weight_grad_norm=1.0).plot(align="end", layer=0)
    assert ys(display.lines_) == [[1.0, 2.0, 4.0]]
    assert display.lines_[0].get_xdata().tolist() == [-2, -1, 0]
    assert "from the end" in display.ax_.get_xlabel()


def test_each_sequence() -> None:
    display = GradientFlowDisplay(norms=NORMS, weight_grad_norm=1.0, name="net").plot(samples="each", layer=0)
    np.testing.assert_array_equal(ys(display.lines_), NORMS[0])
    assert labels(display.ax_) == ["net, layer 0"]
    assert len({line.get_color() for line in display.lines_}) == 1


def test_clipping() -> None:
    display = GradientFlowDisplay(norms=NORMS[:1], weight_grad_norm=8.0, max_grad_norm=2.0, name="net").plot()
    assert display.clip_factor == 0.25
    assert ys(display.clipped_lines_) == [[0.75, 0.5, 0.75]]
    assert labels(display.ax_) == ["net", "net, clipped to norm 2"]
    assert display.clipped_lines_[0].get_color() == display.lines_[0].get_color()
    assert display.clipped_lines_[0].get_linestyle() == "--"
    for weight_grad_norm in (0.0, 1.0, 2.0, np.inf, np.nan):  # nothing to clip, or nothing that would help
        small = GradientFlowDisplay(norms=NORMS[:1], weight_grad_norm=weight_grad_norm, max_grad_norm=2.0).plot()
        assert (small.clip_factor, small.clipped_lines_) == (1.0, [])
    X, y = data()
    display = GradientFlowDisplay.from_estimator(classifier().fit(X, y), X, y, max_grad_norm=1e-3)
    np.testing.assert_allclose(ys(display.clipped_lines_), np.array(ys(display.lines_)) * display.clip_factor)
    drawn(display)


def test_what_vanished_altogether_is_drawn() -> None:
    vanished = GradientFlowDisplay(norms=np.zeros((1, 1, 3)), weight_grad_norm=0.0).plot()
    drawn(vanished)
    assert ys(vanished.lines_) == [[0.0, 0.0, 0.0]]
    norms = np.array([[[np.inf, 1e100, 1.0]]])
    exploded = GradientFlowDisplay(norms=norms, weight_grad_norm=np.inf, max_grad_norm=1.0).plot()
    drawn(exploded)
    assert ys(exploded.lines_) == norms[0].tolist()
    assert exploded.clipped_lines_ == []


def test_gradient_flow_errors_name_the_argument(rng: np.random.Generator) -> None:
    X, y = data()
    model = classifier().fit(X, y)
    with pytest.raises(NotFittedError):
        GradientFlowDisplay.from_estimator(classifier(), X, y)
    with pytest.raises(TypeError, match="estimator must be an RNNClassifier or an RNNRegressor, got StandardScaler"):
        GradientFlowDisplay.from_estimator(StandardScaler(), X, y)
    with pytest.raises(ValueError, match=r"y contains labels that are not among the classes.*'sideways'"):
        GradientFlowDisplay.from_estimator(model, X[:1], ["sideways"])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        GradientFlowDisplay.from_estimator(model, X, y[:3])
    with pytest.raises(ValueError, match="estimator must have one direction, but this RNNClassifier is bidirectional"):
        GradientFlowDisplay.from_estimator(classifier(bidirectional=True).fit(X, y), X, y)
    regressor = RNNRegressor(hidden_size=3, max_iter=1, tol=None).fit(X, X[:, 0])
    with pytest.raises(ValueError, match=r"y must hold 2 target\(s\) for each sequence"):
        GradientFlowDisplay.from_estimator(regressor, X, X[:, 0, 0])
    with pytest.raises(ValueError, match="max_grad_norm must be greater than zero, got 0"):
        GradientFlowDisplay.from_estimator(model, X, y, max_grad_norm=0)
    with pytest.raises(TypeError, match="recurrent must be a Recurrent or a FrozenRecurrent, got RNNClassifier"):
        GradientFlowDisplay.from_recurrent(model, X)
    display = GradientFlowDisplay(norms=NORMS, weight_grad_norm=1.0)
    with pytest.raises(ValueError, match="layer must be between -2 and 1, got 2"):
        display.plot(layer=2)
    with pytest.raises(ValueError, match="samples must be one of 'mean', 'each', got 'all'"):
        display.plot(samples="all")
    with pytest.raises(ValueError, match="align must be one of 'start', 'end', got 'left'"):
        display.plot(align="left")
