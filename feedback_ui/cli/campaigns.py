"""`create-campaign` and `status`."""

import argparse
import json
from dataclasses import asdict
from typing import Any

from feedback_ui.cli.shared import command, command_line, text_of
from feedback_ui.database import Database
from feedback_ui.errors import InvalidFeedback
from feedback_ui.form import ANSWERS, FLAGS, parse_form
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.campaigns import create_campaign
from feedback_ui.service.plan import GOLD_WINDOW, LEASE_S, Plan
from feedback_ui.service.progress import CampaignProgress, all_progress, campaign_progress


def add_commands(commands: Any) -> None:
    """Declare them."""
    create = command(
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
        "--qualify",
        type=int,
        default=0,
        metavar="N",
        help="a test of N items with a known answer comes first",
    )
    create.add_argument(
        "--pass-mark", type=float, default=0.8, help="the share of the test that must be right (default: 0.8)"
    )
    create.add_argument(
        "--pause-gold",
        type=int,
        default=0,
        metavar="N",
        help=f"pause a rater at N wrong among the last {GOLD_WINDOW} known answers (default: never)",
    )
    create.add_argument(
        "--rater-share", type=float, default=1.0, help="of all judgements, the most that one rater gives"
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
    look = command(commands, "status", "how far the campaigns are", "status helpful --json", _status)
    look.add_argument("name", nargs="?", metavar="CAMPAIGN", help="one campaign; all if left out")
    look.add_argument("--json", action="store_true", help="plain data instead of text")


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
    plan = Plan(
        options.raters,
        options.overlap,
        options.gold_share,
        round(options.lease * 60),
        options.qualify,
        options.pass_mark,
        options.rater_share,
        options.pause_gold,
    )
    guidelines = text_of(options.guidelines, "--guidelines") if options.guidelines else ""
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
    print(f"next: {command_line('import', options, options.name, 'pairs.jsonl')}")
    return 0


def _status(db: Database, options: argparse.Namespace) -> int:
    found = [campaign_progress(db, OPERATOR, options.name)] if options.name else all_progress(db, OPERATOR)
    if options.json:
        print(json.dumps([asdict(one) for one in found], ensure_ascii=False, indent=2))
        return 0
    if not found:
        begin = command_line("create-campaign", options, "pairs")
        print(f"{db.name} holds no campaign yet; begin with: {begin}")
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


def _scale(said: str) -> dict[str, Any]:
    name, _, bounds = said.rpartition(":")
    low, _, high = bounds.partition("-")
    if not name or not low.isdecimal() or not high.isdecimal():
        raise InvalidFeedback(f"--scale {said!r} is not NAME:LOW-HIGH, as in helpful:1-5")
    return {"name": name, "low": int(low), "high": int(high)}


def _words(said: str) -> list[str]:
    return [word.strip() for word in said.split(",") if word.strip()]
