"""Metrics of sequences against their definitions, written out; scorers inside scikit-learn's tools."""

from __future__ import annotations

import doctest
import importlib
import math
import pickle
from functools import cache
from typing import Any, Self

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import make_scorer, mean_pinball_loss, mean_squared_error, r2_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score

import skrnn.metrics
from cases import Array
from skrnn import metrics

NAN = np.nan


def padded(sequences: list[Any], fill: Any, dtype: Any = None) -> Array:
    longest = max(map(len, sequences))
    return np.array([[*sequence, *[fill] * (longest - len(sequence))] for sequence in sequences], dtype=dtype)


# ---------------------------------------------------------------------------------------------------------------------
# Step by step
# ---------------------------------------------------------------------------------------------------------------------

TRUE, PRED = [[1, 2, 2], [0], [], [2, 1]], [[1, 0, 2], [0], [], [1, 1]]
MASK = padded([[True] * len(t) for t in TRUE], False)


def forms() -> list[tuple[str, Any, Any, dict[str, Any]]]:
    words = [[f"w{label}" for label in t] for t in TRUE], [[f"w{label}" for label in t] for t in PRED]
    holes = np.zeros(4, dtype=object)
    holes[:] = [np.array(t) for t in TRUE]
    return [
        ("lists", TRUE, PRED, {}),
        ("arrays", [np.array(t) for t in TRUE], [np.array(t) for t in PRED], {}),
        ("array of arrays", holes, PRED, {}),
        ("strings", *words, {}),
        ("padding", padded(TRUE, -1), padded(PRED, 7), {"padding": -1}),
        ("padded truth alone", padded(TRUE, -1), PRED, {"padding": -1}),
        ("mask", padded(TRUE, 1), padded(PRED, 1), {"mask": MASK}),
        ("NaN", padded(TRUE, NAN), padded(PRED, NAN), {}),
        ("None", padded(words[0], None, object), padded(words[1], "w0", object), {}),
    ]


@pytest.mark.parametrize(("true", "pred", "options"), [f[1:] for f in forms()], ids=[f[0] for f in forms()])
def test_accuracies_in_every_form(true: Any, pred: Any, options: dict[str, Any]) -> None:
    assert metrics.token_accuracy(true, pred, **options) == 4 / 6
    assert metrics.sequence_accuracy(true, pred, **options) == 2 / 4
    weight = [1.0, 2.0, 3.0, 4.0]
    assert metrics.token_accuracy(true, pred, sample_weight=weight, **options) == pytest.approx(
        (2 + 2 + 4) / (3 + 2 + 8)
    )
    assert metrics.sequence_accuracy(true, pred, sample_weight=weight, **options) == pytest.approx((2 + 3) / 10)


def test_a_mask_is_no_matter_of_ends_alone() -> None:
    mask = np.array([[True, False, True], [False, True, True]])
    true, pred = np.array([[0, 1, 0], [1, 1, 1]]), np.array([[0, 0, 0], [0, 1, 0]])
    assert metrics.token_accuracy(true, pred, mask=mask) == 3 / 4
    assert metrics.sequence_accuracy(true, pred, mask=mask) == 1 / 2


def test_a_sequence_of_another_length_is_wrong() -> None:
    assert metrics.sequence_accuracy([[1, 2], [3], [4]], [[1], [3, 3], [4]]) == 1 / 3
    assert metrics.sequence_accuracy([["a"], []], [["a"], []]) == 1.0


