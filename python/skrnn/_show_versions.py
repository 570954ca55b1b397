"""What to paste into a bug report."""

from __future__ import annotations

import importlib.metadata
import platform
import sys

from skrnn import _core


def show_versions() -> None:
    """Print the versions and choices that results and speed depend on.

    That is: scikit-rnn, how its core was compiled, the instruction sets that it contains, those
    this processor can run and the one in use, the number of threads, Python and the libraries.
    """
    rows = {
        "scikit-rnn": _core.__version__,
        **_core.build_info(),
        "instruction sets compiled": ", ".join(_core.compiled_isas()),
        "instruction sets available": ", ".join(_core.available_isas()),
        "instruction set in use": _core.get_isa(),
        "threads": str(_core.get_num_threads()),
        "python": sys.version.replace("\n", " "),
        "platform": platform.platform(),
    }
    for package in ("numpy", "scikit-learn", "scipy", "safetensors"):
        try:
            rows[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            rows[package] = "not installed"
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:>{width}}: {value}")
