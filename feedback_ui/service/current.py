"""What counts at this moment: of each assignment the newest judgement, with all that it speaks of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_ui.schema import (
    Action,
    Assignment,
    Candidate,
    GoldKey,
    Item,
    Judgement,
    PromptRow,
    Rater,
    Response,
)

Outcome = Literal["first", "second", "tie"]


@dataclass(frozen=True)
class Source:
    """An answer of an item and where it came from."""

    text: str
    model: str | None
    run: str | None


@dataclass(frozen=True)
class Subject:
    """An item: its prompt as JSON with the other columns, its answers by id in the order of the file."""

    id: UUID
    place: int
    prompt: Any
    fields: Mapping[str, Any]
    answers: Mapping[str, Source]
    gold: Mapping[str, Any] | None


@dataclass(frozen=True)
class Said:
    """One judgement that counts. `rater` is a pseudonym; `shown` are response ids in the order shown."""

    number: int
    id: UUID
    subject: Subject
    rater: str
    action: Action
    adjudicates: bool
    content: Mapping[str, Any]
    shown: tuple[str, ...]
    guideline_version: int
    revision: int
    active_s: float | None
    created: datetime


@dataclass(frozen=True)
class Comparison:
    """Two answers of an item, in the order of the file, and which of them a rater finds better.

    `strength` is 1 to 3, 0 for a tie, None for a ranking, which has none. `share` is 1 over the comparisons
    that the judgement gives.
    """

    said: Said
    first: str
    second: str
    outcome: Outcome
    strength: int | None
    share: float

    @property
    def key(self) -> str:
        """Of the pair: item and both answers."""
        return f"{self.said.subject.id}/{self.first}/{self.second}"


def subjects(session: Session, campaign_id: UUID) -> dict[UUID, Subject]:
    """The campaign's items by id, in the order of the file."""
    answers: dict[UUID, dict[str, Source]] = {}
    query = (
        select(Candidate.item_id, Response.id, Response.text, Response.model, Response.run)
        .join(Response, Response.id == Candidate.response_id)
        .join(Item, Item.id == Candidate.item_id)
        .where(Item.campaign_id == campaign_id)
        .order_by(Candidate.item_id, Candidate.position)
    )
    for item_id, response_id, text, model, run in session.execute(query):
        answers.setdefault(item_id, {})[str(response_id)] = Source(text, model, run)
    items = (
        select(Item.id, Item.place, PromptRow.content, PromptRow.fields, GoldKey.expected)
        .join(PromptRow, PromptRow.id == Item.prompt_id)
        .outerjoin(GoldKey, GoldKey.item_id == Item.id)
        .where(Item.campaign_id == campaign_id)
        .order_by(Item.place)
    )
    return {
        own: Subject(own, place, content, fields, answers.get(own, {}), expected)
        for own, place, content, fields, expected in session.execute(items)
    }


def current(
    session: Session, campaign_id: UUID, *, after: int | None = None, upto: int | None = None
) -> list[Said]:
    """What counts, gold items included, by item and then by the order of judging; nothing that was undone.

    With `after` and `upto` what was said last of each item after the judgement of the one number, up to that
    of the other: also that it was undone (action "withdraw").
    """
    of = subjects(session, campaign_id)
    query = (
        select(  # columns, and not rows of the tables: it takes a third less time
            Judgement.number,
            Judgement.id,
            Assignment.item_id,
            Rater.pseudonym,
            Judgement.action,
            Assignment.adjudicates,
            Judgement.content,
            Assignment.shown,
            Judgement.guideline_version,
            Judgement.revision,
            Judgement.active_s,
            Judgement.created,
        )
        .join(Assignment, Assignment.id == Judgement.assignment_id)
        .join(Rater, Rater.id == Assignment.rater_id)
        .where(Assignment.campaign_id == campaign_id, Judgement.revision == Assignment.revision)
    )
    if after is None:
        query = query.where(Judgement.action != "withdraw")
    else:
        query = query.where(Judgement.number > after)
    if upto is not None:
        query = query.where(Judgement.number <= upto)
    said = [_said(of, row) for row in session.execute(query)]
    return sorted(said, key=lambda one: (one.subject.place, one.number))


def _said(of: Mapping[UUID, Subject], row: Any) -> Said:
    number, own, item_id, rater, action, adjudicates, content, shown, *rest = row
    return Said(number, own, of[item_id], rater, action, adjudicates, content, tuple(shown), *rest)


def comparisons(said: Said) -> list[Comparison]:
    """Every pair of answers that a judgement orders: one of a comparison, all of a ranking."""
    content = said.content
    order = list(said.subject.answers)
    if "strength" in content:
        first, second = order
        better = content["better"]
        outcome: Outcome = "tie" if better is None else "first" if better == first else "second"
        return [Comparison(said, first, second, outcome, content["strength"], 1.0)]
    if "ranking" not in content:
        return []
    rank = {own: at for at, group in enumerate(content["ranking"]) for own in group}
    pairs = list(combinations(order, 2))
    return [
        Comparison(said, first, second, _by_rank(rank[first], rank[second]), None, 1 / len(pairs))
        for first, second in pairs
    ]


def decided(said: Sequence[Said]) -> list[Said]:
    """The same without what raters said of an item that a manager has adjudicated."""
    settled = {one.subject.id for one in said if one.adjudicates and one.action == "judge"}
    return [one for one in said if one.adjudicates or one.subject.id not in settled]


def _by_rank(first: int, second: int) -> Outcome:
    return "tie" if first == second else "first" if first < second else "second"
