"""What a rater is shown of an item."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_ui.form import Form
from feedback_ui.schema import Assignment, Campaign, Item, PromptRow, Response
from feedback_ui.service.campaigns import form_of


@dataclass(frozen=True)
class Task:
    """What a rater is shown; it holds nothing by which to tell who wrote what.

    `prompt` is text or a list of messages with role and content; `answers` are in the order to show them.
    """

    assignment_id: UUID
    campaign_id: UUID
    question: str
    form: Form
    language: str
    prompt: Any
    answers: tuple[str, ...]
    draft: dict[str, Any] | None
    guideline_version: int
    lease_until: datetime


def task_of(session: Session, campaign: Campaign, assignment: Assignment) -> Task:
    """What the rater is shown of an assignment."""
    item = session.get_one(Item, assignment.item_id)
    prompt = session.get_one(PromptRow, item.prompt_id)
    shown = [UUID(own) for own in assignment.shown]
    query = select(Response.id, Response.text).where(Response.id.in_(shown))
    texts = {own: text for own, text in session.execute(query)}
    return Task(
        assignment.id,
        campaign.id,
        campaign.question,
        form_of(campaign),
        campaign.language,
        prompt.content,
        tuple(texts[own] for own in shown),
        assignment.draft,
        assignment.guideline_version,
        assignment.lease_until,
    )
