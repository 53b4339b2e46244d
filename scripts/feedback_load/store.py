"""A campaign to judge, raters with a session each, and the look through the store afterwards."""

import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.form import Form
from feedback_ui.schema import Assignment, Item, Judgement
from feedback_ui.service.access import OPERATOR, Actor
from feedback_ui.service.accounts import SESSION, add_rater
from feedback_ui.service.campaigns import Plan, create_campaign
from feedback_ui.service.importing import import_rows
from feedback_ui.service.tokens import add_token

CAMPAIGN = "load"
RATERS_PER_ITEM = 3


@dataclass
class Log:
    """What one rater did: the ids that were acknowledged, milliseconds from click to next item, errors.

    `unsure` holds the clicks (idempotency keys) that got no answer: they may be kept, once, or not.
    """

    acknowledged: list[str] = field(default_factory=list)
    waits_ms: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    unsure: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Person:
    """A rater with a session's token."""

    actor: Actor
    token: str


def prepare(db: Database, raters: int, items: int, *, raters_per_item: int = RATERS_PER_ITEM) -> list[Person]:
    """A campaign with items, and raters who are signed in already (a password's hash takes a while)."""
    plan = Plan(raters_per_item)
    create_campaign(db, OPERATOR, CAMPAIGN, Form(kind="compare"), plan=plan, guidelines="Prefer what helps.")
    import_rows(db, OPERATOR, CAMPAIGN, rows(items))
    accounts = [add_rater(db, OPERATOR, f"rater {number}") for number in range(raters)]
    people = [
        Person(Actor(account.id, account.role, account.name), secrets.token_urlsafe(32))
        for account in accounts
    ]

    def sign_in(session: Session) -> None:
        for account, person in zip(accounts, people, strict=True):
            add_token(session, db, account.id, "session", person.token, SESSION)

    db.write(sign_in)
    return people


def rows(count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Prompts with two answers of some hundred characters, with Markdown, code and a formula in them."""
    for number in range(count):
        answers = [
            f"**Answer {side}** to question {number}, with $x_{{{number}}}^2$:\n\n"
            + f"- it goes on and on, point {number}, 中文也有\n" * 6
            + f"\n```python\nprint({number})\n```\n"
            for side in ("one", "two")
        ]
        yield f"made:{number + 1}", {"prompt": f"Question {number}?", "responses": answers}


def check(db: Database, logs: Sequence[Log]) -> list[str]:
    """What does not hold in the store afterwards."""

    def look(session: Session) -> tuple[dict[str, str], list[tuple[Any, int]], dict[Any, int]]:
        kept = {
            str(own): key for own, key in session.execute(select(Judgement.id, Judgement.idempotency_key))
        }
        query = select(Assignment.item_id, Assignment.slot).where(Assignment.slot.is_not(None))
        slots = [(item, slot) for item, slot in session.execute(query) if slot is not None]
        wanted = {item: count or 0 for item, count in session.execute(select(Item.id, Item.wanted))}
        return kept, slots, wanted

    kept, slots, wanted = db.read(look)
    acknowledged = [own for log in logs for own in log.acknowledged]
    unsure = set[str]().union(*(log.unsure for log in logs))
    untold = {key for own, key in kept.items() if own not in set(acknowledged)}
    takers = Counter(item for item, _ in slots)
    found = {
        "failed requests": sum(len(log.errors) for log in logs),
        "judgements lost": len(set(acknowledged) - set(kept)),
        "judgements that nobody was told of": len(untold - unsure),
        "clicks kept twice": len(kept) - len(set(kept.values())),
        "slots held twice": len(slots) - len(set(slots)),
        "items beyond their raters": sum(count > wanted[item] for item, count in takers.items()),
    }
    problems = [f"{count} {what}" for what, count in found.items() if count]
    return problems + [error for log in logs for error in log.errors][:3]
