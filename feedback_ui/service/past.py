"""What a rater has said lately, as they said it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.schema import Action, Assignment, Item, Judgement, PromptRow
from feedback_ui.service.access import Actor, campaign_named, require_rater


@dataclass(frozen=True)
class Past:
    """One of a rater's own judgements, for the list of the last; `given` is in terms of what was shown."""

    assignment_id: UUID
    prompt: Any
    action: Action
    given: dict[str, Any]
    revision: int
    at: datetime


def my_last(db: Database, actor: Actor, campaign: UUID | str, *, count: int = 20) -> list[Past]:
    """The rater's own latest judgements in a campaign, newest first; those taken back are left out."""

    def work(session: Session) -> list[Past]:
        rater = require_rater(session, actor)
        query = (
            select(Judgement, Assignment, PromptRow.content)
            .join(Assignment, Assignment.id == Judgement.assignment_id)
            .join(Item, Item.id == Assignment.item_id)
            .join(PromptRow, PromptRow.id == Item.prompt_id)
            .where(Assignment.campaign_id == campaign_named(session, campaign).id)
            .where(Assignment.rater_id == rater.id, Judgement.revision == Assignment.revision)
            .where(Judgement.action != "withdraw")
            .order_by(Judgement.number.desc())
            .limit(count)
        )
        return [
            Past(
                assignment.id,
                prompt,
                judgement.action,
                as_shown(judgement.content, assignment.shown),
                judgement.revision,
                judgement.created,
            )
            for judgement, assignment, prompt in session.execute(query)
        ]

    return db.read(work)


def as_shown(content: dict[str, Any], shown: list[str]) -> dict[str, Any]:
    """Stored content in terms of what was shown: the inverse of `Form.resolve`, with places for ids."""
    place = {own: at for at, own in enumerate(shown)}
    given = {name: value for name, value in content.items() if name not in ("better", "worse", "strength")}
    if "strength" in content:
        sign = 0 if content["better"] is None else (1 if place[content["better"]] == 1 else -1)
        given["strength"] = sign * content["strength"]
    if "ranking" in content:
        given["ranking"] = [[place[own] for own in group] for group in content["ranking"]]
    for name in ("ratings", "flags"):
        if name in content:
            given[name] = {place[own]: held for own, held in content[name].items()}
    if "edit" in content:
        given["edit"] = {"place": place[content["edit"]["response"]], "text": content["edit"]["text"]}
    return given
