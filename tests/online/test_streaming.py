"""What a stream takes in at a step: new judgements once, rows new and older, how much is asked."""

from pathlib import Path
from typing import Any

import pytest
from pieces import campaign, judged, pair

from feedback_ui.database import Database
from feedback_ui.service.access import OPERATOR, Actor
from feedback_ui.service.accounts import add_rater
from feedback_ui.service.claims import next_task
from feedback_ui.service.judgements import revise, skip, submit, undo
from feedback_ui.service.snapshot import news
from rlhf.config import LoopStage
from rlhf.online.campaigns import take_new, waiting, waiting_after
from rlhf.online.judgements import Judged
from rlhf.online.merging import Labelled, by_item, preferences
from rlhf.online.streaming import (
    Taken,
    episodes,
    full,
    judgements_needed,
    lesson,
    merged,
    pairs_to_put_up,
)

ONE, TWO, THREE = pair(1), pair(2), pair(3)


def streaming(**options: Any) -> LoopStage:
    return LoopStage.model_validate({"mode": "streaming", **options})


def test_a_judgement_counts_once_as_it_was_said_last() -> None:
    first = Taken([judged(ONE, "a", "good 1"), judged(TWO, "a", "good 2"), judged(ONE, "b", "good 1")])
    second = Taken([judged(ONE, "a", "bad 1")], [judged(TWO, "a", None).place])
    found = merged([first, second])
    assert [(one.item, one.rater) for one in found.values()] == sorted([(ONE.key, "a"), (ONE.key, "b")])
    assert found[judged(ONE, "a", None).place] == judged(ONE, "a", "bad 1")
    assert second.items == {ONE.key, TWO.key}
    assert merged([first, second, first])[judged(TWO, "a", None).place].outcome is not None


def test_rows_are_those_of_the_new_pairs_and_some_of_the_others() -> None:
    rows = [(str(number), {"row": number}) for number in range(10)]
    found = lesson(rows, {"2", "7"}, 3, seed=0)
    assert (found.new, found.replayed) == (2, 3)
    numbers = [row["row"] for row in found.rows]
    assert numbers == sorted(numbers)
    assert {2, 7} < set(numbers)
    assert lesson(rows, {"2", "7"}, 3, seed=0) == found
    assert any(lesson(rows, {"2", "7"}, 3, seed=seed).rows != found.rows for seed in range(1, 5))
    # by what a row is of, not by where it stands
    other = lesson(rows[::-1], {"2", "7"}, 3, seed=0)
    assert sorted(row["row"] for row in other.rows) == numbers
    assert lesson(rows, {"2"}, 100, seed=0).replayed == 9
    assert lesson(rows, set(), 0, seed=0).rows == []


def test_rows_are_told_by_their_item() -> None:
    round_ = Labelled(1, [ONE, TWO], [judged(TWO, "a", "good 2"), judged(ONE, "a", "bad 1")])
    found = by_item([round_], aggregate="raw", recent_weight=1.0)
    assert {item: row["chosen"] for item, row in found} == {ONE.key: "bad 1", TWO.key: "good 2"}
    assert [row for _, row in found] == preferences([round_], aggregate="raw", recent_weight=1.0)


def test_the_first_step_waits_for_the_first_round_and_others_for_their_share() -> None:
    stage = streaming(step_judgements=64, budget=200)
    assert judgements_needed(stage, 200, 0, is_first=True) == 200
    assert judgements_needed(stage, 200, 0, is_first=False) == 64
    assert judgements_needed(stage, 200, 192, is_first=False) == 8


@pytest.mark.parametrize(
    ("options", "needed", "waiting_", "left", "pairs"),
    [
        ({"queue": 100}, 64, 0, None, 100),
        ({"queue": 100}, 64, 70, None, 30),
        ({"queue": 100}, 64, 100, None, 0),
        ({"queue": 100, "raters_per_item": 3, "simulated": {"count": 3}}, 64, 70, None, 10),
        ({}, 64, 0, None, 128),  # auto: two steps'
        ({}, 1000, 0, None, 1000),  # the first step
        ({}, 64, 20, 50, 30),  # never more than may still be given
    ],
)
def test_few_that_wait_become_as_many_as_shall_wait(
    options: dict[str, Any], needed: int, waiting_: int, left: int | None, pairs: int
) -> None:
    assert pairs_to_put_up(streaming(**options), needed, waiting_, left) == pairs


