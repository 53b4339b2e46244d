"""Who takes part in a campaign, and how they stand; for its manager."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.schema import Assignment, Judgement, Participation, Rater, Standing
from feedback_ui.service.access import Actor, campaign_named, note, require_manager
from feedback_ui.service.accounts import rater_named
from feedback_ui.service.standing import gold_tallies, take_part


@dataclass(frozen=True)
class Participant:
    """A rater in a campaign that tests raters or is open to a crowd.

    `judged` counts all items, those with a known answer among them; of these `gold` were judged and
    `gold_right` were right. `worker` and `code` are what a crowd platform knows.
    """

    rater_id: UUID
    name: str
    standing: Standing
    judged: int
    gold: int
    gold_right: int
    worker: str | None
    code: str | None
    joined: datetime


def participants(db: Database, actor: Actor, campaign: UUID | str) -> list[Participant]:
    """All who take part, those first who came first. Who came by no open link appears with the first item."""
    require_manager(actor)

    def work(session: Session) -> list[Participant]:
        row = campaign_named(session, campaign)
        counts = select(Assignment.rater_id, func.count()).where(
            Assignment.campaign_id == row.id, Assignment.status == "done"
        )
        judged = {rater: count for rater, count in session.execute(counts.group_by(Assignment.rater_id))}
        query = (
            select(Participation, Rater.name)
            .join(Rater, Rater.id == Participation.rater_id)
            .where(Participation.campaign_id == row.id)
            .order_by(Participation.joined, Rater.name)
        )
        tallies = gold_tallies(session, row.id)
        return [
            Participant(
                own.rater_id,
                name,
                own.standing,
                judged.get(own.rater_id, 0),
                *tallies.get(own.rater_id, (0, 0)),
                own.worker,
                own.completion_code,
                own.joined,
            )
            for own, name in session.execute(query)
        ]

    return db.read(work)


def set_standing(
    db: Database,
    actor: Actor,
    campaign: UUID | str,
    rater: UUID | str,
    standing: Literal["active", "paused"],
) -> None:
    """Pause a rater in a campaign, or let one go on who was paused or failed the test.

    Gold items that were failed before count no more. What the rater holds can be finished while nobody else
    is given it.

    Raises:
        NotFound: there is no such campaign or rater.
    """
    require_manager(actor)

    def work(session: Session) -> None:
        row, person = campaign_named(session, campaign), rater_named(session, rater)
        own = session.get(Participation, (row.id, person.id), with_for_update=True)
        own = own or take_part(session, db, row, person)
        own.standing = standing
        own.gold_since = session.scalar(select(func.max(Judgement.number))) or 0
        note(session, db, actor, "standing", str(person.id), campaign=str(row.id), standing=standing)

    db.write(work, idempotent=True)
