"""What the handlers of one server share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from starlette.requests import Request

from feedback_ui.app.limits import FailureLimit
from feedback_ui.app.policies import Policies
from feedback_ui.app.sessions import Sessions
from feedback_ui.app.settings import Settings
from feedback_ui.app.shapes import Shapes
from feedback_ui.app.workers import Workers
from feedback_ui.database import Database
from feedback_ui.service.access import Actor

T = TypeVar("T")


@dataclass(frozen=True)
class Parts:
    """The store, who is signed in, threads, policies to chat with."""

    db: Database
    settings: Settings
    sessions: Sessions
    policies: Policies
    workers: Workers = field(default_factory=Workers)
    failures: FailureLimit = field(default_factory=FailureLimit)
    shapes: Shapes = field(default_factory=Shapes)

    async def as_actor(self, request: Request, work: Callable[[Actor], T]) -> T:
        """The result of `work`, which blocks, for who sends the request; who that is is told in its thread.

        Raises:
            SignedOut: nobody is signed in.
        """
        return await self.workers.run(lambda: work(self.sessions.actor(request)))


def is_https(request: Request) -> bool:
    """Whether the browser speaks TLS, to this server or to the proxy before it."""
    return request.url.scheme == "https"


def address_of(request: Request) -> str:
    """Where a request comes from, for counting failures."""
    return request.client.host if request.client else ""