def test_regression_is_that_of_all_steps(rng: np.random.Generator) -> None:
    for shape in ((), (2,)):
        true = [rng.normal(size=(n, *shape)) for n in (3, 1, 0, 5)]
        pred = [t + rng.normal(size=t.shape) for t in true]
        weight = np.array([1.0, 2.0, 5.0, 0.5])
        flat_true, flat_pred = np.concatenate(true), np.concatenate(pred)
        by_step = np.repeat(weight, [len(t) for t in true])
        wide_true, wide_pred = (np.full((4, 5, *shape), fill) for fill in (NAN, 100.0))
        for row, (t, p) in enumerate(zip(true, pred, strict=True)):
            wide_true[row, : len(t)], wide_pred[row, : len(t)] = t, p
        for ours, theirs in ((metrics.masked_mean_squared_error, mean_squared_error), (metrics.masked_r2, r2_score)):
            for got_true, got_pred in ((true, pred), (wide_true, wide_pred), (wide_true, pred)):
                assert ours(got_true, got_pred) == theirs(flat_true, flat_pred)
                want = theirs(flat_true, flat_pred, sample_weight=by_step)
                assert ours(got_true, got_pred, sample_weight=weight) == want
                raw = ours(got_true, got_pred, multioutput="raw_values")
                np.testing.assert_array_equal(raw, theirs(flat_true, flat_pred, multioutput="raw_values"))
    # one output of two missing is no padding: scikit-learn says what it thinks of NaN
    with pytest.raises(ValueError, match="NaN"):
        metrics.masked_r2([[[1.0, NAN], [2.0, 1.0]]], [[[1.0, 1.0], [2.0, 1.0]]])


def test_perplexity(rng: np.random.Generator) -> None:
    proba = [rng.dirichlet(np.ones(5), size=n) for n in (3, 0, 4)]
    tokens = [rng.integers(5, size=n) for n in (3, 0, 4)]
    log_proba = [np.log(p) for p in proba]
    came = [p[range(len(t)), t] for p, t in zip(proba, tokens, strict=True)]
    assert metrics.perplexity(tokens, log_proba) == pytest.approx(np.prod(np.concatenate(came)) ** (-1 / 7))
    weighted = np.exp(-(2 * np.log(came[0]).sum() + 0.5 * np.log(came[2]).sum()) / (2 * 3 + 0.5 * 4))
    assert metrics.perplexity(tokens, log_proba, sample_weight=[2, 9, 0.5]) == pytest.approx(weighted)
    cube = np.full((3, 4, 5), NAN)
    for row, rows in enumerate(log_proba):
        cube[row, : len(rows)] = rows
    want = metrics.perplexity(tokens, log_proba)
    assert metrics.perplexity(padded(tokens, -1), cube, padding=-1) == want
    assert metrics.perplexity(padded(tokens, 0), cube, mask=padded([[True] * len(t) for t in tokens], False)) == want
    impossible = np.array([[0.0, -700.0, -np.inf], [0.0, -700.0, -60.0]])
    assert metrics.perplexity([[0, 0]], [impossible]) == 1.0
    assert metrics.perplexity([[2, 0]], [impossible]) == math.inf
    assert metrics.perplexity([[2], [0]], [impossible[:1], impossible[:1]], sample_weight=[0, 1]) == 1.0
    certain_wrong = [np.full((1, 2), -2000.0)]
    assert metrics.perplexity([[0]], certain_wrong) == math.inf  # without a warning


