"""Whose request it is: the session cookie, or the one person of a server without accounts."""

from threading import Lock
from typing import Protocol

from starlette.responses import Response

from feedback_ui.database import Database
from feedback_ui.errors import NotAllowed
from feedback_ui.service import accounts
from feedback_ui.service.access import Actor

COOKIE = "feedback_session"
_MAX_TOKEN = 200


class SignedOut(NotAllowed):
    """Nobody is signed in, or not any more."""


class HasCookies(Protocol):
    """A request as Starlette and Gradio have it."""

    @property
    def cookies(self) -> dict[str, str]:
        """By name."""
        ...


class Sessions:
    """Tells actors by their cookies. Threads may share one."""

    def __init__(self, db: Database, *, single_person: bool) -> None:
        """Of a store; of a single person there is no cookie."""
        self.db = db
        self.single_person = single_person
        self._local: Actor | None = None
        self._making = Lock()

    def actor(self, request: HasCookies) -> Actor:
        """Who asks; reads the store, so not to be called on the event loop.

        Raises:
            SignedOut: nobody is signed in, the session has ended, or its owner was disabled.
        """
        if self.single_person:
            return self._only_one()
        token = token_of(request)
        if token is None:
            raise SignedOut("sign in first")
        try:
            return accounts.actor_of(self.db, token)
        except NotAllowed as error:
            raise SignedOut(error.template) from None

    def _only_one(self) -> Actor:
        with self._making:
            if self._local is None:
                self._local = accounts.local_actor(self.db)
            return self._local


def token_of(request: HasCookies) -> str | None:
    """The session's token that a browser sent."""
    token = request.cookies.get(COOKIE, "")
    return token if 0 < len(token) <= _MAX_TOKEN else None


def keep(response: Response, token: str, *, secure: bool) -> None:
    """Have the browser keep a session's token: no script reads it, no other site sends it."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(accounts.SESSION.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=secure,
    )


def forget(response: Response, *, secure: bool) -> None:
    """Have the browser drop it."""
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=secure)
