"""The loop: two rounds, killed and gone on with, extended, waited for, and what it leaves in the logs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from loop_kills import kills_until_done
from loop_runs import record_of, run_loop, weights_of

from feedback_ui.database import Database, open_database
from feedback_ui.service.access import OPERATOR, Actor
from feedback_ui.service.accounts import add_rater
from feedback_ui.service.audit import audit_log
from feedback_ui.service.campaigns import campaigns
from feedback_ui.service.claims import next_task
from feedback_ui.service.judgements import submit
from rlhf.errors import ConfigError, InputError
from rlhf.online.promotion import Decision, decide
from stages.loop_setup import read_lines


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A loop that nothing disturbed."""
    runs_dir = tmp_path_factory.mktemp("whole")
    manifest = run_loop(runs_dir, tiny_model)
    assert manifest is not None
    return runs_dir


def lines(runs_dir: Path, round_number: int, name: str) -> list[dict[str, Any]]:
    return read_lines(runs_dir / "t" / "loop-1" / f"round-{round_number}" / name)


def actions(runs_dir: Path) -> list[str]:
    db = open_database(str(runs_dir / "t" / "feedback.db"))
    found = [line.action for line in reversed(audit_log(db, OPERATOR, count=1000))]
    db.close()
    return [action for action in found if action.startswith("loop-")]


def test_two_rounds(whole: Path) -> None:
    record = record_of(whole)
    assert [one.status for one in record.rounds] == ["done", "done"]
    assert record.ended == "rounds"
    for number, one in enumerate(record.rounds, start=1):
        assert (one.number, one.items, one.judgements) == (number, 6, 12)
        assert one.evaluation_items == 2
        assert set(one.runs) == {"sample", "rm", "ppo", "eval"}
        assert set(one.rm_accuracy) <= set(range(1, number + 1))
        assert one.judged_by == "gold"
        assert one.win_rate is not None
        assert one.win_rate == pytest.approx(one.gold_win_rate)
        assert set(one.rater_skill) == {"simulated-1", "simulated-2", "simulated-3"}
        assert one.guards
        assert one.why
        assert one.why_zh
        assert one.candidate is not None
        assert one.candidate.run == f"ppo-{number}"
        assert one.kl_nats is not None
        for run in one.runs.values():
            assert (whole / "t" / run / "manifest.json").is_file()
    assert len(record.samples) == 8
    assert set(record.samples[0].answers) == {"sft", "round-1", "round-2"}
    assert {"sft", "round-1", "round-2"} == set(record.strengths)
    assert (whole / "t" / "loop-1" / "report.html").stat().st_size > 1000


def test_what_is_kept_apart_is_learnt_from_in_no_round(whole: Path) -> None:
    rounds = {number: lines(whole, number, "items.jsonl") for number in (1, 2)}
    apart = {json.dumps(row["item"]["prompt"]) for rows in rounds.values() for row in rows
             if row["part"] == "evaluation"}  # fmt: skip
    learnt = {json.dumps(row["prompt"]) for row in lines(whole, 2, "preferences.jsonl")}
    assert len(apart) >= 3
    assert learnt
    assert not apart & learnt


def test_the_second_reward_model_goes_on_from_the_first_and_learns_from_both_rounds(whole: Path) -> None:
    opening = json.loads((whole / "t" / "rm-2" / "open.json").read_text())
    assert opening["inputs"]["reward_model"]["path"] == "t/rm-1"
    first, second = (lines(whole, number, "preferences.jsonl") for number in (1, 2))
    assert len(second) > len(first)
    ppo = json.loads((whole / "t" / "ppo-2" / "open.json").read_text())
    assert ppo["inputs"]["reward_model"]["path"] == "t/rm-2"
    assert ppo["inputs"]["policy"]["fingerprint"] == ppo["inputs"]["reference"]["fingerprint"]


def test_every_decision_is_in_the_audit_log_once(whole: Path) -> None:
    record = record_of(whole)
    expected = ["loop-promote" if one.promoted else "loop-keep" for one in record.rounds]
    assert actions(whole) == [*expected, "loop-end"]