def test_step_errors_name_the_argument() -> None:
    accuracy = metrics.token_accuracy
    cases: list[tuple[Any, type[Exception], str]] = [
        (lambda: accuracy([[1]], [[1], [2]]), ValueError, "y_pred must hold as many sequences as y_true, 1, got 2"),
        (lambda: accuracy([[1], [2, 3]], [[1], [2]]), ValueError, r"y_pred\[1\] has 1 steps, but y_true\[1\] has 2"),
        (lambda: accuracy([1, 2], [[1], [2]]), ValueError, r"y_true\[0\] is the scalar 1"),
        (lambda: accuracy(["ab"], ["ab"]), TypeError, r"y_true\[0\] is a string"),
        (lambda: accuracy("ab", "ab"), TypeError, "y_true must be a list of sequences or an array, got str"),
        (lambda: accuracy(3, 3), TypeError, "y_true must be a list of sequences or an array, got int"),
        (lambda: accuracy([], []), ValueError, "y_true must hold at least one sequence, got 0"),
        (lambda: accuracy([[]], [[]]), ValueError, "at least one step that counts, got 0"),
        (lambda: accuracy([[1]], [[1]], mask=[[1]]), TypeError, r"mask\[0\] must be of bool"),
        (
            lambda: accuracy([[1]], [[1]], mask=[[True, True]]),
            ValueError,
            r"mask\[0\] must have shape \(1,\) like y_true",
        ),
        (
            lambda: accuracy([[1]], [[1]], mask=[[True]] * 2),
            ValueError,
            "mask must hold as many sequences as y_true",
        ),
        (lambda: accuracy([[1, 1]], [[1, 1]], sample_weight=[1, 1]), ValueError, "each of the 1 sequences, got shape"),
        (lambda: metrics.perplexity([[5]], [[[0.0]]]), ValueError, r"y_true\[0\] must hold columns.* 0 to 0, got 5"),
        (lambda: metrics.perplexity([[-1]], [[[0.0]]]), ValueError, r"got -1; name the token that marks padding"),
        (lambda: metrics.perplexity([[0]], [[0.0]]), ValueError, r"log_proba\[0\] must have shape"),
        (lambda: metrics.perplexity([[0]], [[[0.7, 0.3]]]), ValueError, r"must hold logarithms of probabilities.*0.7"),
        (lambda: metrics.perplexity([["a"]], [[[0.0]]]), TypeError, r"y_true\[0\] must be of int"),
    ]
    for call, kind, message in cases:
        with pytest.raises(kind, match=message):
            call()


# ---------------------------------------------------------------------------------------------------------------------
# Spans
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("", []),
        ("O O", []),
        ("B-X", [(0, 1, "X")]),
        ("B-X I-X O", [(0, 2, "X")]),
        ("B-X B-X I-X", [(0, 1, "X"), (1, 3, "X")]),
        ("B-X I-Y", [(0, 1, "X"), (1, 2, "Y")]),  # another type is another span
        ("O I-X I-X B-X", [(1, 3, "X"), (3, 4, "X")]),  # IOB1
        ("B-X O I-X", [(0, 1, "X"), (2, 3, "X")]),
        ("B I O B", [(0, 2, ""), (3, 4, "")]),
        ("B-a-b I-a-b", [(0, 2, "a-b")]),
    ],
)
def test_extract_spans(tags: str, spans: list[tuple[int, int, str]]) -> None:
    assert metrics.extract_spans(tags.split()) == spans


def test_span_scores() -> None:
    true = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-ORG", "O"], ["O"]]
    pred = [["B-PER", "I-PER", "O", "B-ORG"], ["B-LOC", "B-ORG", "I-ORG"], ["O"]]
    # right: PER at 0-2. Wrong type: LOC as ORG. Wrong end: ORG. Made up: LOC.
    assert metrics.span_precision_recall_f1(true, pred) == (1 / 4, 1 / 3, 2 / 7)
    assert metrics.span_f1(true, pred) == 2 / 7
    by_type = metrics.span_precision_recall_f1(true, pred, average=None)
    assert by_type == {"LOC": (0.0, 0.0, 0.0), "ORG": (0.0, 0.0, 0.0), "PER": (1.0, 1.0, 1.0)}
    assert metrics.span_f1(true, pred, average="macro") == pytest.approx(1 / 3)
    precision, recall, f1 = metrics.span_precision_recall_f1(true, pred, sample_weight=[3, 1, 1])
    assert (precision, recall, f1) == (3 / 8, 3 / 7, 6 / 15)
    wide_true, wide_pred = padded(true, "", object), padded(pred, "O", object)
    assert metrics.span_f1(wide_true, wide_pred, padding="") == 2 / 7
    nothing = [["O", "O"]]
    for average in ("micro", "macro"):
        assert metrics.span_f1(nothing, nothing, average=average) == 0.0
        assert metrics.span_f1(nothing, nothing, average=average, zero_division=1.0) == 1.0


