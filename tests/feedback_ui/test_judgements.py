"""What is kept of a judgement, corrections, skips, and clicks that come twice."""

import pytest
from people import campaign, judge_all, pairs, prefer_good, rater
from sqlalchemy import select

from feedback_ui.database import Database
from feedback_ui.errors import Conflict, InvalidFeedback, NotFound
from feedback_ui.form import Form, Scale
from feedback_ui.schema import Assignment, Judgement, Response
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.campaigns import set_guidelines, set_status
from feedback_ui.service.claims import next_task
from feedback_ui.service.judgements import revise, skip, submit, undo
from feedback_ui.service.past import my_last


def kept(db: Database) -> list[Judgement]:
    return db.read(lambda session: list(session.scalars(select(Judgement).order_by(Judgement.number))))


def text_of(db: Database, response_id: str | None) -> str | None:
    texts = db.read(lambda s: {str(own): text for own, text in s.execute(select(Response.id, Response.text))})
    return texts[response_id] if response_id else None


@pytest.mark.parametrize(("strength", "size"), [(-3, 3), (-1, 1), (1, 1), (2, 2), (3, 3)])
def test_left_and_right_are_resolved_to_answers(db: Database, strength: int, size: int) -> None:
    a = rater(db, "a")
    task = next_task(db, a, campaign(db, 1))
    submit(db, a, task.assignment_id, {"strength": strength}, key="k")
    (judgement,) = kept(db)
    left, right = task.answers
    better, worse = (left, right) if strength < 0 else (right, left)
    assert text_of(db, judgement.content["better"]) == better
    assert text_of(db, judgement.content["worse"]) == worse
    assert judgement.content["strength"] == size
    (past,) = my_last(db, a, "pairs")
    assert past.given == {"strength": strength}


def test_a_tie_and_both_bad(db: Database) -> None:
    a = rater(db, "a")
    name = campaign(db, 2)
    for given in ({"strength": 0}, {"both_bad": True}):
        submit(db, a, next_task(db, a, name).assignment_id, given, key="k")
    tie, bad = kept(db)
    assert tie.content == {"better": None, "worse": None, "strength": 0}
    assert bad.content == {"both_bad": True}
    assert [past.given for past in my_last(db, a, name)] == [{"both_bad": True}, {"strength": 0}]


def test_all_that_goes_with_a_comparison_is_kept_and_comes_back_as_it_was_given(db: Database) -> None:
    form = Form(kind="compare", scales=(Scale(name="诚实"),), flags=("false", "other"), edit=True)
    a = rater(db, "a")
    task = next_task(db, a, campaign(db, 1, form=form))
    given = {
        "strength": 1,
        "ratings": {1: {"诚实": 5}},
        "flags": {0: ["false", "other"]},
        "flag_text": "不对",
        "reason": "=1+1 <script>",
        "edit": {"place": 1, "text": "更好"},
    }
    submit(db, a, task.assignment_id, given, key="k", active_s=12.5)
    (judgement,) = kept(db)
    assert judgement.active_s == 12.5
    assert text_of(db, judgement.content["edit"]["response"]) == task.answers[1]
    assert my_last(db, a, "pairs")[0].given == given


@pytest.mark.parametrize(
    ("form", "answers", "given"),
    [
        (Form(kind="rank"), 4, {"ranking": [[2], [0, 3], [1]]}),
        (
            Form(kind="rate", scales=(Scale(name="helpful"),)),
            2,
            {"ratings": {0: {"helpful": 1}, 1: {"helpful": 4}}},
        ),
        (Form(kind="score", scales=(Scale(name="score", low=0, high=10),)), 1, {"score": 7.5}),
        (Form(kind="thumb"), 1, {"thumb": False}),
        (Form(kind="write"), 0, {"demonstration": "春眠不觉晓"}),
    ],
)
def test_each_way_of_giving_feedback_comes_back_as_it_was_given(db, form, answers, given) -> None:
    rows = [("rows:1", {"prompt": "?", "responses": [f"answer {n}" for n in range(answers)]})]
    a = rater(db, "a")
    task = next_task(db, a, campaign(db, rows=rows, form=form))
    assert len(task.answers) == answers
    submit(db, a, task.assignment_id, given, key="k")
    assert my_last(db, a, "pairs")[0].given == given


