"""`import` and `export`: what goes into a campaign, and what comes out."""

import argparse
import sys
from pathlib import Path
from typing import Any

from feedback_ui.cli.shared import command
from feedback_ui.database import Database
from feedback_ui.exchange import TOOLS, Layout
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.importing import import_file
from rlhf.errors import EXIT_CODE

_SHOWN_PROBLEMS = 20


def add_commands(commands: Any) -> None:
    """Declare them."""
    add = command(
        commands,
        "import",
        "prompts and answers from files, runs of stage=sample, Argilla or Label Studio into a campaign",
        "import helpful pairs.jsonl runs/demo/sample-1 argilla.json",
        _import,
    )
    add.add_argument("name", metavar="CAMPAIGN")
    add.add_argument("files", nargs="+", metavar="FILE", help="JSONL, JSON, CSV, Parquet, or a run's folder")
    add.add_argument(
        "--format", choices=TOOLS, default="auto", help="whose rows these are (default: told by each row)"
    )
    add.add_argument(
        "--prompt-field", metavar="NAME", help="of tables and of other tools' records: the prompt"
    )
    add.add_argument("--answer-fields", metavar="A,B", help="the answers, comma-separated, in their order")
    add.add_argument("--question", metavar="NAME", help="the question that says what is better, or how good")
    add.add_argument("--reason-question", metavar="NAME", help="the question that says why")
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
    take.add_argument("--parquet", action="store_true", help="also as Parquet, in TRL's formats")
    take.add_argument(
        "--datasets",
        action="store_true",
        help="also as folders for datasets.load_from_disk, in TRL's formats",
    )


def _import(db: Database, options: argparse.Namespace) -> int:
    usable = 0
    answers = tuple(name.strip() for name in (options.answer_fields or "").split(",") if name.strip())
    layout = Layout(options.prompt_field, answers or None, options.question, options.reason_question)
    for path in options.files:
        found = import_file(db, OPERATOR, options.name, Path(path), tool=options.format, layout=layout)
        usable += found.items + found.known
        print(f"{path}: {found.items} items added, {found.known} were there already")
        if found.judgements or found.unused:
            print(
                f"{found.judgements} judgements added with them, {found.unused} drafts or cancelled left out"
            )
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
        db,
        options.name,
        Path(options.folder),
        aggregate=options.aggregate,
        as_csv=options.csv,
        as_parquet=options.parquet,
        as_datasets=options.datasets,
    )
    told = ", ".join(
        f"{manifest.counts[name]} {name}" for name in ("preferences", "demonstrations", "scores")
    )
    print(f"{told} from {manifest.counts['judgements']} judgements in {options.folder}")
    print(f"sha256 {manifest.sha256}")
    return 0
