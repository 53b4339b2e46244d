"""`python -m feedback_ui create-campaign | import | export | add-rater | status | backup`."""

import argparse
import getpass
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from feedback_ui.backup import backup
from feedback_ui.database import Database, open_database, parse_place
from feedback_ui.errors import InvalidFeedback, StoreError
from feedback_ui.form import ANSWERS, FLAGS, parse_form
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.accounts import INVITATION, add_rater, invite
from feedback_ui.service.campaigns import LEASE_S, Plan, create_campaign
from feedback_ui.service.importing import import_file
from feedback_ui.service.progress import CampaignProgress, all_progress, campaign_progress
from rlhf.errors import EXIT_CODE, RlhfError
from rlhf.runs.disk import human_size

DEFAULT_DB = "feedback.db"
_SHOWN_PROBLEMS = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, or 2 for an error."""
    options = _parser().parse_args(arguments)
    try:
        if options.needs_store:
            _check_is_there(options.db)
        db = open_database(options.db)
        try:
            return options.run(db, options)
        finally:
            db.close()
    except RlhfError as error:
        print(error, file=sys.stderr)
        return EXIT_CODE
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `| head` had enough
        sys.stderr.close()
        return 0


def _create_campaign(db: Database, options: argparse.Namespace) -> int:
    form = parse_form(
        {
            "kind": options.kind,
            "scales": [_scale(said) for said in options.scale],
            "flags": _words(options.flags),
            "reason": options.reason,
            "edit": options.edit,
        }
    )
    plan = Plan(options.raters, options.overlap, options.gold_share, round(options.lease * 60))
    guidelines = _text_of(options.guidelines) if options.guidelines else ""
    create_campaign(
        db,
        OPERATOR,
        options.name,
        form,
        plan=plan,
        question=options.question,
        guidelines=guidelines,
        language=options.language,
    )
    print(f"campaign {options.name!r} in {db.name}")
    print(f"next: {_command('import', options, options.name, 'pairs.jsonl')}")
    return 0


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


def _add_rater(db: Database, options: argparse.Namespace) -> int:
    password = None
    if options.password:
        asked = getpass.getpass("password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
        password = asked
    account = add_rater(db, OPERATOR, options.name, role=options.role, password=password)
    print(f"{account.role} {account.name!r} in {db.name}")
    if password is None:
        print(f"invitation, good once within {INVITATION.days} days: {invite(db, OPERATOR, account.id)}")
    return 0


def _status(db: Database, options: argparse.Namespace) -> int:
    found = [campaign_progress(db, OPERATOR, options.name)] if options.name else all_progress(db, OPERATOR)
    if options.json:
        print(json.dumps([asdict(one) for one in found], ensure_ascii=False, indent=2))
        return 0
    if not found:
        print(f"{db.name} holds no campaign yet; begin with: {_command('create-campaign', options, 'pairs')}")
    for one in found:
        print("\n".join(_lines(one)))
    return 0


def _lines(one: CampaignProgress) -> list[str]:
    share = f" ({one.judgements / one.wanted:.0%})" if one.wanted else ""
    lines = [
        f"{one.name}: {one.status}, {one.judgements} of {one.wanted} judgements{share}, "
        f"{one.complete} of {one.items} items complete",
        f"  {one.held} in hand, {one.skips} skipped, {one.gold_items} items with a known answer",
    ]
    lines += [f"  {count:6d}  {name}" for name, count in one.by_rater.items()]
    return lines


def _backup(db: Database, options: argparse.Namespace) -> int:
    size = backup(db, Path(options.file))
    print(f"{options.file}: {human_size(size)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m feedback_ui", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    create = _sub(
        commands,
        "create-campaign",
        "a new campaign: what raters are asked, and of how many each",
        "create-campaign helpful --kind compare --raters 3 --flags unsafe,false --edit",
        _create_campaign,
        needs_store=False,
    )
    create.add_argument("name", metavar="CAMPAIGN")
    create.add_argument("--kind", choices=list(ANSWERS), default="compare", help="the way (default: compare)")
    create.add_argument("--question", help="what is asked; the usual question of the kind if left out")
    create.add_argument("--guidelines", metavar="FILE", help="a text or Markdown file that raters can open")
    create.add_argument("--language", default="any", help="a tag such as en or zh (default: any)")
    create.add_argument("--raters", type=int, default=1, metavar="N", help="raters an item (default: 1)")
    create.add_argument(
        "--overlap", type=float, default=1.0, help="the share of items that N raters judge; one the rest"
    )
    create.add_argument(
        "--gold-share", type=float, default=0.0, help="how much of what is given out has a known answer"
    )
    create.add_argument(
        "--lease", type=float, default=LEASE_S / 60, metavar="MINUTES", help="kept for a rater (default: 20)"
    )
    create.add_argument(
        "--scale", action="append", default=[], metavar="NAME:LOW-HIGH", help="rate on it; may be repeated"
    )
    create.add_argument("--flags", default="", help=f"comma-separated, of {', '.join(FLAGS)}")
    create.add_argument("--reason", choices=("off", "optional", "required"), default="optional")
    create.add_argument("--edit", action="store_true", help="an answer can be rewritten")
    add = _sub(
        commands,
        "import",
        "prompts and answers from JSONL files into a campaign",
        "import helpful pairs.jsonl",
        _import,
    )
    add.add_argument("name", metavar="CAMPAIGN")
    add.add_argument("files", nargs="+", metavar="FILE")
    take = _sub(
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
    person = _sub(
        commands,
        "add-rater",
        "an account; prints an invitation by which the person sets a password",
        "add-rater 韩梅梅 --role manager",
        _add_rater,
        needs_store=False,
    )
    person.add_argument("name", metavar="NAME")
    person.add_argument("--role", choices=("rater", "manager"), default="rater")
    person.add_argument(
        "--password", action="store_true", help="ask for it here, or read it from standard input"
    )
    look = _sub(commands, "status", "how far the campaigns are", "status helpful --json", _status)
    look.add_argument("name", nargs="?", metavar="CAMPAIGN", help="one campaign; all if left out")
    look.add_argument("--json", action="store_true", help="plain data instead of text")
    save = _sub(
        commands, "backup", "a copy of a SQLite store, also while it is in use", "backup backup.db", _backup
    )
    save.add_argument("file", metavar="FILE")
    return parser


def _sub(
    commands: Any,
    name: str,
    text: str,
    example: str,
    run: Callable[[Database, argparse.Namespace], int],
    *,
    needs_store: bool = True,
) -> argparse.ArgumentParser:
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


def _check_is_there(place: str) -> None:
    """A misspelt --db is an error, not an empty store."""
    path = None if "://" in place and not place.startswith("sqlite") else parse_place(place).database
    if path is not None and not path.startswith("file:") and not Path(path).exists():
        raise StoreError(
            f"there is no store at {path}; name it by --db, or begin with: "
            f"python -m feedback_ui create-campaign pairs"
        )


def _command(command: str, options: argparse.Namespace, *words: str) -> str:
    place = [] if options.db == DEFAULT_DB else ["--db", options.db]
    return " ".join(["python -m feedback_ui", command, *words, *place])


def _scale(said: str) -> dict[str, Any]:
    name, _, bounds = said.rpartition(":")
    low, _, high = bounds.partition("-")
    if not name or not low.isdecimal() or not high.isdecimal():
        raise InvalidFeedback(f"--scale {said!r} is not NAME:LOW-HIGH, as in helpful:1-5")
    return {"name": name, "low": int(low), "high": int(high)}


def _words(said: str) -> list[str]:
    return [word.strip() for word in said.split(",") if word.strip()]


def _text_of(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise InvalidFeedback(f"--guidelines {path} cannot be read: {why}") from None
