"""Many raters at once, in threads and processes; kills; and what must hold after any order of events."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from people import campaign, judge_all, pairs, prefer_good, rater
from sqlalchemy import select
from sqlalchemy.orm import Session
from waiting import wait_until

from feedback_ui.database import Database
from feedback_ui.errors import Conflict
from feedback_ui.schema import Assignment, Campaign, Item, Judgement
from feedback_ui.service.access import OPERATOR, Actor
from feedback_ui.service.accounts import add_rater, rater_named
from feedback_ui.service.claims import next_task
from feedback_ui.service.importing import import_rows
from feedback_ui.service.judgements import skip, submit, undo

HERE = Path(__file__).parent


def check_invariants(db: Database) -> None:
    """What must hold at every moment, whatever happened before."""

    def work(session: Session) -> None:
        items = {item.id: item for item in session.scalars(select(Item))}
        assignments = list(session.scalars(select(Assignment)))
        slots = Counter(own.item_id for own in assignments if own.slot is not None)
        for item in items.values():
            if item.wanted is not None:
                assert slots[item.id] == item.wanted - item.free <= item.wanted
        for own in assignments:
            gold = items[own.item_id].wanted is None
            assert (own.slot is not None) == (own.status in ("held", "done") and not gold)
            assert gold or own.slot is None or own.slot < items[own.item_id].wanted
        held = Counter((own.rater_id, own.campaign_id) for own in assignments if own.status == "held")
        assert set(held.values()) <= {1}
        revisions: dict[Any, list[Judgement]] = {}
        for judgement in session.scalars(select(Judgement).order_by(Judgement.number)):
            revisions.setdefault(judgement.assignment_id, []).append(judgement)
        for own in assignments:
            said = revisions.get(own.id, [])
            assert [one.revision for one in said] == list(range(1, own.revision + 1))
            # what is held or released counts for nothing: it was never judged, or was taken back
            expected = {"done": ("judge",), "skipped": ("skip",)}.get(own.status, ("withdraw", None))
            assert (said[-1].action if said else None) in expected

    db.read(work)


@pytest.mark.parametrize("raters_per_item", [1, 3])
def test_threads_share_a_campaign_without_a_slot_given_twice(db: Database, raters_per_item: int) -> None:
    name = campaign(db, 12, raters_per_item=raters_per_item)
    actors = [rater(db, f"r{n}") for n in range(6)]
    with ThreadPoolExecutor(len(actors)) as pool:
        done = list(pool.map(lambda actor: judge_all(db, actor, name), actors))
    check_invariants(db)
    judged = Counter(prompt for prompts in done for prompt in prompts)
    assert judged == {f"问题 {n}?": raters_per_item for n in range(12)}
    assert all(len(prompts) == len(set(prompts)) for prompts in done)


def test_the_last_slots_go_to_those_who_ask_at_once(db: Database) -> None:
    """Nobody is told that nothing is left while a slot is free, however many look at the same item."""
    name = campaign(db, 1, raters_per_item=6)
    actors = [rater(db, f"r{n}") for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        tasks = list(pool.map(lambda actor: next_task(db, actor, name), actors))
    assert sum(task is not None for task in tasks) == 6
    check_invariants(db)


class InTheMiddle(random.Random):
    """Chance that has something else happen in the middle of a claim: after it has looked which item is free,
    and before it has written that one is taken."""

    def __init__(self, meanwhile: threading.Thread) -> None:
        super().__init__(0)
        self.meanwhile = meanwhile
        self.waited = False

    def shuffle(self, x: Any) -> None:
        self.meanwhile.start()
        self.meanwhile.join(1.0)
        self.waited = self.meanwhile.is_alive()
        super().shuffle(x)


def test_two_processes_that_claim_at_once_are_given_two_items(open_store, clock) -> None:
    """Threads of one process take turns by a lock of ours; processes by the database alone. On SQLite the
    first one's transaction has to be the only one that writes from its beginning, and not from its first
    write: else the other comes between, and the first is refused."""
    one, other = open_store(clock=clock), open_store(clock=clock)
    name = campaign(one, 2)
    a, b = rater(one, "a"), rater(one, "b")
    given: list[Any] = []
    meanwhile = threading.Thread(target=lambda: given.append(next_task(other, b, name)))
    chance = InTheMiddle(meanwhile)
    given.append(next_task(one, a, name, rng=chance))
    meanwhile.join()
    assert {task.prompt for task in given} == {"问题 0?", "问题 1?"}
    assert chance.waited == one.is_sqlite  # PostgreSQL passes over the item that the first has in hand
    check_invariants(one)


def test_one_rater_in_many_tabs_holds_one_item(db: Database) -> None:
    name = campaign(db, 10)
    a = rater(db, "a")
    with ThreadPoolExecutor(8) as pool:
        tasks = list(pool.map(lambda _: next_task(db, a, name), range(8)))
    assert len({task.assignment_id for task in tasks if task}) == 1
    check_invariants(db)


def test_one_click_sent_by_many_connections_is_one_judgement(db: Database) -> None:
    name = campaign(db, 1)
    a = rater(db, "a")
    task = next_task(db, a, name)
    answer = prefer_good(task.answers)
    with ThreadPoolExecutor(8) as pool:
        receipts = set(pool.map(lambda _: submit(db, a, task.assignment_id, answer, key="k"), range(8)))
    assert len(receipts) == 1
    check_invariants(db)


def test_imports_at_once_add_each_item_once(db: Database) -> None:
    name = campaign(db, 0)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: import_rows(db, OPERATOR, name, pairs(60)), range(4)))
    assert sum(one.items for one in found) == 60
    check_invariants(db)


JUDGE = """
import sys
from people import prefer_good
from feedback_ui.database import open_database
from feedback_ui.service.access import Actor
from feedback_ui.service.accounts import rater_named
from feedback_ui.service.claims import next_task
from feedback_ui.service.judgements import submit

