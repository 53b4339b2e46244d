"""The loop in streaming mode: small steps, an open campaign, tests between; killed and gone on with."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from loop_kills import kills_until_done
from loop_runs import STREAM, configured, record_of, run_loop, weights_of

from feedback_ui.database import Database, open_database
from feedback_ui.service.access import OPERATOR, Actor
from feedback_ui.service.accounts import add_rater
from feedback_ui.service.campaigns import campaign_info, campaigns
from feedback_ui.service.claims import next_task
from feedback_ui.service.judgements import revise, skip, submit, undo
from feedback_ui.service.progress import campaign_progress
from rlhf.config import validate
from rlhf.errors import ConfigError
from rlhf.online.promotion import Decision, decide
from rlhf.runs import Experiment
from rlhf.runs.loop_record import Guard, StepRecord
from stages.loop_opening import first_policy, identity_of
from stages.loop_setup import read_lines


def stream(runs_dir: Path, policy: Path, **options: Any) -> Any:
    return run_loop(runs_dir, policy, **{**STREAM, **options})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A stream that nothing disturbed."""
    runs_dir = tmp_path_factory.mktemp("whole")
    assert stream(runs_dir, tiny_model) is not None
    return runs_dir


def lines(runs_dir: Path, step: StepRecord, name: str) -> list[dict[str, Any]]:
    return read_lines(folder_of(runs_dir, step) / name)


def folder_of(runs_dir: Path, step: StepRecord) -> Path:
    (found,) = (runs_dir / "t" / "loop-1").glob(f"round-*/step-{step.number}")
    return found


def inputs_of(runs_dir: Path, run: str) -> dict[str, Any]:
    return json.loads((runs_dir / "t" / run / "open.json").read_text())["inputs"]


def test_a_round_is_taken_in_steps_and_then_tested(whole: Path) -> None:
    record = record_of(whole)
    assert (record.mode, record.ended) == ("streaming", "rounds")
    first, second = record.rounds
    assert [one.status for one in record.rounds] == ["done", "done"]
    # the first step takes the first round, so that no policy follows a model that has seen next to nothing
    assert [one.judgements for one in first.steps] == [12]
    assert [one.judgements for one in second.steps] == [6, 6]
    assert [step.number for step in record.steps] == [1, 2, 3]
    assert (first.judgements, second.judgements, record.judgements) == (12, 12, 24)
    for one in record.rounds:
        assert one.candidate == one.step.made
        assert one.judged_by == "gold"
        assert one.win_rate is not None
        assert one.runs["rm"] == one.step.runs["rm"]
        assert one.items == sum(step.items for step in one.steps)
    assert {"sft", "step-1", "step-3"} <= set(record.strengths)
    assert (whole / "t" / "loop-1" / "report.html").stat().st_size > 1000
    manifest = json.loads((whole / "t" / "loop-1" / "manifest.json").read_text())
    assert (manifest["metrics"]["steps"], manifest["metrics"]["rounds"]) == (3, 2)


def test_the_page_is_given_answers_of_the_newest_policy(whole: Path) -> None:
    record = record_of(whole)
    before = "sft"
    for step in record.steps:
        assert step.policy.label == before
        for row in lines(whole, step, "items.jsonl"):  # mixed: the newest with itself, and with the first
            whose = {one["model"] for one in row["item"]["responses"]}
            assert {before} <= whose <= {before, "sft"}
        assert step.made is not None
        before = step.made.label
    assert record.newest == record.steps[-1].made


def test_both_models_go_on_from_the_step_before(whole: Path) -> None:
    steps = record_of(whole).steps
    for before, after in pairwise(steps):
        assert inputs_of(whole, after.runs["rm"])["reward_model"]["path"] == f"t/{before.runs['rm']}"
        ppo = inputs_of(whole, after.runs["ppo"])
        assert ppo["policy"]["path"] == f"t/{before.runs['ppo']}"
        assert ppo["reward_model"]["path"] == f"t/{after.runs['rm']}"
        assert ppo["reference"]["path"] == inputs_of(whole, steps[0].runs["ppo"])["policy"]["path"]
    weights = weights_of(whole)
    assert len({weights[f"{step.runs['rm']}/model/model.safetensors"] for step in steps}) == 3
    assert len({weights[f"{step.runs['ppo']}/model/model.safetensors"] for step in steps}) == 3


