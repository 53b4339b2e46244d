"""What is said when the store cannot be used, and that transactions are whole."""

import resource
import signal
import sqlite3
import subprocess
import sys

import pytest
from people import campaign, judge_all, pairs, rater
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from feedback_ui.database import Database, open_database, parse_place
from feedback_ui.errors import StoreError
from feedback_ui.schema import Judgement, Rater
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.importing import import_rows
from scripts.measuring.postgres import Server


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("mysql://localhost/x", "names no store"),
        ("sqlite:///:memory:", "names no store"),
        ("sqlite://", "names no store"),
        ("://", "names no store"),
        ("postgresql+psycopg://secret:hush@/x:y:z@", r"names no store|cannot"),
    ],
)
def test_a_malformed_place(place: str, said: str) -> None:
    with pytest.raises(StoreError, match=said) as caught:
        open_database(place)
    assert "hush" not in str(caught.value)


def test_places(tmp_path) -> None:
    assert parse_place(str(tmp_path / "新" / "a.db")).database == str(tmp_path / "新" / "a.db")
    assert (tmp_path / "新").is_dir()
    assert parse_place("postgresql://me@host/name").drivername == "postgresql+psycopg"
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="folder cannot be made"):
        parse_place(str(tmp_path / "file" / "a.db"))


def test_sqlite_is_set_up_to_be_shared_and_to_last(open_store, place: str) -> None:
    db = open_store()
    if not db.is_sqlite:
        pytest.skip("of SQLite alone")
    with db.engine.connect() as connection:
        pragmas = ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        found = [connection.execute(text(f"PRAGMA {name}")).scalar() for name in pragmas]
    assert found == ["wal", 1, 2, 30_000]


def test_a_read_only_file(open_store, place: str) -> None:
    db = open_store()
    if not db.is_sqlite:
        pytest.skip("of SQLite alone")
    name = campaign(db, 2)
    a = rater(db, "a")
    read_only = open_database(f"sqlite:///file:{place}?mode=ro&uri=true")
    with pytest.raises(StoreError, match="is read-only; give this account write access"):
        judge_all(read_only, a, name)
    read_only.close()


def test_a_full_disk_loses_nothing_that_was_saved(open_store) -> None:
    db = open_store()
    if not db.is_sqlite:
        pytest.skip("of SQLite alone")
    name = campaign(db, 5)
    a = rater(db, "a")
    judge_all(db, a, name)
    with db.engine.connect() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar()
    db.close()

    def limit(connection, _) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages + 1}")

    from sqlalchemy import event

    event.listen(db.engine, "connect", limit)
    with pytest.raises(StoreError, match="cannot grow: the disk is full"):
        import_rows(db, OPERATOR, name, pairs(2000, start=10))
    event.remove(db.engine, "connect", limit)
    db.close()
    assert db.read(lambda session: session.scalar(select(func.count()).select_from(Judgement))) == 5
    assert import_rows(db, OPERATOR, name, pairs(20, start=10)).items > 0


def test_a_file_size_limit_is_a_full_disk(open_store, place: str) -> None:
    db = open_store()
    if not db.is_sqlite:
        pytest.skip("of SQLite alone")
    campaign(db, 1)
    code = (
        "import sys\n"
        "from people import pairs\n"
        "from feedback_ui.database import open_database\n"
        "from feedback_ui.service.access import OPERATOR\n"
        "from feedback_ui.service.importing import import_rows\n"
        "from feedback_ui.errors import StoreError\n"
        "try:\n"
        "    import_rows(open_database(sys.argv[1]), OPERATOR, 'pairs', pairs(5000, start=10))\n"
        "except StoreError as error:\n"
        "    sys.exit(str(error))\n"
    )

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))

    result = subprocess.run(
        [sys.executable, "-c", code, place], capture_output=True, text=True, preexec_fn=limited, check=False,
        cwd="tests/feedback_ui", env={"PYTHONPATH": "../..:."},
    )  # fmt: skip
    assert result.returncode == 1
    assert "cannot grow: the disk is full, or a size limit is reached" in result.stderr
    assert judge_all(db, rater(db, "a"), "pairs")


def test_no_database_at_all(tmp_path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database " * 100)
    with pytest.raises(StoreError, match="is no SQLite database"):
        open_database(str(path))
    with pytest.raises(StoreError, match=r"cannot be opened|is no SQLite database"):
        open_database(str(tmp_path))


def test_a_locked_file_says_so(open_store, place: str, monkeypatch) -> None:
    db = open_store()
    if not db.is_sqlite:
        pytest.skip("of SQLite alone")
    monkeypatch.setattr("feedback_ui.database.BUSY_TIMEOUT_S", 0)
    impatient = open_database(place)
    with sqlite3.connect(place, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked by another program"):
            rater(impatient, "a")
        other.execute("ROLLBACK")
    impatient.close()


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(StoreError, match=r"tests:\*\*\*@127.0.0.1:1/x cannot be reached; check") as caught:
        open_database("postgresql+psycopg://tests:hush@127.0.0.1:1/x")
    assert "hush" not in str(caught.value)


def test_a_database_that_is_not_there(server: Server) -> None:
    with pytest.raises(StoreError, match="is not there; make it with createdb"):
        open_database(server.url("nothing"))


def test_a_transaction_is_whole_or_not_at_all(db: Database, clock) -> None:
    def work(session: Session) -> None:
        session.add(Rater(name="half", pseudonym="h", role="rater", created=clock()))
        session.flush()
        raise RuntimeError("the work failed")

    with pytest.raises(RuntimeError):
        db.write(work)
    assert db.read(lambda session: session.scalars(select(Rater)).all()) == []


def test_a_transaction_that_lost_to_another_is_run_again(server: Server, clock) -> None:
    url = server.fresh()
    db, other = open_database(url, clock=clock), open_database(url, clock=clock)
    runs: list[int] = []

    def work(session: Session) -> str:
        runs.append(len(runs))
        if session.scalars(select(Rater.name).where(Rater.name == "a")).first():
            return "found"
        rater(other, "a")
        session.add(Rater(name="a", pseudonym="other", role="rater", created=clock()))
        session.flush()
        return "added"

    assert db.write(work) == "found"
    assert runs == [0, 1]
    db.close()
    other.close()


def test_a_restarted_server_is_found_again(server: Server) -> None:
    db = open_database(server.fresh())
    name = campaign(db, 4)
    a = rater(db, "a")
    from feedback_ui.service.claims import next_task
    from feedback_ui.service.judgements import submit

    task = next_task(db, a, name)
    submit(db, a, task.assignment_id, {"strength": 1}, key="k")
    server.stop(signal.SIGINT)
    server.start()
    assert len(judge_all(db, a, name)) == 3
    assert db.read(lambda session: session.scalar(select(func.count()).select_from(Judgement))) == 4
    db.close()
