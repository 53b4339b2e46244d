"""Slots of items: who holds one, until when, and how it is taken, given up and held again.

Locks are taken in one order, the item and then its assignments, so that two transactions cannot wait for each
other.
"""

import random
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.schema import Assignment, Campaign, Candidate, Item
from feedback_ui.service.campaigns import guideline_version


def locked(session: Session, assignment: Assignment) -> Assignment:
    """The assignment as it is now, its item locked first."""
    session.get_one(Item, assignment.item_id, with_for_update=True, populate_existing=True)
    session.refresh(assignment, with_for_update=True)
    return assignment


def take_slot(session: Session, db: Database, assignment: Assignment) -> bool:
    """Have an assignment, whose item is locked, hold a slot again; False if all are taken."""
    item = session.get_one(Item, assignment.item_id)
    if item.free is not None and not assignment.adjudicates:
        if item.free == 0:
            return False
        assignment.slot = _free_slot(session, item)
        item.free -= 1
    assignment.status = "held"
    renewed(db, session.get_one(Campaign, assignment.campaign_id), assignment)
    session.flush()
    return True


def give_up_slot(session: Session, assignment: Assignment) -> None:
    """Offer the slot of an assignment, whose item is locked, to others. Its status is the caller's to set."""
    if assignment.slot is not None:
        item = session.get_one(Item, assignment.item_id)
        assert item.free is not None
        item.free += 1
        assignment.slot = None


def release_held(session: Session, campaign_id: UUID, rater_id: UUID) -> None:
    """Put back what the rater holds, its draft kept: an earlier item is opened again in its place."""
    held = own_in(session, campaign_id, rater_id, Assignment.status == "held")
    if held is not None:
        give_up_slot(session, locked(session, held))
        held.status = "released"
        session.flush()


def assign(
    session: Session, db: Database, campaign: Campaign, item: Item, rater_id: UUID, chance: random.Random
) -> Assignment:
    """Give an item, which is locked and has a slot, to a rater, its answers in an order drawn by `chance`."""
    query = select(Candidate.response_id).where(Candidate.item_id == item.id).order_by(Candidate.position)
    shown = [str(own) for own in session.scalars(query)]
    chance.shuffle(shown)
    slot = None
    if item.free is not None:
        slot = _free_slot(session, item)
        item.free -= 1
    until = lease_from_now(db, campaign)
    return new_assignment(session, item, rater_id, shown, given=db.now(), held_until=until, slot=slot)


def new_assignment(
    session: Session,
    item: Item,
    rater_id: UUID,
    shown: list[str],
    *,
    given: datetime,
    held_until: datetime | None = None,
    slot: int | None = None,
    adjudicates: bool = False,
) -> Assignment:
    """The row of an item and a rater, held to the end of a lease, or done where there is none.

    `shown` are the ids of the answers in the order shown; `adjudicates` makes it a manager's word.
    """
    assignment = Assignment(
        campaign_id=item.campaign_id,
        item_id=item.id,
        rater_id=rater_id,
        slot=slot,
        status="held" if held_until else "done",
        adjudicates=adjudicates,
        shown=shown,
        guideline_version=guideline_version(session, item.campaign_id),
        given=given,
        lease_until=held_until or given,
        draft=None,
        revision=0,
    )
    session.add(assignment)
    session.flush()
    return assignment


def own_in(
    session: Session, campaign_id: UUID, rater_id: UUID, *where: ColumnElement[bool]
) -> Assignment | None:
    """A rater's assignment in a campaign that fulfils conditions."""
    return session.scalars(
        select(Assignment).where(
            Assignment.campaign_id == campaign_id, Assignment.rater_id == rater_id, *where
        )
    ).first()


def renewed(db: Database, campaign: Campaign, assignment: Assignment) -> Assignment:
    """The same, its lease begun anew."""
    assignment.lease_until = lease_from_now(db, campaign)
    return assignment


def lease_from_now(db: Database, campaign: Campaign) -> datetime:
    """The end of a lease that begins now."""
    return db.now() + timedelta(seconds=campaign.lease_s)


def _free_slot(session: Session, item: Item) -> int:
    query = select(Assignment.slot).where(Assignment.item_id == item.id, Assignment.slot.is_not(None))
    taken = set(session.scalars(query))
    assert item.wanted is not None
    return next(slot for slot in range(item.wanted) if slot not in taken)
