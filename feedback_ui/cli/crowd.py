"""`join-link` and `raters`: people who come by themselves, and how they stand."""

import argparse
import json
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from feedback_ui.cli.shared import command
from feedback_ui.database import Database
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.crowd import Participant, participants, set_standing
from feedback_ui.service.joining import end_links, open_link


def add_commands(commands: Any) -> None:
    """Declare them."""
    link = command(
        commands,
        "join-link",
        "an open link, by which people come in by themselves as guests of one campaign",
        "join-link helpful --limit 100 --days 7",
        _join_link,
    )
    link.add_argument("name", metavar="CAMPAIGN")
    link.add_argument("--limit", type=int, metavar="N", help="how many people may come (default: any number)")
    link.add_argument("--days", type=float, metavar="N", help="for how long (default: until it is ended)")
    link.add_argument("--end", action="store_true", help="end all open links of the campaign instead")
    who = command(
        commands,
        "raters",
        "who takes part in a campaign that tests its raters or has an open link, with completion codes",
        "raters helpful --json",
        _raters,
    )
    who.add_argument("name", metavar="CAMPAIGN")
    who.add_argument("--pause", metavar="RATER", help="give this rater nothing more")
    who.add_argument("--resume", metavar="RATER", help="let one go on who was paused, or failed the test")
    who.add_argument("--json", action="store_true", help="plain data instead of text")


def _join_link(db: Database, options: argparse.Namespace) -> int:
    if options.end:
        end_links(db, OPERATOR, options.name)
        print(f"the open links of {options.name!r} have ended; who came stays")
        return 0
    valid = timedelta(days=options.days) if options.days is not None else None
    token = open_link(db, OPERATOR, options.name, limit=options.limit, valid=valid)
    print(f"open link to {options.name!r}: /join/{token}")
    print("behind the address of the page; a platform puts its worker's id after it as ?worker=ID")
    return 0


def _raters(db: Database, options: argparse.Namespace) -> int:
    if options.pause is not None:
        set_standing(db, OPERATOR, options.name, options.pause, "paused")
    if options.resume is not None:
        set_standing(db, OPERATOR, options.name, options.resume, "active")
    found = participants(db, OPERATOR, options.name)
    if options.json:
        print(json.dumps([asdict(one) for one in found], ensure_ascii=False, indent=2, default=str))
        return 0
    if not found:
        print(f"nobody takes part in {options.name!r} by a test or an open link yet")
    for one in found:
        print(_line(one))
    return 0


def _line(one: Participant) -> str:
    told = [
        f"{one.judged:6d}  {one.name}: {one.standing}, {one.gold_right} of {one.gold} known answers right"
    ]
    if one.worker is not None:
        told.append(f"worker {one.worker}, code {one.code or 'none yet'}")
    return "; ".join(told)
