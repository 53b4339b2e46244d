"""A crowd: the test that comes first, pauses on gold items, the cap on one rater, completion codes."""

import random
from typing import Any

import pytest
from people import ALL_GOLD, campaign, judge_all, pairs, prefer_good, rater

from feedback_ui.database import Database
from feedback_ui.errors import Conflict, InvalidFeedback, NotAllowed
from feedback_ui.form import Form
from feedback_ui.service.access import OPERATOR, Actor
from feedback_ui.service.accounts import actor_of
from feedback_ui.service.audit import audit_log
from feedback_ui.service.campaigns import create_campaign, set_status
from feedback_ui.service.claims import Turn, next_task, next_turn
from feedback_ui.service.crowd import participants, set_standing
from feedback_ui.service.joining import join, open_link
from feedback_ui.service.judgements import revise, skip, submit, undo
from feedback_ui.service.plan import Plan
from feedback_ui.service.standing import is_right


def mixed(plain: int, gold: int) -> list[tuple[str, dict[str, Any]]]:
    """Pairs, and behind them pairs of which the good answer is known to be better."""
    known = [(place, {**row, "gold": {"better": 0}}) for place, row in pairs(gold, start=1000)]
    return [*pairs(plain), *known]


def is_gold(turn: Turn) -> bool:
    assert turn.task is not None
    return turn.task.prompt >= "问题 1000?" and len(turn.task.prompt) == len("问题 1000?")


def answer(db: Database, actor: Actor, turn: Turn, *, right: bool = True, key: str = "k") -> None:
    assert turn.task is not None
    given = prefer_good(turn.task.answers)
    submit(db, actor, turn.task.assignment_id, given if right else {"strength": -given["strength"]}, key=key)


def take(db: Database, actor: Actor, name: str, *rights: bool) -> list[str]:
    """Judge an item for each value, rightly or wrongly; the states before each, and after the last."""
    states: list[str] = []
    for right in rights:
        turn = next_turn(db, actor, name, rng=random.Random(0))
        states.append(turn.state)
        answer(db, actor, turn, right=right)
    return [*states, next_turn(db, actor, name, rng=random.Random(0)).state]


def worker(db: Database, name: str, own: str) -> Actor:
    return actor_of(db, join(db, open_link(db, OPERATOR, name), worker=own))


def test_the_test_comes_first_and_work_after_it(db: Database) -> None:
    name = campaign(db, rows=mixed(3, 6), qualify_items=4, pass_mark=0.75)
    a = rater(db, "a")
    for right in (True, False, True, True):  # 3 of 4 are just enough
        turn = next_turn(db, a, name)
        assert turn.state == "qualifying"
        assert is_gold(turn)
        answer(db, a, turn, right=right)
    seen: list[str] = []
    while (turn := next_turn(db, a, name)).task is not None:
        assert turn.state == "open"
        seen.append(turn.task.prompt)
        answer(db, a, turn)
    assert seen == ["问题 0?", "问题 1?", "问题 2?"]
    assert turn == Turn(None, "finished")


def test_who_fails_is_told_so_and_given_no_more(db: Database) -> None:
    name = campaign(db, rows=mixed(3, 6), qualify_items=5, pass_mark=0.8)
    a, b = rater(db, "a"), rater(db, "b")
    assert take(db, a, name, True, True, True, True, False) == ["qualifying"] * 5 + ["open"]  # 4 of 5
    assert take(db, b, name, True, False, True, False, True) == ["qualifying"] * 5 + ["failed"]
    assert next_turn(db, b, name) == Turn(None, "failed")
    assert next_task(db, b, name) is None
    found = {one.name: one for one in participants(db, OPERATOR, name)}
    assert (found["b"].standing, found["b"].gold, found["b"].gold_right) == ("failed", 5, 3)
    assert (found["a"].standing, found["a"].gold_right, found["a"].judged) == ("active", 4, 5)
    set_standing(db, OPERATOR, name, "b", "active")
    assert next_turn(db, b, name).state == "open"


def test_a_test_item_that_is_skipped_was_not_right_and_a_verdict_stays(db: Database) -> None:
    name = campaign(db, rows=mixed(3, 2), qualify_items=2, pass_mark=1.0)
    a = rater(db, "a")
    first = next_turn(db, a, name)
    assert first.task is not None
    skip(db, a, first.task.assignment_id, "unclear", key="s")
    assert take(db, a, name, True) == ["qualifying", "failed"]
    revise(db, a, first.task.assignment_id, prefer_good(first.task.answers), key="r")
    assert next_turn(db, a, name).state == "failed"  # what is right is not to be found out by trying
    undo(db, a, first.task.assignment_id, key="u")
    assert next_turn(db, a, name) == Turn(None, "failed")


