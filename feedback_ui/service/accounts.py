"""Accounts: who may come in, by password or invitation, and for how long.

People without an account come in by an open link (joining.py).
"""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.errors import Conflict, InvalidFeedback, NotAllowed, NotFound, TooManyTries
from feedback_ui.form import check_storable
from feedback_ui.schema import Audit, Rater, Role
from feedback_ui.service.access import OPERATOR, Actor, note, require_manager
from feedback_ui.service.passwords import hash_password, password_matches
from feedback_ui.service.tokens import add_token, end_token, end_tokens, token_row

SESSION = timedelta(days=7)
INVITATION = timedelta(days=14)
MAX_FAILURES = 10
"""Failed sign-ins for one name within `FAILURES_WITHIN`; then that name waits."""
FAILURES_WITHIN = timedelta(minutes=15)
LOCAL_NAME = "me"
_WRONG = "name or password is wrong"


@dataclass(frozen=True)
class Account:
    """A rater as a manager sees them."""

    id: UUID
    name: str
    pseudonym: str
    role: Role
    has_password: bool
    disabled: bool


def add_rater(
    db: Database, actor: Actor, name: str, *, role: Role = "rater", password: str | None = None
) -> Account:
    """A new account. Without a password, `invite` lets the person choose one.

    Raises:
        Conflict: the name is taken.
        InvalidFeedback: the name is empty or the password too short.
    """
    require_manager(actor)
    name = checked_name(name)
    hashed = hash_password(password) if password is not None else None

    def work(session: Session) -> Account:
        if session.scalar(select(Rater.id).where(Rater.name == name)):
            raise Conflict("there is a rater {name!r} already; choose another name", name=name)
        return _account(add_account(session, db, actor, name, role, hashed))

    return db.write(work)


def invite(db: Database, actor: Actor, rater: UUID | str, *, valid: timedelta = INVITATION) -> str:
    """A token for an invitation link, by which the person sets a password and is signed in; works once.

    Earlier invitations of the same person end.
    """
    require_manager(actor)
    token = secrets.token_urlsafe(32)

    def work(session: Session) -> None:
        row = rater_named(session, rater)
        end_tokens(session, db, row.id, "invitation")
        add_token(session, db, row.id, "invitation", token, valid)
        note(session, db, actor, "invite", str(row.id))

    db.write(work)
    return token


def accept_invitation(db: Database, token: str, password: str) -> str:
    """Set the invited person's password and sign them in: the session's token.

    Raises:
        NotAllowed: the invitation is unknown, used or too old.
        InvalidFeedback: the password is too short; the invitation stays.
    """
    hashed = hash_password(password)
    fresh = secrets.token_urlsafe(32)

    def work(session: Session) -> None:
        found = token_row(session, db, token, "invitation")
        if found is None:
            raise NotAllowed("this invitation was used, or is too old; ask for another")
        row, rater = found
        row.ended = db.now()
        rater.password_hash = hashed
        end_tokens(session, db, rater.id, "session")
        add_token(session, db, rater.id, "session", fresh, SESSION)
        note(session, db, as_actor(rater), "accept-invitation", str(rater.id))

    db.write(work)
    return fresh


