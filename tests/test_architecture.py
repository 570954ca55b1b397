"""The house keeps its shape: a storey calls the one below it and no other.

    estimators (python/skrnn)  ->  layers (python/skrnn/nn)  ->  bindings  ->  core  ->  kernels

Read from the sources, with plain text searches: whoever breaks a rule sees the line that breaks it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import skrnn
from skrnn import _core

ROOT = Path(__file__).parents[1]
CPP = ROOT / "cpp"
PACKAGE = ROOT / "python" / "skrnn"

pytestmark = pytest.mark.skipif(not (CPP.is_dir() and PACKAGE.is_dir()), reason="the sources are not beside the tests")


# ---------------------------------------------------------------------------------------------------------------------
# C++
# ---------------------------------------------------------------------------------------------------------------------


def cpp_files(folder: str) -> list[Path]:
    found = sorted(p for p in (CPP / folder).rglob("*") if p.suffix in (".h", ".cpp"))
    assert found
    return found


def without_comments(text: str) -> str:
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)


def includes(path: Path) -> Iterator[tuple[str, str]]:
    """("<" or '"', name) of each include; names of our own are resolved to paths within cpp/."""
    for kind, name in re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)', path.read_text(), re.M):
        if kind == '"':
            beside = (path.parent / name).resolve()
            inside = beside if beside.exists() else (CPP / name).resolve()
            assert inside.exists(), f"{path.name} includes {name}, which does not exist"
            yield kind, inside.relative_to(CPP.resolve()).as_posix()
        else:
            yield kind, name


MAY_INCLUDE = {
    # The contract is all that kernels know of the world above them.
    "kernels": {"kernels/", "core/kernel_table.h"},
    "core": {"core/"},
    "bindings": {"bindings/", "core/"},
}


@pytest.mark.parametrize("storey", MAY_INCLUDE)
def test_includes(storey: str) -> None:
    for path in cpp_files(storey):
        for kind, name in includes(path):
            if kind == '"':
                allowed = any(name.startswith(prefix) for prefix in MAY_INCLUDE[storey])
                assert allowed, f"{storey}/{path.name} includes {name}"


# Types and sizes, memory, and the processor's own vector types: nothing that instantiates a template.
KERNEL_HEADERS = {"cstddef", "cstdint", "cstring", "cmath", "immintrin.h", "arm_neon.h", "limits"}


def test_kernels_know_neither_python_nor_the_standard_library() -> None:
    for path in cpp_files("kernels"):
        external = {name for kind, name in includes(path) if kind == "<"}
        assert external <= KERNEL_HEADERS, f"{path.name} includes {external - KERNEL_HEADERS}"
        code = without_comments(path.read_text())
        used = set(re.findall(r"\bstd::(\w+)", code))
        harmless = {"memcpy", "memset", "memmove", "log", "sqrt"}
        harmless |= {name for name in used if re.fullmatch(r"u?int\d+_t|size_t|ptrdiff_t", name)}
        assert used <= harmless, f"{path.name} uses std::{used - harmless}"
        assert not re.search(r"\b(throw|try|new|malloc|static\s+\w+\s*=)\b", code), path.name


def test_kernels_have_internal_linkage() -> None:
    """Everything in an anonymous namespace, all but the table (test_objects.py looks at the result)."""
    for path in cpp_files("kernels"):
        if path.suffix == ".h":
            code = without_comments(path.read_text())
            assert "namespace {" in code, path.name
            assert "#pragma once" in code, path.name


def test_only_the_bindings_know_python() -> None:
    for storey in ("kernels", "core"):
        for path in cpp_files(storey):
            for _, name in includes(path):
                assert not re.match(r"pybind11|Python\.h|numpy", name), f"{path.name}: {name}"


def test_only_dispatch_knows_the_instruction_sets() -> None:
    for path in (*cpp_files("core"), *cpp_files("bindings")):
        if path.name not in ("dispatch.h", "dispatch.cpp"):
            code = without_comments(path.read_text())
            assert not re.search(r"avx|__builtin_cpu|immintrin", code, re.I), path.name


def test_bindings_do_no_arithmetic() -> None:
    """They check and call. A loop over the elements of data, or a product of two of them, belongs below."""
    for path in cpp_files("bindings"):
        code = without_comments(path.read_text())
        assert not re.search(r"\b(fma|sqrt|exp|tanh|log|pow)\s*\(", code), path.name
        assert not re.search(r"\[\w+\]\s*[*+-]=?\s*\w+\[", code), path.name
        assert not re.search(r"\bomp_|pragma omp", code), path.name


def test_parallel_regions_say_how_many_threads() -> None:
    """A region without num_threads would take whatever the process allows."""
    regions = 0
    for path in CPP.rglob("*"):
        if path.suffix in (".h", ".cpp"):
            text = path.read_text().replace("\\\n", " ")
            for pragma in re.findall(r"#\s*pragma\s+omp\s+parallel[^\n]*", text):
                regions += 1
                assert "num_threads(" in pragma, f"{path.name}: {pragma}"
            assert "omp_set_" not in text, f"{path.name} changes the threads of the whole process"
            for pragma in re.findall(r"#\s*pragma\s+omp[^\n]*", text):
                assert not re.search(r"reduction|atomic|dynamic|guided", pragma), (
                    f"{path.name}: {pragma} makes sums depend on threads"
                )
    assert regions > 0


def test_build_files_promise_no_more_than_the_processor_holds() -> None:
    builds = [ROOT / "CMakeLists.txt", ROOT / "pyproject.toml", *CPP.rglob("*.cmake")]
    builds += [p for name in ("CMakePresets.json", "noxfile.py") if (p := ROOT / name).exists()]
    for path in builds:
        text = path.read_text()
        for line in text.splitlines():
            words = line.split("#")[0]
            refused = "FATAL_ERROR" in words or "MATCHES" in words  # the build refuses them itself
            for flag in ("-march=native", "-mtune=native", "-ffast-math", "-Ofast"):
                assert flag not in words or refused, f"{path.name}: {line.strip()}"
    kernel_flags = (CPP / "kernels" / "isa_flags.cmake").read_text()
    for flag in ("-ffp-contract=off", "-fno-lto"):
        assert flag in kernel_flags


# ---------------------------------------------------------------------------------------------------------------------
# Python
# ---------------------------------------------------------------------------------------------------------------------


def imports(path: Path) -> set[str]:
    """Full names of all modules a file imports, wherever in the file."""
    found = set()
    package = ["skrnn", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def python_files(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.py"))
    assert found
    return found


def test_layers_stand_on_numpy_and_the_core_alone() -> None:
    import sys

    allowed = {"numpy", "skrnn", *sys.stdlib_module_names}
    for path in python_files(PACKAGE / "nn"):
        for name in imports(path):
            assert name.split(".")[0] in allowed, f"nn/{path.name} imports {name}"
            if name.startswith("skrnn."):
                assert name.startswith(("skrnn.nn", "skrnn._core")), f"nn/{path.name}: {name}"


# Plumbing that concerns the process, not the mathematics: threads, versions, the choice of an instruction set.
MAY_IMPORT_CORE = {"__init__.py", "_threads.py", "_show_versions.py", "testing/_computing.py"}


def test_estimators_do_not_reach_past_the_layers() -> None:
    for path in python_files(PACKAGE):
        if path.parent.name != "nn" and path.relative_to(PACKAGE).as_posix() not in MAY_IMPORT_CORE:
            for name in imports(path):
                assert not name.startswith("skrnn._core"), f"{path.name} imports {name}"


def test_private_parts_of_scikit_learn_are_left_alone() -> None:
    for path in python_files(PACKAGE):
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "sklearn":
                assert not any(part.startswith("_") for part in parts), f"{path.name}: {name}"


def test_frameworks_are_not_needed() -> None:
    """What the package imports when it is imported: its requirements, nothing more."""
    from running import python

    done = python("import sys, skrnn; print('\\n'.join({m.split('.')[0] for m in sys.modules}))")
    loaded = set(done.stdout.split())
    for name in ("torch", "tensorflow", "onnx", "onnxruntime", "matplotlib", "pandas", "pytest"):
        assert name not in loaded


# ---------------------------------------------------------------------------------------------------------------------
# The stub of the core
# ---------------------------------------------------------------------------------------------------------------------


def stub() -> ast.Module:
    return ast.parse((PACKAGE / "_core.pyi").read_text())


def test_stub_and_module_have_the_same_names() -> None:
    declared: set[str] = set()
    for node in stub().body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            declared.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            declared.add(node.target.id)
    public = {name for name in dir(_core) if not name.startswith("_")} | {"__version__"}
    assert {name for name in declared if not name.startswith("_") or name == "__version__"} == public


def test_stub_and_classes_have_the_same_members() -> None:
    for node in stub().body:
        if isinstance(node, ast.ClassDef):
            declared = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
            cls = getattr(_core, node.name)
            members = {name for name in vars(cls) if not name.startswith("_")}
            assert {name for name in declared if not name.startswith("_")} == members, node.name
            assert ("__init__" in declared) == can_be_made(cls), node.name


def can_be_made(cls: type) -> bool:
    try:
        cls()
    except TypeError as error:
        return "No constructor" not in str(error)
    return True


def test_stub_and_functions_have_the_same_arguments() -> None:
    """The first line of a compiled function's docstring is its signature."""

    def check(node: ast.FunctionDef, function: object, where: str) -> None:
        signature = (function.__doc__ or "").split("->")[0]
        for argument in (*node.args.args, *node.args.kwonlyargs):
            if argument.arg != "self":
                assert re.search(rf"\b{argument.arg}\b", signature), f"{where}: {argument.arg}"

    for node in stub().body:
        if isinstance(node, ast.FunctionDef):
            check(node, getattr(_core, node.name), node.name)
        elif isinstance(node, ast.ClassDef):
            for item in node.body:
                if isinstance(item, ast.FunctionDef) and not item.decorator_list:
                    where = f"{node.name}.{item.name}"
                    check(item, getattr(getattr(_core, node.name), item.name), where)


def test_public_names() -> None:
    for module in (skrnn, skrnn.nn, skrnn.preprocessing):
        for name in module.__all__:
            assert hasattr(module, name)
        assert list(module.__all__) == sorted(set(module.__all__), key=_isort_key)


def _isort_key(name: str) -> tuple[int, str]:
    """CONSTANTS, then Classes, then functions, as the formatter sorts them."""
    if name.isupper():
        return 0, name
    return (1 if name[0].isupper() else 2), name


def test_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()


def test_packed_weights_are_not_in_a_pickle() -> None:
    """A pickle holds plain arrays, so that it can be opened on a machine with another instruction set."""
    import pickle

    from skrnn.nn import Recurrent

    frozen = Recurrent("lstm", input_size=3, hidden_size=5).freeze()
    text = pickle.dumps(frozen)
    assert b"RecurrentWeights" not in text
    assert sum(w.nbytes for w in frozen.weights.values()) < len(text)
    loaded = pickle.loads(text)
    np.testing.assert_array_equal(loaded.weights["weight_hh_l0"], frozen.weights["weight_hh_l0"])
