"""The board's figures beyond agreement and skill, from votes whose figures are known by hand."""

import random
from uuid import uuid4

import pytest
from people import ALL_GOLD, campaign, pairs, prefer_good, rater
from sqlalchemy import func, select

from feedback_ui.database import Database
from feedback_ui.errors import Conflict, NotAllowed
from feedback_ui.form import Form, Scale
from feedback_ui.rows import Answer
from feedback_ui.schema import Item, Judgement, PromptRow, Response
from feedback_ui.service.access import OPERATOR, Actor
from feedback_ui.service.adjudication import adjudicate, disputes
from feedback_ui.service.chat import chat_turn
from feedback_ui.service.claims import next_task
from feedback_ui.service.erasure import erase_rater
from feedback_ui.service.figures import FigureCache
from feedback_ui.service.judgements import submit
from feedback_ui.service.quality import Record, quality
from rlhf.records import Message


def give(db: Database, name: str, actor: Actor, given: list[dict], active_s: float | None = None) -> None:
    """A rater gives these in turn, as they are."""
    for one in given:
        task = next_task(db, actor, name)
        assert task is not None
        submit(db, actor, task.assignment_id, one, key=uuid4().hex, active_s=active_s)


def prefer(db: Database, name: str, actor: Actor, good: list[bool], rng: random.Random | None = None) -> None:
    """A rater prefers the good answer, or the bad one, in turn."""
    for right in good:
        task = next_task(db, actor, name, rng=rng)
        strength = prefer_good(task.answers)["strength"]
        submit(db, actor, task.assignment_id, {"strength": strength if right else -strength}, key=uuid4().hex)


def singles(count: int, **more: object) -> list[tuple[str, dict]]:
    return [(f"r:{n}", {"prompt": f"{n}?", "responses": [f"answer {n}"], **more}) for n in range(count)]


def test_gold_items_of_each_kind(db: Database) -> None:
    a = rater(db, "a")
    rows = singles(3, gold={"score": [4, 5]})
    scored = campaign(db, name="s", rows=rows, form=Form(kind="score", scales=(Scale(name="help"),)),
                      gold_share=ALL_GOLD)  # fmt: skip
    give(db, scored, a, [{"score": 4}, {"score": 5}, {"score": 3.9}])
    found = quality(db, OPERATOR, scored)
    assert (found.gold.overall.num, found.gold.overall.passed.estimate) == (3, pytest.approx(2 / 3))
    assert found.raters["a"].gold == found.gold.by_rater["a"].passed
    assert found.raters["a"].num_gold == 3

    three = [("r:1", {"prompt": "?", "responses": ["x", "y", "z"], "gold": {"better": 1}})]
    ranked = campaign(db, name="r", rows=three, form=Form(kind="rank"), gold_share=ALL_GOLD)
    for own, tied in (("b", False), ("c", True)):
        actor = rater(db, own)
        task = next_task(db, actor, ranked)
        best = task.answers.index("y")
        rest = [place for place in range(3) if place != best]
        ranking = [[best, rest[0]], [rest[1]]] if tied else [[best], rest]
        submit(db, actor, task.assignment_id, {"ranking": ranking}, key="k")
    found = quality(db, OPERATOR, ranked)
    assert {own: share.passed.estimate for own, share in found.gold.by_rater.items()} == {"b": 1.0, "c": 0.0}

    compared = campaign(db, name="c", rows=[(p, {**row, "gold": {"better": 0}}) for p, row in pairs(2)],
                        gold_share=ALL_GOLD)  # fmt: skip
    give(db, compared, a, [{"both_bad": True}, {"strength": 0}])
    found = quality(db, OPERATOR, compared)
    assert (found.gold.overall.passed.estimate, found.gold.overall.num) == (0.0, 2)


def test_a_gold_item_that_most_miss_may_have_a_wrong_key(db: Database) -> None:
    rows = [(place, {**row, "gold": {"better": int(n == 1)}}) for n, (place, row) in enumerate(pairs(2))]
    name = campaign(db, rows=rows, gold_share=ALL_GOLD)
    for own in ("a", "b", "c"):
        prefer(db, name, rater(db, own), [True, True])
    (missed,) = quality(db, OPERATOR, name).gold.missed
    assert (missed.prompt, missed.passed, missed.num) == ("问题 1?", 0, 3)


def test_who_fails_gold_items_sets_off_an_alarm(db: Database) -> None:
    name = campaign(
        db, rows=[(p, {**row, "gold": {"better": 0}}) for p, row in pairs(8)], gold_share=ALL_GOLD
    )
    prefer(db, name, rater(db, "a"), [True] * 8)
    prefer(db, name, rater(db, "b"), [True] + [False] * 7)
    found = quality(db, OPERATOR, name)
    # Wilson of 1 in 8: (1 + 1.92) / (8 + 3.84) +- 0.23, below 0.6
    assert {own: [alarm.kind for alarm in one.alarms] for own, one in found.raters.items()} == {
        "a": [],
        "b": ["gold"],
    }


def test_sides_and_lengths_are_counted_and_set_off_alarms(db: Database) -> None:
    name = campaign(db, 40)
    prefer(db, name, rater(db, "a"), [True] * 40, rng=random.Random(0))
    found = quality(db, OPERATOR, name)
    # "good 0" is longer than "bad 0"; all 40 votes went to it
    assert (found.num_sided, found.num_lengths, found.longer.estimate) == (40, 40, 1.0)
    assert found.length_alarm
    assert not found.side_alarm


def test_records_of_two_models(db: Database) -> None:
    name = campaign(db, 4, raters_per_item=1)
    a = rater(db, "a")
    prefer(db, name, a, [True, True, False])
    give(db, name, a, [{"strength": 0}])
    assert quality(db, OPERATOR, name).records == {("model-a", "model-b"): Record(2, 1, 1)}