def sign_in(db: Database, name: str, password: str) -> str:
    """A session's token for a name and password.

    Raises:
        NotAllowed: one of them is wrong, which of the two is not told.
        TooManyTries: there were too many failures for this name of late.
    """
    name = name.strip()
    try:
        check_storable(name, "the name")
    except InvalidFeedback:
        raise NotAllowed(_WRONG) from None

    def look(session: Session) -> tuple[str | None, UUID | None, int]:
        rater = session.scalar(select(Rater).where(Rater.name == name, Rater.disabled.is_(None)))
        return (rater.password_hash if rater else None), (rater.id if rater else None), _failures(session)

    def _failures(session: Session) -> int:
        # of the log, not of a counter in memory: it holds over processes and restarts
        since = db.now() - FAILURES_WITHIN
        query = select(func.count()).where(
            Audit.action == "sign-in-failed", Audit.subject == name[:200], Audit.at > since
        )
        return session.scalar(query) or 0

    hashed, rater_id, failures = db.read(look)
    if failures >= MAX_FAILURES:
        minutes = int(FAILURES_WITHIN.total_seconds() // 60)
        raise TooManyTries(
            "too many failed sign-ins for this name; try again in {minutes} minutes", minutes=minutes
        )
    if not password_matches(hashed, password) or rater_id is None:
        db.write(lambda session: note(session, db, OPERATOR, "sign-in-failed", name))
        raise NotAllowed(_WRONG)
    token = secrets.token_urlsafe(32)
    db.write(lambda session: add_token(session, db, rater_id, "session", token, SESSION))
    return token


def sign_out(db: Database, token: str) -> None:
    """End a session; nothing where there is none."""
    db.write(lambda session: end_token(session, db, token), idempotent=True)


def actor_of(db: Database, token: str) -> Actor:
    """Whose session it is. Raises NotAllowed where it has ended, or its owner was disabled."""
    found = db.read(lambda session: token_row(session, db, token, "session"))
    if found is None:
        raise NotAllowed("your session has ended; sign in again")
    return as_actor(found[1])


def local_actor(db: Database) -> Actor:
    """The one person of the single-person mode, a manager who also judges; made when first asked for."""

    def work(session: Session) -> Actor:
        rater = session.scalar(select(Rater).where(Rater.name == LOCAL_NAME))
        return as_actor(rater or add_account(session, db, OPERATOR, LOCAL_NAME, "manager", None))

    return db.write(work, idempotent=True)


def accounts(db: Database, actor: Actor) -> list[Account]:
    """All that are not erased, by name."""
    require_manager(actor)
    query = select(Rater).where(Rater.erased.is_(None)).order_by(Rater.name)
    return db.read(lambda session: [_account(rater) for rater in session.scalars(query)])


def disable_rater(db: Database, actor: Actor, rater: UUID | str) -> None:
    """Shut an account: its sessions and invitations end, its judgements stay."""
    require_manager(actor)

    def work(session: Session) -> None:
        row = rater_named(session, rater)
        row.disabled = row.disabled or db.now()
        for kind in ("session", "invitation"):
            end_tokens(session, db, row.id, kind)
        note(session, db, actor, "disable", str(row.id))

    db.write(work, idempotent=True)


def rater_named(session: Session, rater: UUID | str) -> Rater:
    """A rater by id or name. Raises NotFound."""
    if isinstance(rater, UUID):
        found = session.get(Rater, rater)
    else:
        found = session.scalar(select(Rater).where(Rater.name == rater))
    if found is None or found.erased is not None:
        raise NotFound("there is no rater {rater!r}", rater=str(rater))
    return found


def add_account(
    session: Session,
    db: Database,
    actor: Actor | None,
    name: str,
    role: Role,
    password_hash: str | None,
    *,
    guest: bool = False,
) -> Rater:
    """The row of a new account, its name free and checked. `actor` is None for who comes by themselves."""
    rater = Rater(
        name=name,
        pseudonym=f"r-{secrets.token_hex(6)}",
        role=role,
        guest=guest,
        password_hash=password_hash,
        created=db.now(),
    )
    session.add(rater)
    session.flush()
    note(session, db, actor or as_actor(rater), "add-rater", str(rater.id), role=role)
    return rater


def checked_name(name: str) -> str:
    """A name as it is stored. Raises InvalidFeedback for one that is empty, too long or unstorable."""
    name = name.strip()
    check_storable(name, "the name")
    if not 0 < len(name) <= 200:
        raise InvalidFeedback("a name has 1 to 200 characters")
    return name


def as_actor(rater: Rater) -> Actor:
    """Who a rater is to the service."""
    return Actor(rater.id, rater.role, rater.name)


def _account(rater: Rater) -> Account:
    return Account(
        rater.id,
        rater.name,
        rater.pseudonym,
        rater.role,
        rater.password_hash is not None,
        rater.disabled is not None,
    )
