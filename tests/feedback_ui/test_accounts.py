"""Accounts: passwords, invitations, sessions, what each role may do, and erasure."""

from datetime import timedelta

import pytest
from people import campaign, judge_all, pairs, rater
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from feedback_ui.database import Database, open_database
from feedback_ui.errors import Conflict, InvalidFeedback, NotAllowed, NotFound
from feedback_ui.form import Form
from feedback_ui.schema import Base, Item, Judgement, Rater, Token
from feedback_ui.service import accounts as own
from feedback_ui.service import passwords
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.adjudication import adjudicate, disputes
from feedback_ui.service.audit import audit_log, snapshots_taken
from feedback_ui.service.campaigns import create_campaign, guidelines, set_guidelines, set_status
from feedback_ui.service.claims import next_task, save_draft
from feedback_ui.service.erasure import erase_rater
from feedback_ui.service.importing import import_rows
from feedback_ui.service.judgements import submit
from feedback_ui.service.past import my_last
from feedback_ui.service.progress import all_progress, campaign_progress, my_progress
from feedback_ui.service.quality import quality
from feedback_ui.service.snapshot import snapshot

PASSWORD = "correct horse 电池"


@pytest.fixture(autouse=True)
def _fast_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    from argon2 import PasswordHasher

    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: hasher)
    passwords._no_password.cache_clear()


def test_nothing_of_who_was_erased_stays_in_the_files_of_sqlite(tmp_path) -> None:
    path = tmp_path / "own.db"
    db = open_database(str(path))
    name = campaign(db, 40)
    a = rater(db, "Zaphod")
    for number in range(40):
        task = next_task(db, a, name)
        save_draft(db, a, task.assignment_id, {"reason": f"begun by Zaphod {number}" * 500})
        given = {"strength": 1, "reason": f"said by Zaphod {number}" * 500}
        submit(db, a, task.assignment_id, given, key="k")
    db.close()  # all of it is in the file itself, and not in the log beside it
    assert path.read_bytes().count(b"Zaphod") > 1000
    db = open_database(str(path))
    erase_rater(db, OPERATOR, "Zaphod", judgements="remove")
    assert {one.name: one.read_bytes().count(b"Zaphod") for one in tmp_path.iterdir()} == {
        "own.db": 0, "own.db-wal": 0, "own.db-shm": 0
    }  # fmt: skip
    db.close()


def test_sign_in_and_out(db: Database) -> None:
    own.add_rater(db, OPERATOR, " 李雷 ", password=PASSWORD)
    token = own.sign_in(db, "李雷", PASSWORD)
    actor = own.actor_of(db, token)
    assert (actor.name, actor.role) == ("李雷", "rater")
    own.sign_out(db, token)
    with pytest.raises(NotAllowed, match="session has ended"):
        own.actor_of(db, token)


def test_what_is_wrong_is_not_told(db: Database) -> None:
    own.add_rater(db, OPERATOR, "a", password=PASSWORD)
    own.add_rater(db, OPERATOR, "invited")
    for name, password in (
        ("a", "wrong password"),
        ("nobody", PASSWORD),
        ("invited", PASSWORD),
        ("a", "x" * 5000),
    ):
        with pytest.raises(NotAllowed, match=r"^name or password is wrong$"):
            own.sign_in(db, name, password)


def test_neither_passwords_nor_tokens_are_stored(db: Database) -> None:
    own.add_rater(db, OPERATOR, "a", password=PASSWORD)
    token = own.sign_in(db, "a", PASSWORD)
    invitation = own.invite(db, OPERATOR, "a")

    def everything(session: Session) -> str:
        rows = [session.execute(select(table)).all() for table in Base.metadata.sorted_tables]
        return repr(rows)

    stored = db.read(everything)
    for secret in (PASSWORD, token, invitation):
        assert secret not in stored
    assert "$argon2id$" in stored


def test_too_many_failures_make_a_name_wait_and_no_other(db: Database, clock) -> None:
    for name in "ab":
        own.add_rater(db, OPERATOR, name, password=PASSWORD)
    for _ in range(own.MAX_FAILURES):
        with pytest.raises(NotAllowed, match="wrong"):
            own.sign_in(db, "a", "wrong password")
    with pytest.raises(NotAllowed, match="too many failed sign-ins"):
        own.sign_in(db, "a", PASSWORD)
    assert own.sign_in(db, "b", PASSWORD)
    clock.move(minutes=16)
    assert own.sign_in(db, "a", PASSWORD)


