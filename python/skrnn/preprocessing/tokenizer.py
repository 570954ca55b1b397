"""From text to sequences of integers, and back."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skrnn._doc_link import DocLinkMixin
from skrnn._fitting import all_or_nothing
from skrnn._params import Booleans, Choices, Constraint, Instances, Integers, check_parameters
from skrnn.preprocessing._output import SetOutputMixin

Array = NDArray[Any]


class Tokenizer(SetOutputMixin, TransformerMixin, DocLinkMixin, BaseEstimator):
    r"""Turn texts into sequences of integers, one for each word or character.

    Parameters
    ----------
    level : {"word", "char"}, callable or None, default="word"
        How a text is cut into tokens. "word": words (letters, digits and underscores of any script with their marks,
        apostrophes inside them) and single signs of punctuation; white space is dropped. "char": characters, white
        space too. A callable gets a text and returns its tokens. None: every text is a list of tokens already.
    lowercase : bool, default=False
        Whether upper and lower case are one.
    min_frequency : int, default=1
        Tokens that ``fit`` saw less often are unknown.
    max_size : int, default=None
        At most so many entries has the vocabulary, those of the special tokens included: the rarest are left out. None
        sets no limit.
    unknown : str or None, default="<unk>"
        Name of the special token that stands for every token that is not in the vocabulary, and for itself where a text
        holds it. With None they are errors.
    padding : str, default="<pad>"
        Name of the special token that pads sequences.
    begin, end : str or None, default=None
        Names of special tokens put before and after every text; None puts none.

    Attributes
    ----------
    vocabulary_ : dict of str to int
        The integer of each token. ``padding`` is 0; then come ``unknown``, ``begin`` and ``end``, as far as there are
        such, and the others by falling frequency, and alphabetically (by code point) where that is equal.

    See Also
    --------
    pad_sequences : Sequences of different lengths as one array.

    Notes
    -----
    Integers are names, not amounts: give them to an estimator with an embedding, or turn them into indicators by
    ``Stepwise(OneHotEncoder(handle_unknown="ignore"))``.

    A network learns nothing of the unknown token unless it meets it in training: a ``min_frequency`` of 2 or more, or
    ``max_size``, sees to that.

    The names of ``padding``, ``begin`` and ``end`` are no tokens of texts. Where one is met, ``fit`` asks for another
    name; to ``transform`` it is a token like any that is not in the vocabulary.

    The special tokens are part of the vocabulary: new names for them count from the next ``fit`` on.

    A text without tokens is a sequence of no steps, which estimators refuse; with ``end`` there is none such.

    Examples
    --------
    >>> from skrnn.preprocessing import Tokenizer
    >>> tokenizer = Tokenizer(lowercase=True)
    >>> tokenizer.fit_transform(["To be, or not to be.", "Let it be!"])
    [array([ 3,  2,  5, 10,  9,  3,  2,  6]), array([8, 7, 2, 4])]
    >>> tokenizer.transform(["Be it so!"])
    [array([2, 7, 1, 4])]
    >>> tokenizer.inverse_transform([[3, 2, 0, 0]])
    ['to be']
    """

    _constraints: ClassVar[Mapping[str, tuple[Constraint, ...]]] = {
        "level": (Choices(("word", "char")), Instances((Callable,)), Instances((type(None),))),  # type: ignore[arg-type]
        "lowercase": (Booleans(),),
        "min_frequency": (Integers(1),),
        "max_size": (Integers(1), Instances((type(None),))),
        "unknown": (Instances((str, type(None))),),
        "padding": (Instances((str,)),),
        "begin": (Instances((str, type(None))),),
        "end": (Instances((str, type(None))),),
    }

    def __init__(
        self,
        level: str | Callable[[str], Iterable[str]] | None = "word",
        *,
        lowercase: bool = False,
        min_frequency: int = 1,
        max_size: int | None = None,
        unknown: str | None = "<unk>",
        padding: str = "<pad>",
        begin: str | None = None,
        end: str | None = None,
    ) -> None:
        self.level = level
        self.lowercase = lowercase
        self.min_frequency = min_frequency
        self.max_size = max_size
        self.unknown = unknown
        self.padding = padding
        self.begin = begin
        self.end = end

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.input_tags.string = True
        return tags

    def fit(self, X: Any, y: Any = None) -> Tokenizer:
        """Learn the vocabulary.

        Parameters
        ----------
        X : list, array or series of str; or of lists of str with ``level=None``
            Texts.
        y : None
            Ignored.

        Returns
        -------
        self : Tokenizer

        Raises
        ------
        TypeError, ValueError
            If a parameter or ``X`` is none such, or if a text holds the name of ``padding``, ``begin`` or ``end``.
        """
        self._learn(self._tokenise(X))
        return self

    def fit_transform(self, X: Any, y: Any = None) -> list[Array]:
        """Learn the vocabulary, and return the sequences.

        Parameters
        ----------
        X : list, array or series of str; or of lists of str with ``level=None``
            Texts.
        y : None
            Ignored.

        Returns
        -------
        sequences : list of int64 arrays (T_i,)
            One for each text.

        Raises
        ------
        TypeError, ValueError
            As by :meth:`fit` and :meth:`transform`.
        """
        with all_or_nothing(self):
            texts = self._tokenise(X)
            self._learn(texts)
            return self._encode(texts)

    def transform(self, X: Any) -> list[Array]:
        """Return the integers of every text.

        Parameters
        ----------
        X : list, array or series of str; or of lists of str with ``level=None``
            Texts.

        Returns
        -------
        sequences : list of int64 arrays (T_i,)
            One for each text.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If ``X`` is none such, or if a token is not in the vocabulary and ``unknown`` is None.
        """
        check_is_fitted(self)
        return self._encode(self._tokenise(X))

    def inverse_transform(self, X: Any) -> list[Any]:
        """Return the texts of sequences.

        Parameters
        ----------
        X : list of int arrays (T_i,), or padded array (n, T)
            Sequences.

        Returns
        -------
        texts : list of str, or of lists of str
            Words joined by blanks, or characters by nothing; the tokens themselves where ``level`` is a callable or
            None. The padding, begin and end tokens are left out.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If a number is no integer of the vocabulary.
        """
        check_is_fitted(self)
        names = self.get_feature_names_out().tolist()
        left_out = {
            self.vocabulary_[name] for parameter, name in self._fitted_special.items() if parameter != "unknown"
        }
        texts: list[Any] = []
        for k, sequence in enumerate(X):
            ids = np.asarray(sequence)
            if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
                raise ValueError(
                    f"X[{k}] must be a 1-D array of integers, got shape {ids.shape} and dtype {ids.dtype}."
                )
            if ids.size and not (ids.min() >= 0 and ids.max() < len(names)):
                odd = int(np.argmax((ids < 0) | (ids >= len(names))))
                raise ValueError(
                    f"X[{k}][{odd}] must be in the range [0, {len(names)}) of the vocabulary, got {ids[odd]}."
                )
            tokens = [names[i] for i in ids.tolist() if i not in left_out]
            joint = {"word": " ", "char": ""}.get(self.level) if isinstance(self.level, str) else None
            texts.append(tokens if joint is None else joint.join(tokens))
        return texts

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Return the tokens of the vocabulary, each at the place of its integer.

        Parameters
        ----------
        input_features : None
            Ignored: texts have no features.

        Returns
        -------
        tokens : array of str, (n_tokens,)
        """
        check_is_fitted(self)
        return np.array(sorted(self.vocabulary_, key=self.vocabulary_.__getitem__), dtype=object)

    def _special(self) -> dict[str, str]:
        """Names of the special tokens by their parameters, in the order of their integers."""
        names = {parameter: getattr(self, parameter) for parameter in ("padding", "unknown", "begin", "end")}
        return {parameter: name for parameter, name in names.items() if name is not None}

    def _tokenise(self, X: Any) -> list[Sequence[str]]:
        """Check parameters and texts, and cut those."""
        check_parameters(self, self._constraints)
        special = list(self._special().values())
        if len(set(special)) < len(special):
            raise ValueError(f"padding, unknown, begin and end must be different tokens, got {special}.")
        if isinstance(X, (str, bytes, Mapping)) or not hasattr(X, "__iter__"):
            raise TypeError(f"X must be a list of texts, got {type(X).__name__}: {X!r:.60}. One text alone is [text].")
        if len(getattr(X, "shape", (0,))) != 1:
            raise ValueError(f"X must be a list of texts or a 1-D array or series, got shape {X.shape}.")
        return [self._cut(text, k) for k, text in enumerate(X)]

    def _cut(self, text: Any, k: int) -> Sequence[str]:
        """Return the tokens of ``X[k]``."""
        if self.level is None:
            if isinstance(text, str) or not hasattr(text, "__iter__"):
                raise TypeError(f"X[{k}] must be a list of tokens, as level=None says, got {text!r:.60}.")
            tokens = list(text)
        elif not isinstance(text, str):
            hint = " Lists of tokens are read with level=None." if isinstance(text, (list, tuple)) else ""
            raise TypeError(f"X[{k}] must be a str, got {type(text).__name__}: {text!r:.60}.{hint}")
        elif self.level == "char":
            return self._fold(text)
        elif self.level == "word":
            tokens = _word_pattern().findall(text)
        else:
            tokens = list(self.level(text))  # type: ignore[operator]
        odd = next((token for token in tokens if not isinstance(token, str)), None)
        if odd is not None:
            raise TypeError(f"Tokens must be str, got {odd!r} of type {type(odd).__name__} in X[{k}].")
        return [self._fold(token) for token in tokens] if self.lowercase else tokens

    def _fold(self, text: str) -> str:
        return text.lower() if self.lowercase else text

    def _learn(self, texts: list[Sequence[str]]) -> None:
        special = self._special()
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(text)
        if not counts:
            raise ValueError(f"X must hold at least one token, got {len(texts)} text(s) without any.")
        for parameter, name in special.items():
            if name in counts and parameter != "unknown":
                k = next(k for k, text in enumerate(texts) if name in text)
                raise ValueError(
                    f"{parameter} must be a token that no text holds, got {name!r}, which is in X[{k}] at position "
                    f"{list(texts[k]).index(name)}: choose another name."
                )
        if self.unknown is not None:
            counts.pop(self.unknown, None)
        ranked = sorted(
            (token for token, count in counts.items() if count >= self.min_frequency),
            key=lambda token: (-counts[token], token),
        )
        if self.max_size is not None:
            if self.max_size <= len(special):
                raise ValueError(
                    f"max_size must leave room beside the {len(special)} special tokens {list(special.values())}, got "
                    f"{self.max_size}."
                )
            ranked = ranked[: self.max_size - len(special)]
        self.vocabulary_ = {token: k for k, token in enumerate([*special.values(), *ranked])}
        self._fitted_special = special

    def _encode(self, texts: list[Sequence[str]]) -> list[Array]:
        vocabulary = self.vocabulary_
        special = {parameter: vocabulary[name] for parameter, name in self._fitted_special.items()}
        before = [special["begin"]] if "begin" in special else []
        after = [special["end"]] if "end" in special else []
        unknown = special.get("unknown", -1)
        # The others are no tokens of texts.
        reserved = {name for parameter, name in self._fitted_special.items() if parameter != "unknown"}
        sequences = []
        for k, text in enumerate(texts):
            found = (unknown if token in reserved else vocabulary.get(token, unknown) for token in text)
            ids = np.array([*before, *found, *after], dtype=np.int64)
            if unknown < 0 and (ids < 0).any():
                place = int(np.argmax(ids < 0)) - len(before)
                raise ValueError(
                    f"Token {text[place]!r} at X[{k}], position {place}, must be among the "
                    f"{len(vocabulary) - len(reserved)} tokens that fit has learned, because unknown=None."
                )
            sequences.append(ids)
        return sequences


@cache
def _word_pattern() -> re.Pattern[str]:
    r"""Words and single signs.

    Python's ``\w`` knows no combining marks, which would break words of many scripts at their vowels.
    """
    marks = [code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code))[0] == "M"]
    runs = [[code for _, code in run] for _, run in groupby(enumerate(marks), lambda pair: pair[1] - pair[0])]
    word = rf"[\w{''.join(f'{chr(run[0])}-{chr(run[-1])}' for run in runs)}]"
    return re.compile(rf"{word}+(?:['\u2019]{word}+)*|[^\w\s]")