def test_a_round_s_episodes_are_shared_out_in_whole_batches() -> None:
    assert episodes(3072, 128, 0.25) == 768
    assert episodes(3072, 128, 1 / 16) == 256  # 1.5 batches, to the even one
    assert episodes(3072, 128, 0.001) == 128


def test_items_with_all_their_judgements_are_asked_about_no_more() -> None:
    said = [judged(ONE, "a", "good 1"), judged(ONE, "b", "good 1"), judged(TWO, "a", "good 2")]
    assert full(said, 2) == {ONE.key}
    assert full([*said, judged(TWO, "m", "good 2", settles=True)], 2) == {ONE.key}
    assert full(said, 1) == {ONE.key, TWO.key}


class Person:
    """A rater in the page."""

    def __init__(self, db: Database, campaign: str) -> None:
        self.db, self.campaign, self.count = db, campaign, 0
        self.actor = Actor(add_rater(db, OPERATOR, "韩梅梅").id, "rater", "韩梅梅")

    def key(self) -> str:
        self.count += 1
        return f"k{self.count}"

    def judge(self) -> Any:
        task = next_task(self.db, self.actor, self.campaign)
        assert task is not None
        submit(self.db, self.actor, task.assignment_id, {"strength": -1}, key=self.key())
        return task.assignment_id


def take(db: Database, folder: Path, after: int) -> tuple[list[Judged], list[Any], int]:
    _, upto = news(db, "pairs", after)
    assert upto is not None
    said, back = take_new(db, "pairs", folder / f"judgements-{upto}", after=after, upto=upto)
    return said, back, upto


def test_steps_take_all_that_is_said_and_nothing_twice(db: Database, tmp_path: Path) -> None:
    person = Person(db, campaign(db, 5))
    assert news(db, "pairs", 0) == (0, None)
    given = [person.judge(), person.judge()]
    first, back, upto = take(db, tmp_path, 0)
    assert (len(first), back, news(db, "pairs", upto)) == (2, [], (0, None))

    revise(db, person.actor, given[1], {"strength": 3}, key=person.key())
    third = person.judge()
    assert news(db, "pairs", upto)[0] == 2
    second, back, upto = take(db, tmp_path, upto)
    assert (len(second), back) == (2, [])
    assert {one.strength for one in second} == {1, 3}

    undo(db, person.actor, third, key=person.key())
    task = next_task(db, person.actor, "pairs")
    assert task is not None
    skip(db, person.actor, task.assignment_id, "unclear", key=person.key())
    fourth = person.judge()
    undo(db, person.actor, fourth, key=person.key())
    last, back, upto = take(db, tmp_path, upto)
    assert last == []
    assert len(back) == 2  # a place that nothing was known of is among them
    found = merged([Taken(first), Taken(second), Taken(last, back)])
    assert len(found) == 2
    assert {one.strength for one in found.values()} == {1, 3}
    # what lies in the folder counts, whatever was said since
    person.judge()
    assert take_new(db, "pairs", tmp_path / f"judgements-{upto}", after=0, upto=upto) == (last, back)


def test_what_is_corrected_after_the_cut_comes_with_the_next_step(db: Database, tmp_path: Path) -> None:
    person = Person(db, campaign(db, 3))
    one = person.judge()
    person.judge()
    _, upto = news(db, "pairs", 0)
    assert upto is not None
    revise(db, person.actor, one, {"strength": 3}, key=person.key())
    said, _ = take_new(db, "pairs", tmp_path / "first", after=0, upto=upto)
    assert len(said) == 1
    later, _, _ = take(db, tmp_path, upto)
    assert len(merged([Taken(said), Taken(later)])) == 2


def test_a_step_waits_for_its_own_judgements(db: Database) -> None:
    person = Person(db, campaign(db, 6))
    person.judge()
    _, upto = news(db, "pairs", 0)
    assert upto is not None
    person.judge()
    found = waiting_after(db, waiting(db, "pairs"), "pairs", upto, 3)
    assert (found.judgements, found.needed) == (1, 3)
    assert waiting(db, "pairs").judgements == 2
