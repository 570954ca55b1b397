"""Instruction sets: found, chosen, overridden, and refused with a helpful word."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
import re
import shutil
import tomllib
from pathlib import Path

import pytest

import reference
import skrnn
from running import python
from skrnn import _core
from skrnn.testing import use_isa


def test_the_first_compiled_set_runs_everywhere() -> None:
    compiled, available = _core.compiled_isas(), _core.available_isas()
    assert available
    assert set(available) <= set(compiled)
    assert available[0] == compiled[0]


def test_the_best_available_set_is_the_default() -> None:
    done = python("from skrnn import _core; print(_core.get_isa())", SKRNN_ISA=None)
    assert done.stdout.strip() == _core.available_isas()[-1]


def test_available_sets_are_those_of_the_processor() -> None:
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("the names of features are those of x86")
    try:
        with open("/proc/cpuinfo") as file:
            flags = set(next(line for line in file if line.startswith("flags")).split())
    except (OSError, StopIteration):
        pytest.skip("the system does not list the processor's features")
    needs = {
        "baseline": set(),
        "avx2": {"avx2", "fma"},
        "avx512": {"avx512f", "avx512dq", "avx512bw", "avx512vl", "fma"},
    }
    runs = {name for name, features in needs.items() if features <= flags}
    assert set(_core.available_isas()) == runs & set(_core.compiled_isas())


@pytest.mark.parametrize("name", _core.available_isas())
def test_environment_chooses(name: str) -> None:
    done = python("from skrnn import _core; print(_core.get_isa())", SKRNN_ISA=name)
    assert done.stdout.strip() == name


@pytest.mark.parametrize("name", ["sse9", "AVX2 ", "baseline,avx2"])
def test_environment_with_an_unknown_name(name: str) -> None:
    """Loudly, at import, with the names that would do."""
    done = python("import skrnn", check=False, SKRNN_ISA=name)
    assert done.returncode != 0
    assert "SKRNN_ISA" in done.stderr
    assert name in done.stderr
    for valid in _core.available_isas():
        assert valid in done.stderr


@pytest.fixture
def old_processor() -> tuple[str, ...]:
    """A command that runs a program as a processor of 2008 would, which knows SSE4.2 and nothing wider."""
    emulator = shutil.which("qemu-x86_64")
    if emulator is None or platform.machine() != "x86_64":
        pytest.skip("there is no qemu-x86_64 here")
    return emulator, "-cpu", "Nehalem"


# NumPy's linear algebra looks at more than the emulated processor says, and must be told.
OLD_ENVIRONMENT = {"OPENBLAS_CORETYPE": "Nehalem", "SKRNN_ISA": None}

PREDICT = """
import numpy as np
from skrnn import _core
from skrnn.nn import Recurrent

layer = Recurrent("lstm", input_size=3, hidden_size=21, num_layers=2, random_state=0)
X = np.linspace(-1, 1, 2 * 5 * 3).astype("float32").reshape(2, 5, 3)
print(_core.available_isas(), layer.forward(X)[0].tobytes().hex())
"""


def test_an_old_processor_computes_the_same(old_processor: tuple[str, ...]) -> None:
    """Imports, chooses what it can run, and computes what a new one computes with that instruction set."""
    old = python(PREDICT, timeout=300, under=old_processor, **OLD_ENVIRONMENT).stdout
    new = python(PREDICT, SKRNN_ISA="baseline").stdout
    assert old.startswith("('baseline',)")
    assert old.split()[-1] == new.split()[-1]


def test_environment_with_a_name_that_cannot_run_here(old_processor: tuple[str, ...]) -> None:
    wanting = OLD_ENVIRONMENT | {"SKRNN_ISA": "avx2"}
    done = python("import skrnn", check=False, timeout=300, under=old_processor, **wanting)
    assert done.returncode != 0
    assert re.search(r"SKRNN_ISA.*avx2.*baseline", done.stderr)


def test_empty_environment_means_none() -> None:
    done = python("from skrnn import _core; print(_core.get_isa())", SKRNN_ISA="")
    assert done.stdout.strip() == _core.available_isas()[-1]


def test_use_isa_restores() -> None:
    before = _core.get_isa()
    for name in _core.available_isas():
        with use_isa(name):
            assert _core.get_isa() == name
        assert _core.get_isa() == before
    with pytest.raises(RuntimeError, match="on purpose"), use_isa(_core.available_isas()[0]):
        raise RuntimeError("on purpose")
    assert _core.get_isa() == before


def test_set_isa_refuses_unknown_names() -> None:
    before = _core.get_isa()
    with pytest.raises(ValueError, match="(?s)sse9.*" + _core.available_isas()[0]):
        _core.set_isa("sse9")
    assert _core.get_isa() == before


def test_objects_keep_the_set_they_were_made_for() -> None:
    """Packed weights know their layout: one made before a change computes on as it was made."""
    from skrnn.nn import Recurrent

    layer = Recurrent("lstm", input_size=3, hidden_size=5)
    weights = list(layer.weights.values())
    made = {}
    for name in _core.available_isas():
        with use_isa(name):
            made[name] = _core.RecurrentWeights("lstm", "tanh", *weights)
    assert {name: w.isa for name, w in made.items()} == {name: name for name in made}


def test_versions(capsys: pytest.CaptureFixture[str]) -> None:
    skrnn.show_versions()
    shown = capsys.readouterr().out
    assert skrnn.__version__ in shown
    for words in (*_core.compiled_isas(), _core.get_isa(), "numpy", "scikit-learn", "threads"):
        assert words in shown
    assert re.search(r"compiler.*(GNU|Clang|GCC)", shown)


def test_one_version() -> None:
    """pyproject.toml holds it; whatever else tells it tells the same."""
    assert skrnn.__version__ == _core.__version__
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # when run from a build tree
        assert importlib.metadata.version("scikit-rnn") == skrnn.__version__
    project = Path(__file__).parents[1] / "pyproject.toml"
    if project.exists():
        written = tomllib.loads(project.read_text())["project"]["version"]
        assert skrnn.__version__ == written


def test_cells(cells: tuple[str, ...]) -> None:
    """The product, the reference and the fixture know the same cells."""
    assert set(_core.cells()) == set(reference.CELLS) == set(cells)


def test_activations() -> None:
    assert set(_core.activations()) == set(reference.ACTIVATIONS)
