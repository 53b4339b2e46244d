"""Which item a rater is given next, and for how long it is theirs.

A claim is one transaction. Of a rater who may judge (standing.py), it takes the rater's own unfinished item
if there is one; else, by chance as often as the campaign says, an item whose answer is known; else the first
item that still looks for raters and that this rater has not had. Constraints of the schema hold what must not
happen whatever this code does; the lease only says when a slot that nobody works on may go to another.
"""

import random
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Select, exists, func, literal_column, select
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.errors import Conflict, InvalidFeedback, Phrase
from feedback_ui.schema import Assignment, Campaign, GoldKey, Item
from feedback_ui.service.access import Actor, own_assignment, rater_in
from feedback_ui.service.campaigns import form_of
from feedback_ui.service.slots import (
    assign,
    give_up_slot,
    lease_from_now,
    locked,
    own_in,
    release_held,
    renewed,
    take_slot,
)
from feedback_ui.service.standing import completion_code, is_capped, standing_of
from feedback_ui.service.tasks import Task, task_of

MAX_DRAFT = 1_000_000  # characters of JSON
_AT_ONCE = 50  # expired leases that one claim takes back


TurnState = Literal["open", "qualifying", "failed", "capped", "paused", "closed", "finished"]


@dataclass(frozen=True)
class Turn:
    """What a rater hears who asks for work: an item, or why there is none.

    open        an item; without one, the rater begins by themselves (a live conversation)
    qualifying  an item of the test that comes first
    failed      the test was not passed
    capped      the rater has given all that one may give
    paused      the campaign is paused or its test has no items yet, or the rater was paused
    closed      the campaign is
    finished    nothing is left for this rater at the moment

    `completion_code` is there for a crowd platform's worker who has nothing more to do.
    """

    task: Task | None
    state: TurnState
    completion_code: str | None = None


def next_turn(db: Database, actor: Actor, campaign: UUID | str, *, rng: random.Random | None = None) -> Turn:
    """The item that this rater is to judge now, theirs for the campaign's lease, or why there is none.

    Asked again, it is the same item until that is judged, skipped or lost. Several requests at once get one
    item between them.

    Args:
        rng: decides about the order of the answers and about gold items; the system's own if left out.
    """
    chance = rng or random.SystemRandom()
    found, due = db.read(lambda session: _looked_up(session, db, actor, campaign))
    for assignment_id in due:
        _release_expired(db, found, assignment_id)

    def work(session: Session) -> Turn:
        rater, row = rater_in(session, actor, found.id)
        if row.status != "open":
            code = completion_code(session, row.id, rater.id) if row.status == "closed" else None
            return Turn(None, row.status, code)
        standing = standing_of(session, db, row, rater)
        if standing in (None, "failed", "paused"):
            release_held(session, row.id, rater.id)
            return Turn(None, standing or "paused")
        in_test = standing == "qualifying"
        state: TurnState = "qualifying" if in_test else "open"
        held = own_in(session, row.id, rater.id, Assignment.status == "held")
        if held is not None and locked(session, held).status == "held":
            return Turn(task_of(session, row, renewed(db, row, held)), state)
        if not in_test and is_capped(session, row, rater.id):
            return Turn(None, "capped", completion_code(session, row.id, rater.id))
        again = _resumed(session, db, row, rater.id)
        if again is not None:
            return Turn(task_of(session, row, again), state)
        if form_of(row).kind == "chat":  # a turn is of the rater who began it, and made by chat_turn
            return Turn(None, "open")
        gold = in_test or chance.random() < row.gold_share
        item = _choose(session, row, rater.id, gold=gold, others=not in_test)
        if item is None:
            return Turn(None, "finished", completion_code(session, row.id, rater.id))
        return Turn(task_of(session, row, assign(session, db, row, item, rater.id, chance)), state)

    return db.write(work, idempotent=True)


def next_task(
    db: Database, actor: Actor, campaign: UUID | str, *, rng: random.Random | None = None
) -> Task | None:
    """The item of `next_turn` alone; None where there is none for this rater.

    Raises:
        Conflict: the campaign is paused or closed.
    """
    turn = next_turn(db, actor, campaign, rng=rng)
    if turn.state in ("paused", "closed"):
        raise Conflict(
            "the campaign {campaign!r} is {state}; ask its manager",
            campaign=str(campaign),
            state=Phrase(turn.state),
        )
    return turn.task


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
        raise InvalidFeedback("the draft is longer than {max_draft:,} characters", max_draft=MAX_DRAFT)

    def work(session: Session) -> None:
        locked(session, own_assignment(session, actor, assignment_id)).draft = draft

    db.write(work, idempotent=True)
    return heartbeat(db, actor, assignment_id)


def _looked_up(
    session: Session, db: Database, actor: Actor, campaign: UUID | str
) -> tuple[Campaign, list[UUID]]:
    """The campaign, and its assignments whose lease wants looking at."""
    _, found = rater_in(session, actor, campaign)
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


def _choose(session: Session, campaign: Campaign, rater_id: UUID, *, gold: bool, others: bool) -> Item | None:
    had = exists().where(Assignment.item_id == Item.id, Assignment.rater_id == rater_id)
    mine = select(Item.id).where(Item.campaign_id == campaign.id, ~had).limit(1)
    if gold:
        known = mine.join(GoldKey, GoldKey.item_id == Item.id).order_by(func.random())
        found = _locked_first(session, known)
        if found is not None:
            return found
    if not others:
        return None
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
