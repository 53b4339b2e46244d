"""Tokens of sessions and invitations: 32 random bytes, of which the store keeps only the SHA-256."""

import hashlib
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.schema import Rater, Token, TokenKind


def token_row(session: Session, db: Database, token: str, kind: TokenKind) -> tuple[Token, Rater] | None:
    """A token that is good at this moment and whose it is."""
    query = (
        select(Token, Rater)
        .join(Rater, Rater.id == Token.rater_id)
        .where(Token.sha256 == sha256(token), Token.kind == kind, Token.ended.is_(None))
        .where(Token.expires > db.now(), Rater.disabled.is_(None))
    )
    if kind == "invitation":  # it works once: the second of two waits here, and then finds it ended
        query = query.with_for_update(of=Token)
    found = session.execute(query).first()
    return (found[0], found[1]) if found else None


def add_token(
    session: Session, db: Database, rater_id: UUID, kind: TokenKind, token: str, valid: timedelta
) -> None:
    """Keep a new token of a rater."""
    now = db.now()
    session.add(Token(rater_id=rater_id, kind=kind, sha256=sha256(token), created=now, expires=now + valid))


def end_token(session: Session, db: Database, token: str) -> None:
    """End one token; nothing where there is none."""
    session.execute(update(Token).where(Token.sha256 == sha256(token)).values(ended=db.now()))


def end_tokens(session: Session, db: Database, rater_id: UUID, kind: TokenKind) -> None:
    """End all of a kind that a rater has."""
    session.execute(
        update(Token)
        .where(Token.rater_id == rater_id, Token.kind == kind, Token.ended.is_(None))
        .values(ended=db.now())
    )


def sha256(token: str) -> str:
    """What the store keeps of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
