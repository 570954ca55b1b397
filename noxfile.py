"""Everything a developer runs, one session each: ``nox -l`` lists them, ``nox`` runs the tests and the linters."""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2024.10"
nox.options.sessions = ["lint", "tests"]
nox.options.default_venv_backend = "uv|virtualenv"

CPP = [str(path) for folder in ("cpp", "tests/cpp") for path in sorted(Path(folder).rglob("*.[ch]*"))]


@nox.session
def tests(session: nox.Session) -> None:
    """The suite, on the best instruction set of this machine."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def isa(session: nox.Session) -> None:
    """The suite once for every instruction set that this machine can run."""
    session.install(".[test]")
    program = "from skrnn import _core; print(*_core.available_isas())"
    names = session.run("python", "-c", program, silent=True)
    assert isinstance(names, str)
    for name in names.split():
        session.run("pytest", *session.posargs, env={"SKRNN_ISA": name})


@nox.session
@nox.parametrize("scikit_learn", ["1.6", "newest"])
def estimator_checks(session: nox.Session, scikit_learn: str) -> None:
    """scikit-learn's checks and their twins for sequences, on the oldest supported scikit-learn and the newest."""
    requirement = "scikit-learn" if scikit_learn == "newest" else f"scikit-learn=={scikit_learn}.*"
    session.install(".[test]", requirement)
    session.run("python", "tests/estimator_checks.py")


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types, and the stub of the extension held against the extension."""
    session.install(".[lint]")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("clang-format", "--dry-run", "--Werror", *CPP)
    session.run("mypy")
    stubtest = ["stubtest", "--mypy-config-file", "pyproject.toml", "--allowlist", ".ci/stubtest-allowlist"]
    session.run(*stubtest, "skrnn._core")


@nox.session
def tidy(session: nox.Session) -> None:
    """clang-tidy over the C++ (needs clang, clang-tidy and ninja)."""
    session.install("pybind11>=3", "cmake", "ninja")
    session.run("cmake", "--preset", "tidy")
    session.run("cmake", "--build", "--preset", "tidy")


@nox.session
def checks(session: nox.Session) -> None:
    """The C++ checks that need no Python: ``nox -s checks -- asan`` or ``-- arm64`` for another preset."""
    session.install("pybind11>=3", "cmake", "ninja")
    preset = session.posargs[0] if session.posargs else "default"
    session.run("cmake", "--preset", preset)
    session.run("cmake", "--build", "--preset", preset)
    session.run("ctest", "--preset", preset)


@nox.session
def cost(session: nox.Session) -> None:
    """What one call costs, held against figures (needs GCC and valgrind): ``nox -s cost -- --write`` renews them."""
    session.install("cmake", "ninja")
    session.run("cmake", "--preset", "default", "-B", "build/cost", "-DSKRNN_MODULE=OFF")
    session.run("cmake", "--build", "build/cost", "--target", "call_cost")
    session.run("python", "tests/cpp/call_cost.py", *session.posargs)


@nox.session
def sdist(session: nox.Session) -> None:
    """What a user without a wheel lives through: sdist, wheel from it, install, tests from the sdist."""
    session.install("build")
    folder = Path(session.create_tmp()).resolve()
    shutil.rmtree(folder)
    session.run("python", "-m", "build", "--outdir", str(folder))  # the wheel is built from the sdist
    (archive,) = folder.glob("*.tar.gz")
    (wheel,) = folder.glob("*.whl")
    shutil.unpack_archive(archive, folder)
    session.install(f"{wheel}[test]")
    session.chdir(folder / archive.name.removesuffix(".tar.gz"))
    session.run("pytest", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Our own timings, then side by side with the peers: ``nox -s bench -- --quick``."""
    session.install(".[bench]")
    session.run("pytest", "bench")
    session.run("python", "bench/compare.py", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The guide as a site in build/docs; a broken link is an error."""
    session.install("mkdocs>=1.6")
    session.run("mkdocs", "build", "--strict", "--site-dir", "build/docs")
