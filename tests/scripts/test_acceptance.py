"""The driver of the long measurements: what it reads from runs, and what it writes down."""

import json
from pathlib import Path

import pytest

from scripts import acceptance
from scripts.acceptance import Measured, chain, demo, figures_of, main, setting_now

MANIFEST = {"seconds": 12.5, "metrics": {"gold_win_rate_low": 0.6, "prompts": 24, "note": "words"}}


def finish(runs_dir: Path, name: str, low: float) -> None:
    folder = runs_dir / name / "eval-1"
    folder.mkdir(parents=True)
    metrics = {**MANIFEST["metrics"], "gold_win_rate_low": low}
    (folder / "manifest.json").write_text(json.dumps({**MANIFEST, "metrics": metrics}))


def test_figures_are_the_numbers_of_finished_runs(tmp_path: Path):
    finish(tmp_path, "x", 0.6)
    (tmp_path / "x" / "ppo-1").mkdir()
    expected = {"eval-1": {"seconds": 12.5, "gold_win_rate_low": 0.6, "prompts": 24.0}}
    assert figures_of(tmp_path / "x") == expected


def test_a_command_that_fails_ends_the_chain(tmp_path: Path):
    commands = [["stage=sft", "seed=-1"], ["stage=rm"]]
    measured = chain("x", commands, tmp_path)
    assert measured.failed == "`python -m rlhf.run stage=sft seed=-1` ended with 2"
    assert len(measured.commands) == 1


@pytest.mark.parametrize(("low", "passes"), [(0.51, True), (0.5, False)])
def test_the_demo_has_to_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, low: float, passes: bool):
    finish(tmp_path, "demo-seed-3", low)
    ran = Measured("demo-seed-3", [], 1.0, None, figures_of(tmp_path / "demo-seed-3"))
    monkeypatch.setattr(acceptance, "chain", lambda *_: ran)
    assert (demo([3], tmp_path)[0].failed is None) is passes


def test_results_name_commit_seeds_and_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    measured = Measured("demo-seed-7", ["python -m rlhf.run stage=all seed=7"], 3.0, "it lost")
    monkeypatch.setattr(acceptance, "RESULTS", tmp_path)
    monkeypatch.setattr(
        acceptance, "PARTS", {"demo": lambda seeds, runs_dir: [measured] if seeds == [7] else []}
    )
    assert main(["demo", "--seeds", "7"]) == 1
    assert "it lost" in capsys.readouterr().err
    page, setting = (tmp_path / "demo.md").read_text(), setting_now()
    for words in (setting.commit[:12], "seed=7", setting.cpu, f"{setting.cores} cores", "Failed: it lost"):
        assert words in page
    assert json.loads((tmp_path / "demo.json").read_text())["experiments"][0]["name"] == "demo-seed-7"


def test_real_data_that_is_absent_is_left_out_aloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(acceptance, "REAL_DATA", tmp_path / "nowhere")
    monkeypatch.setattr(acceptance, "RESULTS", tmp_path)
    assert main(["real"]) == 0
    assert "left out" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
