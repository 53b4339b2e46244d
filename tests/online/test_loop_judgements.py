"""What raters said, out of the store: by content alone, whatever ids the store drew."""

from pathlib import Path

import pytest
from pieces import campaign, judged, pair

from feedback_ui.database import Database, open_database
from feedback_ui.service.access import OPERATOR, Actor
from feedback_ui.service.accounts import add_rater
from feedback_ui.service.claims import next_task
from feedback_ui.service.judgements import skip, submit
from rlhf.online.campaigns import put_up, take_down, waiting
from rlhf.online.judgements import agreement, judged_of, sha256, skills
from rlhf.online.raters import judge, simulated_raters
from rlhf.records import Prompt


def person(db: Database, name: str) -> Actor:
    return Actor(add_rater(db, OPERATOR, name).id, "rater", name)


def worth_of(items: int) -> dict[tuple[str, str], float]:
    keys = [Prompt(f"问题 {number}?").key for number in range(items)]
    return {
        (key, f"{word} {n}"): float(word == "good") for n, key in enumerate(keys) for word in ("good", "bad")
    }


def judged_in(place: Path, folder: Path):
    db = open_database(str(place))
    name = campaign(db, 6, raters_per_item=2)
    list(judge(db, name, simulated_raters(db, count=3, seed=0, skill=0.7, length_bias=0.0), worth_of(6)))
    found = take_down(db, name, folder)
    db.close()
    return found


def test_two_stores_say_the_same(tmp_path: Path) -> None:
    """Ids of items, answers and raters are drawn anew in each."""
    one, other = (judged_in(tmp_path / f"{n}.db", tmp_path / f"snapshot-{n}") for n in "12")
    assert len(one) == 12
    assert one == other
    assert sha256(one) == sha256(other)
    assert sha256(one) != sha256(one[:-1])


def test_every_way_of_judging_is_kept(db: Database, tmp_path: Path) -> None:
    name, actor = campaign(db, 4), person(db, "韩梅梅")
    for number, given in enumerate(({"strength": -3}, {"strength": 0}, {"both_bad": True, "strength": 0})):
        task = next_task(db, actor, name)
        assert task is not None
        flags = {"flags": {0: ["unsafe"]}, "edit": {"place": 1, "text": "改好了"}} if number == 0 else {}
        submit(db, actor, task.assignment_id, {**given, **flags}, key=f"k{number}")
        if number == 0:
            left, right = task.answers
    task = next_task(db, actor, name)
    assert task is not None
    skip(db, actor, task.assignment_id, "unclear", key="s")
    found = {one.prompt: one for one in take_down(db, name, tmp_path / "snapshot")}
    first, second, third = (found[Prompt(f"问题 {number}?").key] for number in range(3))
    assert len(found) == 3
    better = {"first": first.first, "second": first.second}[first.outcome or "tie"]
    assert (better, first.strength, first.edit) == (left, 3, (right, "改好了"))
    assert dict(zip((first.first, first.second), first.flagged, strict=True)) == {left: True, right: False}
    assert first.rater.startswith("r-")  # a person's pseudonym, not their name
    assert (second.outcome, third.outcome) == ("tie", "tie")
    assert judged_of(first.row()) == first


def test_taken_down_twice_it_is_the_same_and_nothing_comes_after(db: Database, tmp_path: Path) -> None:
    name, actor = campaign(db, 2), person(db, "a")
    task = next_task(db, actor, name)
    assert task is not None
    submit(db, actor, task.assignment_id, {"strength": 1}, key="k")
    once = take_down(db, name, tmp_path / "snapshot")
    assert take_down(db, name, tmp_path / "snapshot") == once
    with pytest.raises(Exception, match="closed"):
        next_task(db, actor, name)


def test_answers_may_hold_any_separator_of_lines(db: Database, tmp_path: Path) -> None:
    odd = pair(0, texts=("a\u2028b\x85c\x0bd\x1ee", "第一行\n第二行\r\n"))
    put_up(db, "odd", [odd], raters_per_item=1, guidelines="", folder=Path("loop-1"), round_number=1)
    actor = person(db, "a")
    task = next_task(db, actor, "odd")
    assert task is not None
    submit(db, actor, task.assignment_id, {"strength": 1}, key="k")
    (found,) = take_down(db, "odd", tmp_path / "snapshot")
    assert {found.first, found.second} == {odd.first.text, odd.second.text}
    assert found.item == odd.key


def test_how_far_it_is(db: Database) -> None:
    name, actor = campaign(db, 2, raters_per_item=2), person(db, "a")
    task = next_task(db, actor, name)
    assert task is not None
    submit(db, actor, task.assignment_id, {"strength": 1}, key="k")
    found = waiting(db, name)
    assert (found.judgements, found.needed) == (1, 4)


def test_agreement_and_skill() -> None:
    """Two say the same of six pairs, now the first, now the second: alpha 1. One alone has none."""
    pairs = [pair(number) for number in range(6)]
    better = [one.first.text if number % 2 else one.second.text for number, one in enumerate(pairs)]
    same = [judged(one, rater, text) for one, text in zip(pairs, better, strict=True) for rater in ("a", "b")]
    assert agreement(same) == pytest.approx(1.0)
    assert agreement([one for one in same if one.rater == "a"]) is None
    assert skills([]) == {}
    worse = {one.first.text: one.second.text for one in pairs} | {
        one.second.text: one.first.text for one in pairs
    }
    mixed = same + [judged(one, "c", worse[text]) for one, text in zip(pairs, better, strict=True)]
    found = skills(mixed)
    assert found["a"] == pytest.approx(found["b"])
    assert found["a"] > 0.8 > found["c"]


def test_policies_are_compared_where_they_differ() -> None:
    one = pair(0)
    compared = judged(one, "a", one.second.text).comparison
    assert compared is not None
    assert (compared.left, compared.right, compared.outcome) == ("round-1", "sft", "right")
    assert judged(one, "a", None).comparison is None


def test_agreement_of_two_pairs_needs_no_lucky_draw() -> None:
    """Of two pairs with one label each, every second draw of the bootstrap holds one label alone."""
    one, other = pair(0), pair(1)
    said = [judged(one, rater, one.first.text) for rater in "ab"]
    said += [judged(other, rater, other.second.text) for rater in "ab"]
    assert agreement(said) == pytest.approx(1.0)
