"""What a rater says of an item: written once for each click, never changed, corrected by a new revision."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.errors import Conflict, InvalidFeedback, listed
from feedback_ui.form import MAX_TEXT, Given, check_storable, parse_given
from feedback_ui.schema import Action, Assignment, Campaign, Judgement
from feedback_ui.service.access import Actor, own_assignment
from feedback_ui.service.campaigns import form_of, guideline_version
from feedback_ui.service.past import as_shown
from feedback_ui.service.slots import give_up_slot, locked, release_held, take_slot
from feedback_ui.service.tasks import Task, task_of

SKIP_REASONS = ("unclear", "cannot-judge", "language", "broken", "disturbing", "other")
MAX_KEY = 100
MAX_ACTIVE_S = 86_400.0


@dataclass(frozen=True)
class Receipt:
    """That a judgement is kept: its id, and which revision of the item's judgement it is."""

    judgement_id: UUID
    assignment_id: UUID
    campaign_id: UUID
    revision: int
    action: Action


def submit(
    db: Database,
    actor: Actor,
    assignment_id: UUID,
    given: dict[str, Any],
    *,
    key: str,
    active_s: float | None = None,
) -> Receipt:
    """Judge the item that the rater was given. Sent again with its key, it is the same judgement.

    Args:
        given: the fields of `feedback_ui.form.Given`.
        key: made anew for each click, so that a click that is sent twice counts once.
        active_s: seconds that the rater was at it.

    Raises:
        InvalidFeedback: what was given does not fit what is asked.
        Conflict: the item was judged already, or the slot went to another after the lease ran out; what was
            given is kept as the item's draft.
    """
    parsed = parse_given(given)
    return _take(db, actor, assignment_id, "judge", parsed, key=key, active_s=active_s, given=given)


def skip(
    db: Database, actor: Actor, assignment_id: UUID, reason: str, *, text: str = "", key: str
) -> Receipt:
    """Leave the item to others, for one of `SKIP_REASONS`; `text` says more. Errors as for `submit`."""
    if reason not in SKIP_REASONS:
        raise InvalidFeedback(
            "skip for one of {reasons}, not {reason!r}", reasons=listed(SKIP_REASONS), reason=reason
        )
    check_storable(text, "the reason")
    if len(text) > MAX_TEXT:
        raise InvalidFeedback("the reason is longer than {max_text:,} characters", max_text=MAX_TEXT)
    content = {"skip": reason, **({"reason": text} if text else {})}
    return _take(db, actor, assignment_id, "skip", content, key=key)


def revise(
    db: Database,
    actor: Actor,
    assignment_id: UUID,
    given: dict[str, Any],
    *,
    key: str,
    active_s: float | None = None,
) -> Receipt:
    """Say something else of an item that was judged or skipped: a new revision, which counts from now on.

    Raises:
        InvalidFeedback: what was given does not fit what is asked.
        Conflict: the campaign is closed, or a skipped item has found others meanwhile.
    """
    parsed = parse_given(given)
    return _take(db, actor, assignment_id, "judge", parsed, key=key, active_s=active_s, again=True)


def undo(db: Database, actor: Actor, assignment_id: UUID, *, key: str) -> Task:
    """Take back a judgement or a skip and be given the item again, with what was said as its draft.

    What the rater holds at the moment is put back, and comes again after this one.

    Raises:
        Conflict: the campaign is closed, or the skipped item has found others meanwhile.
    """
    _check_key(key)

    def work(session: Session) -> Task:
        assignment = own_assignment(session, actor, assignment_id)
        campaign = session.get_one(Campaign, assignment.campaign_id)
        _not_closed(campaign)
        locked(session, assignment)
        if _written(session, assignment, key) is None:
            if assignment.status not in ("done", "skipped"):
                raise Conflict("there is nothing to undo: this item is not judged yet")
            last = _current(session, assignment)
            release_held(session, campaign.id, assignment.rater_id)
            if assignment.status == "skipped":
                _regain(session, db, assignment)
            else:
                assignment.status = "held"
            take_back = {"undone": assignment.revision}
            _write(session, db, assignment, "withdraw", take_back, key=key, active_s=None)
            assignment.draft = as_shown(last.content, assignment.shown) if last.action == "judge" else None
        return task_of(session, campaign, assignment)

    return db.write(work, idempotent=True)