def test_a_click_that_is_sent_twice_counts_once(db: Database) -> None:
    a = rater(db, "a")
    task = next_task(db, a, campaign(db, 2))
    given = prefer_good(task.answers)
    first = submit(db, a, task.assignment_id, given, key="click")
    assert submit(db, a, task.assignment_id, given, key="click") == first
    assert len(kept(db)) == 1
    with pytest.raises(Conflict, match="judged this item already"):
        submit(db, a, task.assignment_id, given, key="another")
    with pytest.raises(Conflict, match="saved with another answer"):
        submit(db, a, task.assignment_id, {"strength": 0}, key="click")
    assert len(kept(db)) == 1


def test_undo_gives_the_item_again_as_it_was_and_the_next_one_waits(db: Database) -> None:
    a = rater(db, "a")
    name = campaign(db, 3)
    first = next_task(db, a, name)
    submit(db, a, first.assignment_id, {"strength": -3, "reason": "oops"}, key="k1")
    second = next_task(db, a, name)
    back = undo(db, a, first.assignment_id, key="u1")
    assert (back.assignment_id, back.answers) == (first.assignment_id, first.answers)
    assert back.draft == {"strength": -3, "reason": "oops"}
    assert undo(db, a, first.assignment_id, key="u1") == back  # sent twice
    assert my_last(db, a, name) == []
    assert next_task(db, a, name).assignment_id == first.assignment_id
    assert submit(db, a, first.assignment_id, {"strength": 1}, key="k2").revision == 3
    assert next_task(db, a, name).assignment_id == second.assignment_id
    assert [(one.revision, one.action) for one in kept(db)] == [(1, "judge"), (2, "withdraw"), (3, "judge")]


def test_a_correction_is_a_new_revision_and_the_old_one_stays(db: Database) -> None:
    a = rater(db, "a")
    name = campaign(db, 1)
    task = next_task(db, a, name)
    submit(db, a, task.assignment_id, {"strength": -3}, key="k1")
    set_guidelines(db, OPERATOR, name, "second version")
    receipt = revise(db, a, task.assignment_id, {"strength": 2}, key="k2")
    assert receipt.revision == 2
    assert revise(db, a, task.assignment_id, {"strength": 2}, key="k2") == receipt
    assert [(one.content["strength"], one.guideline_version) for one in kept(db)] == [(3, 1), (2, 2)]
    assert [past.given for past in my_last(db, a, name)] == [{"strength": 2}]


def test_a_skip_leaves_the_slot_to_another_and_not_the_item_to_the_same(db: Database) -> None:
    name = campaign(db, 1)
    a, b = rater(db, "a"), rater(db, "b")
    task = next_task(db, a, name)
    with pytest.raises(InvalidFeedback, match="skip for one of unclear"):
        skip(db, a, task.assignment_id, "bored", key="k")
    assert skip(db, a, task.assignment_id, "language", text="这是什么", key="k").action == "skip"
    assert next_task(db, a, name) is None
    assert kept(db)[0].content == {"skip": "language", "reason": "这是什么"}
    other = next_task(db, b, name)
    assert other.prompt == task.prompt
    with pytest.raises(Conflict, match="left to others"):
        undo(db, a, task.assignment_id, key="u")
    skip(db, b, other.assignment_id, "unclear", key="k")
    assert undo(db, a, task.assignment_id, key="u").assignment_id == task.assignment_id
    assert submit(db, a, task.assignment_id, {"strength": 0}, key="k2").revision == 3


def test_a_skip_can_be_corrected_into_a_judgement_while_there_is_a_slot(db: Database) -> None:
    name = campaign(db, 1)
    a, b = rater(db, "a"), rater(db, "b")
    task = next_task(db, a, name)
    skip(db, a, task.assignment_id, "unclear", key="k")
    revise(db, a, task.assignment_id, {"strength": 1}, key="k2")
    assert next_task(db, b, name) is None


