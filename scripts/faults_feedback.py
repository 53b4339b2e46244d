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
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvicorn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from feedback_ui.app.application import create_app  # noqa: E402
from feedback_ui.app.server import listen  # noqa: E402
from feedback_ui.app.settings import Settings  # noqa: E402
from feedback_ui.database import Database, open_database  # noqa: E402
from scripts.feedback_load.crowd import Crowd  # noqa: E402
from scripts.feedback_load.cut import BrokenNetwork  # noqa: E402
from scripts.feedback_load.page import Page, Visitor  # noqa: E402
from scripts.feedback_load.store import Log, Person, check, prepare  # noqa: E402
from scripts.measuring.postgres import Server, postgres_server  # noqa: E402

ITEMS = 5_000
ENOUGH = 40  # judgements before and after a fault


@dataclass(frozen=True)
class Outcome:
    """One fault on one store: how often it was made, what was acknowledged meanwhile, what does not hold."""

    fault: str
    store: str
    times: int
    acknowledged: int
    unanswered: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Setting:
    """A fresh store with people, and what a fault needs to know."""

    place: str
    people: Sequence[Person]
    runs: int
    rng: random.Random
    server: Server | None


Fault = Callable[[Setting], tuple[int, list[Log]]]


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


def kill(setting: Setting) -> tuple[int, list[Log]]:
    """Kill and start again at the same port while the raters go on."""
    page = Page(setting.place)
    with Crowd(page.address, setting.people, seed=0) as crowd:
        for _ in range(setting.runs):
            crowd.wait_for(ENOUGH)
            time.sleep(setting.rng.random())
            page.kill()
            page = Page(setting.place, port=page.port)
        crowd.wait_for(ENOUGH)
    _offered_again(page.address, setting.people)
    page.stop()
    return setting.runs, crowd.logs


def network(setting: Setting) -> tuple[int, list[Log]]:
    """A network that cuts one piece in twenty."""
    page = Page(setting.place)
    with BrokenNetwork(page.address, share=0.05, seed=0) as broken:
        with Crowd(broken.address, setting.people, seed=0) as crowd:
            crowd.wait_for(20 * ENOUGH)
            broken.heal()
            crowd.wait_for(ENOUGH)
        cuts = broken.cuts
    page.stop()
    return cuts, crowd.logs


def reload(setting: Setting) -> tuple[int, list[Log]]:
    """A draft saved by one browser is in hand in the next, with its item."""
    page = Page(setting.place)
    log = Log()
    for person in setting.people:
        before = Visitor(page.address, person.token)
        path = f"{before.campaign()}/task"
        own = before.ask("GET", path).body["task"]["assignment"]
        draft = {"reason": f"半句话 … {own}", "strength": 1}
        before.ask("POST", f"/api/assignments/{own}/draft", {"draft": draft})
        before.leave()
        after = Visitor(page.address, person.token)
        found = after.ask("GET", path).body["task"]
        if (found["assignment"], found["draft"]) != (own, draft):
            log.errors.append(f"the draft of {own} is {found['draft']} of {found['assignment']}")
        after.leave()
    page.stop()
    return len(setting.people), [log]


def clock(setting: Setting) -> tuple[int, list[Log]]:
    """An hour back, then a day: leases are told by a clock, judgements and their order are not."""
    off = timedelta()
    db = open_database(setting.place, clock=lambda: datetime.now(UTC) + off)
    try:
        with _in_this_process(db) as address, Crowd(address, setting.people, seed=0) as crowd:
            crowd.wait_for(ENOUGH)
            for off in (timedelta(hours=-1), timedelta(days=-1)):  # noqa: B007 - the clock reads it
                crowd.wait_for(ENOUGH)
        return 2, crowd.logs
    finally:
        db.close()


def read_only(setting: Setting) -> tuple[int, list[Log]]:
    """The same file, opened such that SQLite may not write it (file modes do not bind root)."""
    page = Page(setting.place)
    port = page.port
    with Crowd(page.address, setting.people, seed=0) as crowd:
        crowd.wait_for(ENOUGH)
        page.stop()
        page = Page(f"sqlite:///file:{setting.place}?mode=ro&uri=true", port=port)
        _refuses(page.address, setting.people[0])
        page.stop()
        page = Page(setting.place, port=port)
        crowd.wait_for(ENOUGH)
    page.stop()
    return 1, crowd.logs


def full(setting: Setting) -> tuple[int, list[Log]]:
    """No file grows beyond what it has; judging ends with an error that says so, and goes on afterwards."""
    page = Page(setting.place)
    port = page.port
    with Crowd(page.address, setting.people, seed=0) as crowd:
        crowd.wait_for(ENOUGH)
        page.stop()
        size = Path(setting.place).stat().st_size
        page = Page(setting.place, port=port, largest_file=size)
        before = -1
        while crowd.acknowledged != before:  # what fits into the log of the database is still taken
            before = crowd.acknowledged
            time.sleep(5)
        _refuses(page.address, setting.people[0])
        page.kill()
        page = Page(setting.place, port=port)
        crowd.wait_for(ENOUGH)
    page.stop()
    return 1, crowd.logs


def restart(setting: Setting) -> tuple[int, list[Log]]:
    """PostgreSQL goes away at once, its connections with it, and comes back."""
    assert setting.server is not None
    page = Page(setting.place)
    times = max(1, setting.runs // 4)
    with Crowd(page.address, setting.people, seed=0) as crowd:
        for _ in range(times):
            crowd.wait_for(ENOUGH)
            setting.server.control("-m", "immediate", "stop")
            setting.server.control("-o", setting.server.options, "start")
        crowd.wait_for(ENOUGH)
    page.stop()
    return times, crowd.logs


FAULTS: dict[str, Fault] = {
    "kill": kill,
    "network": network,
    "reload": reload,
    "clock": clock,
    "read-only": read_only,
    "full": full,
    "restart": restart,
}
_ONLY = {"read-only": "SQLite", "full": "SQLite", "restart": "PostgreSQL"}


@contextmanager
def _in_this_process(db: Database) -> Iterator[str]:
    """The page on a store whose clock is set by hand."""
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(create_app(db, Settings()), log_level="error", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.05)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def _refuses(address: str, person: Person) -> None:
    """That the server says so, and goes on answering, while the store takes nothing."""
    visitor = Visitor(address, person.token)
    path = f"{visitor.campaign()}/task"
    answer = visitor.ask("GET", path)
    if answer.status != 503 or answer.body["error"]["kind"] != "unavailable":
        raise RuntimeError(f"a store that takes nothing was answered by {answer.status}: {answer.body}")
    visitor.leave()


def _offered_again(address: str, people: Sequence[Person]) -> None:
    for person in people:
        visitor = Visitor(address, person.token)
        found = visitor.ask("GET", f"{visitor.campaign()}/task").body
        if found["state"] != "open" or found["task"] is None:
            raise RuntimeError(f"{person.actor.name} is not given an item any more: {found}")
        visitor.leave()


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
    sys.exit(main())
