"""Our own timings: ``pytest bench`` runs them; ``--benchmark-autosave`` and ``pytest-benchmark compare`` follow them.

Every benchmark asserts its answer, so that a fast wrong kernel cannot win.
"""

from __future__ import annotations

from typing import Any

import pytest

import machine
import skrnn


@pytest.fixture(params=sorted({1, machine.available_cores()}), ids="threads{}".format)
def n_threads(request: pytest.FixtureRequest) -> Any:
    """Pinned, so that a figure means something."""
    skrnn.set_num_threads(request.param)
    yield request.param
    skrnn.set_num_threads(0)


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    machine_info["skrnn"] = machine.describe()