def test_pace_by_rater_and_day(db: Database, clock) -> None:
    name = campaign(db, 6)
    a, b = rater(db, "a"), rater(db, "b")
    for seconds in (10, 20, 30):
        give(db, name, a, [{"strength": 1}], active_s=seconds)
    clock.move(days=1)
    give(db, name, b, [{"strength": 1}], active_s=100)
    give(db, name, b, [{"strength": 1}])
    found = FigureCache(db).figures(OPERATOR, name).pace
    assert found.by_day == {"2026-03-01": {"a": 3}, "2026-03-02": {"b": 2}}
    assert (found.by_rater["a"].median_s, found.by_rater["a"].num) == (20, 3)
    # 10, 20, 30, 100: the tenth lies at 3/10 of the way from 10 to 20, the nine tenths at 7/10 from 30 to 100
    assert (found.times.p10_s, found.times.median_s, found.times.p90_s) == pytest.approx((13, 25, 79))
    assert found.times.num == 4


def test_scores_half_the_scale_apart_are_a_dispute(db: Database) -> None:
    form = Form(kind="score", scales=(Scale(name="help", low=1, high=5),))
    name = campaign(db, rows=singles(2), form=form, raters_per_item=2)
    give(db, name, rater(db, "a"), [{"score": 1}, {"score": 1}])
    give(db, name, rater(db, "b"), [{"score": 3}, {"score": 2.9}])
    assert [one.prompt for one in disputes(db, OPERATOR, name)] == ["0?"]


def test_gold_items_are_no_dispute_and_the_most_even_comes_first(db: Database) -> None:
    rows = [*pairs(2), *((p, {**row, "gold": {"better": 0}}) for p, row in pairs(1, start=2))]
    name = campaign(db, rows=rows, raters_per_item=3)
    for own, votes in (("a", [True, True]), ("b", [False, False]), ("c", [True])):
        prefer(db, name, rater(db, own), votes)
    give(db, name, rater(db, "d"), [{"strength": 0}])  # no vote for a side of item 1
    found = disputes(db, OPERATOR, name)
    assert [(one.prompt, one.votes) for one in found] == [
        ("问题 1?", {0: 1, 1: 1}),
        ("问题 0?", {0: 2, 1: 1}),
    ]
    assert found[0].said[0] == {"better": 0, "worse": 1, "strength": 2}


def test_figures_are_worked_out_once_for_each_state(db: Database) -> None:
    name = campaign(db, 3, raters_per_item=2)
    a, boss = rater(db, "a"), rater(db, "boss", role="manager")
    prefer(db, name, a, [True])
    cache = FigureCache(db)
    first = cache.figures(OPERATOR, name)
    assert cache.figures(boss, name) is first
    prefer(db, name, a, [True])
    second = cache.figures(OPERATOR, name)
    assert (second.quality.num_judgements, first.quality.num_judgements) == (2, 1)
    assert second.pace is not first.pace
    erase_rater(db, boss, "a", judgements="keep")
    assert "a" not in cache.figures(OPERATOR, name).quality.raters
    with pytest.raises(NotAllowed):
        cache.figures(rater(db, "c"), name)


def test_settling_an_item_changes_the_disputes_alone(db: Database) -> None:
    name = campaign(db, 1, raters_per_item=2)
    boss = rater(db, "boss", role="manager")
    prefer(db, name, rater(db, "a"), [True])
    prefer(db, name, rater(db, "b"), [False])
    cache = FigureCache(db)
    (dispute,) = cache.figures(boss, name).disputes
    before = cache.figures(boss, name)
    adjudicate(db, boss, dispute.item_id, {"strength": -2}, key="k")
    after = cache.figures(boss, name)
    assert after.disputes == ()
    assert after.quality is before.quality  # a manager's word is no vote


def test_only_the_last_campaigns_are_kept(db: Database) -> None:
    names = [campaign(db, 1, name=f"c{n}") for n in range(3)]
    cache = FigureCache(db, most=2)
    found = [cache.figures(OPERATOR, name) for name in names]
    assert cache.figures(OPERATOR, names[2]) is found[2]
    assert cache.figures(OPERATOR, names[0]) is not found[0]


def test_nobody_erases_themselves(db: Database) -> None:
    boss = rater(db, "boss", role="manager")
    with pytest.raises(Conflict, match="another manager"):
        erase_rater(db, boss, "boss", judgements="keep")


@pytest.mark.parametrize(("kept", "left"), [("keep", 1), ("remove", 0)])
def test_a_chat_is_removed_with_the_texts_of_it(db: Database, kept: str, left: int) -> None:
    name = campaign(db, rows=[], form=Form(kind="chat"))
    a = rater(db, "a")
    task = chat_turn(db, a, name, [Message("user", "my address is ...")], [Answer("one"), Answer("two")])
    submit(db, a, task.assignment_id, {"strength": 1}, key="k")
    erase_rater(db, OPERATOR, "a", judgements=kept)
    with db.engine.connect() as connection:
        counts = [
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (Item, PromptRow, Judgement)
        ]
        answers = connection.execute(select(func.count()).select_from(Response)).scalar_one()
    assert counts == [left] * 3
    assert answers == 2 * left


def test_texts_of_others_stay_when_judgements_are_removed(db: Database, judged: str) -> None:
    erase_rater(db, OPERATOR, "韩梅梅", judgements="remove")
    with db.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(Item)).scalar_one() == 3
        assert connection.execute(select(func.count()).select_from(Judgement)).scalar_one() == 0
