"""Which item a rater is given next, and for how long it is theirs.

A claim is one transaction. It takes the rater's own unfinished item if there is one; else, by chance as often
as the campaign says, an item whose answer is known; else the first item that still looks for raters and that
this rater has not had. Constraints of the schema hold what must not happen whatever this code does; the lease
only says when a slot that nobody works on may go to another.
"""

import random
from typing import Any
from uuid import UUID

from sqlalchemy import Select, exists, func, literal_column, select
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.errors import Conflict, InvalidFeedback
from feedback_ui.schema import Assignment, Campaign, GoldKey, Item
from feedback_ui.service.access import Actor, campaign_named, own_assignment, require_rater
from feedback_ui.service.campaigns import form_of
from feedback_ui.service.slots import (
    assign,
    give_up_slot,
    lease_from_now,
    locked,
    own_in,
    renewed,
    take_slot,
)
from feedback_ui.service.tasks import Task, task_of

MAX_DRAFT = 1_000_000  # characters of JSON
_AT_ONCE = 50  # expired leases that one claim takes back


def next_task(
    db: Database, actor: Actor, campaign: UUID | str, *, rng: random.Random | None = None
) -> Task | None:
    """The item that this rater is to judge now, theirs for the campaign's lease; None where none is left.

    Asked again, it is the same item until that is judged, skipped or lost. Several requests at once get one
    item between them.

    Args:
        rng: decides about the order of the answers and about gold items; the system's own if left out.

    Raises:
        Conflict: the campaign is paused or closed.
    """
    chance = rng or random.SystemRandom()
    found, due = db.read(lambda session: _looked_up(session, db, campaign))
    for assignment_id in due:
        _release_expired(db, found, assignment_id)

    def work(session: Session) -> Task | None:
        rater = require_rater(session, actor)
        row = session.get_one(Campaign, found.id)
        held = own_in(session, row.id, rater.id, Assignment.status == "held")
        if held is not None and locked(session, held).status == "held":
            return task_of(session, row, renewed(db, row, held))
        again = _resumed(session, db, row, rater.id)
        if again is not None:
            return task_of(session, row, again)
        if form_of(row).kind == "chat":  # a turn is of the rater who began it, and made by chat_turn
            return None
        item = _choose(session, row, rater.id, gold=chance.random() < row.gold_share)
        if item is None:
            return None
        return task_of(session, row, assign(session, db, row, item, rater.id, chance))

    return db.write(work, idempotent=True)


def heartbeat(db: Database, actor: Actor, assignment_id: UUID) -> bool:
    """Renew the lease; False where the item is no longer this rater's (taken by another, or judged)."""

    def work(session: Session) -> bool:
        assignment = locked(session, own_assignment(session, actor, assignment_id))
        campaign = session.get_one(Campaign, assignment.campaign_id)
        if assignment.status == "released" and campaign.status != "closed":
            if own_in(session, campaign.id, assignment.rater_id, Assignment.status == "held"):
                return False
            return take_slot(session, db, assignment)
        if assignment.status == "held":
            renewed(db, campaign, assignment)
        return assignment.status == "held"

    return db.write(work, idempotent=True)


def save_draft(db: Database, actor: Actor, assignment_id: UUID, draft: dict[str, Any]) -> bool:
    """Keep what the rater has typed so far, and renew the lease; False as for `heartbeat`, the draft kept.

    Raises:
        InvalidFeedback: it is longer than a million characters.
    """
    if len(repr(draft)) > MAX_DRAFT:
        raise InvalidFeedback(f"the draft is longer than {MAX_DRAFT:,} characters")

    def work(session: Session) -> None:
        locked(session, own_assignment(session, actor, assignment_id)).draft = draft

    db.write(work, idempotent=True)
    return heartbeat(db, actor, assignment_id)


def _looked_up(session: Session, db: Database, campaign: UUID | str) -> tuple[Campaign, list[UUID]]:
    """The campaign, which must be open, and its assignments whose lease wants looking at."""
    found = campaign_named(session, campaign)
    if found.status != "open":
        raise Conflict(f"the campaign {found.name!r} is {found.status}; ask its manager to open it")
    due = (Assignment.lease_until <= db.now()) | (Assignment.lease_until > lease_from_now(db, found))
    query = select(Assignment.id).where(Assignment.campaign_id == found.id, Assignment.status == "held", due)
    return found, [*session.scalars(query.limit(_AT_ONCE))]


def _resumed(session: Session, db: Database, campaign: Campaign, rater_id: UUID) -> Assignment | None:
    """The rater's own item that was released, the last first, where it still has a slot for them."""
    query = (
        select(Assignment)
        .join(Item, Item.id == Assignment.item_id)
        .where(Assignment.campaign_id == campaign.id, Assignment.rater_id == rater_id)
        .where(Assignment.status == "released", (Item.free > 0) | Item.free.is_(None))
        .order_by(Assignment.given.desc())
    )
    for assignment in session.scalars(query):
        locked(session, assignment)
        if assignment.status == "released" and take_slot(session, db, assignment):
            return assignment
    return None


def _choose(session: Session, campaign: Campaign, rater_id: UUID, *, gold: bool) -> Item | None:
    had = exists().where(Assignment.item_id == Item.id, Assignment.rater_id == rater_id)
    mine = select(Item.id).where(Item.campaign_id == campaign.id, ~had).limit(1)
    if gold:
        known = mine.join(GoldKey, GoldKey.item_id == Item.id).order_by(func.random())
        found = _locked_first(session, known)
        if found is not None:
            return found
    # the zero is written out: SQLite uses the index of open items for this very condition alone
    return _locked_first(session, mine.where(Item.free > literal_column("0")).order_by(Item.place))


def _locked_first(session: Session, query: Select[UUID]) -> Item | None:
    """The first item, locked. Those that others have in hand are passed over, and waited for in the end: they
    may come to want raters still."""
    found = session.scalar(query.with_for_update(of=Item, skip_locked=True))
    while found is None and session.scalar(query) is not None:
        found = session.scalar(query.with_for_update(of=Item))
    return session.get_one(Item, found, populate_existing=True) if found is not None else None


def _release_expired(db: Database, campaign: Campaign, assignment_id: UUID) -> None:
    """Take back a slot whose lease ran out.

    A lease that ends later than one given now would was given before the clock was set back: it is cut to one
    lease from now, so that neither its holder loses it nor the others wait for long.
    """

    def work(session: Session) -> None:
        assignment = session.get(Assignment, assignment_id)
        if assignment is None or locked(session, assignment).status != "held":
            return
        if assignment.lease_until <= db.now():
            give_up_slot(session, assignment)
            assignment.status = "released"
        else:
            assignment.lease_until = min(assignment.lease_until, lease_from_now(db, campaign))

    db.write(work, idempotent=True)
