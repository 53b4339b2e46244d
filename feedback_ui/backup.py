"""A copy of the store while it is in use."""

import os
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

from feedback_ui.database import Database
from feedback_ui.errors import InvalidFeedback, StoreError
from rlhf.runs.disk import sync_file, sync_folder

_PAGES = 256  # copied at a time, between which raters can write


def backup(db: Database, target: Path) -> int:
    """Copy a SQLite store, as it is at one moment, to a file that is not there yet; its size in bytes.

    Raises:
        InvalidFeedback: the file is there, or the store is PostgreSQL's, which pg_dump copies.
        StoreError: the copy cannot be written; nothing is left behind.
    """
    if not db.is_sqlite:
        url = db.url.set(drivername="postgresql").render_as_string(hide_password=True)
        command = shlex.join(["pg_dump", "--format=custom", f"--file={target}", url])
        raise InvalidFeedback(f"a PostgreSQL store is copied by its own tool: {command}")
    if target.exists():
        raise InvalidFeedback(f"{target} is there already; a backup is never written over: name another")
    temporary = target.with_name(f".{target.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        source = db.engine.raw_connection()
        try:
            with closing(sqlite3.connect(temporary)) as copy:
                driver = source.driver_connection
                assert isinstance(driver, sqlite3.Connection)
                driver.backup(copy, pages=_PAGES)
        finally:
            source.close()
        sync_file(temporary)
        os.rename(temporary, target)
        sync_folder(target.parent)
    except (sqlite3.Error, OSError) as error:
        temporary.unlink(missing_ok=True)
        raise StoreError(f"the backup {target} cannot be written: {error}") from error
    return target.stat().st_size
