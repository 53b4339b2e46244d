"""The manager's figures, from votes whose figures are known by hand."""

import math
import random

import pytest
from people import campaign, pairs, rater

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
    # Cohen: observed 3/4; a says good 3/4 and tie 1/4, b good 1/2, bad 1/4, tie 1/4: expected 7/16
    assert found.cohen["a", "b"].estimate == pytest.approx((3 / 4 - 7 / 16) / (1 - 7 / 16))
    # Fleiss: shares 5/8, 1/8, 2/8: expected 30/64
    assert found.fleiss.estimate == pytest.approx((3 / 4 - 30 / 64) / (1 - 30 / 64))
    assert {own: figures.median_seconds for own, figures in found.raters.items()} == {"a": 20, "b": 40}
    # "good 0" is longer than "bad 0" by a letter, and 5 of the 6 votes for a side were for it
    assert found.longer.estimate == pytest.approx(5 / 6)
    assert list(found.models.strengths) == ["model-a", "model-b"]
    assert found.models.strengths["model-a"].estimate > 0


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
    name = campaign(db, rows=rows, gold_share=0.999)
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
