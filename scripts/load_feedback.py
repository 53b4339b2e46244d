"""Many raters at once on one feedback store: judgements a second, time from click to next item, and checks.

`python scripts/load_feedback.py [--seconds 60] [--raters 50] [--out FILE]`. Simulated raters, each a thread
of one process as in the page's server, judge on SQLite and on PostgreSQL (a server of its own in a temporary
folder, left out where PostgreSQL is not installed), first at a human pace (one judgement in 5 s each, at
random moments) and then without a pause. The time from click to next item is that of `submit` and
`next_task` together.

Afterwards the store is looked through: no item judged beyond its number of raters, no slot held twice, every
judgement that was acknowledged there once, and no other. Exits with 1 where one of these does not hold, or
where at the human pace the 99th percentile is 500 ms or more.
"""

import argparse
import json
import math
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from feedback_ui.database import Database, open_database  # noqa: E402
from feedback_ui.form import Form  # noqa: E402
from feedback_ui.schema import Assignment, Item, Judgement  # noqa: E402
from feedback_ui.service.access import OPERATOR, Actor  # noqa: E402
from feedback_ui.service.accounts import add_rater  # noqa: E402
from feedback_ui.service.campaigns import create_campaign  # noqa: E402
from feedback_ui.service.claims import next_task  # noqa: E402
from feedback_ui.service.importing import import_rows  # noqa: E402
from feedback_ui.service.judgements import submit  # noqa: E402
from feedback_ui.service.plan import Plan  # noqa: E402
from scripts.measuring.postgres import postgres_server  # noqa: E402

HUMAN_S = 5.0
LIMIT_MS = 500.0
RATERS_PER_ITEM = 3
CAMPAIGN = "load"


@dataclass
class Log:
    """What one rater did: the ids that were acknowledged, milliseconds from click to next item, errors."""

    acknowledged: list[str] = field(default_factory=list)
    waits_ms: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Result:
    """One line of the table."""

    store: str
    pace: str
    raters: int
    seconds: float
    judgements: int
    per_second: float
    p50_ms: float
    p99_ms: float
    problems: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and write down where that is asked for; 1 where something does not hold."""
    options = _parser().parse_args(arguments)
    results: list[Result] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(postgres_server())
        if server is None:
            print("PostgreSQL is not installed here: SQLite alone")
        for pace in options.pace:
            places = {"SQLite": str(folder / f"{pace}.db")}
            if server is not None:
                places["PostgreSQL"] = server.fresh()
            for store, place in places.items():
                results.append(measure(store, place, pace, options))
                print(line(results[-1]), flush=True)
    if options.out:
        Path(options.out).write_text(
            json.dumps([asdict(one) for one in results], indent=2) + "\n", encoding="utf-8"
        )
    return int(any(one.problems for one in results))


def measure(store: str, place: str, pace: str, options: argparse.Namespace) -> Result:
    """One store at one pace."""
    db = open_database(place)
    try:
        actors = prepare(db, options.raters, options.items)
        logs, seconds = judge(db, actors, pace, options.seconds, options.seed)
        problems = check(db, logs)
    finally:
        db.close()
    waits_ms = sorted(wait for log in logs for wait in log.waits_ms)
    judgements = sum(len(log.acknowledged) for log in logs)
    p50_ms, p99_ms = (quantile(waits_ms, share) for share in (0.5, 0.99))
    if pace == "human" and p99_ms >= LIMIT_MS:
        problems.append(f"99th percentile {p99_ms:.0f} ms, wanted under {LIMIT_MS:.0f}")
    if judgements >= options.items * RATERS_PER_ITEM:
        problems.append("all items were judged before the end; give more by --items")
    return Result(
        store, pace, len(actors), seconds, judgements, judgements / seconds, p50_ms, p99_ms, tuple(problems)
    )


def prepare(db: Database, raters: int, items: int) -> list[Actor]:
    """A campaign with items, and raters."""
    create_campaign(db, OPERATOR, CAMPAIGN, Form(kind="compare"), plan=Plan(RATERS_PER_ITEM))
    import_rows(db, OPERATOR, CAMPAIGN, rows(items))
    accounts = [add_rater(db, OPERATOR, f"rater {number}") for number in range(raters)]
    return [Actor(account.id, account.role, account.name) for account in accounts]


def rows(count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Prompts with two answers of some hundred characters."""
    for number in range(count):
        answers = [f"Answer {side} to question {number}. " * 12 for side in ("one", "two")]
        yield f"made:{number + 1}", {"prompt": f"Question {number}?", "responses": answers}