def test_asked_again_it_reports_and_makes_nothing(whole: Path, tiny_model: Path) -> None:
    before, weights = record_of(whole), weights_of(whole)
    assert run_loop(whole, tiny_model) is not None
    assert record_of(whole) == before
    assert weights_of(whole) == weights
    assert not (whole / "t" / "loop-2").exists()


EVERY = 15  # events from one kill to the next, and up to four more


def test_killed_again_and_again_it_ends_as_the_undisturbed_one(
    whole: Path, tmp_path: Path, tiny_model: Path
) -> None:
    kills = kills_until_done(lambda: run_loop(tmp_path, tiny_model), every=EVERY, most=200)
    assert kills > 6
    assert record_of(tmp_path).without_times() == record_of(whole).without_times()
    assert weights_of(tmp_path) == weights_of(whole)
    assert actions(tmp_path) == actions(whole)
    for number in (1, 2):
        for name in ("judgements.jsonl", "preferences.jsonl"):
            assert lines(tmp_path, number, name) == lines(whole, number, name)


def test_in_other_ways(tmp_path: Path, tiny_model: Path) -> None:
    """An ensemble chooses by information, two temperatures, raters decide, PPO begins at the incumbent."""
    guidelines = tmp_path / "说明.md"
    guidelines.write_text("诚实，有礼貌。", encoding="utf-8")
    models = {"max_steps": 1, "batch_size": 4, "ensemble": 2, "validation_share": 0.0, "judge_share": 0.0}
    with patch("stages.loop_judging.decide", promoting):
        run_loop(
            tmp_path,
            tiny_model,
            stage__strategy="information",
            stage__rm=models,
            stage__temperatures=[0.7, 1.3],
            stage__opponent="predecessor",
            stage__aggregate="majority",
            stage__recent_weight=2.0,
            stage__reward_model="anew",
            stage__start="incumbent",
            stage__ask_people=8,
            stage__guidelines=str(guidelines),
        )
    record = record_of(tmp_path)
    first, second = record.rounds
    assert (first.strategy, second.strategy) == ("random", "information")
    assert second.incumbent == "round-1"
    assert second.runs["sample-2"] == "sample-4"
    assert (first.judged_by, first.human_judgements) == ("people", 2 * len(judged_pairs(tmp_path, 1)))
    assert first.win_rate == first.human_win_rate
    whose = {tuple(sorted({one["model"] for one in row["item"]["responses"]}))
             for row in lines(tmp_path, 2, "items.jsonl")}  # fmt: skip
    assert whose == {("round-1", "sft")}  # of the round before, the predecessor
    heats = {one["sampling"]["temperature"] for row in lines(tmp_path, 2, "items.jsonl")
             for one in row["item"]["responses"]}  # fmt: skip
    assert heats == {0.7, 1.3}
    assert {row["weight"] for row in lines(tmp_path, 2, "preferences.jsonl")} == {0.5, 1.0}
    rm, ppo = (json.loads((tmp_path / "t" / run / "open.json").read_text()) for run in ("rm-2", "ppo-2"))
    assert "reward_model" not in rm["inputs"]
    assert ppo["inputs"]["policy"]["path"] == "t/ppo-1"
    assert ppo["inputs"]["reference"]["path"] == str(tiny_model)
    db = open_database(str(tmp_path / "t" / "feedback.db"))
    assert {one.guidelines for one in campaigns(db, OPERATOR)} == {"诚实，有礼貌。"}
    assert [line.action for line in audit_log(db, OPERATOR, count=1000)].count("loop") == 4
    db.close()


def judged_pairs(runs_dir: Path, round_number: int) -> list[Any]:
    """The pairs of candidate and incumbent that raters were asked about."""
    file = runs_dir / "t" / "loop-1" / f"round-{round_number}" / "judging.json"
    return json.loads(file.read_bytes())["pairs"]