def test_spans_against_all_possible_ones(rng: np.random.Generator) -> None:
    """A span is a beginning, an end and a type; here each triple is asked whether it is one."""

    def is_span(tags: list[str], start: int, stop: int, kind: str) -> bool:
        inside = f"I-{kind}"
        before, after = (tags[start - 1] if start else "O"), (tags[stop] if stop < len(tags) else "O")
        begins = tags[start] == f"B-{kind}" or (tags[start] == inside and before[2:] != kind)
        return begins and all(tag == inside for tag in tags[start + 1 : stop]) and after != inside

    choices = ["O", "B-X", "I-X", "B-Y", "I-Y"]
    for _ in range(200):
        tags = [choices[i] for i in rng.integers(5, size=rng.integers(1, 8))]
        n = len(tags)
        want = [
            (start, stop, kind)
            for start in range(n)
            for stop in range(start + 1, n + 1)
            for kind in "XY"
            if is_span(tags, start, stop, kind)
        ]
        assert metrics.extract_spans(tags) == want


def test_span_errors_name_the_argument() -> None:
    with pytest.raises(ValueError, match=r"y_pred\[0\]: tags must be 'O', 'B'.*got 'E-X' at step 1"):
        metrics.span_f1([["O", "O"]], [["O", "E-X"]])
    with pytest.raises(TypeError, match=r"y_true\[0\]: tags must be strings, got 1 at step 0"):
        metrics.span_f1([[1]], [["O"]])
    with pytest.raises(ValueError, match="average must be one of 'micro', 'macro', got 'weighted'"):
        metrics.span_f1([["O"]], [["O"]], average="weighted")


# ---------------------------------------------------------------------------------------------------------------------
# Edits
# ---------------------------------------------------------------------------------------------------------------------


