"""Helpers for tests of code that computes with skrnn, of estimators that read sequences, and of skrnn itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skrnn.testing._computing import available_isas, num_threads, use_isa
from skrnn.testing._gradcheck import gradcheck

if TYPE_CHECKING:
    from skrnn.testing.checks import check_sequence_estimator, sequence_checks

__all__ = [
    "available_isas",
    "check_sequence_estimator",
    "gradcheck",
    "num_threads",
    "sequence_checks",
    "use_isa",
]


def __getattr__(name: str) -> Any:
    # What needs scikit-learn is imported when first asked for, as in skrnn itself.
    if name in ("check_sequence_estimator", "sequence_checks"):
        from skrnn.testing import checks

        return getattr(checks, name)
    raise AttributeError(f"module 'skrnn.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
