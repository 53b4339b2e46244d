"""Accounts: who may come in, by password or invitation, and for how long.

Passwords are kept as argon2id hashes, tokens of sessions and invitations as SHA-256
hashes of 32 random bytes.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.errors import Conflict, InvalidFeedback, NotAllowed, NotFound
from feedback_ui.form import check_storable
from feedback_ui.schema import Audit, Rater, Role, Token, TokenKind
from feedback_ui.service.access import OPERATOR, Actor, note, require_manager

SESSION = timedelta(days=7)
INVITATION = timedelta(days=14)
MIN_PASSWORD = 10
MAX_PASSWORD = 1000  # a hash of a megabyte would keep the server busy
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
    name = _checked_name(name)
    hashed = _hash(password) if password is not None else None

    def work(session: Session) -> Account:
        if session.scalar(select(Rater.id).where(Rater.name == name)):
            raise Conflict(f"there is a rater {name!r} already; choose another name")
        return _account(_add(session, db, actor, name, role, hashed))

    return db.write(work)


def invite(db: Database, actor: Actor, rater: UUID | str, *, valid: timedelta = INVITATION) -> str:
    """A token for an invitation link, by which the person sets a password and is signed in; works once.

    Earlier invitations of the same person end.
    """
    require_manager(actor)
    token = secrets.token_urlsafe(32)

    def work(session: Session) -> None:
        row = rater_named(session, rater)
        _end_tokens(session, db, row.id, "invitation")
        _add_token(session, db, row.id, "invitation", token, valid)
        note(session, db, actor, "invite", str(row.id))

    db.write(work)
    return token


def accept_invitation(db: Database, token: str, password: str) -> str:
    """Set the invited person's password and sign them in: the session's token.

    Raises:
        NotAllowed: the invitation is unknown, used or too old.
        InvalidFeedback: the password is too short; the invitation stays.
    """
    hashed = _hash(password)
    fresh = secrets.token_urlsafe(32)

    def work(session: Session) -> None:
        found = _token_row(session, db, token, "invitation")
        if found is None:
            raise NotAllowed("this invitation was used, or is too old; ask for another")
        row, rater = found
        row.ended = db.now()
        rater.password_hash = hashed
        _end_tokens(session, db, rater.id, "session")
        _add_token(session, db, rater.id, "session", fresh, SESSION)
        note(session, db, _actor(rater), "accept-invitation", str(rater.id))

    db.write(work)
    return fresh


def sign_in(db: Database, name: str, password: str) -> str:
    """A session's token for a name and password.

    Raises:
        NotAllowed: one of them is wrong, which of the two is not told; or too many failures of late.
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
        raise NotAllowed(f"too many failed sign-ins for this name; try again in {minutes} minutes")
    right = _matches(hashed or _no_password(), password)
    if not right or hashed is None or rater_id is None:
        db.write(lambda session: note(session, db, OPERATOR, "sign-in-failed", name))
        raise NotAllowed(_WRONG)
    token = secrets.token_urlsafe(32)
    db.write(lambda session: _add_token(session, db, rater_id, "session", token, SESSION))
    return token


def sign_out(db: Database, token: str) -> None:
    """End a session; nothing where there is none."""

    def work(session: Session) -> None:
        session.execute(update(Token).where(Token.sha256 == _sha256(token)).values(ended=db.now()))

    db.write(work, idempotent=True)


def actor_of(db: Database, token: str) -> Actor:
    """Whose session it is. Raises NotAllowed where it has ended, or its owner was disabled."""
    found = db.read(lambda session: _token_row(session, db, token, "session"))
    if found is None:
        raise NotAllowed("your session has ended; sign in again")
    return _actor(found[1])


def local_actor(db: Database) -> Actor:
    """The one person of the single-person mode, a manager who also judges; made when first asked for."""

    def work(session: Session) -> Actor:
        rater = session.scalar(select(Rater).where(Rater.name == LOCAL_NAME))
        return _actor(rater or _add(session, db, OPERATOR, LOCAL_NAME, "manager", None))

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
            _end_tokens(session, db, row.id, kind)
        note(session, db, actor, "disable", str(row.id))

    db.write(work, idempotent=True)


def rater_named(session: Session, rater: UUID | str) -> Rater:
    """A rater by id or name. Raises NotFound."""
    if isinstance(rater, UUID):
        found = session.get(Rater, rater)
    else:
        found = session.scalar(select(Rater).where(Rater.name == rater))
    if found is None or found.erased is not None:
        raise NotFound(f"there is no rater {str(rater)!r}")
    return found


def _add(
    session: Session, db: Database, actor: Actor, name: str, role: Role, password_hash: str | None
) -> Rater:
    rater = Rater(
        name=name,
        pseudonym=f"r-{secrets.token_hex(6)}",
        role=role,
        password_hash=password_hash,
        created=db.now(),
    )
    session.add(rater)
    session.flush()
    note(session, db, actor, "add-rater", str(rater.id), role=role)
    return rater


def _token_row(session: Session, db: Database, token: str, kind: TokenKind) -> tuple[Token, Rater] | None:
    query = (
        select(Token, Rater)
        .join(Rater, Rater.id == Token.rater_id)
        .where(Token.sha256 == _sha256(token), Token.kind == kind, Token.ended.is_(None))
        .where(Token.expires > db.now(), Rater.disabled.is_(None))
    )
    if kind == "invitation":  # it works once: the second of two waits here, and then finds it ended
        query = query.with_for_update(of=Token)
    found = session.execute(query).first()
    return (found[0], found[1]) if found else None


def _add_token(
    session: Session, db: Database, rater_id: UUID, kind: TokenKind, token: str, valid: timedelta
) -> None:
    now = db.now()
    session.add(Token(rater_id=rater_id, kind=kind, sha256=_sha256(token), created=now, expires=now + valid))


def _end_tokens(session: Session, db: Database, rater_id: UUID, kind: TokenKind) -> None:
    session.execute(
        update(Token)
        .where(Token.rater_id == rater_id, Token.kind == kind, Token.ended.is_(None))
        .values(ended=db.now())
    )


def _checked_name(name: str) -> str:
    name = name.strip()
    check_storable(name, "the name")
    if not 0 < len(name) <= 200:
        raise InvalidFeedback("a name has 1 to 200 characters")
    return name


def _hash(password: str) -> str:
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise InvalidFeedback(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    return _hasher().hash(password)


def _matches(hashed: str, password: str) -> bool:
    if len(password) > MAX_PASSWORD:
        return False
    try:
        return _hasher().verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@cache
def _no_password() -> str:
    """A hash to check against where there is no account, so that this takes as long as a wrong password."""
    return _hasher().hash(secrets.token_urlsafe(32))


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _actor(rater: Rater) -> Actor:
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