def _take(
    db: Database,
    actor: Actor,
    assignment_id: UUID,
    action: Action,
    said: Given | dict[str, Any],
    *,
    key: str,
    active_s: float | None = None,
    again: bool = False,
    given: dict[str, Any] | None = None,
) -> Receipt:
    _check_key(key)
    if active_s is not None and not 0 <= active_s <= MAX_ACTIVE_S:
        active_s = None  # a page left open for days, or a clock that jumped, tells nothing

    def work(session: Session) -> Receipt | None:
        assignment = locked(session, own_assignment(session, actor, assignment_id))
        campaign = session.get_one(Campaign, assignment.campaign_id)
        content = form_of(campaign).resolve(said, assignment.shown) if isinstance(said, Given) else said
        written = _written(session, assignment, key)
        if written is not None:
            return _same(written, campaign, action, content)
        if again:
            _not_closed(campaign)
            if assignment.status not in ("done", "skipped"):
                raise Conflict("this item is not judged yet; judge it where it is shown")
            if assignment.status == "skipped":
                release_held(session, campaign.id, assignment.rater_id)
                _regain(session, db, assignment)
        elif assignment.status in ("done", "skipped"):
            raise Conflict(
                "you have judged this item already; correct it in the list of your last judgements"
            )
        elif assignment.status == "released" and not _returned(session, db, assignment, action):
            assignment.draft = given
            return None
        if action == "skip":
            give_up_slot(session, assignment)
        assignment.status = "done" if action == "judge" else "skipped"
        assignment.draft = None
        written = _write(session, db, assignment, action, content, key=key, active_s=active_s)
        return _receipt(written, campaign)

    receipt = db.write(work, idempotent=True)
    if receipt is None:  # raised here, after the commit that kept the draft
        raise Conflict(
            "this item waited longer than its lease, and others have judged it meanwhile; what you gave is "
            "kept as its draft, and does not count"
        )
    return receipt


def _returned(session: Session, db: Database, assignment: Assignment, action: Action) -> bool:
    """Whether an item whose lease ran out can still be judged: it has a slot left, or is only skipped."""
    if action == "skip":
        return True
    release_held(session, assignment.campaign_id, assignment.rater_id)
    return take_slot(session, db, assignment)


def _regain(session: Session, db: Database, assignment: Assignment) -> None:
    if not take_slot(session, db, assignment):
        raise Conflict("this item was left to others, and they have judged it meanwhile")


def _write(
    session: Session,
    db: Database,
    assignment: Assignment,
    action: Action,
    content: dict[str, Any],
    *,
    key: str,
    active_s: float | None,
) -> Judgement:
    assignment.revision += 1
    judgement = Judgement(
        assignment_id=assignment.id,
        revision=assignment.revision,
        idempotency_key=key,
        action=action,
        content=content,
        guideline_version=guideline_version(session, assignment.campaign_id),
        active_s=active_s,
        created=db.now(),
    )
    session.add(judgement)
    session.flush()
    return judgement


def _current(session: Session, assignment: Assignment) -> Judgement:
    query = select(Judgement).where(
        Judgement.assignment_id == assignment.id, Judgement.revision == assignment.revision
    )
    return session.scalars(query).one()


def _written(session: Session, assignment: Assignment, key: str) -> Judgement | None:
    query = select(Judgement).where(
        Judgement.assignment_id == assignment.id, Judgement.idempotency_key == key
    )
    return session.scalars(query).first()


def _same(written: Judgement, campaign: Campaign, action: Action, content: dict[str, Any]) -> Receipt:
    if written.action != action or written.content != content:
        raise Conflict(
            "this click was saved with another answer; correct it in the list of your last judgements"
        )
    return _receipt(written, campaign)


def _receipt(judgement: Judgement, campaign: Campaign) -> Receipt:
    return Receipt(judgement.id, judgement.assignment_id, campaign.id, judgement.revision, judgement.action)


def _not_closed(campaign: Campaign) -> None:
    if campaign.status == "closed":
        raise Conflict(
            "the campaign {campaign!r} is closed; its judgements stay as they are", campaign=campaign.name
        )


def _check_key(key: str) -> None:
    if not 0 < len(key) <= MAX_KEY or not key.isascii() or not key.isprintable():
        raise InvalidFeedback(
            "key is 1 to {max_key} printable characters of ASCII, made anew for each click", max_key=MAX_KEY
        )
