"""The table of aggregation: what it counts, what it promises, and a small run of it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scripts import check_aggregation
from scripts.check_aggregation import Line, Summary, main, measure, summarise

KEPT = Summary("equal", 3000, 8, 0.75, 0.845, 0.84, 0.844, 0.845, 0.001, 0.001, 0.001, 0.02, 0.95)


def test_summaries_are_means_of_differences():
    lines = [
        Line("mixed", 0, 3000, 0.74, 0.83, 0.86, 0.87, 0.88, 0.02, 0.9),
        Line("mixed", 1, 3000, 0.76, 0.85, 0.86, 0.88, 0.88, 0.04, 1.0),
    ]
    found = summarise(lines)
    assert found.below_known == pytest.approx(0.005)
    assert found.below_known_deviation == pytest.approx(0.01 / 2**0.5)
    assert found.below_majority == pytest.approx(-0.035)
    assert (found.single, found.skill_error, found.held) == pytest.approx((0.75, 0.03, 0.95))


def test_each_promise_is_held_against_the_figures():
    assert KEPT.short == ""
    assert "true skills" in replace(KEPT, below_known=0.0051).short
    assert "0.0301" in replace(KEPT, skill_error=0.0301).short
    assert "below majority" in replace(KEPT, below_majority=0.0031).short
    assert replace(KEPT, pairs=300, below_known=0.1).short == ""  # no promise is made of so few
    assert replace(KEPT, population="mixed", below_majority=0.0031).short == ""


def test_the_populations_are_as_described():
    line = measure("mixed", 0, 300)
    assert line.single == pytest.approx(0.4 * 0.9 + 0.4 * 0.7 + 0.2 * 0.5, abs=0.05)
    # majority of three: for pairs of one rater's kind p^3 + 3 p^2 (1 - p), for mixtures near it
    equal = measure("equal", 0, 3000)
    assert equal.majority == pytest.approx(0.75**3 + 3 * 0.75**2 * 0.25, abs=0.02)
    assert equal.known_skills == equal.majority
    assert measure("mixed", 0, 300) == line
    assert measure("mixed", 1, 300) != line


def test_raters_judge_as_many_each():
    with pytest.raises(ValueError, match="multiple of 10"):
        measure("equal", 0, 305)


def test_a_run_prints_and_writes_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["--seeds", "0,1", "--pairs", "100", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert [line.split(" | ")[0] for line in printed.splitlines()[2:]] == [
        "| mixed",
        "| adversarial",
        "| equal",
    ]
    assert printed.strip() in (tmp_path / "aggregation.md").read_text("utf-8")
    record = json.loads((tmp_path / "aggregation.json").read_text("utf-8"))
    assert [line["pairs"] for line in record["lines"]] == [100] * 6


def test_a_broken_promise_is_exit_code_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def measured(population: str, seed: int, num_pairs: int) -> Line:
        return Line(population, seed, num_pairs, 0.7, 0.8, 0.8, 0.8, 0.81, 0.02, 0.95)

    monkeypatch.setattr(check_aggregation, "measure", measured)
    assert main(["--seeds", "0,1"]) == 1
    assert "mixed: 1.00 points below the true skills' weights" in capsys.readouterr().err
    assert main(["--seeds", "0,1", "--pairs", "100"]) == 0


@pytest.mark.parametrize("population", ["mixed", "equal"])
def test_the_promise_is_kept_on_two_seeds(population: str):
    """Shows 6 of the page's promise; the script runs all eight."""
    assert summarise([measure(population, seed, 3000) for seed in (0, 1)]).short == ""
    assert np.isfinite(summarise([measure(population, 0, 100)]).skill_error)
