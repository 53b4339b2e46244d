"""Open links: people come in by themselves, as guests of one campaign, by name or by a worker id."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.errors import Conflict, InvalidFeedback, NotAllowed
from feedback_ui.form import check_storable
from feedback_ui.schema import Assignment, Campaign, Participation, Rater, Token, TokenKind
from feedback_ui.service.access import Actor, campaign_named, note, require_manager
from feedback_ui.service.accounts import SESSION, add_account, as_actor, checked_name
from feedback_ui.service.passwords import hash_password, password_matches
from feedback_ui.service.standing import take_part
from feedback_ui.service.tokens import add_token, end_tokens, sha256

_CLOSED = "this link is used up, or has ended; ask whoever gave it to you for another"


@dataclass(frozen=True)
class Link:
    """What a link is for: an `invitation` has the invited person's name, an open one (`join`) that of
    a campaign.
    """

    kind: TokenKind
    name: str


def open_link(
    db: Database,
    actor: Actor,
    campaign: UUID | str,
    *,
    limit: int | None = None,
    valid: timedelta | None = None,
) -> str:
    """A token for an open link to a campaign.

    Args:
        limit: how many people may come by it; any number if left out.
        valid: for how long; until it is ended if left out.

    Raises:
        InvalidFeedback: the limit or the time is not above 0.
    """
    require_manager(actor)
    if limit is not None and limit < 1:
        raise InvalidFeedback("limit={limit} lets nobody come; give 1 or more, or leave it off", limit=limit)
    if valid is not None and valid <= timedelta(0):
        raise InvalidFeedback("the link would have ended already; give a time above 0, or leave it off")
    token = secrets.token_urlsafe(32)

    def work(session: Session) -> None:
        row = campaign_named(session, campaign)
        now = db.now()
        session.add(
            Token(
                kind="join",
                campaign_id=row.id,
                sha256=sha256(token),
                created=now,
                expires=now + valid if valid is not None else None,
                places=limit,
            )
        )
        note(session, db, actor, "open-link", str(row.id), limit=limit)

    db.write(work)
    return token


def end_links(db: Database, actor: Actor, campaign: UUID | str) -> None:
    """Nobody more comes by a campaign's open links; who came stays."""
    require_manager(actor)

    def work(session: Session) -> None:
        row = campaign_named(session, campaign)
        open_ones = (Token.campaign_id == row.id, Token.kind == "join", Token.ended.is_(None))
        session.execute(update(Token).where(*open_ones).values(ended=db.now()))
        note(session, db, actor, "end-links", str(row.id))

    db.write(work, idempotent=True)


def link_of(db: Database, token: str) -> Link:
    """What a link is for. Raises NotAllowed where it is unknown, used or too old."""

    def work(session: Session) -> Link | None:
        found = session.scalar(select(Token).where(Token.sha256 == sha256(token)))
        if found is None or not _is_open(db, found) or found.kind == "session":
            return None
        if found.kind == "join":
            return Link("join", session.get_one(Campaign, found.campaign_id).name)
        rater = session.get_one(Rater, found.rater_id)
        return None if rater.disabled else Link("invitation", rater.name)

    link = db.read(work)
    if link is None:
        raise NotAllowed(_CLOSED)
    return link


def join(
    db: Database,
    token: str,
    *,
    name: str | None = None,
    worker: str | None = None,
    password: str | None = None,
) -> str:
    """Come in by an open link: the token of a session of a new guest of its campaign.

    A worker who comes again is let in by the password, if one was set; without one only until something was
    judged, as a worker's id is no secret. The session that was begun goes on in its browser.

    Args:
        name: as it stands in the manager's figures; the worker id if left out.
        worker: the id by which a crowd platform knows the person, who then gets a completion code.
        password: to sign in with later, by the name.

    Raises:
        NotAllowed: the link is unknown, ended or used up, or the worker was shut out.
        Conflict: the name is taken, or this worker has begun already.
        InvalidFeedback: there is neither a name nor a worker id, or one that cannot be stored.
    """
    said = checked_name(name) if name and name.strip() else None
    known = _checked_worker(worker) if worker and worker.strip() else None
    if said is None and known is None:
        raise InvalidFeedback("say a name, or come by the link that the platform made for you")
    hashed = hash_password(password) if password else None
    fresh = secrets.token_urlsafe(32)

    def work(session: Session) -> None:
        query = select(Token).where(Token.sha256 == sha256(token), Token.kind == "join")
        link = session.scalar(query.with_for_update())  # the last place goes to one of two
        if link is None or link.ended is not None or not _is_in_time(db, link):
            raise NotAllowed(_CLOSED)
        campaign = session.get_one(Campaign, link.campaign_id)
        rater = _again(session, campaign, known, password) if known else None
        if rater is None:
            if link.places == 0:
                raise NotAllowed(_CLOSED)
            rater = _guest(session, db, said, known, hashed)
            take_part(session, db, campaign, rater, known)
            if link.places is not None:
                link.places -= 1
            note(session, db, as_actor(rater), "join", str(campaign.id))
        end_tokens(session, db, rater.id, "session")
        add_token(session, db, rater.id, "session", fresh, SESSION)

    db.write(work)
    return fresh


def _again(session: Session, campaign: Campaign, worker: str, password: str | None) -> Rater | None:
    """The guest of a worker who came before; None for a new one."""
    query = (
        select(Rater)
        .join(Participation, Participation.rater_id == Rater.id)
        .where(Participation.campaign_id == campaign.id, Participation.worker == worker)
    )
    rater = session.scalar(query)
    if rater is None:
        return None
    if rater.disabled is not None:
        raise NotAllowed(_CLOSED)
    if password and rater.password_hash and password_matches(rater.password_hash, password):
        return rater
    begun = select(Assignment.id).where(Assignment.rater_id == rater.id, Assignment.revision > 0).limit(1)
    if rater.password_hash or session.scalar(begun) is not None:
        raise Conflict(
            "this worker has begun already: go on in the browser where that was, sign in with the password, "
            "or ask for an invitation"
        )
    return rater


def _guest(
    session: Session, db: Database, name: str | None, worker: str | None, password_hash: str | None
) -> Rater:
    wanted = name or worker or ""
    if session.scalar(select(Rater.id).where(Rater.name == wanted)):
        if name:
            raise Conflict("there is a rater {name!r} already; choose another name", name=wanted)
        wanted = f"{wanted[:180]} ({secrets.token_hex(4)})"  # of another campaign, or somebody's name
    return add_account(session, db, None, wanted, "rater", password_hash, guest=True)


def _is_open(db: Database, token: Token) -> bool:
    return token.ended is None and token.places != 0 and _is_in_time(db, token)


def _is_in_time(db: Database, token: Token) -> bool:
    return token.expires is None or token.expires > db.now()


def _checked_worker(worker: str) -> str:
    worker = worker.strip()
    check_storable(worker, "the worker id")
    if len(worker) > 200 or not worker.isprintable():
        raise InvalidFeedback("a worker id has 1 to 200 printable characters")
    return worker
