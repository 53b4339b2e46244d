"""A model as a rater: marked as one, the same whatever order, asked once."""

from pathlib import Path

import pytest
from judge_server import Failure, judge_server, longer
from pieces import campaign

from feedback_ui.database import Database
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.progress import campaign_progress
from rlhf.config import JudgeConfig
from rlhf.errors import InputError
from rlhf.online.ai_rater import judge_with
from rlhf.online.campaigns import take_down


def test_it_judges_as_what_it_is(db: Database, tmp_path: Path) -> None:
    """`good 0` is longer than `bad 0`, and each pair is asked about in both orders."""
    name = campaign(db, 3)
    with judge_server(longer) as played:
        judge = JudgeConfig(url=played.url, model="wise")
        assert sum(judge_with(db, name, judge, tmp_path / "verdicts.jsonl")) == 3
        assert len(played.bodies) == 6
        assert sum(judge_with(db, name, judge, tmp_path / "verdicts.jsonl")) == 0
        assert len(played.bodies) == 6
    found = take_down(db, name, tmp_path / "snapshot")
    assert {one.rater for one in found} == {"AI wise"}
    assert sorted({"first": one.first, "second": one.second}[one.outcome or ""] for one in found) == [
        "good 0", "good 1", "good 2"
    ]  # fmt: skip


def test_a_preference_for_a_side_is_a_tie_and_no_verdict_a_skip(db: Database, tmp_path: Path) -> None:
    sided, mute = campaign(db, 2, name="sided"), campaign(db, 2, name="mute")
    with judge_server(lambda a, b, number: "A") as played:
        list(judge_with(db, sided, JudgeConfig(url=played.url, model="m"), tmp_path / "1.jsonl"))
    assert [one.outcome for one in take_down(db, sided, tmp_path / "snapshot")] == ["tie", "tie"]
    with judge_server(lambda a, b, number: "I would rather not say") as played:
        list(judge_with(db, mute, JudgeConfig(url=played.url, model="m"), tmp_path / "2.jsonl"))
    progress = campaign_progress(db, OPERATOR, mute)
    assert (progress.judgements, progress.skips) == (0, 2)


def test_what_was_said_before_a_failure_is_not_asked_again(db: Database, tmp_path: Path) -> None:
    name, record = campaign(db, 2), tmp_path / "verdicts.jsonl"

    def fails_at_the_fourth(a: str, b: str, number: int) -> "str | Failure":
        return Failure(400, "no") if number == 4 else longer(a, b, number)

    with judge_server(fails_at_the_fourth) as played:
        judge = JudgeConfig(url=played.url, model="m")
        with pytest.raises(InputError, match="400"):
            list(judge_with(db, name, judge, record))
        assert campaign_progress(db, OPERATOR, name).judgements == 1
        assert sum(judge_with(db, name, judge, record)) == 1
        assert len(played.bodies) == 5
