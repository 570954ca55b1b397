"""Nothing of a wide instruction set leaks out of its object file.

Kernels are compiled once per instruction set into one program. If such an object exported a weak symbol, the linker
might choose it for everyone; if it ran code when the library is loaded, that code would run before anybody asked what
the processor can do. Either is a crash on somebody else's machine, so the objects are looked at: compiled again here,
from the sources and with the flags that the build uses.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "cpp" / "kernels" / "kernels.cpp"
FLAGS = ROOT / "cpp" / "kernels" / "isa_flags.cmake"

COMPILERS = {
    # Cross compilers look at the other architecture where they are installed.
    "x86_64": [os.environ.get("CXX", "g++"), "clang++", "x86_64-linux-gnu-g++"],
    "aarch64": [os.environ.get("CXX", "g++"), "aarch64-linux-gnu-g++"],
}


def cmake_lists() -> dict[str, list[str]]:
    """What isa_flags.cmake sets: the build reads the same file."""
    found = re.findall(r"^set\((\w+)\s+([^)]*)\)", FLAGS.read_text(), re.MULTILINE)
    return {name: value.replace('"', "").split() for name, value in found}


def target(compiler: str) -> str:
    """The architecture a compiler compiles for."""
    done = subprocess.run([compiler, "-dumpmachine"], capture_output=True, text=True, check=False)
    return done.stdout.split("-")[0] if done.returncode == 0 else ""


def compiler_for(architecture: str) -> str | None:
    for name in COMPILERS[architecture]:
        if shutil.which(name) and target(name) == architecture:
            return name
    return None


def read(tool: str, *arguments: str | Path) -> str:
    done = subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture(scope="session")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One object per instruction set for which there is a compiler here."""
    if not SOURCE.exists():
        pytest.skip("the C++ sources are not beside the tests")
    for tool in ("nm", "objdump"):
        if not shutil.which(tool):
            pytest.skip(f"there is no {tool} here")
    folder = tmp_path_factory.mktemp("objects")
    lists = cmake_lists()
    jobs = {}
    for architecture in COMPILERS:
        compiler = compiler_for(architecture)
        if compiler is not None:
            for isa in lists[f"ISAS_{architecture}"]:
                jobs[isa] = [
                    compiler,
                    "-std=gnu++17",
                    "-O2",  # less than the build's -O3 halves the time, and inlines less: it would leak more
                    "-fPIC",
                    "-fvisibility=hidden",
                    "-fvisibility-inlines-hidden",
                    *lists["KERNEL_FLAGS"],
                    *lists[f"ISA_FLAGS_{isa}"],
                    f"-DKERNEL_ISA={isa}",
                    "-I",
                    str(ROOT / "cpp"),
                    "-c",
                    str(SOURCE),
                    "-o",
                    str(folder / f"{isa}.o"),
                ]
    if not jobs:
        pytest.skip("there is no C++ compiler here")

    def build(isa: str) -> Path:
        done = subprocess.run(jobs[isa], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return folder / f"{isa}.o"

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(jobs, pool.map(build, jobs), strict=True))


def symbols(path: Path) -> list[tuple[str, str]]:
    """(type, name) as nm says: capitals are visible outside."""
    lines = (line.split() for line in read("nm", path).splitlines())
    return [(words[-2], words[-1]) for words in lines if len(words) >= 2]


def demangled(name: str) -> str:
    return read("c++filt", name).strip() if shutil.which("c++filt") else name


def test_only_the_table_leaves_an_object(objects: dict[str, Path]) -> None:
    for isa, path in objects.items():
        seen = [name for kind, name in symbols(path) if kind.isupper() and kind != "U"]
        assert len(seen) == 1, f"{isa} exports {[demangled(name) for name in seen]}"
        assert demangled(seen[0]).replace("[abi:cxx11]", "") in (
            f"skrnn::{isa}::table()",
            seen[0],  # without c++filt
        )
        assert isa in seen[0]
        assert "table" in seen[0]


def test_no_weak_symbols(objects: dict[str, Path]) -> None:
    """Weak (W, V, w, v) and unique (u) symbols are those that a linker merges across objects."""
    for isa, path in objects.items():
        weak = [demangled(name) for kind, name in symbols(path) if kind in "WVwvuC"]
        assert not weak, f"{isa}: {weak}"


def test_nothing_runs_at_load_time(objects: dict[str, Path]) -> None:
    for isa, path in objects.items():
        sections = read("objdump", "-h", path)
        for section in (".init_array", ".ctors", ".preinit_array", ".fini_array", ".dtors"):
            assert section not in sections, f"{isa} has {section}"
        starters = [name for _, name in symbols(path) if "GLOBAL__sub_I" in name]
        assert not starters, f"{isa}: {starters}"


# Memory functions, which compilers insert by themselves, and one logarithm per row of a loss: plain functions of C.
MAY_CALL = {"memcpy", "memset", "memmove", "memcmp", "log", "_GLOBAL_OFFSET_TABLE_"}


def test_almost_nothing_is_called(objects: dict[str, Path]) -> None:
    """No allocation, no exceptions, no library mathematics, no standard library."""
    for isa, path in objects.items():
        called = {name for kind, name in symbols(path) if kind == "U"}
        assert called <= MAY_CALL, f"{isa} calls {sorted(map(demangled, called - MAY_CALL))}"


def test_no_lazy_statics_and_no_writable_data(objects: dict[str, Path]) -> None:
    """Tables are constant: no guards of function-local statics, nothing in .data or .bss to race on."""
    for isa, path in objects.items():
        writable = [demangled(name) for kind, name in symbols(path) if kind in "dDbBsSgG"]
        # Pointers to functions in constant tables are relocated at load time: .data.rel.ro, which nm calls d.
        sections = read("objdump", "-t", path)
        relocated = {line.split()[-1] for line in sections.splitlines() if ".data.rel.ro" in line}
        names = {name for kind, name in symbols(path) if kind in "dDbBsSgG"}
        assert names <= relocated, f"{isa}: {writable}"


def test_each_object_uses_the_registers_of_its_set(objects: dict[str, Path]) -> None:
    """The flags did something: wide registers appear in the wide objects, and in no other."""
    widest = {"baseline": "xmm", "avx2": "ymm", "avx512": "zmm"}
    for isa, path in objects.items():
        if isa not in widest:
            continue
        code = read("objdump", "-d", "--no-show-raw-insn", path)
        assert f"%{widest[isa]}" in code
        for wider in list(widest.values())[list(widest).index(isa) + 1 :]:
            assert f"%{wider}" not in code, f"{isa} uses {wider}"
        multiply_adds = len(re.findall(r"\bvfn?m(?:add|sub)\w*[ps][sd]\b", code))
        assert (multiply_adds > 0) == (isa != "baseline")
