"""Who acts, and what they may do. Every function of the service takes an actor and begins here."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.errors import NotAllowed, NotFound, listed
from feedback_ui.form import check_storable
from feedback_ui.schema import Assignment, Audit, Campaign, Participation, Rater, Role


@dataclass(frozen=True)
class Actor:
    """A person who is signed in. `rater_id` is None for the operator at the terminal."""

    rater_id: UUID | None
    role: Role
    name: str


OPERATOR = Actor(None, "manager", "operator")
"""Who runs the command line holds the database itself, and may do what a manager may."""


def require_manager(actor: Actor) -> None:
    """Raises NotAllowed for anybody else."""
    if actor.role != "manager":
        raise NotAllowed("only a manager may do this")


def require_rater(session: Session, actor: Actor) -> Rater:
    """The actor's row. Raises NotAllowed where there is none, or it was disabled."""
    rater = session.get(Rater, actor.rater_id) if actor.rater_id else None
    if rater is None or rater.disabled is not None or rater.erased is not None:
        raise NotAllowed("sign in to judge")
    return rater


def campaign_named(session: Session, campaign: UUID | str) -> Campaign:
    """A campaign by its id or name. Raises NotFound."""
    if isinstance(campaign, UUID):
        found = session.get(Campaign, campaign)
    else:
        check_storable(campaign, "the campaign's name")
        found = session.scalar(select(Campaign).where(Campaign.name == campaign))
    if found is None:
        names = listed(session.scalars(select(Campaign.name).order_by(Campaign.name).limit(20)))
        raise NotFound(
            "there is no campaign {campaign!r}; there are: {names}",
            campaign=str(campaign),
            names=names,
        )
    return found


def rater_in(session: Session, actor: Actor, campaign: UUID | str) -> tuple[Rater, Campaign]:
    """The actor's row, and a campaign that they may judge in.

    Raises NotAllowed as `require_rater` does, NotFound for a campaign that is not there or, for a guest, is
    not theirs; which of the two is not told to a guest.
    """
    rater = require_rater(session, actor)
    if not rater.guest:
        return rater, campaign_named(session, campaign)
    own = (
        select(Campaign)
        .join(Participation, Participation.campaign_id == Campaign.id)
        .where(Participation.rater_id == rater.id)
    )
    column = Campaign.id if isinstance(campaign, UUID) else Campaign.name
    if isinstance(campaign, str):
        check_storable(campaign, "the campaign's name")
    found = session.scalar(own.where(column == campaign))
    if found is None:
        raise NotFound("there is no such campaign among yours")
    return rater, found


def own_assignment(session: Session, actor: Actor, assignment_id: UUID) -> Assignment:
    """The actor's assignment. Raises NotFound, also where it is another's."""
    rater = require_rater(session, actor)
    found = session.get(Assignment, assignment_id)
    if found is None or found.rater_id != rater.id:
        raise NotFound("there is no such item among yours")
    return found


def note(session: Session, db: Database, actor: Actor, action: str, subject: str, **detail: Any) -> None:
    """A line of the audit log."""
    session.add(
        Audit(at=db.now(), actor_id=actor.rater_id, action=action, subject=subject[:200], detail=detail)
    )
