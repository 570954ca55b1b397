"""The README and the guide tell the truth: their programs run, and their links lead somewhere."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.base import BaseEstimator

import skrnn
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


# ---------------------------------------------------------------------------------------------------------------------
# docs/api.md
# ---------------------------------------------------------------------------------------------------------------------


def public_objects() -> Iterator[tuple[str, str, Any]]:
    """Yield module, name and object of all that is public."""
    modules = ["skrnn", *(f"skrnn.{name}" for name in skrnn.__all__ if inspect.ismodule(getattr(skrnn, name)))]
    for module_name in modules:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            value = getattr(module, name)
            if not (inspect.ismodule(value) or name.startswith("__")):
                yield module_name, name, value


def api_sections() -> Iterator[tuple[str, str, str]]:
    """Yield module, heading and text of each section."""
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for chapter in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        module, *sections = re.split(r"^### ", chapter, flags=re.MULTILINE)
        for section in sections:
            heading, _, body = section.partition("\n")
            yield module.partition("\n")[0], heading, body


PUBLIC = {f"{module}.{name}": value for module, name, value in public_objects()}
SECTIONS = {f"{module}.{heading}": body for module, heading, body in api_sections()}


def parameters(function: Any) -> list[str]:
    """Return its parameters as the page writes them, ``*`` before those that go by keyword only."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # classes of exceptions have none
        return []
    written: list[str] = []
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in written:
            written.append("*")
        default = "" if parameter.default is parameter.empty else f"={parameter.default!r}".replace("'", '"')
        written.append(f"{'**' * (parameter.kind is parameter.VAR_KEYWORD)}{parameter.name}{default}")
    return [name for name in written if name != "self"]


def test_api_page_has_every_public_name() -> None:
    named: set[str] = set()
    for module, heading, body in api_sections():
        names = re.findall(r"`(\w+)`", body) if heading == "Scorers" else heading.split(", ")
        named |= {f"{module}.{name}" for name in names}
    assert named == set(PUBLIC)


@pytest.mark.parametrize("name", sorted(PUBLIC.keys() & SECTIONS.keys()))
def test_api_page_agrees_with_the_code(name: str) -> None:
    value, body = PUBLIC[name], SECTIONS[name]
    bullets = re.findall(r"^- .*(?:\n  .*)*", body, re.MULTILINE)
    assert re.findall(r"`([^`]*)`", "\n".join(bullets)) == parameters(value)

    methods = re.search(r"^Methods: (?:.+\n)+", body, re.MULTILINE)
    for method, arguments in re.findall(r"`(\w+)\((.*?)\)`", methods[0]) if methods else []:
        assert arguments == ", ".join(parameters(getattr(value, method))), method
    attributes = re.search(r"^Attributes: (?:.+\n)+", body, re.MULTILINE)
    if attributes:
        described = re.search(r"^Attributes\n-+\n((?:.*\n)*?)\n\w", inspect.getdoc(value) or "", re.MULTILINE)
        assert described
        names = ", ".join(re.findall(r"^(\w.*?) :", described[1], re.MULTILINE)).split(", ")
        assert re.findall(r"`(\w+)`", attributes[0]) == names


def test_the_html_of_every_estimator_links_to_its_section() -> None:
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.MULTILINE)
    anchors = {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}
    classes = [value for value in PUBLIC.values() if inspect.isclass(value) and issubclass(value, BaseEstimator)]
    assert len(classes) >= 5
    for cls in classes:
        estimator = cls(window=3) if cls is pp.SlidingWindows else cls()
        link = re.search(r'href="https://scikit-rnn.readthedocs.io/en/latest/api/#(\S+?)"', estimator._repr_html_())
        assert link, cls
        assert link[1] == cls.__name__.lower()
        assert link[1] in anchors


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
