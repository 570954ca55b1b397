"""Tokenizer: text to integers and back, in an order that depends on nothing but the text."""

from __future__ import annotations

import pickle
import random
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils import estimator_checks, get_tags

from skrnn import RNNClassifier
from skrnn.preprocessing import Stepwise, Tokenizer, pad_sequences

TEXTS = ["the cat sat on the mat", "the dog sat", "A cat!"]


def lists(sequences: Any) -> Any:
    assert isinstance(sequences, list)
    assert all(s.dtype == np.int64 and s.ndim == 1 for s in sequences)
    return [s.tolist() for s in sequences]


def test_order_is_by_frequency_then_alphabetical() -> None:
    tokenizer = Tokenizer().fit(TEXTS)
    names = ["<pad>", "<unk>", "the", "cat", "sat", "!", "A", "dog", "mat", "on"]
    assert tokenizer.get_feature_names_out().tolist() == names
    assert tokenizer.vocabulary_ == {name: k for k, name in enumerate(names)}
    assert tokenizer.get_feature_names_out().dtype == object
    for seed in range(5):
        texts = random.Random(seed).sample(TEXTS, len(TEXTS))
        assert list(Tokenizer().fit(texts).vocabulary_) == names


def test_transform() -> None:
    tokenizer = Tokenizer()
    assert lists(tokenizer.fit_transform(TEXTS)) == [[2, 3, 4, 9, 2, 8], [2, 7, 4], [6, 3, 5]]
    assert lists(tokenizer.transform(["the bird sat", ""])) == [[2, 1, 4], []]
    assert tokenizer.inverse_transform([[2, 1, 4, 0, 0], np.array([], dtype=int)]) == ["the <unk> sat", ""]
    padded = pad_sequences(tokenizer.transform(TEXTS))
    assert padded.dtype == np.int64
    assert tokenizer.inverse_transform(padded) == ["the cat sat on the mat", "the dog sat", "A cat !"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't stop -- it's 3.5!", ["Don't", "stop", "-", "-", "it's", "3", ".", "5", "!"]),
        ("l\u2019\u00e9t\u00e9 'quoted' x_1", ["l\u2019\u00e9t\u00e9", "'", "quoted", "'", "x_1"]),
        ("nai\u0308ve\tna\u00efve", ["nai\u0308ve", "na\u00efve"]),
        # Hindi, whose vowels are combining marks
        ("\u0939\u093f\u0928\u094d\u0926\u0940 \u092e\u0947", ["\u0939\u093f\u0928\u094d\u0926\u0940", "\u092e\u0947"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    tokenizer = Tokenizer().fit([text])
    names = tokenizer.get_feature_names_out()
    assert [names[k] for k in tokenizer.transform([text])[0]] == words


def test_characters_lose_nothing() -> None:
    texts = ["To be, or\nnot ", "\U0001f600 na\u00efve"]
    tokenizer = Tokenizer("char")
    assert tokenizer.inverse_transform(tokenizer.fit_transform(texts)) == texts
    assert lists(Tokenizer("char", lowercase=True).fit_transform(["aAb"])) == [[2, 2, 3]]


def test_limits_of_the_vocabulary() -> None:
    assert list(Tokenizer(min_frequency=2).fit(TEXTS).vocabulary_) == ["<pad>", "<unk>", "the", "cat", "sat"]
    assert list(Tokenizer(max_size=4).fit(TEXTS).vocabulary_) == ["<pad>", "<unk>", "the", "cat"]
    assert list(Tokenizer(max_size=4, min_frequency=3).fit(TEXTS).vocabulary_) == ["<pad>", "<unk>", "the"]
    with pytest.raises(ValueError, match="max_size must leave room beside the 2 special tokens"):
        Tokenizer(max_size=2).fit(TEXTS)


def test_special_tokens() -> None:
    tokenizer = Tokenizer("char", begin="<s>", end="</s>")
    assert lists(tokenizer.fit_transform(["ab", ""])) == [[2, 4, 5, 3], [2, 3]]
    assert list(tokenizer.vocabulary_) == ["<pad>", "<unk>", "<s>", "</s>", "a", "b"]
    assert tokenizer.inverse_transform([[2, 5, 3, 0]]) == ["b"]
    assert lists(Tokenizer("char", end="</s>", unknown=None).fit_transform(["ab"])) == [[2, 3, 1]]
    with pytest.raises(ValueError, match="must be different tokens"):
        Tokenizer(begin="|", end="|").fit(TEXTS)


def test_unknown_tokens_may_be_errors() -> None:
    tokenizer = Tokenizer(unknown=None, begin="^").fit(TEXTS)
    with pytest.raises(ValueError, match=r"Token 'bird' at X\[1\], position 1, must be among the 8 tokens"):
        tokenizer.transform(["the cat", "the bird"])


@pytest.mark.parametrize(
    ("tokenizer", "texts", "text"),
    [
        (
            Tokenizer("char", padding="_"),
            ["ab", "a_b"],
            r"padding must .* got '_', which is in X\[1\] at position 1",
        ),
        (Tokenizer(None), [["a", "<pad>"]], r"padding must be .* got '<pad>', which is in X\[0\] at position 1"),
        (Tokenizer(begin="^"), ["x ^"], r"begin must be .* got '\^', which is in X\[0\] at position 1"),
        (Tokenizer("char", end="$", unknown=None), ["$"], r"end must be .* got '\$', which is in X\[0\] at position 0"),
    ],
)
def test_texts_hold_no_special_token(tokenizer: Tokenizer, texts: Any, text: str) -> None:
    for fit in (tokenizer.fit, tokenizer.fit_transform):
        with pytest.raises(ValueError, match=text):
            fit(texts)
        assert not hasattr(tokenizer, "vocabulary_")


def test_special_tokens_met_later_are_unknown() -> None:
    tokenizer = Tokenizer("char", padding="_", begin="^", end="$").fit(["ab"])
    assert lists(tokenizer.transform(["a_b^$"])) == [[2, 4, 1, 5, 1, 1, 3]]
    strict = Tokenizer("char", padding="_", unknown=None).fit(["ab"])
    with pytest.raises(ValueError, match=r"Token '_' at X\[0\], position 1, must be among the 2 tokens"):
        strict.transform(["a_b"])


def test_the_name_of_the_unknown_token_is_the_unknown_token() -> None:
    """Corpora come with it."""
    tokenizer = Tokenizer(None)
    assert lists(tokenizer.fit_transform([["a", "<unk>"]])) == [[2, 1]]
    assert lists(tokenizer.transform([["<unk>", "a", "b"]])) == [[1, 2, 1]]


def test_a_fit_that_fails_leaves_the_vocabulary() -> None:
    tokenizer = Tokenizer(unknown=None, min_frequency=2)
    with pytest.raises(ValueError, match="because unknown=None"):
        tokenizer.fit_transform(["a a b"])
    assert not hasattr(tokenizer, "vocabulary_")
    before = tokenizer.fit(["a a b"]).vocabulary_
    with pytest.raises(ValueError, match="because unknown=None"):
        tokenizer.fit_transform(["c c d"])
    assert tokenizer.vocabulary_ is before


def split_at_commas(text: str) -> list[str]:
    return text.split(",")


def test_callables_and_lists_of_tokens() -> None:
    tokenizer = Tokenizer(split_at_commas, lowercase=True)
    assert lists(tokenizer.fit_transform(["New York,Oslo", "oslo"])) == [[3, 2], [2]]
    assert tokenizer.inverse_transform([[3, 2, 0]]) == [["new york", "oslo"]]
    assert pickle.loads(pickle.dumps(tokenizer)).vocabulary_ == tokenizer.vocabulary_
    ready = Tokenizer(level=None)
    assert lists(ready.fit_transform([["New York", "Oslo"], ("Oslo",), np.array(["Rome"])])) == [[3, 2], [2], [4]]
    assert ready.inverse_transform([[3, 2]]) == [["New York", "Oslo"]]


@pytest.mark.parametrize("library", ["numpy", "pandas", "polars"])
def test_forms_of_a_list_of_texts(library: str) -> None:
    module = pytest.importorskip(library)
    make = {"numpy": "array", "pandas": "Series", "polars": "Series"}[library]
    X = getattr(module, make)(TEXTS)
    assert lists(Tokenizer().fit_transform(X)) == lists(Tokenizer().fit_transform(TEXTS))
    assert lists(Tokenizer().fit_transform(tuple(TEXTS))) == lists(Tokenizer().fit_transform(TEXTS))


@pytest.mark.parametrize(
    ("tokenizer", "X", "text"),
    [
        (Tokenizer(), "one text", r"X must be a list of texts, got str: 'one text'"),
        (Tokenizer(), 3, "X must be a list of texts, got int"),
        (Tokenizer(), {"a": 1}, "X must be a list of texts, got dict"),
        (Tokenizer(), np.array([["a"]]), r"X must be a list of texts"),
        (Tokenizer(), ["a", 3], r"X\[1\] must be a str, got int: 3"),
        (Tokenizer(), [["a", "b"]], r"X\[0\] must be a str, got list.*level=None"),
        (Tokenizer(None), ["a b"], r"X\[0\] must be a list of tokens, as level=None says, got 'a b'"),
        (Tokenizer(None), [["a", 3]], r"Tokens must be str, got 3 of type int in X\[0\]"),
        (Tokenizer(), [], r"at least one token, got 0 text"),
        (Tokenizer(), ["", "  "], r"at least one token, got 2 text"),
        (Tokenizer("sentence"), TEXTS, "The 'level' parameter of Tokenizer must be .*Got 'sentence'"),
        (Tokenizer(min_frequency=0), TEXTS, "The 'min_frequency' parameter of Tokenizer must be an int"),
    ],
)
def test_bad_input(tokenizer: Tokenizer, X: Any, text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text):
        tokenizer.fit(X)


def test_bad_sequences() -> None:
    tokenizer = Tokenizer().fit(TEXTS)
    for bad in (10, -1):
        with pytest.raises(ValueError, match=rf"X\[1\]\[0\] must be in the range \[0, 10\) .*got {bad}"):
            tokenizer.inverse_transform([[2], [bad]])
    with pytest.raises(ValueError, match=r"X\[0\] must be a 1-D array of integers, got .* float64"):
        tokenizer.inverse_transform([[0.5]])
    with pytest.raises(NotFittedError):
        Tokenizer().transform(TEXTS)


def test_scikit_learn_checks() -> None:
    """Those that need no table; of an estimator that reads text, scikit-learn's suite runs hardly any."""
    tokenizer = Tokenizer("char", end="$")
    tags = get_tags(tokenizer)
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array
    for name in (
        "check_do_not_raise_errors_in_init_or_set_params",
        "check_estimator_cloneable",
        "check_estimator_repr",
        "check_get_params_invariance",
        "check_mixin_order",
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
        "check_set_params",
        "check_valid_tag_types",
    ):
        getattr(estimator_checks, name)("Tokenizer", clone(tokenizer))
    before = dict(vars(tokenizer))
    tokenizer.fit(TEXTS)
    assert {name: value for name, value in vars(tokenizer).items() if name in before} == before
    assert {name for name in vars(tokenizer) if name not in before and name[0] != "_"} == {"vocabulary_"}
    assert pickle.loads(pickle.dumps(tokenizer)).vocabulary_ == tokenizer.vocabulary_
    assert lists(tokenizer.transform(TEXTS)) == lists(clone(tokenizer).fit_transform(TEXTS))


@pytest.mark.parametrize(
    "changed", [{"begin": "<s>"}, {"begin": "be"}, {"end": None}, {"padding": "P"}, {"unknown": "?"}, {"unknown": None}]
)
def test_names_of_special_tokens_count_from_the_next_fit_on(changed: dict[str, Any]) -> None:
    tokenizer = Tokenizer(end="</s>").fit(TEXTS)
    tokens, texts = tokenizer.transform([*TEXTS, "zebra </s>"]), tokenizer.inverse_transform([[0, 1, 2, 3]])
    tokenizer.set_params(**changed)
    assert lists(tokenizer.transform([*TEXTS, "zebra </s>"])) == lists(tokens)
    assert tokenizer.inverse_transform([[0, 1, 2, 3]]) == texts


def test_in_a_pipeline_from_text_to_label() -> None:
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("abc"), rng.integers(2, 7))) for _ in range(60)]
    labels = ["vowel" if text[-1] == "a" else "consonant" for text in texts]
    pipeline = make_pipeline(
        Tokenizer("char"),
        Stepwise(OneHotEncoder(handle_unknown="ignore")),
        RNNClassifier("gru", hidden_size=8, max_iter=30, tol=None, learning_rate_init=0.02, random_state=0),
    )
    assert cross_val_score(pipeline, texts, labels, cv=2).min() > 0.9
    assert len(pipeline.fit(texts, labels).predict(["new letters", "a"])) == 2
