"""The README and the guide tell the truth: their programs run, and their links lead somewhere."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest

import skrnn.preprocessing as pp

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("cpp/**/*.md")])


GUIDE = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/guide/*.md"))


@pytest.mark.parametrize("page", ["README.md", "docs/user_guide.md", *GUIDE])
def test_programs_run(page: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = [
        (match.start(1), match[1]) for match in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    ]
    assert blocks
    names: dict[str, Any] = {}
    for start, program in blocks:
        line = text.count("\n", 0, start)
        exec(compile("\n" * line + program, page, "exec"), names)  # a traceback then shows the line of the page


def test_examples_in_docstrings() -> None:
    modules = [importlib.import_module(f"skrnn.preprocessing.{m.name}") for m in pkgutil.iter_modules(pp.__path__)]
    results = [doctest.testmod(module) for module in modules]
    assert sum(result.attempted for result in results) > 20
    assert not sum(result.failed for result in results)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    lost = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not lost


def test_every_step_that_the_kernels_cite_is_on_paper() -> None:
    cited = {
        step for path in (ROOT / "cpp").rglob("*.h") for step in re.findall(r"\[[A-Z]+\.[FB]\d+\]", path.read_text())
    }
    written = {
        step
        for path in (ROOT / "docs" / "derivations").glob("*.md")
        for step in re.findall(r"^- `(\[[A-Z]+\.[FB]\d+\])`", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert cited
    assert cited <= written
