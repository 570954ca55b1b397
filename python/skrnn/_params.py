"""What the constructors' parameters may be, as data, and the one function that checks them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from skrnn._callbacks import is_callback
from skrnn.nn._checks import check_dtype, is_integer, is_number


class Constraint(Protocol):
    """A set of values that can name itself: ``str(constraint)`` completes "must be ..."."""

    def accepts(self, value: Any) -> bool:
        """Whether ``value`` is in the set."""
        ...


@dataclass(frozen=True)
class Integers:
    """Integers from ``low`` on."""

    low: int

    def accepts(self, value: Any) -> bool:
        """Whether ``value`` is in the set."""
        return is_integer(value) and bool(value >= self.low)

    def __str__(self) -> str:
        return f"an int in the range [{self.low}, inf)"


@dataclass(frozen=True)
class Reals:
    """Numbers between two ends, each of which may belong to the set or not."""

    low: float
    high: float = math.inf
    closed_low: bool = True
    closed_high: bool = False

    def accepts(self, value: Any) -> bool:
        """Whether ``value`` is in the set."""
        if not is_number(value):
            return False
        above = value >= self.low if self.closed_low else value > self.low
        below = value <= self.high if self.closed_high else value < self.high
        return bool(above and below)

    def __str__(self) -> str:
        left, right = "[" if self.closed_low else "(", "]" if self.closed_high else ")"
        return f"a float in the range {left}{self.low}, {self.high}{right}"


class Booleans:
    """True and False, Python's or NumPy's."""

    def accepts(self, value: Any) -> bool:
        """Whether ``value`` is in the set."""
        return isinstance(value, (bool, np.bool_))

    def __str__(self) -> str:
        return "a bool"


class Dtypes:
    """What names float32 or float64."""

    def accepts(self, value: Any) -> bool:
        """Whether ``value`` is in the set."""
        try:
            check_dtype(value)
        except ValueError:
            return False
        return True

    def __str__(self) -> str:
        return "'float32' or 'float64'"


class Callbacks:
    """Lists of callbacks: objects with the methods of scikit-learn's protocol."""

    def accepts(self, value: Any) -> bool:
        """Whether ``value`` is in the set."""
        return isinstance(value, (list, tuple)) and all(map(is_callback, value))

    def __str__(self) -> str:
        return "a list of callbacks (with the methods setup, on_fit_task_begin, on_fit_task_end and teardown)"


@dataclass(frozen=True)
class Choices:
    """Some strings."""

    options: tuple[str, ...]

    def accepts(self, value: Any) -> bool:
        """Whether ``value`` is in the set."""
        return isinstance(value, str) and value in self.options

    def __str__(self) -> str:
        return f"a str among {{{', '.join(map(repr, self.options))}}}"


@dataclass(frozen=True)
class Instances:
    """Instances of some types; ``type(None)`` stands for None itself."""

    types: tuple[type, ...]

    def accepts(self, value: Any) -> bool:
        """Whether ``value`` is in the set."""
        return isinstance(value, self.types)

    def __str__(self) -> str:
        none = type(None)
        return " or ".join("None" if kind is none else f"an instance of {kind.__qualname__!r}" for kind in self.types)


def check_parameters(estimator: Any, constraints: Mapping[str, tuple[Constraint, ...]]) -> None:
    """Check every parameter of an estimator.

    Parameters
    ----------
    estimator : estimator
        Whose ``get_params`` to check.
    constraints : mapping of str to tuple of Constraint
        For each parameter the sets of which one must hold it.

    Raises
    ------
    ValueError
        Naming the parameter, what it may be and what it is.
    """
    for name, value in estimator.get_params(deep=False).items():
        allowed = constraints[name]
        if not any(constraint.accepts(value) for constraint in allowed):
            raise ValueError(
                f"The {name!r} parameter of {type(estimator).__name__} must be "
                f"{' or '.join(map(str, allowed))}. Got {value!r} instead."
            )
