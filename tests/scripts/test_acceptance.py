"""The driver of the long measurements: what it reads from runs, and what it writes down."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from scripts import acceptance
from scripts.acceptance import demo, demo_table, main, put_table
from scripts.measuring.chains import Measured, chain, figures_of
from scripts.measuring.setting import setting_now

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


KEPT = {
    "eval-1": {
        "gold_win_rate": 0.85, "gold_win_rate_low": 0.81, "gold_win_rate_high": 0.88, "kl_nats": 2.5,
        "right_policy": 0.9, "right_baseline": 0.7, "gold_policy": 0.93, "gold_baseline": 0.6,
        "best-of-16_gold": 0.92,
    },
    "rm-1": {"accuracy": 0.7, "length_accuracy": 0.55},
}  # fmt: skip


@pytest.mark.parametrize(
    ("run", "figure", "value", "said"),
    [
        ("eval-1", "gold_win_rate", 0.79, "gold win rate 79.0%"),
        ("eval-1", "gold_win_rate_low", 0.7, "from 70.0%"),
        ("eval-1", "kl_nats", 20.0, "KL 20.0 nats"),
        ("eval-1", "right_policy", 0.7, "right fell"),
        ("eval-1", "best-of-16_gold", 0.94, "below best of 16"),
        ("rm-1", "length_accuracy", 0.61, "length alone 61.0%"),
    ],
)
def test_the_demo_has_to_keep_each_promise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: str, figure: str, value: float, said: str
):
    ran = Measured("demo-seed-3", [], 60.0, None, KEPT)
    monkeypatch.setattr(acceptance, "chain", lambda *_: ran)
    assert demo([3], tmp_path)[0].failed is None
    worse = {name: dict(figures) for name, figures in KEPT.items()}
    worse[run][figure] = value
    monkeypatch.setattr(acceptance, "chain", lambda *_: replace(ran, figures=worse))
    assert said in str(demo([3], tmp_path)[0].failed)


def test_the_demos_table_has_a_row_a_seed_and_none_for_what_never_ended():
    ran = Measured("demo-seed-3", [], 90.0, None, KEPT)
    *_, row = demo_table([ran, Measured("demo-seed-4", [], 1.0, "it broke")])
    assert row == (
        "| 3 | 85.0% | 81.0% to 88.0% | 70.0% → 90.0% | 0.600 → 0.930 | 0.920 | 2.50 | 70.0% | 55.0% | 1.5 |"
    )


def test_the_readmes_table_is_the_one_that_was_measured(tmp_path: Path):
    readme = tmp_path / "README.md"
    readme.write_text(
        "before\n<!-- table of make acceptance-demo -->\nold\n<!-- end of the table -->\nafter\n"
    )
    put_table(readme, ["| a |", "| 1 |"])
    put_table(readme, ["| b |", "| 2 |"])
    assert readme.read_text() == (
        "before\n<!-- table of make acceptance-demo -->\n| b |\n| 2 |\n<!-- end of the table -->\nafter\n"
    )
    readme.write_text("no marks\n")
    put_table(readme, ["| b |"])
    assert readme.read_text() == "no marks\n"


def test_results_name_commit_seeds_and_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    measured = Measured("demo-seed-7", ["python -m rlhf.run stage=all seed=7"], 3.0, "it lost")
    monkeypatch.setattr(acceptance, "RESULTS", tmp_path)
    monkeypatch.setattr(acceptance, "READMES", {})
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
    monkeypatch.setattr(acceptance, "READMES", {})
    assert main(["real"]) == 0
    assert "left out" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
