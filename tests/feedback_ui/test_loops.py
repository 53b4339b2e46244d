"""What the store knows of loops: their campaigns, how many judgements each waits for, and who may know."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from people import campaign, prefer_good, rater

from feedback_ui.database import Database
from feedback_ui.errors import InvalidFeedback, NotAllowed, NotFound
from feedback_ui.service.access import OPERATOR, Actor
from feedback_ui.service.audit import audit_log
from feedback_ui.service.campaigns import campaign_info
from feedback_ui.service.claims import next_task
from feedback_ui.service.judgements import submit
from feedback_ui.service.loops import loop_page, loops, note_act, note_loop


def judge(db: Database, actor: Actor, name: str, count: int) -> None:
    for number in range(count):
        task = next_task(db, actor, name)
        assert task is not None
        submit(db, actor, task.assignment_id, prefer_good(task.answers), key=f"k{number}", active_s=4.0)


def noted(db: Database, action: str = "loop") -> list[dict[str, Any]]:
    return [line.detail for line in audit_log(db, OPERATOR) if line.action == action]


def test_how_far_a_round_is_and_when_it_may_be_done(db: Database, clock, tmp_path: Path) -> None:
    """Judged at 0, 30 and 60 minutes and not since: at 120 minutes 2 in 2 hours, so 4 more take 4 hours."""
    name = campaign(db, 8)
    note_loop(db, OPERATOR, name, tmp_path, round_number=2, wanted=7)
    (empty,) = loops(db, OPERATOR)[0].campaigns
    assert (empty.judged, empty.left, empty.per_hour, empty.expected) == (0, 7, None, None)
    actor = rater(db, "a")
    judge(db, actor, name, 1)
    clock.move(minutes=30)
    judge(db, actor, name, 1)
    clock.move(minutes=30)
    judge(db, actor, name, 1)
    (now,) = loops(db, OPERATOR)[0].campaigns
    assert now.per_hour == pytest.approx(2.0)
    clock.move(minutes=60)
    (now,) = loops(db, OPERATOR)[0].campaigns
    assert (now.campaign, now.round_number, now.judged, now.wanted, now.left) == ("pairs", 2, 3, 7, 4)
    assert now.per_hour == pytest.approx(1.0)
    assert now.expected is not None
    assert abs(now.expected - (clock.time + timedelta(hours=4))) < timedelta(seconds=1)


def test_a_full_round_expects_nothing(db: Database, clock, tmp_path: Path) -> None:
    name = campaign(db, 3)
    note_loop(db, OPERATOR, name, tmp_path, round_number=1, wanted=2)
    actor = rater(db, "a")
    judge(db, actor, name, 1)
    clock.move(minutes=5)
    judge(db, actor, name, 2)
    (now,) = loops(db, OPERATOR)[0].campaigns
    assert (now.judged, now.left, now.expected) == (3, 0, None)


def test_judgements_at_one_moment_have_no_rate(db: Database, tmp_path: Path) -> None:
    name = campaign(db, 3)
    note_loop(db, OPERATOR, name, tmp_path, round_number=1, wanted=3)
    judge(db, rater(db, "a"), name, 2)
    assert loops(db, OPERATOR)[0].campaigns[0].per_hour is None


def test_a_note_is_kept_once_and_the_latest_counts(db: Database, tmp_path: Path) -> None:
    name = campaign(db, 1)
    for _ in range(3):
        note_loop(db, OPERATOR, name, tmp_path, round_number=1, wanted=5)
    assert len(noted(db)) == 1
    note_loop(db, OPERATOR, name, tmp_path, round_number=1, wanted=9)
    note_loop(db, OPERATOR, name, tmp_path, round_number=1, wanted=5)
    assert [one["wanted"] for one in noted(db)] == [5, 9, 5]
    assert loops(db, OPERATOR)[0].campaigns[0].wanted == 5


def test_loops_stand_apart_by_their_folders_the_newest_first(db: Database, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        campaign(db, 1, name=name)
    note_loop(db, OPERATOR, "one", tmp_path / "demo" / "loop-1", round_number=1, wanted=1)
    note_loop(db, OPERATOR, "two", tmp_path / "other" / "loop-1", round_number=1, wanted=1)
    note_loop(
        db, OPERATOR, "three", tmp_path / "demo" / "loop-1", round_number=1, wanted=4, purpose="judging"
    )
    found = loops(db, OPERATOR)
    assert [one.name for one in found] == ["demo/loop-1", "other/loop-1"]
    assert [(one.campaign, one.purpose) for one in found[0].campaigns] == [
        ("three", "judging"),
        ("one", "labels"),
    ]


def test_an_act_of_the_same_detail_is_kept_once(db: Database, tmp_path: Path) -> None:
    change = {"round": 3, "strategy": ["random", "uncertainty"]}
    for _ in range(2):
        note_act(db, OPERATOR, tmp_path, "change", change)
    note_act(db, OPERATOR, tmp_path, "change", {**change, "round": 4})
    note_act(db, OPERATOR, tmp_path, "rollback", {"to": "round-1"})
    assert noted(db, "loop-change") == [{**change, "round": 4}, change]
    assert noted(db, "loop-rollback") == [{"to": "round-1"}]
    assert loops(db, OPERATOR) == []


def test_nobody_but_a_manager_may_note_or_look(db: Database, tmp_path: Path) -> None:
    name = campaign(db, 1)
    (tmp_path / "report.html").write_text("secret", "utf-8")
    note_loop(db, OPERATOR, name, tmp_path, round_number=1, wanted=5)
    own = campaign_info(db, OPERATOR, name).id
    for who in (rater(db, "a"), Actor(None, "rater", "nobody")):
        with pytest.raises(NotAllowed):
            note_loop(db, who, name, "/etc", round_number=1, wanted=5)
        with pytest.raises(NotAllowed):
            note_act(db, who, tmp_path, "end", {})
        with pytest.raises(NotAllowed):
            loops(db, who)
        with pytest.raises(NotAllowed):
            loop_page(db, who, own)
    assert len(noted(db)) == 1
    assert loop_page(db, rater(db, "boss", role="manager"), own) == "secret"


def test_a_page_that_is_not_there_says_where_it_would_be(db: Database, tmp_path: Path) -> None:
    name = campaign(db, 1)
    own = campaign_info(db, OPERATOR, name).id
    with pytest.raises(NotFound, match="'pairs' is no loop's"):
        loop_page(db, OPERATOR, own)
    note_loop(db, OPERATOR, name, tmp_path / "elsewhere", round_number=1, wanted=5)
    with pytest.raises(NotFound, match=r"elsewhere.*No such file.*where the loop runs"):
        loop_page(db, OPERATOR, own)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"purpose": "spying"}, "one of labels, judging"),
        ({"round_number": -1}, "0 or more"),
        ({"wanted": -1}, "0 or more"),
    ],
)
def test_a_note_that_makes_no_sense_is_refused(db: Database, tmp_path: Path, said, why: str) -> None:
    name = campaign(db, 1)
    with pytest.raises(InvalidFeedback, match=why):
        note_loop(db, OPERATOR, name, tmp_path, **{"round_number": 1, "wanted": 1, **said})
    assert noted(db) == []


def test_a_relative_folder_is_one_place(db: Database, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = campaign(db, 1)
    note_loop(db, OPERATOR, name, "runs/demo/loop-1", round_number=1, wanted=1)
    assert loops(db, OPERATOR)[0].folder == tmp_path / "runs" / "demo" / "loop-1"
