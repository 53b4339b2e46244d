"""Passwords: kept as argon2id hashes, and checked in the same time whether or not there is an account."""

import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from feedback_ui.errors import InvalidFeedback

MIN_PASSWORD = 10
MAX_PASSWORD = 1000  # a hash of a megabyte would keep the server busy


def hash_password(password: str) -> str:
    """The argon2id hash to store. Raises InvalidFeedback for one that is too short or too long."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise InvalidFeedback(
            "a password has {min_password} to {max_password} characters",
            min_password=MIN_PASSWORD,
            max_password=MAX_PASSWORD,
        )
    return hasher().hash(password)


def password_matches(hashed: str | None, password: str) -> bool:
    """Whether a password is that of a hash. None, an account without one, takes as long as a wrong one."""
    if len(password) > MAX_PASSWORD:
        return False
    try:
        return hasher().verify(hashed or _no_password(), password) and hashed is not None
    except (VerificationError, InvalidHashError):
        return False


@cache
def hasher() -> PasswordHasher:
    """One for the process."""
    return PasswordHasher()


@cache
def _no_password() -> str:
    return hasher().hash(secrets.token_urlsafe(32))