def test_an_undone_test_item_is_judged_again_before_the_verdict(db: Database) -> None:
    name = campaign(db, rows=mixed(1, 2), qualify_items=2, pass_mark=1.0)
    a = rater(db, "a")
    first = next_turn(db, a, name)
    answer(db, a, first, right=False)
    assert first.task is not None
    undo(db, a, first.task.assignment_id, key="u")
    again = next_turn(db, a, name)
    assert again.task is not None
    assert again.task.assignment_id == first.task.assignment_id
    answer(db, a, again, key="again")
    assert take(db, a, name, True) == ["qualifying", "open"]


def test_a_test_is_no_longer_than_there_are_items_for_it(db: Database) -> None:
    name = campaign(db, rows=mixed(1, 2), qualify_items=10)
    assert take(db, rater(db, "a"), name, True, True) == ["qualifying", "qualifying", "open"]
    empty = campaign(db, 2, name="no gold", qualify_items=10)
    assert next_turn(db, rater(db, "b"), empty) == Turn(None, "paused")


def test_managers_stand_no_test(db: Database) -> None:
    name = campaign(db, rows=mixed(1, 2), qualify_items=2)
    assert next_turn(db, rater(db, "boss", role="manager"), name).state == "open"
    assert participants(db, OPERATOR, name) == []


def test_nobody_gives_more_than_their_share(db: Database) -> None:
    """0.29 of 100 wanted judgements is 29, whatever 0.29 x 100 is in floating point."""
    name = campaign(db, 50, raters_per_item=2, rater_share=0.29)
    a, b = rater(db, "a"), rater(db, "b")
    assert len(judge_all(db, a, name)) == 29
    assert next_turn(db, a, name) == Turn(None, "capped")
    assert len(judge_all(db, b, name)) == 29
    small = campaign(db, 3, name="small", rater_share=0.01)
    assert len(judge_all(db, a, small)) == 1  # everybody may begin


def test_gold_items_and_undone_ones_do_not_count_towards_the_cap(db: Database) -> None:
    name = campaign(db, rows=mixed(4, 4), rater_share=0.5, gold_share=ALL_GOLD)
    a = rater(db, "a")
    rng = random.Random(0)
    for _ in range(4):
        turn = next_turn(db, a, name, rng=rng)
        assert is_gold(turn)
        answer(db, a, turn)
    assert take(db, a, name, True, True) == ["open", "open", "capped"]


def test_too_many_wrong_gold_items_among_the_last_pause_a_rater(db: Database) -> None:
    name = campaign(db, rows=mixed(2, 40), pause_gold=3, gold_share=ALL_GOLD)
    a = rater(db, "a")
    assert take(db, a, name, False, True, False, True) == ["open"] * 5
    assert take(db, a, name, False) == ["open", "paused"]
    assert next_turn(db, a, name) == Turn(None, "paused")
    with pytest.raises(Conflict, match="'pairs' is paused"):
        next_task(db, a, name)
    set_standing(db, OPERATOR, name, "a", "active")
    assert take(db, a, name, False, False) == ["open"] * 3  # what was before is forgiven
    assert take(db, a, name, *[True] * 9) == ["open"] * 10
    assert take(db, a, name, False, False) == ["open"] * 3  # of the two at first, both are too long ago
    assert take(db, a, name, False) == ["open", "paused"]
    acts = [(line.action, line.detail["right"]) for line in audit_log(db, OPERATOR) if "right" in line.detail]
    assert acts == [("paused-on-gold", 7), ("paused-on-gold", 2)]


def test_a_pause_counts_from_after_the_test(db: Database) -> None:
    name = campaign(db, rows=mixed(2, 9), qualify_items=4, pass_mark=0.5, pause_gold=2, gold_share=ALL_GOLD)
    a = rater(db, "a")
    assert take(db, a, name, False, False, True, True)[-1] == "open"
    assert take(db, a, name, False)[-1] == "open"
    assert take(db, a, name, False)[-1] == "paused"


def test_a_manager_pauses_a_rater_in_one_campaign_alone(db: Database) -> None:
    name, other = campaign(db, 1), campaign(db, 3, name="other")
    a = rater(db, "a")
    turn = next_turn(db, a, name)
    set_standing(db, OPERATOR, name, "a", "paused")
    assert next_turn(db, a, name) == Turn(None, "paused")
    assert next_turn(db, a, other).state == "open"
    assert next_turn(db, rater(db, "b"), name).task is not None  # what a held is offered to others
    with pytest.raises(Conflict, match="longer than its lease"):
        answer(db, a, turn)
    chat = create_campaign(db, OPERATOR, "talk", Form(kind="chat"))
    set_standing(db, OPERATOR, chat, "a", "paused")
    assert next_turn(db, a, "talk").state == "paused"