def judge(
    db: Database, actors: Sequence[Actor], pace: str, seconds: float, seed: int
) -> tuple[list[Log], float]:
    """All raters at once until the time is over; what each did, and how long it took."""
    logs = [Log() for _ in actors]
    start = time.monotonic()
    threads = [
        threading.Thread(
            target=one_rater, args=(db, actor, log, pace, start + seconds, random.Random(f"{seed}/{number}"))
        )
        for number, (actor, log) in enumerate(zip(actors, logs, strict=True))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return logs, time.monotonic() - start


def one_rater(db: Database, actor: Actor, log: Log, pace: str, end: float, rng: random.Random) -> None:
    """Look, think, click; again. A failed request is an error of the store, and is counted."""
    try:
        if pace == "human":
            time.sleep(rng.uniform(0, HUMAN_S))  # not everybody begins at once
        task = next_task(db, actor, CAMPAIGN, rng=rng)
        while task is not None and time.monotonic() < end:
            if pace == "human":
                time.sleep(min(rng.expovariate(1 / HUMAN_S), max(0.0, end - time.monotonic())))
            clicked = time.perf_counter()
            given = {"strength": rng.randint(-3, 3)}
            key = f"{rng.getrandbits(64):016x}"
            receipt = submit(db, actor, task.assignment_id, given, key=key, active_s=HUMAN_S)
            log.acknowledged.append(str(receipt.judgement_id))
            task = next_task(db, actor, CAMPAIGN, rng=rng)
            log.waits_ms.append((time.perf_counter() - clicked) * 1000)
    except Exception as error:
        log.errors.append(f"{type(error).__name__}: {error}")


def check(db: Database, logs: Sequence[Log]) -> list[str]:
    """What does not hold in the store afterwards."""

    def look(session: Session) -> tuple[list[str], list[tuple[Any, int]], dict[Any, int]]:
        kept = [str(own) for own in session.scalars(select(Judgement.id))]
        query = select(Assignment.item_id, Assignment.slot).where(Assignment.slot.is_not(None))
        slots = [(item, slot) for item, slot in session.execute(query) if slot is not None]
        wanted = {item: count or 0 for item, count in session.execute(select(Item.id, Item.wanted))}
        return kept, slots, wanted

    kept, slots, wanted = db.read(look)
    acknowledged = [own for log in logs for own in log.acknowledged]
    takers = Counter(item for item, _ in slots)
    found = {
        "failed requests": sum(len(log.errors) for log in logs),
        "judgements lost": len(set(acknowledged) - set(kept)),
        "judgements that nobody was told of": len(set(kept) - set(acknowledged)),
        "judgements doubled": len(kept) - len(set(kept)),
        "slots held twice": len(slots) - len(set(slots)),
        "items beyond their raters": sum(count > wanted[item] for item, count in takers.items()),
    }
    problems = [f"{count} {what}" for what, count in found.items() if count]
    return problems + [error for log in logs for error in log.errors][:3]


def quantile(ordered: Sequence[float], share: float) -> float:
    """Of values in rising order; nan of none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else math.nan


def line(result: Result) -> str:
    """A result for people."""
    told = (
        f"{result.store:10}  {result.pace:9}  {result.raters} raters, {result.seconds:.0f} s: "
        f"{result.judgements} judgements, {result.per_second:.1f} a second, click to next item "
        f"{result.p50_ms:.1f} ms (p50), {result.p99_ms:.1f} ms (p99)"
    )
    return "\n".join([told, *(f"  WRONG: {problem}" for problem in result.problems or ())])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="for each store and pace")
    parser.add_argument("--raters", type=int, default=50)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--pace", nargs="+", choices=("human", "unlimited"), default=["human", "unlimited"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", metavar="FILE", help="write the results as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
