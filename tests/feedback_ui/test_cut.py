"""The cut of a snapshot: all judgements up to its last number are in it, and none that comes later."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from people import campaign, prefer_good, rater
from sqlalchemy import select
from sqlalchemy.orm import Session
from waiting import wait_until

from feedback_ui.database import CUT_LOCK, Database
from feedback_ui.schema import Judgement
from feedback_ui.service import judgements
from feedback_ui.service.access import Actor
from feedback_ui.service.claims import next_task
from feedback_ui.service.judgements import submit
from feedback_ui.service.snapshot import snapshot


def judge_one(db: Database, actor: Actor, name: str, key: str = "k") -> bool:
    task = next_task(db, actor, name)
    if task is None:
        return False
    submit(db, actor, task.assignment_id, prefer_good(task.answers), key=key)
    return True


def numbers(db: Database) -> list[int]:
    return sorted(db.read(lambda session: session.scalars(select(Judgement.number)).all()))


def test_the_lock_of_the_migration_is_that_of_the_reading() -> None:
    source = Path(judgements.__file__).parents[1] / "migrations" / "versions" / "0001_store.py"
    assert f"CUT_LOCK = {CUT_LOCK:#010x}" in source.read_text(encoding="utf-8")


def test_a_judgement_with_a_lower_number_that_comes_late_is_waited_for(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL one takes number 1 and hesitates, another takes number 2 and is done."""
    if db.is_sqlite:
        pytest.skip("of SQLite's one writer at a time, none can overtake another")
    name = campaign(db, 2, raters_per_item=2)
    slow, quick = rater(db, "slow"), rater(db, "quick")
    numbered, go_on = threading.Event(), threading.Event()
    write = judgements._write

    def hesitate(session: Session, *arguments, **named):
        written = write(session, *arguments, **named)
        if threading.current_thread().name.startswith("slow"):
            numbered.set()
            assert go_on.wait(120)
        return written

    monkeypatch.setattr(judgements, "_write", hesitate)
    with ThreadPoolExecutor(1, "slow") as first, ThreadPoolExecutor(1, "cut") as cut:
        late = first.submit(judge_one, db, slow, name)
        assert numbered.wait(120)
        judge_one(db, quick, name)
        assert numbers(db) == [2]
        taken = cut.submit(snapshot, db, name, tmp_path / "out")
        wait_until(lambda: waits_for_the_lock(db))
        assert not taken.done()
        go_on.set()
        assert late.result(120)
        manifest = taken.result(120)
    assert (manifest.last_number, manifest.counts["judgements"]) == (2, 2)


def waits_for_the_lock(db: Database) -> bool:
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with db.engine.connect() as connection:
        return connection.exec_driver_sql(query).scalar() == 1


def test_snapshots_under_load_hold_all_up_to_their_last_number(db: Database, tmp_path: Path) -> None:
    name = campaign(db, 60, raters_per_item=4)
    actors = [rater(db, f"r{n}") for n in range(4)]
    stop = threading.Event()

    def work(actor: Actor) -> None:
        while not stop.is_set() and judge_one(db, actor, name):
            pass

    with ThreadPoolExecutor(len(actors)) as pool:
        running = [pool.submit(work, actor) for actor in actors]
        wait_until(lambda: len(numbers(db)) > 0)
        taken = [snapshot(db, name, tmp_path / str(n)) for n in range(5)]
        stop.set()
        for one in running:
            one.result(120)
    known = numbers(db)
    for manifest in taken:
        assert manifest.counts["revisions"] == sum(number <= manifest.last_number for number in known)
        assert manifest.counts["judgements"] == manifest.counts["revisions"]  # nothing was corrected
