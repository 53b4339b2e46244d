"""Claims: which item comes next, to whom, for how long; one thread at a time."""

import random
from collections import Counter

import pytest
from people import COMPARE, campaign, judge_all, pairs, prefer_good, rater
from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.errors import Conflict, InvalidFeedback, NotAllowed, NotFound
from feedback_ui.schema import Assignment, Item
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.accounts import disable_rater
from feedback_ui.service.campaigns import set_status
from feedback_ui.service.claims import heartbeat, next_task, save_draft
from feedback_ui.service.judgements import submit


def slots(db: Database) -> list[tuple[int | None, int]]:
    """(free, taken) of each item, in order."""

    def work(session: Session) -> list[tuple[int | None, int]]:
        taken = Counter(session.scalars(select(Assignment.item_id).where(Assignment.slot.is_not(None))).all())
        return [(item.free, taken[item.id]) for item in session.scalars(select(Item).order_by(Item.place))]

    return db.read(work)


def test_items_come_in_the_order_of_the_file_and_each_once(db: Database) -> None:
    name = campaign(db, 4)
    assert judge_all(db, rater(db, "a"), name) == [f"问题 {number}?" for number in range(4)]
    assert next_task(db, rater(db, "b"), name) is None
    assert slots(db) == [(0, 1)] * 4


def test_an_item_goes_to_as_many_raters_as_the_campaign_says(db: Database) -> None:
    name = campaign(db, 2, raters_per_item=2)
    a, b, c = (rater(db, own) for own in "abc")
    assert len(judge_all(db, a, name)) == 2
    assert slots(db) == [(1, 1)] * 2
    assert len(judge_all(db, b, name)) == 2
    assert next_task(db, c, name) is None


def test_overlap_is_the_share_of_items_that_several_judge(db: Database) -> None:
    campaign(db, 200, raters_per_item=3, overlap=0.25)
    wanted = Counter(db.read(lambda session: session.scalars(select(Item.wanted)).all()))
    assert set(wanted) == {1, 3}
    assert 30 <= wanted[3] <= 70  # 50 expected, deviation 6.1
    assert len(judge_all(db, rater(db, "a"), campaign(db, 3, name="none", raters_per_item=3, overlap=0))) == 3


def test_asked_again_it_is_the_same_item_in_the_same_order(db: Database) -> None:
    name = campaign(db)
    a = rater(db, "a")
    first = next_task(db, a, name)
    for _ in range(5):
        assert next_task(db, a, name) == first


def test_nothing_in_a_task_tells_who_wrote_what(db: Database) -> None:
    task = next_task(db, rater(db, "a"), campaign(db, 1))
    assert task is not None
    shown = repr(task)
    for secret in ("model-a", "model-b", "runs/demo", "temperature", "family"):
        assert secret not in shown
    assert set(task.answers) == {"good 0", "bad 0"}


def test_sides_are_drawn_by_chance_and_recorded(db: Database) -> None:
    name = campaign(db, 60)
    a = rater(db, "a")
    left: Counter[str] = Counter()
    rng = random.Random(0)
    while (task := next_task(db, a, name, rng=rng)) is not None:
        left[task.answers[0].split()[0]] += 1
        submit(db, a, task.assignment_id, {"strength": -3}, key="k")
    assert 20 <= left["good"] <= 40  # 30 expected, deviation 3.9
    shown = db.read(lambda session: session.scalars(select(Assignment.shown)).all())
    assert all(len(set(order)) == 2 for order in shown)


def test_the_same_chance_shows_the_same_sides(db: Database) -> None:
    orders = []
    for name in ("one", "two"):
        task = next_task(db, rater(db, name), campaign(db, 1, name=name), rng=random.Random(7))
        orders.append(task.answers)
    assert orders[0] == orders[1]


def test_an_expired_lease_is_offered_to_another_and_comes_back_to_its_rater(db: Database, clock) -> None:
    name = campaign(db, 2, lease_s=600)
    a, b = rater(db, "a"), rater(db, "b")
    first = next_task(db, a, name)
    clock.move(minutes=9)
    assert next_task(db, b, name).prompt == "问题 1?"  # a's lease still runs
    clock.move(minutes=2)
    c = rater(db, "c")
    assert next_task(db, c, name).prompt == first.prompt
    assert next_task(db, a, name) is None  # nobody is given it beside c
    clock.move(minutes=11)
    again = next_task(db, a, name)
    assert (again.assignment_id, again.prompt, again.answers) == (
        first.assignment_id,
        first.prompt,
        first.answers,
    )


def test_an_expired_lease_that_nobody_needed_costs_nothing(db: Database, clock) -> None:
    name = campaign(db, 1)
    a = rater(db, "a")
    task = next_task(db, a, name)
    clock.move(days=3)
    submit(db, a, task.assignment_id, prefer_good(task.answers), key="k")
    assert slots(db) == [(0, 1)]


def test_a_heartbeat_keeps_an_item(db: Database, clock) -> None:
    name = campaign(db, 1, lease_s=600)
    a, b = rater(db, "a"), rater(db, "b")
    task = next_task(db, a, name)
    for _ in range(10):
        clock.move(minutes=9)
        assert heartbeat(db, a, task.assignment_id)
        assert next_task(db, b, name) is None