def test_every_judgement_is_taken_once_in_a_snapshot_named_by_the_last(whole: Path) -> None:
    record, numbers = record_of(whole), list[int]()
    for step in record.steps:
        snapshot = folder_of(whole, step) / f"judgements-{step.upto}"
        own = [line["number"] for line in read_lines(snapshot / "judgements.jsonl")]
        assert max(own) == step.upto
        assert min(own) > step.after
        assert len(own) == step.judgements == len(lines(whole, step, "judgements.jsonl"))
        numbers += own
    assert len(set(numbers)) == len(numbers) == record.judgements
    db = open_database(str(whole / "t" / "feedback.db"))
    assert campaign_progress(db, OPERATOR, record.rounds[0].campaign).judgements == len(numbers)
    db.close()


def test_a_step_learns_from_new_pairs_and_some_older_ones(whole: Path) -> None:
    first, second, third = record_of(whole).steps
    assert first.replayed == 0
    for step in (second, third):
        rows = lines(whole, step, "preferences.jsonl")
        asked = {json.dumps(row["prompt"]) for row in rows}
        new = {json.dumps(row["item"]["prompt"]) for row in lines(whole, step, "items.jsonl")}
        assert len(rows) == step.learnt + step.replayed
        assert (step.learnt > 0, step.replayed) == (True, 4)
        assert asked - new


def test_what_is_kept_apart_is_learnt_from_in_no_step(whole: Path) -> None:
    steps = record_of(whole).steps
    rows = [row for step in steps for row in lines(whole, step, "items.jsonl")]
    apart = {json.dumps(row["item"]["prompt"]) for row in rows if row["part"] == "evaluation"}
    learnt = {json.dumps(row["prompt"]) for step in steps for row in lines(whole, step, "preferences.jsonl")}
    assert len(apart) >= 3
    assert not apart & learnt


def test_nobody_takes_the_policy_of_a_step_who_does_not_ask_for_it(whole: Path, tiny_model: Path) -> None:
    record = record_of(whole)
    assert not any(one.promoted for one in record.rounds)
    assert Experiment(whole, "t").resolve("policy", stage="eval", required=False) is None


def test_asked_again_it_reports_and_in_rounds_it_is_another_loop(whole: Path, tiny_model: Path) -> None:
    before, weights = record_of(whole), weights_of(whole)
    assert stream(whole, tiny_model) is not None
    assert record_of(whole) == before
    assert weights_of(whole) == weights
    assert not (whole / "t" / "loop-2").exists()
    ways = [validate(configured(whole, tiny_model, options)) for options in (STREAM, {})]
    assert len({identity_of(cfg, first_policy(cfg)) for cfg in ways}) == 2


EVERY = 13  # events from one kill to the next, and up to four more


def test_killed_again_and_again_it_ends_as_the_undisturbed_one(
    whole: Path, tmp_path: Path, tiny_model: Path
) -> None:
    kills = kills_until_done(lambda: stream(tmp_path, tiny_model), every=EVERY, most=300)
    assert kills > 10
    mine, other = record_of(tmp_path), record_of(whole)
    assert mine.without_times() == other.without_times()
    assert weights_of(tmp_path) == weights_of(whole)
    for step in other.steps:
        for name in ("items.jsonl", "judgements.jsonl", "preferences.jsonl"):
            assert lines(tmp_path, step, name) == lines(whole, step, name)


def broken(*arguments: Any, **options: Any) -> dict[str, Guard]:
    return {"longer": Guard(value=3.0, limit=1.5, ok=False)}


def promoting(*arguments: Any, **options: Any) -> Decision:
    """The decision as it is, but for a candidate that is promoted."""
    return replace(decide(*arguments, **options), promoted=True)


def test_a_policy_that_breaks_a_guard_is_gone_on_from_no_more(tmp_path: Path, tiny_model: Path) -> None:
    with patch("stages.loop_judging.measure", broken):
        stream(tmp_path, tiny_model)
    record = record_of(tmp_path)
    assert [one.promoted for one in record.rounds] == [False, False]
    assert [step.policy.label for step in record.steps] == ["sft", "sft", "step-2"]
    assert record.newest == record.incumbent
    assert [entry.what for entry in record.log].count("goes on from sft, without step-1") == 1
    # what was judged of it is learnt from all the same
    assert inputs_of(tmp_path, record.steps[1].runs["rm"])["reward_model"]["path"] == "t/rm-1"


