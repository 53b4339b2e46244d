"""What the commands share: how one is declared, and where the store is."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from feedback_ui.database import Database, parse_place
from feedback_ui.errors import InvalidFeedback, StoreError

DEFAULT_DB = "feedback.db"


def command(
    commands: Any,
    name: str,
    text: str,
    example: str,
    run: Callable[[Database, argparse.Namespace], int],
    *,
    needs_store: bool = True,
) -> argparse.ArgumentParser:
    """A command with `--db`, and an example in its help.

    Args:
        run: takes the open store and the options; returns the exit code.
        needs_store: a store that is not there yet is an error, and not made.
    """
    sub: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=f"example:\n  python -m feedback_ui {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sub.add_argument(
        "--db",
        default=os.environ.get("FEEDBACK_DB", DEFAULT_DB),
        metavar="PLACE",
        help=f"a file, or postgresql+psycopg://USER@HOST/NAME (default: FEEDBACK_DB, or {DEFAULT_DB})",
    )
    sub.set_defaults(run=run, needs_store=needs_store)
    return sub


def check_is_there(place: str) -> None:
    """Raises StoreError where there is no store: a misspelt --db is an error, not an empty store."""
    path = None if "://" in place and not place.startswith("sqlite") else parse_place(place).database
    if path is not None and not path.startswith("file:") and not Path(path).exists():
        raise StoreError(
            f"there is no store at {path}; name it by --db, or begin with: "
            f"python -m feedback_ui create-campaign pairs"
        )


def command_line(name: str, options: argparse.Namespace, *words: str) -> str:
    """A command on the same store, as it would be typed."""
    place = [] if options.db == DEFAULT_DB else ["--db", options.db]
    return " ".join(["python -m feedback_ui", name, *words, *place])


def text_of(path: str, option: str) -> str:
    """A file's text. Raises InvalidFeedback where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise InvalidFeedback(f"{option} {path} cannot be read: {why}") from None