def plain_distance(a: Any, b: Any) -> int:
    @cache
    def between(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        return min(between(i - 1, j) + 1, between(i, j - 1) + 1, between(i - 1, j - 1) + (a[i - 1] != b[j - 1]))

    return between(len(a), len(b))


def test_edit_distance(rng: np.random.Generator) -> None:
    for _ in range(300):
        a, b = (rng.integers(3, size=rng.integers(0, 9)) for _ in range(2))
        want = plain_distance(a.tolist(), b.tolist())
        assert metrics.edit_distance(a, b) == want
        assert metrics.edit_distance(b.tolist(), tuple(a.tolist())) == want
        assert metrics.edit_distance("".join(map(str, a)), "".join(map(str, b))) == want
    assert metrics.edit_distance("", "") == 0
    assert metrics.edit_distance(["new", "york"], ["york"]) == 1


def test_error_rates() -> None:
    true, pred = ["the cat  sat", "on it", ""], ["the hat sat", "on", "a b"]
    assert metrics.word_error_rate(true, pred) == (1 + 1 + 2) / 5
    assert metrics.word_error_rate([t.split() for t in true], [p.split() for p in pred]) == (1 + 1 + 2) / 5
    assert metrics.word_error_rate(true, pred, sample_weight=[1, 2, 0]) == (1 + 2) / (3 + 4)
    assert metrics.character_error_rate(["kitten", "a b"], ["sitting", "ab"]) == (3 + 1) / 9
    assert metrics.character_error_rate(np.array(["kitten", "a b"]), np.array(["sitting", "ab"])) == (3 + 1) / 9


def test_edit_errors_name_the_argument() -> None:
    with pytest.raises(ValueError, match="y_true must hold words to count errors by, got none"):
        metrics.word_error_rate(["", " "], ["a", "b"])
    with pytest.raises(ValueError, match="y_pred must hold as many texts as y_true, 1, got 2"):
        metrics.word_error_rate(["a"], ["a", "b"])
    with pytest.raises(TypeError, match="y_true must be a list of texts, got str"):
        metrics.character_error_rate("a", "a")
    with pytest.raises(TypeError, match="b must be a string or a sequence of tokens, got int"):
        metrics.edit_distance("a", 3)


# ---------------------------------------------------------------------------------------------------------------------
# Forecasts
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6,), (6, 3)])
def test_mean_pinball(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    levels = [0.05, 0.5, 0.8]
    true, pred, weight = rng.normal(size=shape), rng.normal(size=(*shape, 3)), rng.random(6)
    for sample_weight in (None, weight):
        each = [
            mean_pinball_loss(true, pred[..., i], alpha=level, sample_weight=sample_weight)
            for i, level in enumerate(levels)
        ]
        options: dict[str, Any] = {"quantiles": levels, "sample_weight": sample_weight}
        np.testing.assert_allclose(metrics.mean_pinball(true, pred, multioutput="raw_values", **options), each)
        assert metrics.mean_pinball(true, pred, **options) == pytest.approx(np.mean(each))
    with pytest.raises(ValueError, match=r"y_pred must have shape \(.*3\), the quantiles last, got"):
        metrics.mean_pinball(true, pred[..., :2], quantiles=levels)
    with pytest.raises(ValueError, match=r"quantiles must be in the range \[0, 1\], got \[10.0, 50.0, 90.0\]"):
        metrics.mean_pinball(true, pred, quantiles=[10, 50, 90])


def test_mean_absolute_scaled_error() -> None:
    mase = metrics.mean_absolute_scaled_error
    train = [1.0, 5.0, 2.0, 7.0, 3.0]
    # once a step: |4| |3| |5| |4| -> 4; once in two: |1| |2| |1| -> 4/3
    assert mase([8.0, 4.0], [6.0, 5.0], y_train=train) == pytest.approx(1.5 / 4)
    assert mase([8.0, 4.0], [6.0, 5.0], y_train=train, m=2) == pytest.approx(1.5 * 3 / 4)
    assert mase([8.0, 4.0], [6.0, 5.0], y_train=train, sample_weight=[3, 1]) == pytest.approx((3 * 2 + 1) / 4 / 4)
    # a series in thousands counts as much as one in units
    many = mase([[8.0, 4.0], [1e3]], [[6.0, 5.0], [0.0]], y_train=[train, 1e3 * np.array(train)])
    assert many == pytest.approx((2 / 4 + 1 / 4 + 1 / 4) / 3)
    weighted = mase(
        [[8.0, 4.0], [1e3]], [[6.0, 5.0], [0.0]], y_train=[train, 1e3 * np.array(train)], sample_weight=[1, 2]
    )
    assert weighted == pytest.approx((2 / 4 + 1 / 4 + 2 / 4) / 4)
    table = np.array([[8.0, 4.0]])
    assert mase(table, table - 1, y_train=[train]) == pytest.approx(1 / 4)


def test_forecast_errors_name_the_argument() -> None:
    mase = metrics.mean_absolute_scaled_error
    cases: list[tuple[Any, str]] = [
        (lambda: mase([1.0], [1.0], y_train=[2.0, 2.0, 2.0]), "y_train repeats itself exactly after m=1 steps"),
        (lambda: mase([1.0], [1.0], y_train=[1.0, 2.0], m=2), "y_train must have more steps than a season, m=2, got 2"),
        (lambda: mase([1.0, 2.0], [1.0], y_train=[1.0, 2.0]), r"y_pred must have shape \(2,\) like y_true, got \(1,\)"),
        (lambda: mase([[1.0]], [[1.0]], y_train=[[1.0, 2.0]] * 2), "equally many series, got 1, 1 and 2"),
        (lambda: mase([[1.0]], [[NAN]], y_train=[[1.0, 2.0]]), r"y_pred\[0\] must be finite, got nan"),
        (lambda: mase([1.0], [1.0], y_train=[1.0, 2.0], m=0), "m must be greater than zero, got 0"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message):
            call()


# ---------------------------------------------------------------------------------------------------------------------
# Scorers
# ---------------------------------------------------------------------------------------------------------------------


class Echo(BaseEstimator):
    """Answers each step with what it read there, or, from ``broken_from`` on, with ``wrong``."""

    def __init__(self, broken_from: int = 100, wrong: Any = 9) -> None:
        self.broken_from = broken_from
        self.wrong = wrong

    def fit(self, X: Any, y: Any) -> Self:
        assert len(X) == len(y)
        self.fitted_ = True
        return self

    def predict(self, X: Any) -> Any:
        answers = [[x if t < self.broken_from else self.wrong for t, x in enumerate(row)] for row in X]
        return np.array(answers) if isinstance(X, np.ndarray) else answers


class Tagger(ClassifierMixin, Echo):
    """The same as a classifier of steps, with probabilities."""

    def fit(self, X: Any, y: Any) -> Self:
        self.classes_ = np.unique(np.concatenate([np.asarray(row) for row in y]))
        return super().fit(X, y)

    def predict_log_proba(self, X: Any) -> list[Array]:
        n = len(self.classes_)
        sure = np.log(np.where(np.eye(n) == 1, 0.5, 0.5 / (n - 1)))
        return [np.stack([sure[x if t < self.broken_from else (x + 1) % n] for t, x in enumerate(row)]) for row in X]


LENGTHS = (2, 4, 4, 1, 4, 3, 4, 4, 3)


@pytest.mark.parametrize("kind", [Echo, Tagger])
@pytest.mark.parametrize("form", ["ragged", "array"])
def test_scorers_choose_the_right_model(kind: Any, form: str, rng: np.random.Generator) -> None:
    X: Any = [rng.integers(3, size=n).tolist() for n in LENGTHS]
    if form == "array":
        X = rng.integers(3, size=(9, 4))
    for scorer, perfect in (
        (metrics.token_accuracy_scorer, 1.0),
        (metrics.sequence_accuracy_scorer, 1.0),
        (metrics.masked_r2_scorer, 1.0),
        (metrics.neg_masked_mean_squared_error_scorer, 0.0),
    ):
        search = GridSearchCV(kind(), {"broken_from": [1, 100, 2]}, scoring=scorer, cv=KFold(3)).fit(X, X)
        assert search.best_params_ == {"broken_from": 100}
        assert search.best_score_ == perfect
        assert pickle.loads(pickle.dumps(scorer))(search, X, X) == perfect


def test_scores_of_folds() -> None:
    X = [[0, 1, 1], [1], [0, 1], [1, 1, 1, 0]]
    scores = cross_val_score(Echo(broken_from=1), X, X, cv=2, scoring=metrics.token_accuracy_scorer)
    np.testing.assert_allclose(scores, [2 / 4, 2 / 6])
    scores = cross_val_score(Echo(broken_from=1), X, X, cv=2, scoring=metrics.sequence_accuracy_scorer)
    np.testing.assert_allclose(scores, [1 / 2, 0])


def test_span_and_error_rate_scorers() -> None:
    tags = [["B-X", "I-X", "O"], ["O", "B-Y"], ["B-X", "O", "B-Y"], ["O"]]
    model = Echo(broken_from=1, wrong="O").fit(tags, tags)
    assert metrics.span_f1_scorer(model, tags, tags) == metrics.span_f1(tags, model.predict(tags)) == 2 * 1 / (4 + 2)
    assert metrics.neg_word_error_rate_scorer(model, tags, tags) == -3 / 9
    assert metrics.neg_character_error_rate_scorer(model, tags, tags) == -3 / 9
    options = {"average": "macro"}
    assert make_scorer(metrics.span_f1, **options)(model, tags, tags) == pytest.approx((2 / 4 + 0) / 2)


def test_perplexity_scorer() -> None:
    X = [[0, 1, 2], [2], [0, 1], [1, 2, 0, 0]]
    search = GridSearchCV(Tagger(), {"broken_from": [0, 100]}, scoring=metrics.neg_perplexity_scorer, cv=KFold(2)).fit(
        X, X
    )
    assert search.best_params_ == {"broken_from": 100}
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], [-4.0, -2.0])
    assert metrics.neg_perplexity_scorer(search, X, X, sample_weight=[1, 0, 0, 2]) == pytest.approx(-2.0)


def test_public_names() -> None:
    assert sorted(metrics.__all__, key=lambda name: (not name[0].isupper(), name)) == metrics.__all__
    scorers = {name for name in dir(metrics) if name.endswith("_scorer") and name != "make_scorer"}
    assert scorers <= set(metrics.__all__)
    assert skrnn.metrics is metrics


@pytest.mark.parametrize("module", ["steps", "spans", "edits", "forecasts"])
def test_docstrings(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"skrnn.metrics.{module}"))
    assert result.attempted > 3
    assert result.failed == 0