def test_extended_and_rolled_back(tmp_path: Path, tiny_model: Path) -> None:
    with patch("stages.loop_judging.decide", promoting):
        stream(tmp_path, tiny_model, stage__rounds=1)
        first = record_of(tmp_path)
        assert (first.incumbent.label, first.newest) == ("step-1", first.incumbent)
        db = open_database(str(tmp_path / "t" / "feedback.db"))
        campaign = first.rounds[0].campaign
        assert campaign_info(db, OPERATOR, campaign).status == "closed"
        stream(tmp_path, tiny_model, stage__rounds=2, stage__rollback="sft")
        stream(tmp_path, tiny_model, stage__rounds=2)
    record = record_of(tmp_path, 2)
    assert [step.policy.label for step in record.steps] == ["sft", "sft", "step-2"]
    assert record.rounds[1].incumbent == "sft"
    assert record.judgements == 24
    assert [one.name for one in campaigns(db, OPERATOR)] == [campaign]
    db.close()


def judge_some(db: Database, actor: Actor, campaign: str, count: int, start: int = 0) -> list[Any]:
    found: list[Any] = []
    for number in range(start, start + count):
        task = next_task(db, actor, campaign)
        assert task is not None
        submit(db, actor, task.assignment_id, {"strength": 1 if number % 2 else -1}, key=f"k{number}")
        found.append(task.assignment_id)
    return found


def test_people_judge_on_while_it_learns_and_may_think_again(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options: dict[str, Any] = {
        "stage__raters": "people",
        "stage__wait": False,
        "stage__raters_per_item": 1,
        "stage__judge": "gold",
    }
    assert stream(tmp_path, tiny_model, **options) is None
    assert "12 of 12 judgements are missing" in capsys.readouterr().err
    db = open_database(str(tmp_path / "t" / "feedback.db"))
    (campaign,) = (one.name for one in campaigns(db, OPERATOR))
    actor = Actor(add_rater(db, OPERATOR, "韩梅梅").id, "rater", "韩梅梅")
    given = judge_some(db, actor, campaign, 12)
    assert stream(tmp_path, tiny_model, **options) is None
    assert campaign_info(db, OPERATOR, campaign).status == "open"
    step = record_of(tmp_path).steps[-1]
    assert (step.number, step.asks, step.needed, step.after) == (2, 8, 6, 12)

    # of what the first step took one is corrected, and one is taken back and left to others
    revise(db, actor, given[1], {"strength": -3}, key="again")
    undo(db, actor, given[0], key="undo")
    task = next_task(db, actor, campaign)
    assert task is not None
    assert task.assignment_id == given[0]
    skip(db, actor, task.assignment_id, "unclear", key="skipped")
    judge_some(db, actor, campaign, 6, start=200)
    assert stream(tmp_path, tiny_model, **options) is None
    second, third = record_of(tmp_path).steps[1:]
    assert second.judgements == 6 - 1
    assert second.learnt >= 1
    corrected = [row for row in lines(tmp_path, second, "judgements.jsonl") if row["strength"] == 3]
    assert len(corrected) == 1
    assert len(lines(tmp_path, second, "taken_back.jsonl")) == 1
    assert (third.asks, third.needed) == (5, 6)  # two of eight wait still, and what was left to others
    judge_some(db, actor, campaign, 7, start=300)
    assert stream(tmp_path, tiny_model, **options) is not None
    record = record_of(tmp_path)
    assert record.rounds[1].judgements == 5 + 7  # those that were given beyond what it waited for count too
    progress = campaign_progress(db, OPERATOR, campaign)
    assert record.judgements == progress.judgements == 24
    db.close()


def test_raters_a_pair_stay_as_they_are(tmp_path: Path, tiny_model: Path) -> None:
    stream(tmp_path, tiny_model, stage__rounds=1)
    with pytest.raises(ConfigError, match=r"stage.raters_per_item=1: this stream asks 2 a pair"):
        stream(tmp_path, tiny_model, stage__raters_per_item=1)


def test_the_budget_of_all_judgements_is_kept(tmp_path: Path, tiny_model: Path) -> None:
    stream(tmp_path, tiny_model, stage__rounds=None, stage__max_judgements=20, stage__queue=40)
    record = record_of(tmp_path)
    assert (record.ended, record.judgements) == ("budget", 20)
    assert [step.judgements for step in record.steps] == [12, 6, 2]
