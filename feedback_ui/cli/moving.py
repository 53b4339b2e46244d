"""`import` and `export`: what goes into a campaign, and what comes out."""

import argparse
import sys
from pathlib import Path
from typing import Any

from feedback_ui.cli.shared import command
from feedback_ui.database import Database
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.importing import import_file
from rlhf.errors import EXIT_CODE

_SHOWN_PROBLEMS = 20


def add_commands(commands: Any) -> None:
    """Declare them."""
    add = command(
        commands,
        "import",
        "prompts and answers from JSONL files into a campaign",
        "import helpful pairs.jsonl",
        _import,
    )
    add.add_argument("name", metavar="CAMPAIGN")
    add.add_argument("files", nargs="+", metavar="FILE")
    take = command(
        commands,
        "export",
        "an immutable folder of what raters have said, which training reads",
        "export helpful snapshots/helpful-1 --aggregate dawid_skene",
        _export,
    )
    take.add_argument("name", metavar="CAMPAIGN")
    take.add_argument("folder", metavar="FOLDER")
    take.add_argument(
        "--aggregate",
        choices=("raw", "majority", "dawid_skene"),
        default="raw",
        help="each rater's word, or one verdict a pair (default: raw)",
    )
    take.add_argument("--csv", action="store_true", help="also as CSV for spreadsheets")


def _import(db: Database, options: argparse.Namespace) -> int:
    usable = 0
    for path in options.files:
        found = import_file(db, OPERATOR, options.name, Path(path))
        usable += found.items + found.known
        print(f"{path}: {found.items} items added, {found.known} were there already")
        if found.problems:
            print(f"{len(found.problems)} rows cannot be used:", file=sys.stderr)
        for problem in found.problems[:_SHOWN_PROBLEMS]:
            print(f"  {problem}", file=sys.stderr)
        if len(found.problems) > _SHOWN_PROBLEMS:
            print(f"  ... and {len(found.problems) - _SHOWN_PROBLEMS} more", file=sys.stderr)
    if not usable:
        print("no row can be used; docs/feedback.md says how rows look", file=sys.stderr)
        return EXIT_CODE
    return 0


def _export(db: Database, options: argparse.Namespace) -> int:
    from feedback_ui.service.snapshot import snapshot  # scipy takes a while; --help does without

    manifest = snapshot(
        db, options.name, Path(options.folder), aggregate=options.aggregate, as_csv=options.csv
    )
    told = ", ".join(
        f"{manifest.counts[name]} {name}" for name in ("preferences", "demonstrations", "scores")
    )
    print(f"{told} from {manifest.counts['judgements']} judgements in {options.folder}")
    print(f"sha256 {manifest.sha256}")
    return 0
