"""`backup`."""

import argparse
from pathlib import Path
from typing import Any

from feedback_ui.backup import backup
from feedback_ui.cli.shared import command
from feedback_ui.database import Database
from rlhf.runs.disk import human_size


def add_commands(commands: Any) -> None:
    """Declare it."""
    save = command(
        commands, "backup", "a copy of a SQLite store, also while it is in use", "backup backup.db", _backup
    )
    save.add_argument("file", metavar="FILE")


def _backup(db: Database, options: argparse.Namespace) -> int:
    size = backup(db, Path(options.file))
    print(f"{options.file}: {human_size(size)}")
    return 0
