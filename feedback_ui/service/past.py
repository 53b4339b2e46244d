"""What a rater has said lately, as they said it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.schema import Action, Assignment, Campaign, Item, Judgement, PromptRow
from feedback_ui.service.access import Actor, own_assignment, rater_in
from feedback_ui.service.tasks import Task, task_of


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
        rater, row = rater_in(session, actor, campaign)
        query = (
            select(Judgement, Assignment, PromptRow.content)
            .join(Assignment, Assignment.id == Judgement.assignment_id)
            .join(Item, Item.id == Assignment.item_id)
            .join(PromptRow, PromptRow.id == Item.prompt_id)
            .where(Assignment.campaign_id == row.id)
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


@dataclass(frozen=True)
class OwnTask:
    """An item that was given to a rater, as it was shown; `given` is what counts, None before the first."""

    task: Task
    action: Action | None
    given: dict[str, Any] | None
    revision: int


def my_task(db: Database, actor: Actor, assignment_id: UUID) -> OwnTask:
    """One of a rater's own items, to correct it or to go on with it. Raises NotFound, also for another's."""

    def work(session: Session) -> OwnTask:
        assignment = own_assignment(session, actor, assignment_id)
        task = task_of(session, session.get_one(Campaign, assignment.campaign_id), assignment)
        query = select(Judgement).where(
            Judgement.assignment_id == assignment.id, Judgement.revision == assignment.revision
        )
        last = session.scalars(query).first()
        if last is None:
            return OwnTask(task, None, None, 0)
        given = None if last.action == "withdraw" else as_shown(last.content, assignment.shown)
        return OwnTask(task, last.action, given, last.revision)

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
