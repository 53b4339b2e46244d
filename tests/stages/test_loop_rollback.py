"""What a rollback writes down: the incumbent, both logs, and the round that was measured against another."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from feedback_ui.database import open_database
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.campaigns import campaigns
from rlhf.errors import InputError
from rlhf.online.campaigns import put_up
from rlhf.online.pairs import pair_of
from rlhf.runs.loop_record import LoopRecord, PolicyEntry, RoundRecord, StepRecord
from stages.loop import roll_back
from stages.loop_judging import asked_of_people

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def entry(label: str) -> PolicyEntry:
    return PolicyEntry(label=label, run=f"run of {label}", fingerprint=label)


class Kept:
    """As much of a loop as a rollback takes."""

    def __init__(self, record: LoopRecord) -> None:
        self.record, self.notes, self.said = record, list[Any](), list[str]()

    def save(self, record: LoopRecord) -> None:
        self.record = record

    def note(self, act: str, detail: dict[str, Any]) -> None:
        self.notes.append((act, detail["from"], detail["to"]))

    def say(self, text: str) -> None:
        self.said.append(text)


def judging(**changed: Any) -> RoundRecord:
    return RoundRecord(
        number=2, status="judging", incumbent="round-1", strategy="random", budget=1, raters_per_item=1,
        campaign="c", started=NOW, runs={"ppo": "ppo-2", "eval": "eval-2"}, candidate=entry("round-2"),
    ).model_copy(update=changed)  # fmt: skip


def test_the_round_that_is_being_judged_is_measured_anew() -> None:
    policies = [entry("sft"), entry("round-1")]
    loop: Any = Kept(
        LoopRecord(
            experiment="t", incumbent=policies[1], policies=policies, rounds=[judging()], ended="rounds"
        )
    )
    roll_back(loop, "sft")
    assert loop.record.incumbent.label == "sft"
    assert loop.record.ended is None
    assert loop.record.rounds[0].incumbent == "sft"
    assert loop.record.rounds[0].runs == {"ppo": "ppo-2"}
    assert loop.notes == [("rollback", "round-1", "sft")]
    assert loop.record.log[-1].what == "rolled back from round-1 to sft"
    roll_back(loop, "sft")
    assert (len(loop.notes), len(loop.record.log)) == (1, 1)
    assert loop.said[-1] == "sft is the incumbent (run of sft)"
    with pytest.raises(InputError, match="there are sft, round-1"):
        roll_back(loop, "round-7")


@pytest.mark.parametrize(("status", "expected"), [("selecting", "sampling"), ("waiting", "waiting")])
def test_a_step_that_is_not_done_goes_on_from_the_policy_that_was_rolled_back_to(status, expected) -> None:
    step = StepRecord(number=3, policy=entry("step-2"), asks=4, needed=8, started=NOW)
    round_ = judging(status=status, steps=[step], runs={}, candidate=None)
    policies = [entry("sft"), entry("round-1")]
    loop: Any = Kept(
        LoopRecord(
            experiment="t", mode="streaming", incumbent=policies[1], policies=policies,
            newest=entry("step-2"), rounds=[round_],
        )
    )  # fmt: skip
    roll_back(loop, "sft")
    (changed,) = loop.record.rounds
    assert (changed.status, changed.incumbent, changed.step.policy) == (expected, "sft", entry("sft"))
    assert loop.record.newest == entry("sft")


def test_after_its_steps_a_stream_s_candidate_is_tested_all_the_same() -> None:
    done = StepRecord(number=3, policy=entry("step-2"), asks=4, needed=8, started=NOW, made=entry("round-2"))
    loop: Any = Kept(
        LoopRecord(
            experiment="t", mode="streaming", incumbent=entry("round-1"), newest=entry("round-2"),
            policies=[entry("sft"), entry("round-1")], rounds=[judging(steps=[done])],
        )
    )  # fmt: skip
    roll_back(loop, "sft")
    (changed,) = loop.record.rounds
    assert (changed.status, changed.steps, changed.incumbent) == ("judging", [done], "sft")
    assert "eval" not in changed.runs
    assert loop.record.newest == entry("sft")


def row(number: int) -> dict[str, Any]:
    sides = {name: {"response": f"{name} {number}"} for name in ("policy", "baseline")}
    return {"prompt": f"p{number}", "key": f"p{number}", "fields": {}, "seed": number, **sides}


def test_people_are_asked_anew_against_the_other_incumbent(tmp_path: Path) -> None:
    db = open_database(str(tmp_path / "feedback.db"))

    def write_json(name: str, value: Any) -> None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(value))

    stage = SimpleNamespace(ask_people=3, eval=SimpleNamespace(temperature=0.7))
    run = SimpleNamespace(write_json=write_json)
    loop: Any = SimpleNamespace(
        db=db, stage=stage, run=run, path=lambda number, name: tmp_path / f"round-{number}" / name
    )
    rows = [row(number) for number in range(4)]
    first = asked_of_people(loop, judging(), rows)
    assert asked_of_people(loop, judging(), rows[::-1]) == first
    assert (first["campaign"], len(first["pairs"])) == ("c judging", 3)
    pairs = [pair_of(one) for one in first["pairs"]]
    put_up(db, "c judging", pairs, raters_per_item=1, guidelines="", folder=tmp_path, round_number=2)
    again = asked_of_people(loop, judging(incumbent="sft"), rows)
    assert (again["campaign"], again["snapshot"]) == ("c judging 2", "judging_snapshot_2")
    assert {side["model"] for one in again["pairs"] for side in one["item"]["responses"]} == {
        "sft",
        "round-2",
    }
    assert [one.status for one in campaigns(db, OPERATOR)] == ["closed"]
    assert asked_of_people(loop, judging(incumbent="sft"), rows) == again
    db.close()