db = open_database(sys.argv[1])
found = db.read(lambda session: rater_named(session, sys.argv[2]))
actor = Actor(found.id, found.role, found.name)
print("ready", flush=True)
while (task := next_task(db, actor, "pairs")) is not None:
    receipt = submit(db, actor, task.assignment_id, prefer_good(task.answers), key=str(task.assignment_id))
    print(receipt.judgement_id, flush=True)
"""


def judge_in_a_process(place: str, name: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parents[1]}", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", JUDGE, place, name], stdout=subprocess.PIPE, text=True, env=environment
    )


def kept(db: Database) -> list[str]:
    return [str(own) for own in db.read(lambda session: session.scalars(select(Judgement.id)).all())]


def test_processes_share_a_store(db: Database, place: str) -> None:
    campaign(db, 20, raters_per_item=2)
    for n in range(3):
        rater(db, f"r{n}")
    processes = [judge_in_a_process(place, f"r{n}") for n in range(3)]
    said = [process.communicate(timeout=300)[0].split()[1:] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(own for one in said for own in one) == sorted(kept(db))
    assert len(kept(db)) == 40
    check_invariants(db)


def test_a_killed_process_loses_nothing_that_it_acknowledged(db: Database, place: str, clock) -> None:
    campaign(db, 400)
    rater(db, "a")
    acknowledged: list[str] = []
    for round_number in range(3):
        process = judge_in_a_process(place, "a")
        assert process.stdout is not None
        process.stdout.readline()
        before = len(kept(db))
        wait_until(lambda before=before: len(kept(db)) > before + 3)
        os.kill(process.pid, signal.SIGKILL)
        acknowledged += process.communicate()[0].split()
        check_invariants(db)
        there = kept(db)
        assert len(there) == len(set(there))
        assert set(acknowledged) <= set(there)
        # of each kill at most one was kept whose answer did not arrive
        assert len(there) <= len(acknowledged) + round_number + 1
    found = db.read(lambda session: rater_named(session, "a"))
    judge_all(db, Actor(found.id, found.role, "a"), "pairs")
    assert len(kept(db)) == 400  # what the killed one held came again, and everything once
    check_invariants(db)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["next", "submit", "submit", "skip", "undo", "wait", "back"]),
        st.integers(0, 3),
        st.integers(0, 5),
    ),
    max_size=40,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS, raters_per_item=st.integers(1, 3))
def test_the_invariants_hold_after_any_order_of_events(
    db: Database, clock, events: list[tuple[str, int, int]], raters_per_item: int
) -> None:
    number = len(db.read(lambda session: session.scalars(select(Campaign.id)).all()))
    rows = [*pairs(3), ("gold", {**next(iter(pairs(1, start=9)))[1], "gold": {"better": 0}})]
    name = campaign(
        db, rows=rows, name=f"c{number}", raters_per_item=raters_per_item, gold_share=0.3, lease_s=600
    )
    actors = [
        Actor(add_rater(db, OPERATOR, f"c{number}-{n}").id, "rater", f"c{number}-{n}") for n in range(4)
    ]
    rng = random.Random(0)
    seen: dict[int, list[Any]] = {}
    for count, (event, who, which) in enumerate(events):
        own = seen.setdefault(who, [])
        try:
            if event == "next":
                task = next_task(db, actors[who], name, rng=rng)
                if task is not None:
                    own.append(task.assignment_id)
            elif event == "wait":
                clock.move(minutes=4 * which)
            elif event == "back":
                clock.move(minutes=-7 * which)
            elif own:
                target = own[which % len(own)]
                if event == "submit":
                    submit(db, actors[who], target, {"strength": 1}, key=f"{count}")
                elif event == "skip":
                    skip(db, actors[who], target, "unclear", key=f"{count}")
                else:
                    undo(db, actors[who], target, key=f"{count}")
        except Conflict:
            pass  # refused, as it may be; what is refused must leave the store as whole as what is done
        check_invariants(db)
    for actor in [*actors, *(rater(db, f"c{number}-late-{n}") for n in range(3))]:
        clock.move(hours=1)
        while (task := next_task(db, actor, name, rng=rng)) is not None:
            submit(db, actor, task.assignment_id, {"strength": 1}, key=f"end-{task.assignment_id}")
    check_invariants(db)
    left = db.read(
        lambda s: s.scalars(
            select(Item.free).join(Campaign, Campaign.id == Item.campaign_id).where(Campaign.name == name)
        ).all()
    )
    assert sorted(free for free in left if free is not None) == [0, 0, 0]
