"""Many raters at once on one feedback store: judgements a second, time from click to next item, and checks.

`python scripts/load_feedback.py [--seconds 60] [--raters 50] [--through page service] [--out FILE]`.
Simulated raters judge on SQLite and on PostgreSQL (a server of its own in a temporary folder, left out where
PostgreSQL is not installed), first at a human pace (one judgement in 5 s each, at random moments) and then
without a pause. Through the page each rater is a browser without a screen and the server its own process: the
time from click to next item is that of one request, which brings the next item with its answers as HTML.
Through the service the raters are threads that call `submit` and `next_task`.

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
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from feedback_ui.database import Database, open_database  # noqa: E402
from feedback_ui.service.claims import next_task  # noqa: E402
from feedback_ui.service.judgements import submit  # noqa: E402
from scripts.feedback_load.page import Answer, Page, Visitor  # noqa: E402
from scripts.feedback_load.stopping import until_stopped  # noqa: E402
from scripts.feedback_load.store import (  # noqa: E402
    CAMPAIGN,
    RATERS_PER_ITEM,
    Log,
    Person,
    check,
    prepare,
)
from scripts.measuring.postgres import postgres_server  # noqa: E402

HUMAN_S = 5.0
LIMIT_MS = 500.0

# Judges what is in hand: the judgement's id, and whether there is another item.
Click = Callable[[dict[str, Any], str], tuple[str, bool]]


@dataclass(frozen=True)
class Result:
    """One line of the table."""

    store: str
    through: str
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
        server = stack.enter_context(postgres_server()) if "PostgreSQL" in options.store else None
        if server is None and "PostgreSQL" in options.store:
            print("PostgreSQL is not installed here: SQLite alone")
        for through in options.through:
            for pace in options.pace:
                places = {"SQLite": str(folder / f"{through}-{pace}.db")} if "SQLite" in options.store else {}
                if server is not None:
                    places["PostgreSQL"] = server.fresh()
                for store, place in places.items():
                    results.append(measure(store, place, through, pace, options))
                    print(line(results[-1]), flush=True)
    if options.out:
        Path(options.out).write_text(
            json.dumps([asdict(one) for one in results], indent=2) + "\n", encoding="utf-8"
        )
    return int(any(one.problems for one in results))


def measure(store: str, place: str, through: str, pace: str, options: argparse.Namespace) -> Result:
    """One store, one way, at one pace."""
    db = open_database(place)
    try:
        people = prepare(db, options.raters, options.items)
        begin = _by_page if through == "page" else _by_service
        with ExitStack() as stack:
            clicks = begin(db, place, people, stack, options.seed)
            logs, seconds = judge(clicks, pace, options.seconds, options.seed)
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
    per_second = judgements / seconds
    return Result(
        store, through, pace, len(people), seconds, judgements, per_second, p50_ms, p99_ms, tuple(problems)
    )


def _by_service(
    db: Database, _place: str, people: Sequence[Person], _stack: ExitStack, seed: int
) -> list[Callable[[], Click]]:
    """Raters who call the service in this process."""

    def begin(number: int, person: Person) -> Click:
        rng = random.Random(f"{seed}/order/{number}")
        task = next_task(db, person.actor, CAMPAIGN, rng=rng)

        def click(given: dict[str, Any], key: str) -> tuple[str, bool]:
            nonlocal task
            assert task is not None
            receipt = submit(db, person.actor, task.assignment_id, given, key=key, active_s=HUMAN_S)
            task = next_task(db, person.actor, CAMPAIGN, rng=rng)
            return str(receipt.judgement_id), task is not None

        return click

    return [partial(begin, number, person) for number, person in enumerate(people)]


def _by_page(
    _db: Database, place: str, people: Sequence[Person], stack: ExitStack, _seed: int
) -> list[Callable[[], Click]]:
    """Raters who send requests to a server of their own."""
    page = stack.enter_context(Page(place))

    def begin(person: Person) -> Click:
        visitor = Visitor(page.address, person.token)
        task = _good(visitor.ask("GET", f"{visitor.campaign()}/task"))["task"]

        def click(given: dict[str, Any], key: str) -> tuple[str, bool]:
            nonlocal task
            body = {"given": given, "key": key, "active_s": HUMAN_S}
            told = _good(visitor.ask("POST", f"/api/assignments/{task['assignment']}/judge", body))
            task = told["next"]["task"]
            return told["receipt"]["judgement"], task is not None

        return click

    return [partial(begin, person) for person in people]


def _good(answer: Answer) -> Any:
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {answer.body}")
    return answer.body


def judge(
    begins: Sequence[Callable[[], Click]], pace: str, seconds: float, seed: int
) -> tuple[list[Log], float]:
    """All raters at once until the time is over; what each did, and how long it took."""
    logs = [Log() for _ in begins]
    ready = threading.Barrier(len(begins) + 1)
    threads = [
        threading.Thread(
            target=one_rater,
            args=(begin, log, pace, seconds, random.Random(f"{seed}/{number}"), ready),
            daemon=True,  # a script that is stopped does not wait for them
        )
        for number, (begin, log) in enumerate(zip(begins, logs, strict=True))
    ]
    for thread in threads:
        thread.start()
    ready.wait()
    start = time.monotonic()
    for thread in threads:
        thread.join()
    return logs, time.monotonic() - start


def one_rater(
    begin: Callable[[], Click],
    log: Log,
    pace: str,
    seconds: float,
    rng: random.Random,
    ready: threading.Barrier,
) -> None:
    """Look, think, click; again. A failed request is an error, and is counted."""
    try:
        click = begin()
    except Exception as error:
        log.errors.append(f"{type(error).__name__}: {error}")
        ready.wait()
        return
    ready.wait()
    end = time.monotonic() + seconds
    try:
        if pace == "human":
            time.sleep(rng.uniform(0, HUMAN_S))  # not everybody begins at once
        there_is_more = True
        while there_is_more and time.monotonic() < end:
            if pace == "human":
                time.sleep(min(rng.expovariate(1 / HUMAN_S), max(0.0, end - time.monotonic())))
            clicked = time.perf_counter()
            own, there_is_more = click({"strength": rng.randint(-3, 3)}, f"{rng.getrandbits(64):016x}")
            log.waits_ms.append((time.perf_counter() - clicked) * 1000)
            log.acknowledged.append(own)
    except Exception as error:
        log.errors.append(f"{type(error).__name__}: {error}")


def quantile(ordered: Sequence[float], share: float) -> float:
    """Of values in rising order; nan of none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else math.nan


def line(result: Result) -> str:
    """A result for people."""
    told = (
        f"{result.through:7}  {result.store:10}  {result.pace:9}  {result.raters} raters, "
        f"{result.seconds:.0f} s: {result.judgements} judgements, {result.per_second:.1f} a second, "
        f"click to next item {result.p50_ms:.1f} ms (p50), {result.p99_ms:.1f} ms (p99)"
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
    parser.add_argument("--through", nargs="+", choices=("page", "service"), default=["page", "service"])
    parser.add_argument(
        "--store", nargs="+", choices=("SQLite", "PostgreSQL"), default=["SQLite", "PostgreSQL"]
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", metavar="FILE", help="write the results as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(until_stopped(main))