def test_what_the_form_does_not_ask_or_lacks_is_refused(db: Database) -> None:
    a = rater(db, "a")
    task = next_task(db, a, campaign(db, 1))
    for given, said in (
        ({}, "say which answer is better"),
        ({"strength": 4}, "strength: "),
        ({"strength": 1.5}, "strength: "),
        ({"strength": 1, "thumb": True}, "does not ask for thumb"),
        ({"strength": 1, "flags": {0: ["rude"]}}, "no flag rude"),
        ({"strength": 1, "flags": {2: ["unsafe"]}}, "no answer 3"),
        ({"strength": 1, "edit": {"place": -1, "text": "x"}}, "no answer 0"),
        ({"strength": 1, "edit": {"place": 0, "text": " \n"}}, "edited answer is empty"),
        ({"strength": 1, "reason": "a\x00b"}, "reason holds the character NUL"),
        ({"strength": 1, "reason": "\ud800"}, "unicode string"),
        ({"strength": 1, "reason": "x" * 100_001}, "reason is longer than 100,000"),
        ({"strength": 1, "better": "something"}, "better: "),
    ):
        with pytest.raises(InvalidFeedback, match=said):
            submit(db, a, task.assignment_id, given, key="k")
    for key in ("", "x" * 101, "a\nb", "键"):
        with pytest.raises(InvalidFeedback, match="key is 1 to 100"):
            submit(db, a, task.assignment_id, {"strength": 1}, key=key)
    assert kept(db) == []


def test_a_required_reason(db: Database) -> None:
    a = rater(db, "a")
    task = next_task(db, a, campaign(db, 1, form=Form(kind="compare", reason="required")))
    with pytest.raises(InvalidFeedback, match="say why"):
        submit(db, a, task.assignment_id, {"strength": 1, "reason": "  "}, key="k")
    submit(db, a, task.assignment_id, {"strength": 1, "reason": "因为"}, key="k")


def test_a_closed_campaign_takes_no_correction(db: Database) -> None:
    a = rater(db, "a")
    name = campaign(db, 2)
    task = next_task(db, a, name)
    submit(db, a, task.assignment_id, {"strength": 1}, key="k")
    set_status(db, OPERATOR, name, "closed")
    for again in (
        lambda: undo(db, a, task.assignment_id, key="u"),
        lambda: revise(db, a, task.assignment_id, {"strength": 2}, key="r"),
    ):
        with pytest.raises(Conflict, match="closed"):
            again()


def test_a_rater_sees_and_corrects_only_their_own(db: Database) -> None:
    name = campaign(db, 3, raters_per_item=2)
    a, b = rater(db, "a"), rater(db, "b")
    judge_all(db, a, name)
    (own,) = {one.assignment_id for one in my_last(db, a, name, count=1)}
    assert my_last(db, b, name) == []
    for meddle in (
        lambda: revise(db, b, own, {"strength": 0}, key="x"),
        lambda: undo(db, b, own, key="x"),
        lambda: skip(db, b, own, "unclear", key="x"),
    ):
        with pytest.raises(NotFound):
            meddle()


def test_nonsense_times_are_not_kept(db: Database) -> None:
    a = rater(db, "a")
    name = campaign(db, rows=pairs(3))
    for active_s in (-5.0, 1e9, float("nan")):
        submit(db, a, next_task(db, a, name).assignment_id, {"strength": 1}, key="k", active_s=active_s)
    assert [one.active_s for one in kept(db)] == [None, None, None]


def test_an_undone_item_is_held_and_keeps_its_slot(db: Database) -> None:
    name = campaign(db, 1)
    a, b = rater(db, "a"), rater(db, "b")
    task = next_task(db, a, name)
    submit(db, a, task.assignment_id, {"strength": 1}, key="k")
    undo(db, a, task.assignment_id, key="u")
    assert next_task(db, b, name) is None
    (row,) = db.read(lambda session: list(session.scalars(select(Assignment))))
    assert (row.status, row.slot, row.revision) == ("held", 0, 2)
