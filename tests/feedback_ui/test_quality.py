"""The manager's figures, from votes whose figures are known by hand."""

import math
import random

import pytest
from people import ALL_GOLD, campaign, pairs, rater

from feedback_ui.database import Database
from feedback_ui.errors import NotAllowed
from feedback_ui.form import Form
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.claims import next_task
from feedback_ui.service.judgements import submit
from feedback_ui.service.quality import quality


def judge(db: Database, name: str, own: str, said: list[str], active_s: float = 10.0) -> None:
    """A rater gives these in turn: good, bad, tie, left."""
    actor = rater(db, own)
    rng = random.Random(own)
    for word in said:
        task = next_task(db, actor, name, rng=rng)
        good = 0 if task.answers[0].startswith("good") else 1
        place = {"good": good, "bad": 1 - good, "left": 0}.get(word)
        strength = 0 if place is None else 2 if place == 1 else -2
        submit(db, actor, task.assignment_id, {"strength": strength}, key="k", active_s=active_s)


def test_figures_by_hand(db: Database) -> None:
    name = campaign(db, 4, raters_per_item=2)
    judge(db, name, "a", ["good", "good", "good", "tie"], active_s=20)
    judge(db, name, "b", ["good", "good", "bad", "tie"], active_s=40)
    found = quality(db, OPERATOR, name)
    assert found is not None
    assert found.num_judgements == 8
    assert found.agreement.estimate == pytest.approx(3 / 4)
    # By the hash the good answer is the second of item 0 and the first of the others.
    # Cohen: observed 3/4; first, second, tie are 1/2, 1/4, 1/4 of a and 1/4, 1/2, 1/4 of b: expected 5/16
    assert found.cohen["a", "b"].estimate == pytest.approx((3 / 4 - 5 / 16) / (1 - 5 / 16))
    # Fleiss: shares 3/8, 3/8, 2/8: expected 22/64
    assert found.fleiss.estimate == pytest.approx((3 / 4 - 22 / 64) / (1 - 22 / 64))
    assert {own: figures.median_seconds for own, figures in found.raters.items()} == {"a": 20, "b": 40}
    # "good 0" is longer than "bad 0" by a letter, and 5 of the 6 votes for a side were for it
    assert found.longer.estimate == pytest.approx(5 / 6)
    assert list(found.models.strengths) == ["model-a", "model-b"]
    assert found.models.strengths["model-a"].estimate > 0


def test_the_order_in_the_file_changes_nothing(db: Database) -> None:
    """Where the better answer always stands first, agreement is not explained away by chance."""
    rows = list(pairs(20))
    turned = [(place, {**row, "responses": row["responses"][::-1]}) for place, row in rows]
    found = []
    for name, own in (("as they are", rows), ("turned", turned)):
        campaign(db, name=name, rows=own, raters_per_item=2)
        for who in ("a", "b"):
            judge(db, name, f"{who} {name}", ["good"] * 15 + ["bad" if who == "a" else "good"] * 5)
        found.append(quality(db, OPERATOR, name, draws=20))
    assert found[0].agreement.estimate == 15 / 20
    assert found[0].alpha.estimate == pytest.approx(found[1].alpha.estimate)
    assert found[0].alpha.estimate > 0.4
    assert found[0].skills["a as they are"].estimate == pytest.approx(found[1].skills["a turned"].estimate)


def test_who_always_takes_the_left_is_found(db: Database) -> None:
    name = campaign(db, 40, raters_per_item=3)
    for own in ("fair-1", "fair-2"):
        judge(db, name, own, ["good"] * 40)
    judge(db, name, "lefty", ["left"] * 40)
    found = quality(db, OPERATOR, name, draws=50)
    assert found.raters["lefty"].left.estimate == 1
    assert {alarm.kind for alarm in found.raters["lefty"].alarms} == {"side", "constant"}
    assert "side" not in {alarm.kind for alarm in found.raters["fair-1"].alarms}
    assert found.skills["lefty"].estimate < 0.75 < 0.9 < found.skills["fair-1"].estimate


def test_gold_items_passed(db: Database) -> None:
    rows = [(place, {**row, "gold": {"better": 0}}) for place, row in pairs(4)]
    name = campaign(db, rows=rows, gold_share=ALL_GOLD)
    judge(db, name, "a", ["good", "good", "bad", "good"])
    figures = quality(db, OPERATOR, name).raters["a"]
    assert (figures.num_gold, figures.gold.estimate) == (4, 0.75)


def test_thumbs_and_nothing(db: Database) -> None:
    rows = [(f"r:{n}", {"prompt": f"{n}?", "responses": [f"answer {n}"]}) for n in range(3)]
    name = campaign(db, rows=rows, form=Form(kind="thumb"), raters_per_item=2)
    assert quality(db, OPERATOR, name) is None
    for own, thumbs in (("a", (True, True, False)), ("b", (True, False, False))):
        actor = rater(db, own)
        for thumb in thumbs:
            submit(db, actor, next_task(db, actor, name).assignment_id, {"thumb": thumb}, key="k")
    found = quality(db, OPERATOR, name)
    assert found.agreement.estimate == pytest.approx(2 / 3)
    assert found.models is None
    assert math.isnan(found.left.estimate)
    assert not found.side_alarm
    with pytest.raises(NotAllowed):
        quality(db, rater(db, "c"), name)
