"""The examples run as they are shipped and keep what the README says of them."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are not beside the tests")


def run(name: str, folder: Path, *options: str) -> str:
    """Run an example where its picture does no harm; warnings of our own are errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:skrnn", EXAMPLES / name, "--output", "plot.png", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    assert found, text
    return float(found[1])


def has_picture(folder: Path) -> bool:
    return (folder / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_quickstart(tmp_path: Path) -> None:
    shown = run("quickstart.py", tmp_path)
    assert number(r"test accuracy.*?: ([\d.]+)", shown) >= 0.97
    pytest.importorskip("matplotlib")
    assert has_picture(tmp_path)


def test_sine_wave(tmp_path: Path) -> None:
    """The noise has a standard deviation of 0.1; no prediction can be much better than that on unseen points."""
    shown = run("sine_wave.py", tmp_path)
    error = number(r"(?m)^ *validation.*?([\d.]+)$", shown)
    naive = number(r"(?m)^ *repeating.*?([\d.]+)$", shown)
    assert 0.05 < error < 0.2
    assert error < 0.8 * naive
    pytest.importorskip("matplotlib")
    assert has_picture(tmp_path)


def test_surnames(tmp_path: Path) -> None:
    """On names made up here, whose endings give them away; the real ones are not ours to ship."""
    stems = [a + b + c for a in ("b", "k", "r", "st") for b in "aeiou" for c in ("l", "m", "n", "rt")]
    for language, endings in {"Russian": ("ov", "in"), "Armenian": ("ian", "yan"), "Polish": ("ski", "czyk")}.items():
        names = [(stem + ending).capitalize() for stem in stems for ending in endings]
        (tmp_path / f"{language}.txt").write_text("\n".join(names), encoding="utf-8")
    shown = run("surnames.py", tmp_path, "--data", ".")
    assert "fit on 360 names in 3 languages" in shown
    assert number(r"test accuracy.*?: ([\d.]+)", shown) > 0.95
    assert number(r"most frequent.*?: +([\d.]+)", shown) < 0.4
    pytest.importorskip("matplotlib")
    assert has_picture(tmp_path)


def test_gradient_flow(tmp_path: Path) -> None:
    """What the picture is to show: which gradients vanish, explode, and arrive."""
    pytest.importorskip("matplotlib")
    shown = run("gradient_flow.py", tmp_path)

    def arrives(name: str) -> float:
        return number(rf"(?m)^{re.escape(name)}: +([\d.e+-]+)", shown)

    assert arrives("RNN, tanh") < 1e-4
    assert arrives("RNN, ReLU") < 1e-12
    assert arrives("LSTM") > 10 * arrives("RNN, tanh")
    assert arrives("GRU, gates open") > 0.01
    assert arrives("weights x 1.8") > 1e12
    assert number(r"x 1.8:.*, ([\d.e+-]+) clipped", shown) < 1
    assert has_picture(tmp_path)


def test_training(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    shown = run("training.py", tmp_path)
    assert number(r"best was (\d+)", shown) < number(r"early stopping: (\d+)", shown) < 60
    assert number(r"early stopping.*accuracy ([\d.]+)", shown) > 0.95
    assert "Training interrupted by user" in shown
    assert number(r"interrupted: (\d+)", shown) == 8
    assert re.search(r"resumed: 20 epochs, .*as if never halted: True", shown)
    assert number(r"partial_fit: .*accuracy ([\d.]+)", shown) > 0.9
    assert has_picture(tmp_path)


def test_quantiles(tmp_path: Path) -> None:
    """On counts made up, and on a file of the form that the docstring names."""
    pytest.importorskip("matplotlib")
    shown = run("quantiles.py", tmp_path)
    assert 60 < number(r"later ones (\d+)%", shown) < 95
    assert number(r"pinball loss: +([\d.]+)", shown) < 0.6 * number(r"of all years: +([\d.]+)", shown)
    assert has_picture(tmp_path)

    years = range(1700, 1960)
    rows = [f"{year},{round(40 + 30 * math.sin(0.57 * year), 1)}" for year in years]
    (tmp_path / "sun.csv").write_text("\n".join(['"YEAR","SUNACTIVITY"', *rows]), encoding="utf-8")
    shown = run("quantiles.py", tmp_path, "--data", "sun.csv")
    assert "fit on 199 years; of 39 later ones" in shown


def test_intents(tmp_path: Path) -> None:
    """On sentences made up, and on folders of the form that the docstring names."""
    pytest.importorskip("matplotlib")
    shown = run("intents.py", tmp_path)
    assert number(r"test accuracy.*?: ([\d.]+)", shown) > 0.9
    assert number(r"most frequent.*?: ([\d.]+)", shown) < 0.6
    assert has_picture(tmp_path)

    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "seq.in").write_text("play it \nrain today\n" * 20, encoding="utf-8")
        (tmp_path / part / "label").write_text("PlayMusic\nGetWeather\n" * 20, encoding="utf-8")
    shown = run("intents.py", tmp_path, "--data", ".")
    assert "fit on 40 sentences of 2 intents" in shown
    assert number(r"test accuracy on 40.*?: ([\d.]+)", shown) == 1


def test_encoder(tmp_path: Path) -> None:
    """What was learned without labels is worth something, above all where labels are few."""
    shown = run("encoder.py", tmp_path)

    def scores(name: str) -> list[float]:
        return [number(rf"(?m)^{name}{column * r' +[0-9.]+'} +([0-9.]+)", shown) for column in range(3)]

    assert scores("encoder")[0] > scores("pixels")[0] > scores("untrained")[0] + 0.05
    assert scores("encoder")[2] > 0.91
    pytest.importorskip("matplotlib")
    assert has_picture(tmp_path)


def test_every_example_is_tested() -> None:
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert names == {name.removeprefix("test_") for name in globals() if name.startswith("test_")} - {
        "every_example_is_tested"
    }
