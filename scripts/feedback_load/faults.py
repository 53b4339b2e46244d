"""Each fault: what happens to the server, or on the way to it, while a crowd judges."""

import random
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import uvicorn

from feedback_ui.app.application import create_app
from feedback_ui.app.server import listen
from feedback_ui.app.settings import Settings
from feedback_ui.database import Database, open_database
from scripts.feedback_load.crowd import Crowd
from scripts.feedback_load.cut import BrokenNetwork
from scripts.feedback_load.page import Page, Visitor
from scripts.feedback_load.store import Log, Person
from scripts.measuring.postgres import Server

ENOUGH = 40
"""Judgements before and after a fault."""
FULL = 256 * 1024
"""Bytes of a file on a disk that is full: the log of the database holds some judgements, then none."""
REFUSES_S = 300.0


@dataclass(frozen=True)
class Setting:
    """A fresh store with people, and what a fault needs to know."""

    place: str
    people: Sequence[Person]
    runs: int
    rng: random.Random
    server: Server | None


Fault = Callable[[Setting], tuple[int, list[Log]]]


def kill(setting: Setting) -> tuple[int, list[Log]]:
    """Kill and start again at the same port while the raters go on."""
    with _pages(setting) as start:
        page = start()
        with Crowd(page.address, setting.people, seed=0) as crowd:
            for _ in range(setting.runs):
                crowd.wait_for(ENOUGH)
                time.sleep(setting.rng.random())
                page.kill()
                page = start()
            crowd.wait_for(ENOUGH)
        _offered_again(page.address, setting.people)
    return setting.runs, crowd.logs


def network(setting: Setting) -> tuple[int, list[Log]]:
    """A network that cuts one piece in twenty."""
    with Page(setting.place) as page, BrokenNetwork(page.address, share=0.05, seed=0) as broken:
        with Crowd(broken.address, setting.people, seed=0) as crowd:
            crowd.wait_for(20 * ENOUGH)
            broken.heal()
            crowd.wait_for(ENOUGH)
        return broken.cuts, crowd.logs


def reload(setting: Setting) -> tuple[int, list[Log]]:
    """A draft saved by one browser is in hand in the next, with its item."""
    log = Log()
    with Page(setting.place) as page:
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
    """The database's file cannot be written; judging ends with an error, and goes on once it can."""
    return _takes_nothing(setting, place=f"sqlite:///file:{setting.place}?mode=ro&uri=true")


def full(setting: Setting) -> tuple[int, list[Log]]:
    """No file grows beyond a few judgements; judging ends with an error, and goes on afterwards."""
    return _takes_nothing(setting, largest_file=FULL)


def _takes_nothing(setting: Setting, **options: Any) -> tuple[int, list[Log]]:
    with _pages(setting) as start:
        page = start()
        with Crowd(page.address, setting.people, seed=0) as crowd:
            crowd.wait_for(ENOUGH)
            page.stop()
            page = start(**options)
            _refuses(page.address, setting.people[0])
            page.kill()
            start()
            crowd.wait_for(ENOUGH)
    return 1, crowd.logs


def restart(setting: Setting) -> tuple[int, list[Log]]:
    """PostgreSQL goes away at once, its connections with it, and comes back."""
    assert setting.server is not None
    times = max(1, setting.runs // 4)
    with Page(setting.place) as page, Crowd(page.address, setting.people, seed=0) as crowd:
        for _ in range(times):
            crowd.wait_for(ENOUGH)
            setting.server.stop()
            setting.server.start()
        crowd.wait_for(ENOUGH)
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


@contextmanager
def _pages(setting: Setting) -> Generator[Callable[..., Page]]:
    """Starts the page on the setting's store, one after the other at one port; the last is stopped."""
    with ExitStack() as last:
        port = 0

        def start(*, place: str = setting.place, **options: Any) -> Page:
            nonlocal port
            last.pop_all()  # it has ended
            page = last.enter_context(Page(place, port=port, **options))
            port = page.port
            return page

        yield start


@contextmanager
def _in_this_process(db: Database) -> Generator[str]:
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
    end = time.monotonic() + REFUSES_S
    while (answer := visitor.ask("GET", path)).status == 200:  # what still fits is taken
        if time.monotonic() > end:
            raise TimeoutError("the store goes on taking judgements")
        time.sleep(0.1)
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
