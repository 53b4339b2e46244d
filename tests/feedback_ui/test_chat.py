"""Conversations with two answers at each turn."""

import pytest
from people import campaign, rater

from feedback_ui.database import Database
from feedback_ui.errors import Conflict, InvalidFeedback, NotFound
from feedback_ui.form import Form
from feedback_ui.rows import Answer
from feedback_ui.service.chat import chat_turn, chosen_answer
from feedback_ui.service.claims import next_task
from feedback_ui.service.judgements import submit
from feedback_ui.service.snapshot import snapshot
from rlhf.data.formats import to_preferences
from rlhf.data.sources import read_rows
from rlhf.records import Message

ASKED = [Message("user", "你好")]
ANSWERS = (Answer("你好！", model="after"), Answer("哼。", model="before"))


def test_the_chosen_answer_goes_on_and_each_turn_is_a_preference(db: Database, tmp_path) -> None:
    name = campaign(db, rows=[], form=Form(kind="chat"))
    a = rater(db, "a")
    first = chat_turn(db, a, name, ASKED, ANSWERS)
    assert next_task(db, a, name).assignment_id == first.assignment_id
    with pytest.raises(Conflict, match="say first which"):
        chosen_answer(db, a, first.assignment_id)
    polite = 0 if first.answers[0] == "你好！" else 1
    submit(db, a, first.assignment_id, {"strength": 3 if polite else -3}, key="k")
    said = chosen_answer(db, a, first.assignment_id)
    assert said == "你好！"
    asked = [*ASKED, Message("assistant", said), Message("user", "再见")]
    second = chat_turn(db, a, name, asked, (Answer("再见！"), Answer("。")), after=first.assignment_id)
    assert [turn["content"] for turn in second.prompt] == ["你好", "你好！", "再见"]
    submit(db, a, second.assignment_id, {"strength": 0}, key="k")
    snapshot(db, name, tmp_path / "out")
    one, two = to_preferences(read_rows(str(tmp_path / "out" / "preferences.jsonl"))).records
    assert (one.chosen, one.rejected, two.probability) == ("你好！", "哼。", 0.5)
    assert one.prompt.fields["conversation"] == two.prompt.fields["conversation"]
    assert (one.prompt.fields["turn"], two.prompt.fields["turn"]) == (0, 1)


def test_a_turn_is_nobody_elses(db: Database) -> None:
    name = campaign(db, rows=[], form=Form(kind="chat"))
    a, b = rater(db, "a"), rater(db, "b")
    first = chat_turn(db, a, name, ASKED, ANSWERS)
    chat_turn(db, a, name, ASKED, ANSWERS)  # begun anew: the first is put back
    assert next_task(db, b, name) is None
    with pytest.raises(NotFound):
        chat_turn(db, b, name, ASKED, ANSWERS, after=first.assignment_id)


def test_what_is_no_turn_is_refused(db: Database) -> None:
    chat, other = campaign(db, rows=[], form=Form(kind="chat")), campaign(db, 1, name="other")
    a = rater(db, "a")
    for name, asked, answers, said in (
        (other, ASKED, ANSWERS, "of kind compare, not chat"),
        (chat, [], ANSWERS, "message of yours"),
        (chat, [*ASKED, Message("assistant", "x")], ANSWERS, "message of yours"),
        (chat, ASKED, (ANSWERS[0], ANSWERS[0]), "two answers that differ"),
        (chat, [Message("user", "\x00")], ANSWERS, "NUL"),
    ):
        with pytest.raises(InvalidFeedback, match=said):
            chat_turn(db, a, name, asked, answers)
