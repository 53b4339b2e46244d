"""A store, empty and migrated, on SQLite and on PostgreSQL; and a clock that tests set."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from people import campaign, judge_all, rater

from feedback_ui.database import Database, open_database
from scripts.measuring.postgres import Server, postgres_server


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def move(self, **by: float) -> None:
        """Forward, or back where negative: `move(minutes=5)`."""
        self.time += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def _server() -> Iterator[Server | None]:
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def server(_server: Server | None) -> Server:
    if _server is None:
        pytest.skip("no PostgreSQL here (initdb): on Debian, apt-get install postgresql")
    return _server


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "feedback.db"
    open_database(str(path)).close()
    return path


@pytest.fixture(scope="session")
def _postgres_template(server: Server) -> str:
    url = server.fresh()
    open_database(url).close()
    return url.split("/")[3].split("?")[0]


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """What `--db` would be given for an empty store that is migrated."""
    if request.param == "sqlite":
        path = tmp_path / "feedback.db"
        shutil.copy(request.getfixturevalue("_sqlite_template"), path)
        return str(path)
    server: Server = request.getfixturevalue("server")
    return server.fresh(request.getfixturevalue("_postgres_template"))


@pytest.fixture
def open_store(place: str) -> Iterator[Callable[..., Database]]:
    """Opens the store of the test, as another process would; closed at the end."""
    opened: list[Database] = []

    def opener(**options) -> Database:
        opened.append(open_database(place, **options))
        return opened[-1]

    yield opener
    for db in opened:
        db.close()


@pytest.fixture
def db(open_store: Callable[..., Database], clock: Clock) -> Database:
    return open_store(clock=clock)


@pytest.fixture
def judged(db: Database) -> str:
    """A campaign of three pairs, judged by one rater."""
    name = campaign(db, 3)
    judge_all(db, rater(db, "韩梅梅"), name)
    return name
