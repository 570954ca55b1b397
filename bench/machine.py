"""What a figure means nothing without: the machine, the versions, the instruction set, the peak."""

from __future__ import annotations

import importlib
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import skrnn
from skrnn import _core


def optional(name: str) -> Any:
    """The module of that name, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def commit() -> str:
    """The commit of the checkout this file lies in, marked where files differ from it."""
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answer.stdout.strip()


def versions(*packages: str) -> dict[str, str]:
    found = {"python": platform.python_version(), "skrnn": skrnn.__version__}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "absent"
    return found


def describe() -> dict[str, Any]:
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "command": " ".join(sys.argv),
        "cpu": cpu_name(),
        "cores": available_cores(),
        "load": os.getloadavg()[0],
        "isa": _core.get_isa(),
        "build": _core.build_info(),
        "versions": versions("numpy", "scikit-learn", "torch", "onnxruntime"),
        "environment": {k: v for k, v in os.environ.items() if k.startswith(("OMP_", "GOMP_", "KMP_", "SKRNN_"))},
    }


def fma_peak(n_threads: int) -> float:
    """GFLOP/s of plain float32 fused multiply-adds in registers: the most any kernel could do here."""
    return max(_core.fma_peak("float32", n_threads) for _ in range(3))
