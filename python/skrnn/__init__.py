"""Recurrent neural networks as scikit-learn estimators, on a fast C++ core for CPUs."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

try:
    from skrnn._core import __version__
except ImportError as error:  # pragma: no cover
    raise ImportError(
        "scikit-rnn's compiled core (skrnn._core) could not be loaded. From a checkout of the "
        "sources, build it with `pip install .` and start Python elsewhere than in the folder "
        f"`python/`. The loader said: {error}"
    ) from error

from skrnn._show_versions import show_versions
from skrnn._threads import get_num_threads, set_num_threads

if TYPE_CHECKING:
    from skrnn.classifier import RNNClassifier
    from skrnn.encoder import RNNEncoder
    from skrnn.regressor import RNNRegressor

__all__ = [
    "RNNClassifier",
    "RNNEncoder",
    "RNNRegressor",
    "__version__",
    "callbacks",
    "datasets",
    "get_num_threads",
    "inspection",
    "metrics",
    "nn",
    "preprocessing",
    "set_num_threads",
    "show_versions",
    "testing",
]

# Imported when first asked for, so that the layers can be used without waiting for scikit-learn.
_LAZY_CLASSES = {
    "RNNClassifier": "skrnn.classifier",
    "RNNEncoder": "skrnn.encoder",
    "RNNRegressor": "skrnn.regressor",
}
_LAZY_MODULES = ("callbacks", "datasets", "inspection", "metrics", "nn", "preprocessing", "testing")


def __getattr__(name: str) -> Any:
    if name in _LAZY_CLASSES:
        value = getattr(importlib.import_module(_LAZY_CLASSES[name]), name)
    elif name in _LAZY_MODULES:
        value = importlib.import_module(f"skrnn.{name}")
    else:
        raise AttributeError(f"module 'skrnn' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
