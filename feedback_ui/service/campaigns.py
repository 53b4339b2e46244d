"""Campaigns and their guidelines."""

import re
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.errors import Conflict, InvalidFeedback, NotFound
from feedback_ui.form import Form, check_storable
from feedback_ui.schema import Campaign, CampaignStatus, Guideline, Participation
from feedback_ui.service.access import (
    Actor,
    campaign_named,
    note,
    rater_in,
    require_manager,
    require_rater,
)
from feedback_ui.service.plan import Plan

QUESTIONS = {
    "compare": "Which answer is better?",
    "chat": "Which answer is better?",
    "rank": "Rank the answers, best first.",
    "rate": "Rate each answer.",
    "score": "How good is this answer?",
    "thumb": "Is this a good answer?",
    "write": "Write the answer that you would want to get.",
}


@dataclass(frozen=True)
class CampaignInfo:
    """A campaign as everybody may see it."""

    id: UUID
    name: str
    question: str
    form: Form
    language: str
    status: CampaignStatus
    guideline_version: int
    guidelines: str


def create_campaign(
    db: Database,
    actor: Actor,
    name: str,
    form: Form,
    *,
    plan: Plan | None = None,
    question: str | None = None,
    guidelines: str = "",
    language: str = "any",
) -> UUID:
    """A new, open campaign with version 1 of its guidelines.

    Args:
        question: what the rater is asked; the usual question of the form's kind if left out.
        language: a tag such as en or zh, or any.

    Raises:
        Conflict: the name is taken.
    """
    require_manager(actor)
    plan = plan or Plan()
    plan.check_fits(form)
    name = name.strip()
    if not 0 < len(name) <= 200:
        raise InvalidFeedback("a campaign's name has 1 to 200 characters")
    if not re.fullmatch(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})?", language):
        raise InvalidFeedback(
            "language={language} is no language tag; give en, zh, any, ...", language=language
        )
    for what, said in (("the name", name), ("the question", question or ""), ("the guidelines", guidelines)):
        check_storable(said, what)

    def work(session: Session) -> UUID:
        if session.scalar(select(Campaign.id).where(Campaign.name == name)):
            raise Conflict("there is a campaign {name!r} already; choose another name", name=name)
        campaign = Campaign(
            name=name,
            question=question or QUESTIONS[form.kind],
            form=form.model_dump(mode="json"),
            language=language,
            raters_per_item=plan.raters_per_item,
            overlap=plan.overlap,
            gold_share=plan.gold_share,
            lease_s=plan.lease_s,
            qualify_items=plan.qualify_items,
            pass_mark=plan.pass_mark,
            rater_share=plan.rater_share,
            pause_gold=plan.pause_gold,
            status="open",
            created=db.now(),
        )
        session.add(campaign)
        session.flush()
        session.add(Guideline(campaign_id=campaign.id, version=1, text=guidelines, created=db.now()))
        note(session, db, actor, "create-campaign", str(campaign.id), name=name)
        return campaign.id

    return db.write(work)


def set_guidelines(db: Database, actor: Actor, campaign: UUID | str, text: str) -> int:
    """A new version of the guidelines; its number. Judgements keep the one they were made by."""
    require_manager(actor)
    check_storable(text, "the guidelines")

    def work(session: Session) -> int:
        row = campaign_named(session, campaign)
        session.refresh(row, with_for_update=True)  # two at once get two numbers
        version = guideline_version(session, row.id) + 1
        session.add(Guideline(campaign_id=row.id, version=version, text=text, created=db.now()))
        note(session, db, actor, "guidelines", str(row.id), version=version)
        return version

    return db.write(work)


def set_status(db: Database, actor: Actor, campaign: UUID | str, status: CampaignStatus) -> None:
    """Open, pause (nothing more is given out, what is held may be finished) or close (nor corrected)."""
    require_manager(actor)

    def work(session: Session) -> None:
        row = campaign_named(session, campaign)
        row.status = status
        note(session, db, actor, "status", str(row.id), status=status)

    db.write(work, idempotent=True)


def campaigns(db: Database, actor: Actor) -> list[CampaignInfo]:
    """A manager's are all, a rater's the open ones, a guest's the open ones of theirs; by name."""

    def work(session: Session) -> list[CampaignInfo]:
        query = select(Campaign).order_by(Campaign.name)
        if actor.role != "manager":
            rater = require_rater(session, actor)
            query = query.where(Campaign.status == "open")
            if rater.guest:
                query = query.join(Participation).where(Participation.rater_id == rater.id)
        return [_info(session, row) for row in session.scalars(query)]

    return db.read(work)


def campaign_info(db: Database, actor: Actor, campaign: UUID | str) -> CampaignInfo:
    """One campaign, its newest guidelines with it."""

    return db.read(lambda session: _info(session, _visible(session, actor, campaign)))


def guidelines(db: Database, actor: Actor, campaign: UUID | str, version: int) -> str:
    """The text of one version, such as that of an old judgement. Raises NotFound."""

    def work(session: Session) -> str:
        row = _visible(session, actor, campaign)
        query = select(Guideline.text).where(Guideline.campaign_id == row.id, Guideline.version == version)
        found = session.scalar(query)
        if found is None:
            raise NotFound(
                "the campaign {campaign!r} has no guidelines of version {version}",
                campaign=row.name,
                version=version,
            )
        return found

    return db.read(work)


def guideline_version(session: Session, campaign_id: UUID) -> int:
    """The newest version's number."""
    query = select(func.max(Guideline.version)).where(Guideline.campaign_id == campaign_id)
    return session.scalar(query) or 0


def form_of(campaign: Campaign) -> Form:
    """What the campaign asks."""
    return Form.model_validate(campaign.form)


def _visible(session: Session, actor: Actor, campaign: UUID | str) -> Campaign:
    if actor.role == "manager":
        return campaign_named(session, campaign)
    return rater_in(session, actor, campaign)[1]


def _info(session: Session, row: Campaign) -> CampaignInfo:
    newest = session.scalars(
        select(Guideline).where(Guideline.campaign_id == row.id).order_by(Guideline.version.desc()).limit(1)
    ).one()
    return CampaignInfo(
        row.id, row.name, row.question, form_of(row), row.language, row.status, newest.version, newest.text
    )
