"""A connection to the store: SQLite in WAL mode or PostgreSQL, with the same transactions on both.

`Database.write` runs a function in one transaction. On SQLite it begins with BEGIN IMMEDIATE, so that nothing
that was read can change before it is written; on PostgreSQL the service locks the rows it is about to change.
Where the database says that another transaction came between (serialisation failure, deadlock, a row that a
unique constraint holds for who was quicker), the whole function is run again.
"""

import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from feedback_ui.errors import StoreError
from feedback_ui.store_errors import explain

T = TypeVar("T")

BUSY_TIMEOUT_S = 30
_ATTEMPTS = 12
_FIRST_PAUSE_S = 0.005
_LONGEST_PAUSE_S = 1.0
CUT_LOCK = 0x63757400
"""Of an advisory lock of PostgreSQL, which every transaction shares that numbers a judgement."""
_RUN_AGAIN = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected


class Database:
    """The store at a URL. Threads may share one; processes each open their own.

    `clock` tells the time, with its zone; tests hand in their own.
    """

    def __init__(self, url: URL, *, clock: Callable[[], datetime] | None = None) -> None:
        self.url = url
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.engine = _engine(url)
        self.now = clock or _utc_now
        # SQLite has one writer at a time. Threads of one process wait for each other here, in the order that
        # they come, and not by polling the file, which can leave one waiting for seconds.
        self._turn = threading.Lock() if self.is_sqlite else nullcontext()

    @property
    def name(self) -> str:
        """Where the store is, for people: a path, or a URL without its password."""
        if self.is_sqlite:
            return self.url.database or ":memory:"
        return self.url.render_as_string(hide_password=True)

    def read(self, work: Callable[[Session], T]) -> T:
        """The result of `work` in a transaction that sees one state and writes nothing."""
        return self._repeat(work, writes=False, idempotent=True)

    def read_at_cut(self, work: Callable[[Session], T]) -> T:
        """As `read`, at a moment at which no judgement has a number and is not committed yet.

        What is seen is then told by the highest number in it: all that have a lower one are there, and all
        that come have a higher one. Writers are waited for, and wait until the reading has begun.
        """
        return self._repeat(work, writes=False, idempotent=True, at_cut=True)

    def write(self, work: Callable[[Session], T], *, idempotent: bool = False) -> T:
        """The result of `work` in a transaction, committed when this returns.

        Args:
            work: may be run several times; only its last run counts.
            idempotent: a second run after a commit of which no answer came back (the server was restarted)
                does no harm, so that one is tried.

        Raises:
            StoreError: the database cannot be reached or written.
        """
        return self._repeat(work, writes=True, idempotent=idempotent)

    def forget_deleted(self) -> None:
        """Have SQLite's files hold nothing of what was deleted or overwritten; it is zeros already, but for
        older copies of pages in the write-ahead log.

        A reading that has begun before keeps these until it ends and somebody writes. PostgreSQL does so by
        itself in its own time.
        """
        if self.is_sqlite:
            connection = self.engine.raw_connection()
            try:
                with self._turn:
                    connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                connection.close()

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    def _repeat(
        self, work: Callable[[Session], T], *, writes: bool, idempotent: bool, at_cut: bool = False
    ) -> T:
        attempt = 0
        while True:
            committing = False
            try:
                with self._turn if writes else nullcontext(), self._session(writes) as session:
                    if at_cut and not self.is_sqlite:
                        self._begin_at_cut(session)
                    result = work(session)
                    session.flush()
                    committing = True
                    session.commit()
                    return result
            except PoolTimeout as error:
                raise self._explained(error) from error
            except DBAPIError as error:
                lost = error.connection_invalidated and (idempotent or not committing)
                attempt += 1
                if attempt == _ATTEMPTS or not (lost or _came_between(error)):
                    raise self._explained(error) from error
            time.sleep(min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempt))

    def _begin_at_cut(self, session: Session) -> None:
        """Begin a reading while the lock is held by a connection of its own, which lets it go at once."""
        with self.engine.begin() as guard:
            guard.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CUT_LOCK})
            session.execute(select(1))  # from here on, this transaction sees what there is now

    def _session(self, writes: bool) -> Session:
        if self.is_sqlite:
            options = {"sqlite_begin": "IMMEDIATE" if writes else "DEFERRED"}
        else:  # several queries of one reading see one state, as they do on SQLite by itself
            options = {"isolation_level": "READ COMMITTED" if writes else "REPEATABLE READ"}
        return Session(self.engine.execution_options(**options), expire_on_commit=False)

    def _explained(self, error: Exception) -> StoreError:
        return explain(error, self.name, is_sqlite=self.is_sqlite)


def open_database(place: str, *, clock: Callable[[], datetime] | None = None) -> Database:
    """The store at a path (SQLite) or URL, brought to this program's schema.

    Args:
        place: `feedback.db`, `sqlite:///feedback.db` or `postgresql+psycopg://user@host/name`.
        clock: the time, where it is not the machine's.

    Raises:
        StoreError: the place is malformed, cannot be opened, or was made by a newer version.
    """
    from feedback_ui.migrate import migrate  # alembic takes a while to import; --help does without

    db = Database(parse_place(place), clock=clock)
    try:
        migrate(db)
    except (DBAPIError, OSError) as error:
        db.close()
        raise explain(error, db.name, is_sqlite=db.is_sqlite) from error
    except StoreError:
        db.close()
        raise
    return db


def parse_place(place: str) -> URL:
    """The URL of a store named by a path or a URL; the folder of a SQLite file is made if it is missing."""
    try:
        url = make_url(place if "://" in place else f"sqlite:///{Path(place).expanduser()}")
    except ArgumentError:
        raise StoreError(_malformed(place)) from None
    backend = url.get_backend_name()
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or not url.database or url.database == ":memory:":
        raise StoreError(_malformed(url.render_as_string(hide_password=True)))
    if not url.database.startswith("file:"):
        path = Path(url.database).absolute()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"--db {path}: its folder cannot be made ({error.strerror}); name one that can"
            ) from None
        url = url.set(database=str(path))
    return url


def _came_between(error: DBAPIError) -> bool:
    return isinstance(error, IntegrityError) or getattr(error.orig, "sqlstate", None) in _RUN_AGAIN


def _malformed(place: str) -> str:
    return (
        f"--db {place} names no store; give a file (feedback.db) or a server "
        f"(postgresql+psycopg://USER@HOST/NAME)"
    )


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(
            url,
            pool_size=16,
            max_overflow=16,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": 10,
                "options": f"-c timezone=UTC -c lock_timeout={BUSY_TIMEOUT_S}s",
            },
        )
    engine = create_engine(url, pool_size=16, max_overflow=48, connect_args={"timeout": BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # sqlite3 must not begin by itself: _begin_sqlite does
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # what was acknowledged outlives a power cut
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")  # what was erased is not left in free pages


def _begin_sqlite(connection: Connection) -> None:
    how = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {how}")


def _utc_now() -> datetime:
    return datetime.now(UTC)
