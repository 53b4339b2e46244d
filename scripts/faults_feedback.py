"""Faults while raters judge: nothing that was acknowledged is lost, nothing counts twice.

`python scripts/faults_feedback.py [FAULT ...] [--runs 20] [--raters 12] [--out FILE]`, of the faults

    kill       the server is killed as by `kill -9` under load and started again, RUNS times, on each store
    network    connections are cut between click and answer, and in the middle of requests
    reload     a browser is closed in the middle of an edit; the draft is there in the next one
    clock      the clock is set back by an hour, then by a day
    read-only  the database's file cannot be written, then it can
    full       the disk is full, then it is not
    restart    PostgreSQL is stopped without a warning and started again, RUNS / 4 times

Raters are browsers without a screen that send a click again until it is answered, as the page does.
Afterwards the store is looked through: every judgement that was acknowledged is there, once; a click that got
no answer is there once or not at all, and then its item is offered again. Exits with 1 where this does not
hold.
"""

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from feedback_ui.database import open_database  # noqa: E402
from scripts.feedback_load.faults import FAULTS, Setting  # noqa: E402
from scripts.feedback_load.stopping import until_stopped  # noqa: E402
from scripts.feedback_load.store import check, prepare  # noqa: E402
from scripts.measuring.postgres import Server, postgres_server  # noqa: E402

ITEMS = 5_000


@dataclass(frozen=True)
class Outcome:
    """One fault on one store: how often it was made, what was acknowledged meanwhile, what does not hold."""

    fault: str
    store: str
    times: int
    acknowledged: int
    unanswered: int
    problems: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the faults, print what came of each; 1 where something does not hold."""
    options = _parser().parse_args(arguments)
    outcomes: list[Outcome] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(postgres_server())
        for fault in options.fault or list(FAULTS):
            for store in _stores(fault, server):
                place = str(folder / f"{fault}.db") if store == "SQLite" else _fresh(server)
                outcomes.append(make(fault, store, place, server, options))
                print(line(outcomes[-1]), flush=True)
    if options.out:
        told = json.dumps([asdict(one) for one in outcomes], indent=2)
        Path(options.out).write_text(told + "\n", encoding="utf-8")
    return int(any(one.problems for one in outcomes))


def make(fault: str, store: str, place: str, server: Server | None, options: argparse.Namespace) -> Outcome:
    """One fault on one store, and the look through it."""
    db = open_database(place)
    try:
        people = prepare(db, options.raters, ITEMS)
        setting = Setting(place, people, options.runs, random.Random(f"{options.seed}/{fault}"), server)
        times, logs = FAULTS[fault](setting)
        problems = check(db, logs)
    except Exception as error:
        times, logs, problems = 0, [], [f"{type(error).__name__}: {error}"]
    finally:
        db.close()
    acknowledged = sum(len(log.acknowledged) for log in logs)
    unanswered = sum(len(log.unsure) for log in logs)
    return Outcome(fault, store, times, acknowledged, unanswered, tuple(problems))


_ONLY = {"read-only": "SQLite", "full": "SQLite", "restart": "PostgreSQL"}


def _stores(fault: str, server: Server | None) -> list[str]:
    there = ["SQLite", *(["PostgreSQL"] if server is not None else [])]
    return [store for store in there if _ONLY.get(fault, store) == store]


def _fresh(server: Server | None) -> str:
    assert server is not None
    return server.fresh()


def line(outcome: Outcome) -> str:
    """An outcome for people."""
    told = (
        f"{outcome.fault:10} {outcome.store:10} {outcome.times:4d} times, {outcome.acknowledged} judgements "
        f"acknowledged, {outcome.unanswered} clicks without an answer at the end"
    )
    return "\n".join([told, *(f"  WRONG: {problem}" for problem in outcome.problems or ("",) if problem)])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("fault", nargs="*", choices=[*FAULTS, []], metavar="FAULT", help="all if left out")
    parser.add_argument("--runs", type=int, default=20, help="kills on each store (default: 20)")
    parser.add_argument("--raters", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", metavar="FILE", help="write the outcomes as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(until_stopped(main))
