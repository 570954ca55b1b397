"""RNNEncoder, and the networks that learn from sequences alone: gradients, losses, scikit-learn's manners.

The checks of scikit-learn and their twins for sequences are in test_scikit_learn.py.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline

from cases import Array
from running import assert_same_bits, threads
from skrnn import RNNClassifier, RNNEncoder, RNNRegressor, _core
from skrnn.nn import (
    SGD,
    Autoencoder,
    Dense,
    Embedding,
    NextStepNetwork,
    Pooling,
    Recurrent,
    Trainer,
    softmax_cross_entropy,
    squared_error,
)
from skrnn.nn.losses import get_loss
from skrnn.nn.scratch import Scratch
from skrnn.testing import gradcheck
from tolerances import allowance

ALONE = ("reconstruction", "next_step")
OBJECTIVES = (*ALONE, "classification", "regression")
N_TOKENS = 5

# ---------------------------------------------------------------------------------------------------------------------
# Networks
# ---------------------------------------------------------------------------------------------------------------------


def network(
    kind: type = Autoencoder,
    cell: str = "gru",
    *,
    tokens: bool = False,
    pooling: str | None = None,
    tbptt_steps: int | None = None,
    dtype: str = "float64",
    decoder: dict[str, Any] | None = None,
    **options: Any,
) -> Any:
    """Two features, or five tokens as vectors of two; three units."""
    recurrent = Recurrent(cell, input_size=2, hidden_size=3, dtype=dtype, random_state=1, **options)
    rest: dict[str, Any] = {"tbptt_steps": tbptt_steps}
    if tokens:
        rest["embedding"] = Embedding(N_TOKENS, 2, dtype=dtype, random_state=2)
    if pooling is not None:
        rest["pooling"] = Pooling(pooling, recurrent.output_size, dtype=dtype, random_state=3)
    head = Dense(3, N_TOKENS if tokens else 2, dtype=dtype, random_state=4)
    if kind is NextStepNetwork:
        return NextStepNetwork(recurrent, head, **rest)
    size = {"input_size": recurrent.output_size, "hidden_size": 3}
    return Autoencoder(recurrent, Recurrent(cell, dtype=dtype, random_state=5, **size, **(decoder or {})), head, **rest)


def batch(*, tokens: bool = False, ragged: bool = True, dtype: str = "float64") -> tuple[Array, Any, Array]:
    """Four rows of up to five steps, one step among them; NaN, or no token at all, in the padding. And weights."""
    rng = np.random.default_rng(7)
    x = rng.integers(0, N_TOKENS, (4, 5, 1)) if tokens else rng.standard_normal((4, 5, 2)).astype(dtype)
    lengths = np.array([3, 1, 5, 2]) if ragged else None
    if ragged:
        x[np.arange(5) >= lengths[:, None]] = -77 if tokens else np.nan
    return x, lengths, rng.uniform(0.5, 2.0, 4).astype(dtype)


def loss_name(tokens: bool) -> str:
    return "softmax_cross_entropy" if tokens else "squared_error"


def loss_and_gradient(net: Any, x: Array, lengths: Any, weight: Array | None, tokens: bool) -> tuple[float, Array]:
    """By one step of a trainer down an unclipped gradient."""
    before = net.parameters.values.copy()
    trainer = Trainer(net, get_loss(loss_name(tokens)), SGD(net.parameters, learning_rate=1.0, momentum=0.0))
    loss = trainer.step(x, lengths, None, weight)
    gradient = trainer._gradients.values.copy()
    net.parameters.values[:] = before
    return loss, gradient


GRADIENTS: dict[str, dict[str, Any]] = {
    "numbers": {},
    "equal lengths": {"ragged": False},
    "tokens": {"tokens": True},
    "tokens of equal lengths, stacked": {"tokens": True, "ragged": False, "num_layers": 2},
    "stacked lstm": {"cell": "lstm", "num_layers": 2, "decoder": {"num_layers": 2}},
    "mean": {"pooling": "mean"},
    "bidirectional": {"bidirectional": True},
    "bidirectional stacked tokens with attention": {
        "bidirectional": True,
        "num_layers": 2,
        "tokens": True,
        "pooling": "attention",
    },
    "weights": {"weighted": True},
}


@pytest.mark.parametrize(
    ("kind", "case"),
    [(NextStepNetwork, case) for case in GRADIENTS if "bidirectional" not in GRADIENTS[case]]
    + [(Autoencoder, case) for case in GRADIENTS],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_gradients(kind: type, case: str, isa: str) -> None:
    options = {"tokens": False, "ragged": True, "weighted": False, **GRADIENTS[case]}
    if kind is NextStepNetwork:
        options.pop("decoder", None)
    ragged, weighted = options.pop("ragged"), options.pop("weighted")
    net = network(kind, **options)
    tokens = options["tokens"]
    x, lengths, weight = batch(tokens=tokens, ragged=ragged)
    if not weighted:
        weight = None
    loss, gradient = loss_and_gradient(net, x, lengths, weight, tokens)
    trainer = Trainer(net, get_loss(loss_name(tokens)), SGD(net.parameters))
    assert trainer.evaluate(x, lengths, None, weight) == pytest.approx(loss, rel=1e-14)
    gradcheck(lambda _: trainer.evaluate(x, lengths, None, weight), net.parameters.values, gradient)
    assert np.count_nonzero(gradient) > 0.9 * gradient.size, "everything has a gradient"


@pytest.mark.parametrize("tokens", [False, True], ids=["numbers", "tokens"])
@pytest.mark.parametrize("weighted", [False, True], ids=["alike", "weighted"])
@pytest.mark.parametrize("kind", [NextStepNetwork, Autoencoder], ids=lambda kind: kind.__name__)
def test_the_loss_is_a_mean_over_rows_of_means_over_steps(
    kind: type, tokens: bool, weighted: bool, dtype: str, isa: str
) -> None:
    """Row by row from the public layers: the features repeated, the last step first; or each next step."""
    net = network(kind, "lstm", tokens=tokens, dtype=dtype)
    x, lengths, weight = batch(tokens=tokens, dtype=dtype)
    losses = []
    for row, length, factor in zip(x, lengths, weight, strict=True):
        sequence = row[:length]
        read = net.embedding.forward(sequence[:, 0][None]) if tokens else sequence[None]
        if kind is NextStepNetwork:
            if length == 1:
                continue
            steps, _ = net.recurrent.forward(read[:, :-1])
            wanted = sequence[1:]
        else:
            _, (h, _) = net.recurrent.forward(read)
            steps, _ = net.decoder.forward(np.repeat(h[-1][:, None], length, axis=1))
            wanted = sequence[::-1]
        guess = net.head.forward(steps[0])
        if tokens:
            loss = softmax_cross_entropy(guess, wanted[:, 0])[0] / len(wanted)
        else:
            loss = squared_error(guess, np.ascontiguousarray(wanted))[0] / wanted.size
        losses.append(loss * (factor if weighted else 1.0))
    trainer = Trainer(net, get_loss(loss_name(tokens)), SGD(net.parameters))
    got = trainer.evaluate(x, lengths, None, weight if weighted else None)
    assert got == pytest.approx(np.mean(losses), rel=allowance(5 * 5 * 4 * 10, dtype))


@pytest.mark.parametrize("kind", [NextStepNetwork, Autoencoder], ids=lambda kind: kind.__name__)
def test_truncated_gradients_are_sums_over_pieces(kind: type) -> None:
    """Pieces of two steps, each begun in the state that the one before has left, as public layers compute it."""
    net = network(kind, "lstm", tbptt_steps=2, pooling="mean" if kind is Autoencoder else None)
    x, _, _ = batch(ragged=False)
    _, gradient = loss_and_gradient(net, x, None, None, False)

    def pieces(layer: Recurrent, inputs: Array) -> tuple[Array, list[Any]]:
        state, outputs, tapes = None, [], []
        for start in range(0, inputs.shape[1], 2):
            tapes.append(layer.record(np.ascontiguousarray(inputs[:, start : start + 2]), state=state))
            outputs.append(tapes[-1].output)
            state = tapes[-1].state
        return np.concatenate(outputs, axis=1), tapes

    def back(layer: Recurrent, tapes: list[Any], d_output: Array) -> Array:
        """Add to what is wanted; return the gradient of the inputs."""
        d_inputs, start = [], 0
        for tape in tapes:
            part = np.ascontiguousarray(d_output[:, start : start + tape.output.shape[1]])
            start += part.shape[1]
            back = tape.backward(part)
            d_inputs.append(back.X)
            for name, array in back.weights.items():
                want.views[layer._prefix + name][...] += array
        return np.concatenate(d_inputs, axis=1)

    want = net.parameters.like()
    below, above = net.recurrent, getattr(net, "decoder", net.recurrent)
    read = x[:, :-1] if kind is NextStepNetwork else x
    output, tapes = pieces(below, read)
    target = x[:, 1:]
    if kind is Autoencoder:
        target = x[:, ::-1]
        output, written = pieces(above, np.repeat(output.mean(axis=1)[:, None], 5, axis=1))
    top = net.head.record(output.reshape(-1, 3))
    target = np.ascontiguousarray(target.reshape(-1, 2))
    _, d_guess = squared_error(top.output, target, np.full(len(target), 1 / target.size))
    back_head = top.backward(d_guess)
    for name, array in back_head.weights.items():
        want.views[f"head.{name}"][...] += array
    d_output = back_head.X.reshape(output.shape)
    if kind is Autoencoder:
        d_features = back(above, written, d_output).sum(axis=1)
        d_output = np.repeat(d_features[:, None] / 5, 5, axis=1)
    back(below, tapes, d_output)
    np.testing.assert_allclose(gradient, want.values, rtol=0, atol=1e-14)
    net.tbptt_steps = None
    _, whole = loss_and_gradient(net, x, None, None, False)
    assert not np.allclose(gradient, whole, atol=1e-6), "truncation does something"
    net.tbptt_steps = 5
    assert_same_bits(loss_and_gradient(net, x, None, None, False)[1], whole)


@pytest.mark.parametrize("kind", [NextStepNetwork, Autoencoder], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("tbptt_steps", [None, 2])
def test_threads_and_memory_change_no_bits(kind: type, tbptt_steps: int | None, n_threads: int, dtype: str) -> None:
    """Not the threads, and not what an earlier, larger batch has left in the scratch."""
    net = network(kind, "lstm", dtype=dtype, tbptt_steps=tbptt_steps, dropout=0.3, num_layers=2)
    x, lengths, weight = batch(dtype=dtype)

    def step(gradients: Any, scratch: Scratch, rows: slice) -> Array:
        run = net.training_pass(gradients, scratch)
        output = run.record(x[rows], lengths[rows], 3)
        target, factor = run.targets(x[rows], lengths[rows], None, weight[rows])
        d_output = np.empty_like(output)
        squared_error_in_core(output, target, factor, d_output)
        run.backward(d_output)
        return gradients.values

    squared_error_in_core = get_loss("squared_error")
    with threads(1):
        want = step(net.parameters.like(), Scratch(net.dtype, _core.Workspace()), slice(0, 3))
    scratch = Scratch(net.dtype, _core.Workspace())
    step(net.parameters.like(), scratch, slice(0, 4))
    assert_same_bits(step(net.parameters.like(), scratch, slice(0, 3)), want)


def test_networks_refuse_what_does_not_fit() -> None:
    recurrent = Recurrent("gru", input_size=2, hidden_size=3)
    both = Recurrent("gru", input_size=2, hidden_size=3, bidirectional=True)
    head = Dense(3, 2)
    with pytest.raises(ValueError, match="recurrent must have one direction"):
        NextStepNetwork(both, Dense(6, 2))
    with pytest.raises(ValueError, match="pooling 'attention' has weights"):
        NextStepNetwork(recurrent, head, pooling=Pooling("attention", 3))
    with pytest.raises(ValueError, match=r"head.output_size must be recurrent.input_size=2, got 4"):
        NextStepNetwork(recurrent, Dense(3, 4))
    with pytest.raises(ValueError, match=r"head.output_size must be embedding.num_embeddings=9, got 2"):
        NextStepNetwork(recurrent, head, embedding=Embedding(9, 2))
    with pytest.raises(ValueError, match=r"decoder.input_size must be recurrent.output_size=3, got 2"):
        Autoencoder(recurrent, Recurrent("gru", input_size=2, hidden_size=3), head)
    with pytest.raises(ValueError, match="decoder must have one direction"):
        Autoencoder(recurrent, Recurrent("gru", input_size=3, hidden_size=3, bidirectional=True), Dense(6, 2))
    with pytest.raises(ValueError, match=r"head.input_size must be decoder.output_size=5, got 3"):
        Autoencoder(recurrent, Recurrent("gru", input_size=3, hidden_size=5), head)
    with pytest.raises(TypeError, match="decoder must be a Recurrent, got Dense"):
        Autoencoder(recurrent, head, head)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------------------------
# The estimator
# ---------------------------------------------------------------------------------------------------------------------


def ragged(n: int = 40, *, seed: int = 0, shortest: int = 2) -> tuple[list[Array], Array]:
    rng = np.random.default_rng(seed)
    X = [rng.standard_normal((int(t), 2)) for t in rng.integers(shortest, 10, n)]
    return X, np.array([int(x[:, 0].sum() > 0) for x in X])


def make(objective: str = "reconstruction", **options: Any) -> RNNEncoder:
    settings = {"hidden_size": 6, "max_iter": 3, "tol": None, "random_state": 0, **options}
    return RNNEncoder("gru", objective=objective, **settings)


@pytest.fixture(params=OBJECTIVES)
def objective(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize(
    "options", [{}, {"bidirectional": True, "pooling": "attention", "early_stopping": True}], ids=str
)
def test_with_a_target_it_is_the_network_that_predicts_it(options: dict[str, Any]) -> None:
    X, y = ragged()
    common = {"hidden_size": 6, "max_iter": 3, "tol": None, "random_state": 0, **options}
    for objective, target, kind in (
        ("classification", np.array(["no", "yes"])[y], RNNClassifier),
        ("classification", np.arange(40) % 3, RNNClassifier),
        ("classification", np.eye(3, dtype=int)[np.arange(40) % 3], RNNClassifier),
        ("regression", [x.sum() for x in X], RNNRegressor),
        ("regression", [x[0] for x in X], RNNRegressor),
    ):
        model, encoder = kind("gru", **common).fit(X, target), make(objective, **options).fit(X, target)
        assert encoder.weights_.keys() == model.weights_.keys()
        for name, array in model.weights_.items():
            assert_same_bits(encoder.weights_[name], array, name)
        assert encoder.loss_curve_ == model.loss_curve_
        assert encoder.n_outputs_ == model.n_outputs_
        assert_same_bits(encoder.transform(X), model._run_network(X, "features"))


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both ways"])
def test_features_of_a_sequence_depend_on_no_other(pooling: str, bidirectional: bool, dtype: str) -> None:
    X, _ = ragged(shortest=1)
    encoder = make(pooling=pooling, bidirectional=bidirectional, num_layers=2, dtype=dtype).fit(X)
    features = encoder.transform(X)
    assert features.shape == (40, 12 if bidirectional else 6)
    assert features.dtype == dtype
    for row, x in enumerate(X):
        assert_same_bits(encoder.transform([x])[0], features[row])
    grid = np.full((40, 15, 2), np.nan)
    for row, x in zip(grid, X, strict=True):
        row[: len(x)] = x
    assert_same_bits(encoder.transform(grid), features)
    with threads(3):
        assert_same_bits(
            make(pooling=pooling, bidirectional=bidirectional, num_layers=2, dtype=dtype).fit(X).transform(X), features
        )


@pytest.mark.parametrize("objective", ALONE)
def test_a_target_that_is_not_asked_for_is_ignored(objective: str) -> None:
    X, y = ragged()
    want = make(objective).fit(X).transform(X)
    assert_same_bits(make(objective).fit(X, y).transform(X), want)
    assert_same_bits(make(objective).fit_transform(X, ["nonsense"]), want)
    encoder = make(objective, early_stopping=True, max_iter=6).fit(X, X_val=X[:10], y_val=y[:3])
    assert_same_bits(
        make(objective, early_stopping=True, max_iter=6).fit(X, X_val=X[:10]).transform(X), encoder.transform(X)
    )
    assert len(encoder.validation_loss_curve_) == 6
    held_out = make(objective, early_stopping=True, max_iter=6).fit(X)
    assert len(held_out.validation_loss_curve_) == 6
    assert held_out.best_loss_ == min(held_out.validation_loss_curve_)


@pytest.mark.parametrize("objective", ALONE)
@pytest.mark.parametrize("tokens", [False, True], ids=["numbers", "tokens"])
def test_a_weight_is_a_number_of_copies(objective: str, tokens: bool) -> None:
    """Of sequences of different lengths, too."""
    X, _ = ragged(20)
    if tokens:
        X = [np.digitize(x[:, 0], [-1, 0, 1]) for x in X]
    options: dict[str, Any] = {"batch_size": 1000, "dtype": "float64", "max_iter": 15, "learning_rate_init": 0.02}
    options["embedding_dim"] = 3 if tokens else None
    weight = np.random.default_rng(1).integers(0, 4, 20)
    copies = [X[row] for row in np.repeat(np.arange(20), weight)]
    weighted = make(objective, **options).fit(X, sample_weight=weight)
    repeated = make(objective, **options).fit(copies)
    # Sums in another order, over 15 steps in float64.
    np.testing.assert_allclose(weighted.transform(X), repeated.transform(X), rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-9)
    assert not np.allclose(weighted.transform(X), make(objective, **options).fit(X).transform(X), atol=1e-3)
    small = {**options, "batch_size": 4}
    left_out = make(objective, **small).fit([X[row] for row in np.flatnonzero(weight)])
    assert_same_bits(make(objective, **small).fit(X, sample_weight=weight > 0).transform(X), left_out.transform(X))


def test_sequences_of_one_step_have_no_next() -> None:
    X, _ = ragged()
    one = np.ones((1, 2))
    encoder = make("next_step").fit([*X[:20], one, *X[20:], one], X_val=[one, *X[:5]])
    assert_same_bits(encoder.transform(X), make("next_step").fit(X).transform(X))
    assert encoder.validation_loss_curve_ == make("next_step").fit(X, X_val=X[:5]).validation_loss_curve_
    assert encoder.transform([one]).shape == (1, 6)
    assert encoder.n_timesteps_seen_[0] == 2
    with pytest.raises(ValueError, match=r"objective='next_step'.*all sequences of X are of one time step"):
        make("next_step").fit([one, one])
    with pytest.raises(ValueError, match="all sequences of X_val are of one time step"):
        make("next_step").fit(X, X_val=[one, one])
    with pytest.raises(ValueError, match="all sequences of X that have a weight are of one time step"):
        make("next_step").fit([one, X[0]], sample_weight=[1, 0])
    assert make().fit([one, one]).transform([one]).shape == (1, 6), "one step can be written down"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "next_step", "bidirectional": True}, "objective='next_step' goes with bidirectional=False"),
        ({"objective": "next_step", "pooling": "attention"}, "does not go with pooling='attention'"),
        ({"objective": "autoencoder"}, "'objective' parameter of RNNEncoder must be.*'reconstruction', 'next_step'"),
        ({"objective": None}, "'objective' parameter"),
        ({"bidirectional": True, "tbptt_steps": 3}, "tbptt_steps goes with bidirectional=False"),
        ({"objective": "regression"}, "requires y to be passed"),
        ({"objective": "classification"}, "requires y to be passed"),
    ],
    ids=str,
)
def test_what_cannot_be_learned(options: dict[str, Any], message: str) -> None:
    X, _ = ragged()
    with pytest.raises(ValueError, match=message):
        make(**options).fit(X)


def test_errors_name_what_is_wrong(objective: str) -> None:
    X, y = ragged()
    with pytest.raises(NotFittedError):
        make(objective).transform(X)
    with pytest.raises(NotFittedError):
        make(objective).get_feature_names_out()
    encoder = make(objective).fit(X, y)
    with pytest.raises(ValueError, match="X has 1 features, but RNNEncoder is expecting 2 features"):
        encoder.transform([x[:, :1] for x in X])
    if objective != "classification":
        with pytest.raises(ValueError, match="classes is for objective='classification'"):
            encoder.partial_fit(X, y, classes=[0, 1])
    if objective in ALONE:
        with pytest.raises(ValueError, match="y_val is provided, but X_val was not"):
            encoder.fit(X, y_val=y)


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "dropout": 0.4, "tbptt_steps": 3, "zoneout": 0.1}], ids=str)
def test_twice_half_is_the_whole(objective: str, options: dict[str, Any]) -> None:
    """With warm starts and with partial fits, through a pickle."""
    X, y = ragged()
    whole = make(objective, max_iter=4, **options).fit(X, y)
    half = make(objective, max_iter=2, warm_start=True, **options).fit(X, y)
    half = pickle.loads(pickle.dumps(half)).fit(X, y)
    parts = make(objective, **options)
    for _ in range(4):
        parts = copy.deepcopy(parts).partial_fit(X, y)
    for other in (half, parts):
        assert other.loss_curve_ == whole.loss_curve_
        assert_same_bits(other.transform(X), whole.transform(X))
    other = OBJECTIVES[OBJECTIVES.index(objective) - 1]
    with pytest.raises(ValueError, match=f"its objective was '{objective}', now '{other}'"):
        half.set_params(objective=other).fit(X, y)
    assert_same_bits(half.transform(X), whole.transform(X), "as it was")
    assert half.set_params(warm_start=False).fit(X, y).n_iter_ == 2


def test_classes_of_a_first_part() -> None:
    X, y = ragged()
    encoder = make("classification").partial_fit(X, y, classes=[0, 1, 2])
    assert encoder.n_outputs_ == 3
    assert make("classification").partial_fit(X, y).n_outputs_ == 1
    with pytest.raises(ValueError, match="not the same as on last call"):
        encoder.partial_fit(X, y, classes=[0, 1])


def test_tokens() -> None:
    rng = np.random.default_rng(0)
    X = [rng.integers(0, 6, int(t)) for t in rng.integers(2, 8, 40)]
    for objective in ALONE:
        encoder = make(objective, embedding_dim=3, padding_idx=6).fit(X)
        assert encoder.n_outputs_ == 7
        assert encoder.weights_["embedding.weight"].shape == (7, 3)
        features = encoder.transform(X)
        table = np.full((40, 9), 6)
        for row, x in zip(table, X, strict=True):
            row[: len(x)] = x
        assert_same_bits(encoder.transform(table), features)
        assert_same_bits(pickle.loads(pickle.dumps(encoder)).transform(X), features)
        with pytest.raises(ValueError, match=r"Tokens must be in the range \[0, 7\)"):
            encoder.transform([[7]])
        assert make(objective, embedding_dim=3).fit(X, X_val=[[3, 11]]).n_outputs_ == 12


def test_it_learns_to_write_down_what_it_has_read() -> None:
    """All 27 words of three letters: guessing costs log(3) a letter; only who keeps all of them gets below."""
    X = np.stack(np.meshgrid([0, 1, 2], [0, 1, 2], [0, 1, 2]), axis=-1).reshape(-1, 3)
    options: dict[str, Any] = {"hidden_size": 24, "embedding_dim": 4, "max_iter": 150, "learning_rate_init": 0.02}
    assert make(**options).fit(X).loss_ < 0.02


def test_it_learns_what_comes_next() -> None:
    """Rounds of one, two or three counted letters: after the first of them all is certain."""
    X = [np.resize(word, 6) for word in ([0, 1, 2, 3], [1, 0], [2, 0, 3], [3, 1, 2])]
    model = make("next_step", hidden_size=16, embedding_dim=4, max_iter=150, learning_rate_init=0.02).fit(X * 4)
    assert model.loss_ < 0.02


# ---------------------------------------------------------------------------------------------------------------------
# In company
# ---------------------------------------------------------------------------------------------------------------------


def test_names_and_frames(objective: str) -> None:
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    X, y = ragged()
    encoder = make(objective).fit(X, y)
    names = [f"rnnencoder{k}" for k in range(6)]
    assert list(encoder.get_feature_names_out()) == names
    features = encoder.transform(X)
    for library in (pandas, polars):
        frame = encoder.set_output(transform=library.__name__).transform(X)
        assert isinstance(frame, library.DataFrame)
        assert list(frame.columns) == names
        assert_same_bits(frame.to_numpy(), features)


def test_in_pipelines_grids_and_unions(objective: str) -> None:
    X, y = ragged()
    classifier = LogisticRegression(solver="newton-cg")  # without warnings with all versions of SciPy
    model = Pipeline([("encode", make(objective)), ("clf", classifier)])
    assert model.fit(X, y).predict(X).shape == (40,)
    features = make(objective).fit_transform(X, y)
    assert_same_bits(model.predict_proba(X), clone(classifier).fit(features, y).predict_proba(features))
    search = GridSearchCV(model, {"encode__hidden_size": [2, 4]}, cv=2).fit(X, y)
    assert search.best_estimator_["encode"].transform(X).shape[1] == search.best_params_["encode__hidden_size"]
    union = FeatureUnion([("short", make(objective, hidden_size=2)), ("long", make(objective))]).fit(X, y)
    assert union.transform(X).shape == (40, 8)
    assert union.get_feature_names_out()[0] == "short__rnnencoder0"


def test_clones_and_tags(objective: str) -> None:
    X, y = ragged()
    encoder = make(objective, callbacks=None, dtype="float64").fit(X, y)
    assert_same_bits(clone(encoder).fit(X, y).transform(X), encoder.transform(X))
    tags = encoder.__sklearn_tags__()
    assert tags.target_tags.required == (objective not in ALONE)
    assert tags.transformer_tags.preserves_dtype == ["float64"]
    assert tags.input_tags.three_d_array
    assert "RNNEncoder" in repr(make(objective, dtype="float16")), "what is wrong is said in fit, not here"


def test_an_epoch_can_be_heard(objective: str) -> None:
    """Callbacks see the encoder itself, and can use it as it is."""
    X, y = ragged()
    seen = []

    class Listener:
        def setup(self, estimator: Any, context: Any) -> None:
            pass

        def teardown(self, estimator: Any, context: Any) -> None:
            pass

        def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
            pass

        def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Callable[[], Any] | Any) -> None:
            if context.task_name == "epoch":
                seen.append(fitted_estimator.transform(X))

    encoder = make(objective, callbacks=[Listener()]).fit(X, y)
    assert len(seen) == 3
    assert_same_bits(seen[-1], encoder.transform(X))