def test_sessions_expire(db: Database, clock) -> None:
    own.add_rater(db, OPERATOR, "a", password=PASSWORD)
    token = own.sign_in(db, "a", PASSWORD)
    clock.move(days=6)
    assert own.actor_of(db, token).name == "a"
    clock.move(days=1, seconds=1)
    with pytest.raises(NotAllowed):
        own.actor_of(db, token)


def test_an_invitation_sets_a_password_once_and_only_the_newest_works(db: Database, clock) -> None:
    account = own.add_rater(db, OPERATOR, "a")
    first, second = own.invite(db, OPERATOR, account.id), own.invite(db, OPERATOR, "a")
    with pytest.raises(NotAllowed, match="invitation was used, or is too old"):
        own.accept_invitation(db, first, PASSWORD)
    with pytest.raises(InvalidFeedback, match="10 to 1000 characters"):
        own.accept_invitation(db, second, "short")
    token = own.accept_invitation(db, second, PASSWORD)
    assert own.actor_of(db, token).rater_id == account.id
    assert own.sign_in(db, "a", PASSWORD)
    with pytest.raises(NotAllowed):
        own.accept_invitation(db, second, PASSWORD)
    with pytest.raises(NotAllowed):
        own.actor_of(db, own.invite(db, OPERATOR, "a"))  # an invitation is no session
    late = own.invite(db, OPERATOR, "a", valid=timedelta(hours=1))
    clock.move(hours=2)
    with pytest.raises(NotAllowed):
        own.accept_invitation(db, late, PASSWORD)


def test_a_new_password_ends_the_sessions_of_the_old(db: Database) -> None:
    own.add_rater(db, OPERATOR, "a", password=PASSWORD)
    old = own.sign_in(db, "a", PASSWORD)
    own.accept_invitation(db, own.invite(db, OPERATOR, "a"), "another password")
    with pytest.raises(NotAllowed):
        own.actor_of(db, old)


def test_a_disabled_account_is_out_at_once(db: Database) -> None:
    own.add_rater(db, OPERATOR, "a", password=PASSWORD)
    token = own.sign_in(db, "a", PASSWORD)
    own.disable_rater(db, OPERATOR, "a")
    with pytest.raises(NotAllowed):
        own.actor_of(db, token)
    with pytest.raises(NotAllowed, match="wrong"):
        own.sign_in(db, "a", PASSWORD)


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "a\x00b", "\ud800"])
def test_names_that_no_database_takes(db: Database, name: str) -> None:
    with pytest.raises(InvalidFeedback):
        own.add_rater(db, OPERATOR, name)


def test_a_hostile_name_signs_in_nobody_and_breaks_nothing(db: Database) -> None:
    for name in ("a\x00", "\ud800", "x" * 5000, "' OR 1=1 --"):
        with pytest.raises(NotAllowed):
            own.sign_in(db, name, PASSWORD)


def test_a_name_is_there_once(db: Database) -> None:
    rater(db, "a")
    with pytest.raises(Conflict, match="'a' already"):
        rater(db, "a")


def test_the_single_person_is_made_once_and_may_do_all(db: Database) -> None:
    me = own.local_actor(db)
    assert own.local_actor(db) == me
    name = campaign(db, 1)
    assert next_task(db, me, name) is not None
    assert campaign_progress(db, me, name).held == 1


def test_what_is_a_managers_is_refused_to_raters(db: Database, tmp_path) -> None:
    name = campaign(db, 1)
    a = rater(db, "a")
    item = db.read(lambda session: session.scalars(select(Item.id)).one())
    for forbidden in (
        lambda: own.add_rater(db, a, "b"),
        lambda: own.invite(db, a, "a"),
        lambda: own.accounts(db, a),
        lambda: own.disable_rater(db, a, "a"),
        lambda: erase_rater(db, a, "a", judgements="keep"),
        lambda: create_campaign(db, a, "mine", Form(kind="thumb")),
        lambda: set_guidelines(db, a, name, "x"),
        lambda: set_status(db, a, name, "closed"),
        lambda: import_rows(db, a, name, pairs(1)),
        lambda: campaign_progress(db, a, name),
        lambda: all_progress(db, a),
        lambda: disputes(db, a, name),
        lambda: quality(db, a, name),
        lambda: audit_log(db, a),
        lambda: snapshots_taken(db, a, name),
        lambda: adjudicate(db, a, item, {"strength": 1}, key="k"),
        lambda: snapshot(db, name, tmp_path / "out", actor=a),
    ):
        with pytest.raises(NotAllowed, match="only a manager"):
            forbidden()


