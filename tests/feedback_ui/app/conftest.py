"""A server on a store, and browsers that are signed in to it."""

from collections.abc import Callable

import pytest
from argon2 import PasswordHasher
from browsers import PASSWORD, Browser

from feedback_ui.app import application
from feedback_ui.app.application import create_app
from feedback_ui.app.settings import Settings
from feedback_ui.database import Database
from feedback_ui.service import passwords
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.accounts import add_rater


@pytest.fixture(autouse=True)
def _quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: quick)


@pytest.fixture
def build(db: Database, monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """A server without the Gradio pages, which take a second to make."""
    monkeypatch.setattr(application, "_mount_gradio", lambda app, parts: None)
    return lambda settings=None: create_app(db, settings or Settings())


@pytest.fixture
def app(build: Callable[..., object]):
    return build()


@pytest.fixture
def browser(app, db: Database) -> Callable[..., Browser]:
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

    return new
