"""Warnings that point to the line of the user, however deep in the package they arise."""

from __future__ import annotations

import sys
import warnings

# Frames of these packages are between the user and us.
_BETWEEN = ("skrnn", "sklearn", "joblib")


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn; the line shown is the last one before this package, and scikit-learn, took over."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
