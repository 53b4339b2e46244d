"""Raters, campaigns and rows for the tests, and a rater's way through a campaign."""

import random
from collections.abc import Iterator
from typing import Any

from feedback_ui.database import Database
from feedback_ui.form import Form
from feedback_ui.service.access import OPERATOR, Actor
from feedback_ui.service.accounts import add_rater
from feedback_ui.service.campaigns import create_campaign
from feedback_ui.service.claims import next_task
from feedback_ui.service.importing import import_rows
from feedback_ui.service.judgements import submit
from feedback_ui.service.plan import Plan

COMPARE = Form(kind="compare", flags=("unsafe", "other"), edit=True)
ALL_GOLD = 1 - 1e-12  # a share below one, as it must be, by which chance never gives another item


def rater(db: Database, name: str, role: Any = "rater") -> Actor:
    """A rater, signed in."""
    return Actor(add_rater(db, OPERATOR, name, role=role).id, role, name)


def pairs(count: int, start: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of a file: prompts with a good answer of one model and a bad one of another."""
    for number in range(start, start + count):
        yield (
            f"pairs.jsonl:{number + 1}",
            {
                "prompt": f"问题 {number}?",
                "responses": [
                    {
                        "text": f"good {number}",
                        "model": "model-a",
                        "run": "runs/demo/sample-1",
                        "seed": number,
                    },
                    {"text": f"bad {number}", "model": "model-b", "sampling": {"temperature": 1.0}},
                ],
                "family": "sums",
            },
        )


def campaign(
    db: Database,
    items: int = 5,
    *,
    name: str = "pairs",
    form: Form = COMPARE,
    rows: Any = None,
    guidelines: str = "Be kind. 请善待他人。",
    **plan: Any,
) -> str:
    """The name of a new campaign with items in it."""
    create_campaign(db, OPERATOR, name, form, plan=Plan(**plan), guidelines=guidelines)
    imported = import_rows(db, OPERATOR, name, pairs(items) if rows is None else rows)
    assert not imported.problems
    return name


def prefer_good(answers: tuple[str, ...], strength: int = 2) -> dict[str, Any]:
    """The good answer is better, wherever it stands."""
    return {"strength": -strength if answers[0].startswith("good") else strength}


def judge_all(db: Database, actor: Actor, name: str, *, rng: random.Random | None = None) -> list[str]:
    """Judge until nothing is left; the prompts judged, in order."""
    prompts: list[str] = []
    while (task := next_task(db, actor, name, rng=rng)) is not None:
        submit(db, actor, task.assignment_id, prefer_good(task.answers), key=f"k{len(prompts)}", active_s=4.0)
        prompts.append(task.prompt)
    return prompts
