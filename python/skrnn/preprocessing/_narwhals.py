"""The one place that imports narwhals, through which data frames of every library are read."""

from __future__ import annotations

import importlib
from types import ModuleType


def import_narwhals(what: str) -> ModuleType:
    """Return narwhals, or say for ``what`` it is needed."""
    try:
        return importlib.import_module("narwhals")
    except ImportError as error:
        raise ImportError(
            f"{what} needs narwhals, which is not installed: pip install 'scikit-rnn[frames]' (or narwhals itself)."
        ) from error
