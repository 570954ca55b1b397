"""bench/accuracy.py on small files of the same formats, and bench/classic.py on a small problem."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import accuracy
import classic


def write_ts(path: Path, rng: np.random.Generator, n: int) -> None:
    """Sequences of two channels and 5 to 9 steps whose class is the sign of the first."""
    lines = ["# a comment", "@data"]
    for case in range(n):
        label = case % 2
        steps = int(rng.integers(5, 10))
        channels = [2 * label - 1 + 0.1 * rng.standard_normal(steps), rng.standard_normal(steps)]
        lines.append(":".join([*(",".join(f"{value:.4f}" for value in channel) for channel in channels), f"c{label}"]))
    path.write_text("\n".join(lines))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path / "tsc" / "BasicMotions"
    folder.mkdir(parents=True)
    write_ts(folder / "BasicMotions_TRAIN.ts", rng, 16)
    write_ts(folder / "BasicMotions_TEST.ts", rng, 10)
    for part, n in (("train", 40), ("test", 10)):
        folder = tmp_path / "snips" / part
        folder.mkdir(parents=True)
        words = [["play", "a", "song"], ["what", "weather", "is", "it"]]
        (folder / "seq.in").write_text("\n".join(" ".join(words[k % 2]) for k in range(n)), encoding="utf-8")
        (folder / "label").write_text("\n".join(["Play", "Weather"][k % 2] for k in range(n)), encoding="utf-8")
    return tmp_path


def test_accuracy(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--data", str(data), "--seeds", "1", "--json", str(tmp_path / "out.json")]
    results = accuracy.main([*arguments, "--only", "BasicMotions", "snips intent", "GunPoint"])
    shown = capsys.readouterr().out
    scores = {result.task.name: result.scores for result in results}
    assert scores["BasicMotions"] == (1.0,)
    assert scores["snips intent"] == (1.0,)
    assert scores["GunPoint"] == ()
    assert "2 of 3 targets reached" in shown
    assert "GunPoint was not measured: no tsc/GunPoint/GunPoint_TRAIN.ts" in shown
    assert (tmp_path / "out.json").stat().st_size > 100
    options = ["--only", "BasicMotions", "--validate", "--set", "memory_steps=None", "max_iter=5"]
    (result,) = accuracy.main([*arguments, *options])
    assert len(result.scores) == 4
    with pytest.raises(SystemExit):
        accuracy.main(["--data", str(data / "nowhere")])


def test_classic() -> None:
    """Too little to learn anything, but all of the way."""
    run = classic.RUNS[0]
    result, model = classic.evaluate(run, [0], max_iter=1, n_samples=20)
    assert model.n_iter_ == 1
    assert len(result.scores) == 1
    assert 0.01 < result.scores[0] < 2
    assert not result.as_expected
    assert "lstm" in classic.row(run, result)