def test_progress_of_a_rater_and_of_a_campaign(db: Database) -> None:
    name = campaign(db, 4, raters_per_item=2)
    a, b = rater(db, "a"), rater(db, "b")
    assert my_progress(db, a, name).waiting == 4
    judge_all(db, a, name)
    next_task(db, b, name)
    assert (my_progress(db, a, name).judged, my_progress(db, a, name).waiting) == (4, 0)
    assert (my_progress(db, b, name).judged, my_progress(db, b, name).waiting) == (0, 4)
    judge_all(db, b, name)
    found = campaign_progress(db, OPERATOR, name)
    assert (found.judgements, found.wanted, found.complete, found.items, found.held) == (8, 8, 4, 4, 0)
    assert found.by_rater == {"a": 4, "b": 4}
    assert found.by_day == {"2026-03-01": 8}


def test_erasure_keeps_judgements_under_no_name(db: Database, tmp_path) -> None:
    name = campaign(db, 3)
    a = rater(db, "张三")
    judge_all(db, a, name)
    before = db.read(lambda session: session.scalars(select(Rater.pseudonym)).one())
    with pytest.raises(NotAllowed, match="wrong"):
        own.sign_in(db, "张三", "wrong password")
    erase_rater(db, OPERATOR, "张三", judgements="keep")
    assert snapshot(db, name, tmp_path / "out").counts["judgements"] == 3
    with db.engine.connect() as connection:
        stored = repr([connection.execute(select(t)).all() for t in Base.metadata.sorted_tables])
    assert "张三" not in stored
    assert before not in stored
    with pytest.raises(NotAllowed):
        my_last(db, a, name)
    with pytest.raises(NotFound):
        own.invite(db, OPERATOR, "张三")
    assert rater(db, "张三").rater_id != a.rater_id  # the name is free again


def test_erasure_removes_judgements_and_has_others_judge(db: Database) -> None:
    name = campaign(db, 3, raters_per_item=2)
    a, b = rater(db, "a"), rater(db, "b")
    judge_all(db, a, name)
    judge_all(db, b, name)
    erase_rater(db, OPERATOR, "a", judgements="remove")

    def counts(session: Session) -> tuple[int, ...]:
        judgements = session.scalar(select(func.count()).select_from(Judgement))
        tokens = session.scalar(select(func.count()).select_from(Token))
        return judgements or 0, tokens or 0

    assert db.read(counts) == (3, 0)
    assert len(judge_all(db, rater(db, "c"), name)) == 3
    assert campaign_progress(db, OPERATOR, name).complete == 3
    with db.engine.connect() as connection:
        assert connection.execute(text("SELECT min(free), max(free) FROM item")).one() == (0, 0)


def test_who_did_what_is_written_down(db: Database, tmp_path) -> None:
    name = campaign(db, 1)
    boss = rater(db, "boss", role="manager")
    judge_all(db, boss, name)
    set_guidelines(db, boss, name, "second")
    taken = snapshot(db, name, tmp_path / "out", actor=boss)
    lines = audit_log(db, boss)
    assert [(line.actor, line.action) for line in lines] == [
        ("boss", "export"),
        ("boss", "guidelines"),
        ("operator", "add-rater"),
        ("operator", "import"),
        ("operator", "create-campaign"),
    ]
    assert lines[0].detail["sha256"] == taken.sha256
    assert [one.sha256 for one in snapshots_taken(db, boss, name)] == [taken.sha256]
    assert [guidelines(db, boss, name, version) for version in (1, 2)] == ["Be kind. 请善待他人。", "second"]
    with pytest.raises(NotFound, match="version 3"):
        guidelines(db, boss, name, 3)