def promoting(*arguments: Any, **options: Any) -> Decision:
    """The decision as it is, but for a candidate that is promoted."""
    return replace(decide(*arguments, **options), promoted=True)


def test_rolled_back_and_extended(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with patch("stages.loop_judging.decide", promoting):
        run_loop(tmp_path, tiny_model, stage__rounds=1)
    first = record_of(tmp_path)
    assert (first.ended, first.incumbent.label) == ("rounds", "round-1")
    assert [one.label for one in first.policies] == ["sft", "round-1"]

    with pytest.raises(InputError, match=r"stage.rollback=nobody.*there are sft, round-1"):
        run_loop(tmp_path, tiny_model, stage__rounds=1, stage__rollback="nobody")
    with pytest.raises(InputError, match=r"no loop of this seed.*\n.*stage.rounds=1"):
        run_loop(tmp_path, tiny_model, seed=5, stage__rollback="sft")
    run_loop(tmp_path, tiny_model, stage__rounds=1, stage__rollback="sft")
    second = record_of(tmp_path, 2)
    assert second.incumbent.label == "sft"
    assert second.policies == first.policies
    capsys.readouterr()
    run_loop(tmp_path, tiny_model, stage__rounds=1, stage__rollback="sft")
    assert "ended by stage.rounds; the incumbent is sft" in capsys.readouterr().err

    run_loop(tmp_path, tiny_model, stage__rounds=2, stage__budget=10)
    third = record_of(tmp_path, 3)
    assert third.rounds[0] == first.rounds[0]
    assert (third.rounds[1].budget, third.rounds[1].incumbent) == (10, "sft")
    assert any("rounds 1 -> 2" in entry.what for entry in third.log)
    assert any("rolled back from round-1 to sft" in entry.what for entry in third.log)
    assert record_of(tmp_path) == first
    done = actions(tmp_path)
    assert [done.count(f"loop-{act}") for act in ("promote", "rollback", "extend")] == [1, 1, 2]
    run_loop(tmp_path, tiny_model, stage__rounds=2)
    assert not (tmp_path / "t" / "loop-4").exists()


def judge_one(db: Database, actor: Actor, campaign: str, number: int) -> bool:
    task = next_task(db, actor, campaign)
    if task is None:
        return False
    submit(db, actor, task.assignment_id, {"strength": 1 if number % 2 else -1}, key=f"k{number}")
    return True


def test_it_waits_for_people_and_says_what_is_missing(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {
        "stage__raters": "people",
        "stage__wait": False,
        "stage__rounds": 1,
        "stage__raters_per_item": 1,
    }
    assert run_loop(tmp_path, tiny_model, **options) is None
    said = capsys.readouterr().err
    assert "12 of 12 judgements are missing" in said
    assert "python -m feedback_ui serve --db" in said
    assert "stage.budget=12" in said  # the command that goes on
    waiting = record_of(tmp_path).rounds[0]
    assert (waiting.status, waiting.waiting and waiting.waiting.needed) == ("waiting", 12)

    db = open_database(str(tmp_path / "t" / "feedback.db"))
    (campaign,) = (one.name for one in campaigns(db, OPERATOR))
    actor = Actor(add_rater(db, OPERATOR, "韩梅梅").id, "rater", "韩梅梅")
    for number in range(11):
        assert judge_one(db, actor, campaign, number)
    assert run_loop(tmp_path, tiny_model, **options) is None
    assert "1 of 12 judgements are missing" in capsys.readouterr().err
    assert judge_one(db, actor, campaign, 11)
    assert run_loop(tmp_path, tiny_model, **options, stage__judge="gold") is not None
    db.close()
    done = record_of(tmp_path).rounds[0]
    assert (done.status, done.judgements) == ("done", 12)
    assert next(iter(done.rater_skill)).startswith("r-")


def test_inputs_that_it_makes_itself_are_refused(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(ConfigError, match=r"inputs.reward_model=rm-1: stage=loop makes its own"):
        run_loop(tmp_path, tiny_model, inputs__reward_model="rm-1")
