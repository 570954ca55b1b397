"""What every test may ask for: an instruction set, a precision, a cell, a number of threads, random numbers.

Adding a cell to the project adds one name to ``CELLS`` below, and every test runs on it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest

import skrnn
from running import USUAL_THREADS, threads
from skrnn import _core
from skrnn.testing import use_isa

CELLS = ("rnn", "lstm", "gru", "gru_reset_before", "mgu")

# SKRNN_ISA in the environment makes this run one of a machine that has that instruction set and no better one.
# Otherwise one run visits all that this machine can execute.
ISAS = (_core.get_isa(),) if "SKRNN_ISA" in os.environ else _core.available_isas()

try:
    from hypothesis import settings

    # The same examples in every run, and no deadline: a shared machine may stall anywhere.
    settings.register_profile("skrnn", derandomize=True, deadline=None, max_examples=30)
    settings.load_profile("skrnn")
except ImportError:  # the tests that need hypothesis skip themselves
    pass


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--exhaustive",
        action="store_true",
        help="visit all 2^32 float32 numbers in test_math.py instead of a sample; minutes for each function, so add "
        "-o faulthandler_timeout=0",
    )


def pytest_report_header() -> str:
    info = _core.build_info()
    return (
        f"skrnn: {skrnn.__version__}, {info.get('compiler', 'unknown compiler')}, "
        f"instruction sets {', '.join(_core.available_isas())} (default {_core.get_isa()}), "
        f"{skrnn.get_num_threads()} threads"
    )


@pytest.fixture(autouse=True)
def usual_threads() -> None:
    """At the start of each test, whatever the one before has left."""
    skrnn.set_num_threads(USUAL_THREADS)


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every instruction set in turn; what the test makes and calls uses it."""
    with use_isa(request.param):
        yield request.param


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=CELLS)
def cell(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def cells() -> tuple[str, ...]:
    """All of them."""
    return CELLS


@pytest.fixture(params=[1, 2, 3, 7], ids="{}threads".format)
def n_threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Really so many threads, also where the machine has fewer cores."""
    with threads(request.param):
        yield request.param


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20_25)