def test_states_of_a_campaign(db: Database) -> None:
    name = campaign(db, 1)
    a = rater(db, "a")
    assert next_turn(db, a, name).task is not None
    for state in ("paused", "closed"):
        set_status(db, OPERATOR, name, state)
        assert next_turn(db, a, name) == Turn(None, state)
    set_status(db, OPERATOR, name, "open")
    assert take(db, a, name, True) == ["open", "finished"]


def test_a_worker_who_is_done_gets_one_code_and_nobody_else(db: Database) -> None:
    name = campaign(db, rows=mixed(4, 1), qualify_items=1, rater_share=0.5)
    w, v, failing = (worker(db, name, own) for own in ("5f3c", "77aa", "0bad"))
    assert take(db, w, name, True, True, True) == ["qualifying", "open", "open", "capped"]
    code = next_turn(db, w, name).completion_code
    assert code is not None
    assert len(code) == 10
    assert next_turn(db, w, name).completion_code == code
    assert take(db, failing, name, False) == ["qualifying", "failed"]
    assert next_turn(db, failing, name).completion_code is None
    assert take(db, v, name, True, True, True)[-1] == "capped"
    own = rater(db, "of the house")
    assert take(db, own, name, True) == ["qualifying", "finished"]
    assert next_turn(db, own, name).completion_code is None
    found = {one.worker: one.code for one in participants(db, OPERATOR, name)}
    assert found == {"5f3c": code, "77aa": next_turn(db, v, name).completion_code, "0bad": None, None: None}
    assert found["77aa"] != code
    set_status(db, OPERATOR, name, "closed")
    assert next_turn(db, w, name) == Turn(None, "closed", code)


def test_no_code_before_any_work(db: Database) -> None:
    name = campaign(db, 1)
    judge_all(db, rater(db, "quick"), name)
    assert next_turn(db, worker(db, name, "late"), name) == Turn(None, "finished")


@pytest.mark.parametrize(
    ("content", "expected", "right"),
    [
        ({"better": "x", "worse": "y", "strength": 1}, {"better": "x"}, True),
        ({"better": "y", "worse": "x", "strength": 3}, {"better": "x"}, False),
        ({"better": None, "worse": None, "strength": 0}, {"better": "x"}, False),
        ({"both_bad": True}, {"better": "x"}, False),
        ({"ranking": [["x"], ["y", "z"]]}, {"better": "x"}, True),
        ({"ranking": [["x", "y"], ["z"]]}, {"better": "x"}, False),
        ({"ranking": [["y"], ["x"]]}, {"better": "x"}, False),
        ({"thumb": True}, {"label": True}, True),
        ({"thumb": True}, {"label": False}, False),
        ({"thumb": False}, {"label": False}, True),
        ({"score": 4}, {"score": [4, 5]}, True),
        ({"score": 5.0}, {"score": [4, 5]}, True),
        ({"score": 3.5}, {"score": [4, 5]}, False),
    ],
)
def test_what_is_right(content: dict[str, Any], expected: dict[str, Any], right: bool) -> None:
    assert is_right(content, expected) is right


@pytest.mark.parametrize(
    ("form", "plan", "said"),
    [
        (Form(kind="chat"), {"qualify_items": 2}, "a test needs items with a known answer, which kind=chat"),
        (Form(kind="write"), {"pause_gold": 2}, "a pause needs items with a known answer, which kind=write"),
        (Form(kind="chat"), {"rater_share": 0.5}, "kind=chat makes its own"),
        (Form(kind="thumb"), {"qualify_items": -1}, "test items=-1 is not 0 to 100"),
        (Form(kind="thumb"), {"pass_mark": 0.0}, r"pass mark=0\.0 is a share"),
        (Form(kind="thumb"), {"rater_share": 1.5}, r"rater share=1\.5 is a share"),
        (Form(kind="thumb"), {"pause_gold": 11}, "pause at=11 wrong of the last 10"),
    ],
)
def test_plans_that_make_no_sense_are_refused(db: Database, form: Form, plan: Any, said: str) -> None:
    with pytest.raises(InvalidFeedback, match=said):
        create_campaign(db, OPERATOR, "c", form, plan=Plan(**plan))


def test_a_crowd_is_its_managers(db: Database) -> None:
    name = campaign(db, 1)
    a = rater(db, "a")
    for forbidden in (lambda: participants(db, a, name), lambda: set_standing(db, a, name, "a", "active")):
        with pytest.raises(NotAllowed, match="only a manager"):
            forbidden()
