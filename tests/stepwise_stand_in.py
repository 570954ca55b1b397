"""``skrnn.preprocessing.Stepwise``, as little of it as the tests of meta-estimators need until it is there."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone

from cases import Array

try:
    from skrnn.preprocessing import Stepwise
except ImportError:

    class Stepwise(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[no-redef]
        """A transformer of tables, applied to each step."""

        def __init__(self, transformer: Any) -> None:
            self.transformer = transformer

        def fit(self, X: Any, y: Any = None) -> Any:
            self.transformer_ = clone(self.transformer).fit(np.concatenate(list(X)))
            return self

        def transform(self, X: Any) -> Any:
            rows: list[Array] = [self.transformer_.transform(x) for x in X]
            return rows if isinstance(X, list) else np.stack(rows)


__all__ = ["Stepwise"]
