"""The schema: what the migrations make, what the constraints hold, who may change what."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from feedback_ui.database import Database, open_database
from feedback_ui.errors import StoreError
from feedback_ui.schema import Base, Rater
from scripts.measuring.postgres import Server


def test_migrations_make_the_schema_of_the_models(db: Database) -> None:
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_migrated_constraints_are_those_that_the_models_would_make(db: Database, tmp_path, request) -> None:
    """Also what Alembic does not compare: checks, and the conditions of partial indexes."""
    if db.is_sqlite:
        other = open_database(str(tmp_path / "made.db"))
    else:
        other = open_database(request.getfixturevalue("server").fresh())
    with other.engine.begin() as connection:
        for table in ["alembic_version", *reversed([t.name for t in Base.metadata.sorted_tables])]:
            connection.execute(text(f"DROP TABLE {table}"))
        Base.metadata.create_all(connection)
    assert _catalogue(other) == _catalogue(db)
    other.close()


def _catalogue(db: Database) -> set[str]:
    if db.is_sqlite:
        query = (
            "SELECT tbl_name || ': ' || sql FROM sqlite_master WHERE sql IS NOT NULL AND type != 'trigger'"
        )
    else:
        query = (
            "SELECT conrelid::regclass || ': ' || conname || ' ' || pg_get_constraintdef(oid) "
            "FROM pg_constraint WHERE connamespace = 'public'::regnamespace "
            "UNION SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'"
        )
    with db.engine.connect() as connection:
        found = [str(row[0]) for row in connection.execute(text(query))]
    words = (" ".join(line.split()) for line in found if "alembic_version" not in line)
    return {part for line in words for part in ([line] if not db.is_sqlite else _parts(line))}


def _parts(line: str) -> list[str]:
    """A SQLite table's definition, part by part: their order says nothing."""
    table, _, definition = line.partition(": ")
    body = definition.partition("(")[2].rstrip(") ")
    return [f"{table}: {part.strip().rstrip(')')}" for part in body.replace(", CONSTRAINT", "\n").split("\n")]


def test_opening_again_changes_nothing(open_store) -> None:
    first, second = open_store(), open_store()
    for db in (first, second):
        with db.engine.connect() as connection:
            assert connection.execute(text("SELECT version_num FROM alembic_version")).all() == [("0001",)]


def test_a_newer_schema_is_refused_by_name(open_store, place: str) -> None:
    db = open_store()
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"newer version of this program \(schema 9999; .* up to 0001\)"):
        open_database(place)


def test_another_programs_tables_are_left_alone(tmp_path) -> None:
    path = tmp_path / "other.db"
    import sqlite3

    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE item (name TEXT)")
    with pytest.raises(StoreError, match=r"tables of another program under our names \(item\)"):
        open_database(str(path))


def test_a_judgement_cannot_be_changed_in_the_database(db: Database, judged) -> None:
    with pytest.raises(DBAPIError, match="append-only"), db.engine.begin() as connection:
        connection.execute(text("UPDATE judgement SET action = 'skip'"))


def test_foreign_keys_hold(db: Database) -> None:
    with pytest.raises(IntegrityError), db.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO gold_key (item_id, expected) VALUES (:item, '{}')"), {"item": uuid4().hex}
        )


def test_times_come_back_in_utc_whatever_zone_they_were_given_in(db: Database) -> None:
    noon = datetime(2026, 3, 1, 20, 0, tzinfo=timezone(timedelta(hours=8)))

    def work(session: Session) -> None:
        session.add(Rater(name="李雷", pseudonym="r", role="rater", created=noon))

    db.write(work)
    found = db.read(lambda session: session.query(Rater).one())
    assert found.created == datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    assert found.created.utcoffset() == timedelta(0)
    assert found.name == "李雷"


def test_two_programs_that_start_at_once_migrate_once(server: Server) -> None:
    from concurrent.futures import ThreadPoolExecutor

    url = server.fresh()
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda _: open_database(url), range(4)))
    applied = text("SELECT version_num FROM alembic_version")
    revisions = {tuple(db.read(lambda session: session.execute(applied).scalars().all())) for db in opened}
    for db in opened:
        db.close()
    assert len(revisions) == 1
    assert len(revisions.pop()) == 1  # applied once, and whole: every one of them could read
