"""A server on a store, and browsers that are signed in to it."""

import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest
from people import campaign
from starlette.testclient import TestClient

from feedback_ui.app.application import create_app
from feedback_ui.app.settings import Settings
from feedback_ui.database import Database
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.accounts import add_rater

HOST = "page.example"
PASSWORD = "a long password"


class Browser(TestClient):
    """A browser on one of the server's pages: it sends JSON, and where it comes from."""

    def __init__(self, app, host: str = HOST, scheme: str = "http", **options) -> None:
        super().__init__(app, base_url=f"{scheme}://{host}", follow_redirects=False, **options)
        self.headers["origin"] = f"{scheme}://{host}"

    def send(self, path: str, **body):
        """POST some JSON."""
        return self.post(path, json=body)

    def sign_in(self, name: str, password: str = PASSWORD) -> "Browser":
        """The same, signed in."""
        answer = self.send("/api/sign-in", name=name, password=password)
        assert answer.status_code == 200, answer.text
        return self


@pytest.fixture
def app(db: Database):
    return create_app(db, Settings())


@pytest.fixture
def browser(app, db: Database) -> Iterator[Callable[..., Browser]]:
    """`browser("name")` is signed in, its account made where it is missing; `browser()` is not."""
    made: set[str] = set()

    def new(name: str | None = None, role="rater", **options) -> Browser:
        one = Browser(app, **options)
        if name is None:
            return one
        if name not in made:
            add_rater(db, OPERATOR, name, role=role, password=PASSWORD)
            made.add(name)
        return one.sign_in(name)

    yield new
