"""Brings a store to this program's schema, by the migrations that are packaged with it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from feedback_ui.database import Database
from feedback_ui.errors import StoreError
from feedback_ui.schema import Base

_FOLDER = Path(__file__).parent / "migrations"
_LOCK = 0x726C6866  # "rlhf": two programs that start at once migrate one after the other


def migrate(db: Database) -> None:
    """Apply what is missing; one that is up to date is not written to.

    Raises:
        StoreError: the store is of a newer version, or holds other programs' tables under our names.
    """
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    with db.engine.connect() as connection:
        if _is_current(connection, scripts, db.name):
            return
    with db.engine.execution_options(sqlite_begin="IMMEDIATE").connect() as connection:
        if db.is_sqlite:
            # Rebuilding a table would cascade its deletion; this has no effect inside a transaction.
            _outside_a_transaction(connection, "PRAGMA foreign_keys = OFF")
        with connection.begin():
            if not db.is_sqlite:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            if not _is_current(connection, scripts, db.name):
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
            if db.is_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise StoreError(f"the database {db.name} holds rows that point nowhere; restore a backup")
        if db.is_sqlite:
            _outside_a_transaction(connection, "PRAGMA foreign_keys = ON")


def _is_current(connection: Connection, scripts: ScriptDirectory, name: str) -> bool:
    found = set(MigrationContext.configure(connection).get_current_heads())
    known = {script.revision for script in scripts.walk_revisions()}
    if found - known:
        raise StoreError(
            f"the database {name} was made by a newer version of this program (schema "
            f"{', '.join(sorted(found - known))}; this one knows up to {', '.join(scripts.get_heads())}). "
            f"Update the program, or name another database by --db."
        )
    if not found:
        taken = set(inspect(connection).get_table_names()) & set(Base.metadata.tables)
        if taken:
            raise StoreError(
                f"the database {name} holds tables of another program under our names "
                f"({', '.join(sorted(taken))}); name another database by --db"
            )
    return found == set(scripts.get_heads())


def _outside_a_transaction(connection: Connection, pragma: str) -> None:
    cursor = connection.connection.cursor()
    cursor.execute(pragma)
    cursor.close()
