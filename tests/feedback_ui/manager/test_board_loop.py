"""The board's tab of the loop: what the round waits for, live from the store, and the page in a frame."""

import re
from pathlib import Path

import gradio as gr
import pytest
from boards import Page, is_skipped, manager
from people import campaign, judge_all, rater
from test_loops import judge

from feedback_ui.database import Database
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.campaigns import campaign_info, set_status
from feedback_ui.service.loops import PAGE, note_loop

HOSTILE = "<img src=x onerror=alert(1)>{{7*7}}${7*7}`"


def shown(page: Page, name: str | None) -> tuple[str, str]:
    """What the tab shows when it is opened: how far it is, and the page."""
    handler = next(one.fn for one in page.blocks.fns.values() if one.fn and len(one.outputs) == 2
                   and [out.elem_id for out in one.outputs] == ["loop-live", "loop-page"])  # fmt: skip
    live, written = handler(page.request, page.id_of(name))
    return live, written


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "demo" / "loop-1"
    made.mkdir(parents=True)
    return made


def test_how_far_the_round_is(db: Database, clock, folder: Path) -> None:
    """Two judgements in an hour after the first, at once looked at: 2 an hour, 5 left take 2 h 30 min."""
    name = campaign(db, 8)
    note_loop(db, OPERATOR, name, folder, round_number=3, wanted=8)
    page, actor = manager(db), rater(db, "a")
    live, _ = shown(page, name)
    assert "Round 3: pairs" in live
    assert "0 of 8 judgements, 8 to go" in live
    assert live.count("<dd>–</dd>") == 2  # no rate yet, and no end
    judge(db, actor, name, 1)
    clock.move(minutes=30)
    judge(db, actor, name, 1)
    clock.move(minutes=30)
    judge(db, actor, name, 1)
    live, _ = shown(page, name)
    for said in ("3 of 8 judgements, 5 to go", "<dd>2.0</dd>", "<dd>2 h 30 min</dd>", 'aria-valuenow="3"'):
        assert said in live
    judge_all(db, actor, name)
    live, _ = shown(page, name)
    assert "All judgements of this round are there. The loop goes on by itself." in live


def test_a_campaign_that_gives_out_nothing_is_an_alarm(db: Database, folder: Path) -> None:
    name = campaign(db, 1)
    note_loop(db, OPERATOR, name, folder, round_number=1, wanted=1)
    page = manager(db)
    assert "notice alarm" not in shown(page, name)[0]
    set_status(db, OPERATOR, name, "paused")
    assert "This campaign is paused: raters are given nothing of it" in shown(page, name)[0]


def test_the_page_is_framed_as_a_stranger(db: Database, folder: Path) -> None:
    name = campaign(db, 1)
    note_loop(db, OPERATOR, name, folder, round_number=1, wanted=1)
    page = Page(db, rater(db, "boss", role="manager"), "zh")
    _, written = shown(page, name)
    assert "iframe" not in written
    assert "本机上还没有该循环的页面" in written
    (folder / PAGE).write_text("<h1>page</h1>", "utf-8")
    _, written = shown(page, name)
    own = campaign_info(db, OPERATOR, name).id
    assert re.search(rf'<iframe src="/manage/loops/{own}\?written=\d+#zh" sandbox="allow-scripts"', written)
    assert "<h1>" not in written


def test_the_loop_of_the_chosen_campaign_else_the_newest(db: Database, folder: Path, tmp_path: Path) -> None:
    for name in ("old", "new", "new-too", "plain"):
        campaign(db, 1, name=name)
    note_loop(db, OPERATOR, "old", folder, round_number=4, wanted=1)
    note_loop(db, OPERATOR, "new", tmp_path / "demo" / "loop-2", round_number=1, wanted=1)
    note_loop(
        db, OPERATOR, "new-too", tmp_path / "demo" / "loop-2", round_number=2, wanted=5, purpose="judging"
    )
    page = manager(db)
    live, _ = shown(page, "old")
    assert "Round 4: old" in live
    assert "Other loops" in live
    live, _ = shown(page, "new")
    assert "Round 2, the candidate against the policy: new-too" in live
    assert live.index("new-too") < live.index("Earlier rounds")
    live, _ = shown(page, "plain")
    assert "The campaign chosen at the top is no loop&#x27;s; this is demo/loop-2." in live


def test_without_a_loop_it_says_how_to_begin_one(db: Database) -> None:
    campaign(db, 1)
    live, written = shown(manager(db), "pairs")
    assert "stage=loop" in live
    assert written == ""


def test_names_are_text(db: Database, tmp_path: Path) -> None:
    name = campaign(db, 1, name=HOSTILE)
    folder = tmp_path / HOSTILE.replace("/", "")
    note_loop(db, OPERATOR, name, folder, round_number=1, wanted=1)
    live, written = shown(manager(db), name)
    for said in (live, written):
        assert "<img" not in said
        assert "{{" not in said
        assert "${" not in said


def test_nobody_else_sees_it_nor_sets_its_clock_going(db: Database, folder: Path) -> None:
    name = campaign(db, 1)
    note_loop(db, OPERATOR, name, folder, round_number=1, wanted=1)
    for who in (None, rater(db, "c")):
        page = Page(db, who)
        handlers = [
            page.with_list(one)
            for one in page.blocks.fns.values()
            if one.fn and any(out.elem_id == "loop-live" or isinstance(out, gr.Timer) for out in one.outputs)
        ]
        assert len(handlers) >= 3
        for handler in handlers:
            assert all(is_skipped(update) for update in handler(page.request, page.id_of(name)))
