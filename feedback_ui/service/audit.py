"""Who did what to the store, and which snapshots were taken of it; for managers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.schema import Audit, Export, Rater
from feedback_ui.service.access import OPERATOR, Actor, campaign_named, require_manager


@dataclass(frozen=True)
class AuditLine:
    """One act. `actor` is a name; `subject` an id, or the name of a failed sign-in."""

    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


@dataclass(frozen=True)
class TakenSnapshot:
    """A snapshot: where it was written, and the hash by which a training run names it."""

    created: datetime
    sha256: str
    folder: str
    judgements: int
    last_number: int | None


def audit_log(db: Database, actor: Actor, *, count: int = 200) -> list[AuditLine]:
    """The latest acts, newest first; judging itself is not among them."""
    require_manager(actor)
    query = (
        select(Audit, Rater.name)
        .outerjoin(Rater, Rater.id == Audit.actor_id)
        .order_by(Audit.number.desc())
        .limit(count)
    )

    def work(session: Session) -> list[AuditLine]:
        return [
            AuditLine(line.at, name or OPERATOR.name, line.action, line.subject, line.detail)
            for line, name in session.execute(query)
        ]

    return db.read(work)


def snapshots_taken(db: Database, actor: Actor, campaign: UUID | str) -> list[TakenSnapshot]:
    """Of one campaign, newest first."""
    require_manager(actor)

    def work(session: Session) -> list[TakenSnapshot]:
        own = select(Export).where(Export.campaign_id == campaign_named(session, campaign).id)
        return [
            TakenSnapshot(one.created, one.sha256, one.folder, one.judgements, one.last_number)
            for one in session.scalars(own.order_by(Export.created.desc()))
        ]

    return db.read(work)
