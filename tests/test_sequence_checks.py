"""The checks for sequences are no formality: honest estimators pass, and each check catches one that is not."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.exceptions import SkipTestWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_consistent_length, check_is_fitted

import skrnn
from cases import Array
from skrnn._sequences import check_sequences
from skrnn.testing import check_sequence_estimator, sequence_checks
from skrnn.testing.checks._harness import CHECKS

# ---------------------------------------------------------------------------------------------------------------------
# Honest estimators, of means over time
# ---------------------------------------------------------------------------------------------------------------------


class Base(BaseEstimator):
    def __init__(self, max_iter: int = 5, class_weight: Any = None, random_state: Any = None) -> None:
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def look(self, X: Any) -> Any:
        """Where most of the dishonest ones do it."""
        return X

    def steps(self, X: Any, *, reset: bool) -> list[Array]:
        sequences = check_sequences(self, self.look(X), np.dtype(np.float64), reset=reset)
        found = []
        for row in range(len(sequences)):
            x, lengths = sequences.batch(slice(row, row + 1))
            found.append(x[0] if lengths is None else x[0, : lengths[0]])
        return found

    def means(self, X: Any, *, reset: bool) -> Array:
        return np.array([x.mean(axis=0) for x in self.steps(X, reset=reset)])

    def weights(self, sample_weight: Any, n: int) -> Array:
        if sample_weight is None:
            return np.ones(n)
        weight = check_array(sample_weight, ensure_2d=False, dtype=np.float64)
        if weight.shape != (n,):
            raise ValueError(f"sample_weight must have shape ({n},), got {weight.shape}")
        if not weight.any():
            raise ValueError("sample_weight is zero everywhere")
        return weight

    def target(self, y: Any, n: int) -> Any:
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        y = np.asarray(y)
        check_consistent_length(y, range(n))
        return y


class Nearest(ClassifierMixin, Base):
    """The class whose mean is nearest, the more weight a class has the nearer."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        return self.learn(X, y, sample_weight, reset=True)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        return self.learn(X, y, sample_weight, reset=not hasattr(self, "sums_"))

    def learn(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> Any:
        means = self.means(X, reset=reset)
        y = self.target(y, len(means))
        self.many_ = type_of_target(y) == "multilabel-indicator"
        if not self.many_:
            y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        weight = self.weights(sample_weight, len(means)) * self.class_weights(y)
        if self.many_:
            one_hot = np.concatenate([1 - y, y], axis=1)
        else:
            if reset:
                self.classes_ = np.unique(y)
            one_hot = y[:, None] == self.classes_
        if reset:
            self.sums_, self.mass_ = np.zeros((one_hot.shape[1], means.shape[1])), np.zeros(one_hot.shape[1])
        weighted = weight[:, None] * one_hot
        self.sums_ = self.sums_ + weighted.T @ means
        self.mass_ = self.mass_ + weighted.sum(axis=0)
        self.n_iter_ = self.max_iter
        return self

    def class_weights(self, y: Array) -> Array:
        return np.ones(len(y)) if self.class_weight is None else compute_sample_weight(self.class_weight, y)

    def scores(self, X: Any) -> Array:
        check_is_fitted(self)
        centres = self.sums_ / np.maximum(self.mass_, 1e-300)[:, None]
        distances = ((self.means(X, reset=False)[:, None] - centres) ** 2).sum(axis=2)
        scores = np.log(np.maximum(self.mass_, 1e-300)) - 3 * distances
        return scores.reshape(len(scores), 2, -1).transpose(0, 2, 1) if self.many_ else scores

    def predict_proba(self, X: Any) -> Array:
        scores = self.scores(X)
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        return shares[:, :, 1] if self.many_ else shares

    def predict_log_proba(self, X: Any) -> Array:
        return np.log(np.maximum(self.predict_proba(X), 1e-300))

    def predict(self, X: Any) -> Array:
        if not hasattr(self, "sums_"):
            check_is_fitted(self)
        if self.many_:
            return (self.predict_proba(X) > 0.5).astype(np.int64)
        return self.classes_[self.scores(X).argmax(axis=1)]


class Linear(RegressorMixin, Base):
    """Least squares."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        means = self.means(X, reset=True)
        y = check_array(self.target(y, len(means)), ensure_2d=False, dtype=np.float64)
        root = np.sqrt(self.weights(sample_weight, len(means)))
        design = np.column_stack([means, np.ones(len(means))])
        self.coef_ = np.linalg.lstsq(design * root[:, None], (y.T * root).T, rcond=None)[0]
        self.n_iter_ = self.max_iter
        return self

    def predict(self, X: Any) -> Array:
        check_is_fitted(self)
        means = self.means(X, reset=False)
        return sum((np.multiply.outer(means[:, k], self.coef_[k]) for k in range(means.shape[1])), start=self.coef_[-1])


class Centre(TransformerMixin, Base, auto_wrap_output_keys=None):
    """Steps less their mean: sequences come out."""

    def fit(self, X: Any, y: Any = None) -> Any:
        self.mean_ = np.concatenate(self.steps(X, reset=True)).mean(axis=0)
        self.n_iter_ = self.max_iter
        return self

    def transform(self, X: Any) -> Any:
        check_is_fitted(self)
        return self.like(X, [x - self.mean_ for x in self.steps(X, reset=False)])

    def inverse_transform(self, X: Any) -> Any:
        check_is_fitted(self)
        return self.like(X, [x + self.mean_ for x in self.steps(X, reset=False)])

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        check_is_fitted(self)
        return np.array([f"centre{k}" for k in range(self.n_features_in_)], dtype=object)

    def like(self, X: Any, rows: list[Array]) -> Any:
        if not isinstance(X, np.ndarray) or X.ndim != 3:
            return rows
        out = np.full(X.shape, np.nan)
        for place, row in zip(out, rows, strict=True):
            place[: len(row)] = row
        return out


class Mean(TransformerMixin, Base):
    """Means over time: a vector comes out."""

    def fit(self, X: Any, y: Any = None) -> Any:
        self.means(X, reset=True)
        self.n_iter_ = self.max_iter
        return self

    def transform(self, X: Any) -> Array:
        check_is_fitted(self)
        return self.means(X, reset=False)

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        check_is_fitted(self)
        return np.array([f"mean{k}" for k in range(self.n_features_in_)], dtype=object)


HONEST = (Nearest(), Linear(), Centre(), Mean())


@pytest.mark.parametrize("estimator", HONEST, ids=lambda estimator: type(estimator).__name__)
def test_honest_estimators_pass(estimator: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)
        results = check_sequence_estimator(estimator)
    assert len(results) > 35
    assert {result["status"] for result in results} <= {"passed", "skipped"}
    assert sum(result["status"] == "skipped" for result in results) <= 4


# ---------------------------------------------------------------------------------------------------------------------
# Dishonest ones
# ---------------------------------------------------------------------------------------------------------------------


def items(X: Any) -> bool:
    return isinstance(X, list) and isinstance(X[0], np.ndarray)


class NoTag(Mean):
    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = False
        return tags


class FitReturnsNothing(Nearest):
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> None:
        super().fit(X, y, sample_weight)


class ScoreTakesLabels(Nearest):
    def score(self, X: Any, labels: Any) -> float:
        return accuracy_score(labels, self.predict(X))


class AlwaysFitted(Nearest):
    def __sklearn_is_fitted__(self) -> bool:
        return True


class CountsUp(Nearest):
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        self.max_iter = self.max_iter + 1
        return super().fit(X, y, sample_weight)


class PublicAttribute(Nearest):
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        self.seen = len(X)
        return super().fit(X, y, sample_weight)


class RemembersWhatItWasAsked(Nearest):
    def scores(self, X: Any) -> Array:
        scores = super().scores(X)
        self.mass_ *= 1.0 + 1e-9  # in place: the attribute is the same object
        return scores


class NoTwoFitsAreTheSame(Nearest):
    fits: ClassVar[Counter[str]] = Counter()

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        self.fits["so far"] += 1
        super().fit(X, y, sample_weight)
        self.sums_ *= 1 + 1e-9 * self.fits["so far"]
        return self


class SetParamsReturnsNothing(Nearest):
    def set_params(self, **parameters: Any) -> Any:
        super().set_params(**parameters)


class PickledInHalfPrecision(Nearest):
    def __getstate__(self) -> Any:
        state = dict(super().__getstate__())
        return state | {"sums_": state["sums_"].astype(np.float16)} if "sums_" in state else state


class GoesOnFromBefore(Nearest):
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        before = getattr(self, "sums_", 0.0)
        super().fit(X, y, sample_weight)
        self.sums_ = self.sums_ + (1e-9 * before if np.shape(before) == self.sums_.shape else 0.0)
        return self


class GlobalRandomness(Nearest):
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        np.random.normal()  # noqa: NPY002
        return super().fit(X, y, sample_weight)


class NoIterations(Nearest):
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        super().fit(X, y, sample_weight).n_iter_ = 0
        return self


class PartialFitReturnsNothing(Nearest):
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        super().partial_fit(X, y, classes, sample_weight)


class IntegersAreTokens(Nearest):
    def look(self, X: Any) -> Any:
        return [x % 3 if x.dtype.kind == "i" else x for x in X] if items(X) else X


class ReadsMemoryAsItLies(Nearest):
    def look(self, X: Any) -> Any:
        return [x.ravel(order="K").reshape(x.shape) for x in X] if items(X) else X


class WantsToWrite(Nearest):
    def look(self, X: Any) -> Any:
        for x in X:
            if isinstance(x, np.ndarray):
                x.flags.writeable = True
        return X


class ScalesInPlace(Nearest):
    def look(self, X: Any) -> Any:
        if isinstance(X, np.ndarray) and X.dtype == float:
            X *= 1.0 + 1e-9
        return X


class WantsShapes(Nearest):
    def look(self, X: Any) -> Any:
        return X if hasattr(X, "shape") or all(hasattr(x, "shape") for x in X) else X.shape


class RefusesObjects(Nearest):
    def look(self, X: Any) -> Any:
        if any(getattr(getattr(x, "dtype", None), "hasobject", False) for x in X):
            raise ValueError("no objects, please")
        return X


class ForgetsNames(Nearest):
    def look(self, X: Any) -> Any:
        return [np.asarray(x) for x in X] if hasattr(X[0], "columns") else X


class CountsStepsAsFeatures(Nearest):
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        super().fit(X, y, sample_weight)
        self.n_features_in_ *= len(X[0])
        return self


class TakesAnyFeatures(Nearest):
    def look(self, X: Any) -> Any:
        if not hasattr(self, "n_features_in_"):
            return X
        return [np.repeat(x[:, :1], self.n_features_in_, axis=1) if x.shape[1] == 1 else x for x in X]


class PartialFitStartsAnew(Nearest):
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        return self.fit(X, y, sample_weight)


class CutsToTheFewestFeatures(Nearest):
    def look(self, X: Any) -> Any:
        return [x[:, : min(x.shape[1] for x in X)] for x in X] if items(X) else X


class FillsNaN(Nearest):
    def look(self, X: Any) -> Any:
        return [np.nan_to_num(x) for x in X] if items(X) else np.nan_to_num(X)


class SkipsSteps(Nearest):
    def look(self, X: Any) -> Any:
        if isinstance(X, np.ndarray) and X.ndim == 3:
            return [x[~np.isnan(x).all(axis=1)] for x in X]
        return X


class SaysOnlyNo(Nearest):
    def look(self, X: Any) -> Any:
        if len(X) == 0 or min(map(np.size, X)) == 0:
            raise ValueError("no")
        return X


class DropsImaginaryParts(Nearest):
    def look(self, X: Any) -> Any:
        return [np.real(x) for x in X] if items(X) else np.real(X)


class ReadsStrings(Nearest):
    def look(self, X: Any) -> Any:
        return [np.char.str_len(x) if getattr(x, "dtype", np.dtype(float)).kind == "U" else x for x in X]


class StumblesOverSparse(Nearest):
    def look(self, X: Any) -> Any:
        if any(hasattr(x, "toarray") for x in X):
            raise ValueError("setting an array element with a sequence")
        return X


class FlattensAxes(Nearest):
    def look(self, X: Any) -> Any:
        return X[..., 0] if isinstance(X, np.ndarray) and X.ndim == 4 else X


class RepeatsTargets(Nearest):
    def target(self, y: Any, n: int) -> Any:
        return super().target(np.resize(y, (n, *np.shape(y)[1:])), n)


class NeedsNoTarget(Nearest):
    def target(self, y: Any, n: int) -> Any:
        return super().target(np.zeros(n, dtype=int) if y is None else y, n)


class DependsOnPosition(Nearest):
    def scores(self, X: Any) -> Array:
        return np.array([score * (1 + 1e-12 * row) for row, score in enumerate(super().scores(X))])


class DependsOnTheBatch(Nearest):
    def means(self, X: Any, *, reset: bool) -> Array:
        means = super().means(X, reset=reset)
        return means + 1e-9 * means.mean(axis=0)


class ForgetsLengths(Nearest):
    def look(self, X: Any) -> Any:
        if isinstance(X, np.ndarray):
            return np.where(np.isnan(X).all(axis=2, keepdims=True), 0.0, X) if X.ndim == 3 else X
        longest = max(map(len, X))
        return [np.pad(x, ((0, longest - len(x)), (0, 0))) for x in X] if items(X) else X


class DependsOnThreads(Nearest):
    def means(self, X: Any, *, reset: bool) -> Array:
        return super().means(X, reset=reset) * (1 + 1e-12 * skrnn.get_num_threads())


class OneLengthForEver(Nearest):
    def look(self, X: Any) -> Any:
        longest = max(map(len, X))
        if longest > 4 and hasattr(self, "sums_"):
            raise ValueError(f"{longest} steps are more than 4")
        return X


class NeedsTwoSamples(Nearest):
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        if len(X) < 2:
            raise ValueError("degenerate")
        return super().fit(X, y, sample_weight)


class NeedsTwoSteps(Nearest):
    def steps(self, X: Any, *, reset: bool) -> list[Array]:
        steps = super().steps(X, reset=reset)
        if max(map(len, steps)) < 2:
            raise ValueError("nothing to take differences of")
        return steps


class NeedsTwoAxes(Nearest):
    def look(self, X: Any) -> Any:
        return [np.asarray(x)[:, :] for x in X] if items(X) else X


class LearnsNothing(Nearest):
    def scores(self, X: Any) -> Array:
        return 0.0 * super().scores(X)


class PredictsIndices(Nearest):
    def predict(self, X: Any) -> Array:
        return self.scores(X).argmax(axis=1)


class StumblesOverOneLabel(Nearest):
    def learn(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> Any:
        if len(np.unique(y)) < 2:
            raise ValueError("degenerate")
        return super().learn(X, y, sample_weight, reset=reset)


class RavelsTargets(Nearest):
    def target(self, y: Any, n: int) -> Any:
        y = super().target(y, n)
        return y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y


class ManyLabelsAsFloats(Nearest):
    def predict(self, X: Any) -> Array:
        return super().predict(X).astype(float) if self.many_ else super().predict(X)


class PredictsTheMean(Linear):
    def predict(self, X: Any) -> Array:
        values = super().predict(X)
        return np.full(values.shape, values.mean())


class IntegerTargets(Linear):
    def target(self, y: Any, n: int) -> Any:
        y = super().target(y, n)
        return y // 2 * 2 if y.dtype.kind == "i" else y


class Decides(Linear):
    def decision_function(self, X: Any) -> Array:
        return self.predict(X)


class OneNumberOnly(Linear):
    def predict(self, X: Any) -> Array:
        values = super().predict(X)
        return values[:, :1] if values.ndim == 2 else values

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        return r2_score(np.reshape(y, (len(X), -1))[:, 0], self.predict(X))


class WantsWeightsInAnArray(Nearest):
    def weights(self, sample_weight: Any, n: int) -> Array:
        return super().weights(sample_weight if sample_weight is None else sample_weight[:].astype(float), n)


class AlignsByIndex(Nearest):
    def weights(self, sample_weight: Any, n: int) -> Array:
        return super().weights(sample_weight.sort_index() if hasattr(sample_weight, "index") else sample_weight, n)


class RepeatsWeights(Nearest):
    def weights(self, sample_weight: Any, n: int) -> Array:
        return super().weights(sample_weight if sample_weight is None else np.resize(sample_weight, n), n)


class NormalisesWeightsInPlace(Nearest):
    def weights(self, sample_weight: Any, n: int) -> Array:
        if isinstance(sample_weight, np.ndarray) and sample_weight.dtype == float:
            sample_weight /= sample_weight.sum()
        return super().weights(sample_weight, n)


class RootsOfWeights(Nearest):
    def weights(self, sample_weight: Any, n: int) -> Array:
        return np.sqrt(super().weights(sample_weight, n))


class AllWeighMuch(Nearest):
    def weights(self, sample_weight: Any, n: int) -> Array:
        return np.maximum(super().weights(sample_weight, n), 2.0)


class IgnoresClassWeight(Nearest):
    def class_weights(self, y: Array) -> Array:
        return np.ones(len(y))


class BalancesTheWrongWay(Nearest):
    def class_weights(self, y: Array) -> Array:
        if self.class_weight == "balanced":
            return 1 / super().class_weights(y)
        return super().class_weights(y)


class FitTransformsOtherwise(Centre):
    def fit_transform(self, X: Any, y: Any = None) -> Any:
        return self.fit(X, y).like(X, [x - 0.99 * self.mean_ for x in self.steps(X, reset=False)])


class AlwaysLists(Centre):
    def like(self, X: Any, rows: list[Array]) -> Any:
        return rows


class InversesAreArrays(Centre):
    def inverse_transform(self, X: Any) -> Any:
        result = super().inverse_transform(X)
        longest = max(map(len, result))
        return np.stack([np.pad(x, ((0, longest - len(x)), (0, 0))) for x in result])


class ClaimsToPreserve(Centre):
    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class OneNameTooMany(Mean):
    def get_feature_names_out(self, input_features: Any = None) -> Array:
        return np.append(super().get_feature_names_out(), "another")


class SetsNoOutput(Mean):
    def set_output(self, *, transform: Any = None) -> Any:
        return self


# For each check an estimator that it catches.
CAUGHT: dict[str, type] = {
    "check_three_d_array_tag": NoTag,
    "check_fit_returns_self": FitReturnsNothing,
    "check_fit_score_takes_y": ScoreTakesLabels,
    "check_unfitted": AlwaysFitted,
    "check_is_fitted_after_fit": AlwaysFitted,
    "check_parameters_unchanged": CountsUp,
    "check_only_fitted_attributes": PublicAttribute,
    "check_dict_unchanged": RemembersWhatItWasAsked,
    "check_clone": NoTwoFitsAreTheSame,
    "check_get_and_set_params": SetParamsReturnsNothing,
    "check_pickle": PickledInHalfPrecision,
    "check_pickle_from_readonly_memmap": RemembersWhatItWasAsked,
    "check_pipeline_consistency": NoTwoFitsAreTheSame,
    "check_fit_idempotent": GoesOnFromBefore,
    "check_global_random_state_unchanged": GlobalRandomness,
    "check_n_iter": NoIterations,
    "check_partial_fit_returns_self": PartialFitReturnsNothing,
    "check_dtypes": IntegersAreTokens,
    "check_memory_layouts": ReadsMemoryAsItLies,
    "check_readonly_memmap": WantsToWrite,
    "check_input_unchanged": ScalesInPlace,
    "check_data_not_an_array": WantsShapes,
    "check_nested_lists": WantsShapes,
    "check_dtype_object": RefusesObjects,
    "check_pandas_data_frames": ForgetsNames,
    "check_polars_data_frames": ForgetsNames,
    "check_n_features_in": CountsStepsAsFeatures,
    "check_n_features_in_after_fitting": TakesAnyFeatures,
    "check_partial_fit_n_features": PartialFitStartsAnew,
    "check_features_of_each_sequence": CutsToTheFewestFeatures,
    "check_nan_and_infinity": FillsNaN,
    "check_gaps_in_padding": SkipsSteps,
    "check_empty_data_messages": SaysOnlyNo,
    "check_complex_data": DropsImaginaryParts,
    "check_strings": ReadsStrings,
    "check_sparse_sequences": StumblesOverSparse,
    "check_too_many_dimensions": FlattensAxes,
    "check_consistent_length": RepeatsTargets,
    "check_y": NeedsNoTarget,
    "check_sample_order_invariance": DependsOnPosition,
    "check_subset_invariance": DependsOnTheBatch,
    "check_padding_invariance": ForgetsLengths,
    "check_thread_invariance": DependsOnThreads,
    "check_other_lengths_after_fit": OneLengthForEver,
    "check_fit_one_sample": NeedsTwoSamples,
    "check_fit_one_time_step": NeedsTwoSteps,
    "check_fit_one_feature": NeedsTwoAxes,
    "check_classifiers_train": LearnsNothing,
    "check_classifiers_classes": PredictsIndices,
    "check_classifiers_one_label": StumblesOverOneLabel,
    "check_y_column": RavelsTargets,
    "check_multilabel": ManyLabelsAsFloats,
    "check_regressors_train": PredictsTheMean,
    "check_regressors_int": IntegerTargets,
    "check_regressors_no_decision_function": Decides,
    "check_regressor_multioutput": OneNumberOnly,
    "check_sample_weight_kinds": WantsWeightsInAnArray,
    "check_sample_weight_series": AlignsByIndex,
    "check_sample_weight_shape": RepeatsWeights,
    "check_sample_weight_unchanged": NormalisesWeightsInPlace,
    "check_sample_weight_equivalence": RootsOfWeights,
    "check_classifiers_one_label_sample_weights": AllWeighMuch,
    "check_class_weight": IgnoresClassWeight,
    "check_class_weight_balanced": BalancesTheWrongWay,
    "check_transformer_general": FitTransformsOtherwise,
    "check_transformer_container": AlwaysLists,
    "check_inverse_transform": InversesAreArrays,
    "check_transformer_preserves_dtypes": ClaimsToPreserve,
    "check_get_feature_names_out": OneNameTooMany,
    "check_set_output": SetsNoOutput,
}


def test_every_check_catches_something() -> None:
    assert set(CAUGHT) == {check.__name__ for check, _ in CHECKS}


@pytest.mark.parametrize("check_name", CAUGHT)
def test_caught(check_name: str) -> None:
    estimator = CAUGHT[check_name]()
    (check,) = (check for _, check in sequence_checks(estimator) if check.func.__name__ == check_name)
    with pytest.raises(Exception) as caught:  # noqa: PT011, of which kind is the check's affair
        check(estimator)
    if "is not installed" in str(caught.value):
        pytest.skip(str(caught.value))
    honest = next(kind for kind in type(estimator).__mro__ if kind in (Nearest, Linear, Centre, Mean))
    check(honest())  # it is not the check that is broken


# ---------------------------------------------------------------------------------------------------------------------
# How results are reported
# ---------------------------------------------------------------------------------------------------------------------


def test_the_first_failure_is_raised() -> None:
    with pytest.raises(AssertionError, match="NoTag does not set"):
        check_sequence_estimator(NoTag())


def test_failures_are_reported_and_may_be_declared() -> None:
    reported: list[dict[str, Any]] = []
    results = check_sequence_estimator(
        NoTag(),
        expected_failed_checks={"check_three_d_array_tag": "a mutant", "check_clone": "not true"},
        on_fail=None,
        on_skip=None,
        callback=lambda **result: reported.append(result),
    )
    assert results == reported
    by_name = {result["check_name"]: result for result in results}
    assert len(by_name) == len(results)
    assert by_name["check_three_d_array_tag"]["status"] == "xfail"
    assert by_name["check_three_d_array_tag"]["expected_to_fail_reason"] == "a mutant"
    assert isinstance(by_name["check_three_d_array_tag"]["exception"], AssertionError)
    assert by_name["check_clone"]["status"] == "passed"
    assert by_name["check_clone"]["expected_to_fail"]
    assert not by_name["check_pickle"]["expected_to_fail"]
    undeclared = check_sequence_estimator(NoTag(), on_fail=None, on_skip=None)
    assert [r["check_name"] for r in undeclared if r["status"] == "failed"] == ["check_three_d_array_tag"]


def test_wrong_arguments() -> None:
    with pytest.raises(TypeError, match="class Nearest"):
        check_sequence_estimator(Nearest)
    with pytest.raises(ValueError, match="callback"):
        check_sequence_estimator(Nearest(), callback=print)
    with pytest.raises(ValueError, match="check_nothing"):
        check_sequence_estimator(Nearest(), expected_failed_checks={"check_nothing": ""})


def test_what_cannot_be_checked_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.warns(SkipTestWarning, match="was skipped: pandas is not installed"):
        results = check_sequence_estimator(Mean())
    assert {r["check_name"] for r in results if r["status"] == "skipped"} >= {
        "check_pandas_data_frames",
        "check_set_output",
    }