def test_a_heartbeat_says_when_the_item_went_to_another(db: Database, clock) -> None:
    name = campaign(db, 1, lease_s=600)
    a, b = rater(db, "a"), rater(db, "b")
    task = next_task(db, a, name)
    clock.move(minutes=11)
    assert next_task(db, b, name) is not None
    assert not heartbeat(db, a, task.assignment_id)


def test_a_late_judgement_is_refused_once_others_have_the_slot_and_kept_as_a_draft(db, clock) -> None:
    name = campaign(db, 1, lease_s=600)
    a, b = rater(db, "a"), rater(db, "b")
    task = next_task(db, a, name)
    clock.move(minutes=11)
    assert next_task(db, b, name) is not None
    given = {**prefer_good(task.answers), "reason": "a long thought"}
    with pytest.raises(Conflict, match="longer than its lease"):
        submit(db, a, task.assignment_id, given, key="late")
    clock.move(minutes=11)  # b went home
    again = next_task(db, a, name)
    assert again.assignment_id == task.assignment_id
    assert again.draft == given
    assert submit(db, a, again.assignment_id, given, key="late").revision == 1


@pytest.mark.parametrize("back", [{"hours": -1}, {"days": -400}])
def test_a_clock_set_back_neither_blocks_an_item_nor_takes_it_away(db: Database, clock, back) -> None:
    name = campaign(db, 1, lease_s=600)
    a, b = rater(db, "a"), rater(db, "b")
    task = next_task(db, a, name)
    clock.move(**back)
    assert next_task(db, b, name) is None  # a works on it
    assert heartbeat(db, a, task.assignment_id)
    clock.move(minutes=11)
    assert next_task(db, b, name) is not None  # and went home
    assert slots(db) == [(0, 1)]


def test_a_clock_set_back_is_noticed_without_a_sign_of_life(db: Database, clock) -> None:
    name = campaign(db, 1, lease_s=600)
    a, b = rater(db, "a"), rater(db, "b")
    assert next_task(db, a, name) is not None
    clock.move(days=-400)
    assert next_task(db, b, name) is None
    clock.move(minutes=11)
    assert next_task(db, b, name) is not None


def test_a_draft_is_there_after_a_reload(db: Database) -> None:
    name = campaign(db)
    a = rater(db, "a")
    task = next_task(db, a, name)
    draft = {"edit": {"place": 0, "text": "更好的 answer <think>"}, "strength": 1}
    assert save_draft(db, a, task.assignment_id, draft)
    assert next_task(db, a, name).draft == draft
    with pytest.raises(InvalidFeedback, match="longer than 1,000,000"):
        save_draft(db, a, task.assignment_id, {"reason": "x" * 1_000_001})


def test_gold_items_are_mixed_in_once_for_each_rater_and_do_not_run_out(db: Database) -> None:
    rows = list(pairs(40)) + [
        (f"gold:{n}", {**row, "gold": {"better": 0}}) for n, (_, row) in enumerate(pairs(10, start=100))
    ]
    name = campaign(db, rows=rows, raters_per_item=2, gold_share=0.2)
    for own in "ab":
        prompts = judge_all(db, rater(db, own), name, rng=random.Random(own))
        assert len(prompts) == len(set(prompts))
        gold = [prompt for prompt in prompts if len(prompt) == len("问题 100?")]
        assert 3 <= len(gold) <= 10  # about 10 expected of 50, and each at most once
        assert len(prompts) - len(gold) == 40


def test_no_gold_where_the_share_is_zero(db: Database) -> None:
    rows = [(place, {**row, "gold": {"better": 0}}) for place, row in pairs(3)]
    assert judge_all(db, rater(db, "a"), campaign(db, rows=rows)) == []


def test_paused_and_closed_campaigns_give_nothing_out_and_take_what_is_held(db: Database) -> None:
    name = campaign(db)
    a = rater(db, "a")
    task = next_task(db, a, name)
    set_status(db, OPERATOR, name, "paused")
    with pytest.raises(Conflict, match="'pairs' is paused"):
        next_task(db, a, name)
    assert submit(db, a, task.assignment_id, prefer_good(task.answers), key="k").revision == 1


def test_only_raters_of_this_store_are_given_items(db: Database) -> None:
    name = campaign(db)
    a, b = rater(db, "a"), rater(db, "b")
    with pytest.raises(NotAllowed, match="sign in"):
        next_task(db, OPERATOR, name)
    task = next_task(db, a, name)
    for steal in (
        lambda: heartbeat(db, b, task.assignment_id),
        lambda: save_draft(db, b, task.assignment_id, {}),
        lambda: submit(db, b, task.assignment_id, prefer_good(task.answers), key="k"),
    ):
        with pytest.raises(NotFound, match="no such item among yours"):
            steal()
    disable_rater(db, OPERATOR, "a")
    with pytest.raises(NotAllowed):
        next_task(db, a, name)
    with pytest.raises(NotFound, match="there is no campaign 'nothing'; there are: pairs"):
        next_task(db, b, "nothing")


def test_several_campaigns_are_apart(db: Database) -> None:
    one, two = campaign(db, 2, name="one"), campaign(db, 3, name="two", form=COMPARE)
    a = rater(db, "a")
    assert len(judge_all(db, a, one)) == 2
    assert len(judge_all(db, a, two)) == 3  # the very same prompts and answers, asked by another campaign
