"""The feedback store of the page's tests, on SQLite."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from feedback_ui.database import Database, open_database


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    store = open_database(str(tmp_path / "feedback.db"))
    yield store
    store.close()
