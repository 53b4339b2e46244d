"""Open links: who comes in by one, how many, until when, and what a guest can see."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
from people import campaign, judge_all, prefer_good, rater
from sqlalchemy import select

from feedback_ui.database import Database
from feedback_ui.errors import Conflict, FeedbackError, InvalidFeedback, NotAllowed, NotFound
from feedback_ui.schema import Base
from feedback_ui.service import passwords
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.accounts import actor_of, add_rater, disable_rater, invite, sign_in
from feedback_ui.service.campaigns import campaign_info, campaigns, guidelines, set_status
from feedback_ui.service.claims import next_task, next_turn
from feedback_ui.service.crowd import participants
from feedback_ui.service.erasure import erase_rater
from feedback_ui.service.joining import Link, end_links, join, link_of, open_link
from feedback_ui.service.judgements import submit
from feedback_ui.service.past import my_last
from feedback_ui.service.progress import my_progress

PASSWORD = "correct horse 电池"


@pytest.fixture(autouse=True)
def _fast_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    from argon2 import PasswordHasher

    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: hasher)
    passwords._no_password.cache_clear()


def test_whoever_has_the_link_comes_in_and_judges(db: Database) -> None:
    name = campaign(db, 2)
    link = open_link(db, OPERATOR, name)
    assert link_of(db, link) == Link("join", name)
    guest = actor_of(db, join(db, link, name=" 路人甲 "))
    assert (guest.name, guest.role) == ("路人甲", "rater")
    assert len(judge_all(db, guest, name)) == 2
    other = actor_of(db, join(db, link, worker="5f3c", password=PASSWORD))
    assert other.name == "5f3c"
    assert actor_of(db, sign_in(db, "5f3c", PASSWORD)).rater_id == other.rater_id


def test_a_link_takes_as_many_as_it_says_until_its_end(db: Database, clock) -> None:
    name = campaign(db, 1)
    two = open_link(db, OPERATOR, name, limit=2)
    brief = open_link(db, OPERATOR, name, valid=timedelta(hours=1))
    ended = open_link(db, OPERATOR, name)
    for own in "ab":
        join(db, two, name=own)
    with pytest.raises(NotAllowed, match="used up, or has ended"):
        join(db, two, name="c")
    with pytest.raises(NotAllowed):
        link_of(db, two)
    join(db, brief, name="d")
    clock.move(hours=1)
    for call in (lambda: join(db, brief, name="e"), lambda: link_of(db, brief)):
        with pytest.raises(NotAllowed):
            call()
    join(db, ended, name="f")
    end_links(db, OPERATOR, name)
    with pytest.raises(NotAllowed):
        join(db, ended, name="g")
    assert [one.name for one in participants(db, OPERATOR, name)] == ["a", "b", "d", "f"]
    for nonsense in ({"limit": 0}, {"valid": timedelta(0)}):
        with pytest.raises(InvalidFeedback):
            open_link(db, OPERATOR, name, **nonsense)


def test_the_last_place_goes_to_one_of_those_who_come_at_once(db: Database) -> None:
    link = open_link(db, OPERATOR, campaign(db, 1), limit=3)

    def come(number: int) -> bool:
        try:
            return bool(join(db, link, name=f"g{number}"))
        except NotAllowed:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(come, range(8))) == 3


def test_a_guest_sees_the_campaign_of_the_link_alone(db: Database) -> None:
    name, other = campaign(db, 2), campaign(db, 2, name="secret")
    guest = actor_of(db, join(db, open_link(db, OPERATOR, name), name="g"))
    assert [one.name for one in campaigns(db, guest)] == [name]
    assert campaign_info(db, guest, name).guidelines == "Be kind. 请善待他人。"
    assert my_progress(db, guest, name).waiting == 2
    secret_id = campaign_info(db, OPERATOR, other).id
    for hidden in (other, secret_id, "nothing", uuid4()):
        for call in (
            lambda hidden=hidden: next_turn(db, guest, hidden),
            lambda hidden=hidden: campaign_info(db, guest, hidden),
            lambda hidden=hidden: guidelines(db, guest, hidden, 1),
            lambda hidden=hidden: my_progress(db, guest, hidden),
            lambda hidden=hidden: my_last(db, guest, hidden),
        ):
            with pytest.raises(NotFound, match=r"^there is no such campaign among yours$"):
                call()
    assert next_task(db, rater(db, "of the house"), other) is not None


def test_a_worker_comes_again_until_something_was_judged(db: Database) -> None:
    """The platform's id is no secret: by it alone nobody reads what another said."""
    name = campaign(db, 3)
    link = open_link(db, OPERATOR, name, limit=1)
    lost = join(db, link, worker=" 5f3c ")
    token = join(db, link, worker="5f3c")  # the answer did not arrive; it takes no second place
    with pytest.raises(NotAllowed):
        actor_of(db, lost)
    guest = actor_of(db, token)
    task = next_task(db, guest, name)
    assert task is not None
    submit(db, guest, task.assignment_id, prefer_good(task.answers), key="k")
    with pytest.raises(Conflict, match="has begun already"):
        join(db, link, worker="5f3c")
    assert actor_of(db, token).rater_id == guest.rater_id


def test_a_worker_with_a_password_comes_again_by_it(db: Database) -> None:
    link = open_link(db, OPERATOR, campaign(db, 1))
    first = actor_of(db, join(db, link, worker="5f3c", password=PASSWORD))
    assert actor_of(db, join(db, link, worker="5f3c", password=PASSWORD)) == first
    for wrong in ("another password", None):
        with pytest.raises(Conflict):
            join(db, link, worker="5f3c", password=wrong)


def test_one_worker_in_two_campaigns_is_two_guests(db: Database) -> None:
    one, two = (open_link(db, OPERATOR, campaign(db, 1, name=name)) for name in ("one", "two"))
    first, second = (actor_of(db, join(db, link, worker="5f3c")) for link in (one, two))
    assert first.rater_id != second.rater_id
    assert [own.name for own in campaigns(db, second)] == ["two"]
    assert second.name.startswith("5f3c (")


def test_names_that_are_taken_or_missing(db: Database) -> None:
    link = open_link(db, OPERATOR, campaign(db, 1))
    rater(db, "韩梅梅")
    with pytest.raises(Conflict, match="'韩梅梅' already"):
        join(db, link, name="韩梅梅")
    for name, worker, said in (
        (None, None, "say a name"),
        (" ", " ", "say a name"),
        ("x" * 201, None, "1 to 200"),
        ("a\x00", None, "NUL"),
        (None, "a\nb", "printable"),
        (None, "x" * 201, "printable"),
    ):
        with pytest.raises(InvalidFeedback, match=said):
            join(db, link, name=name, worker=worker)
    with pytest.raises(InvalidFeedback, match="10 to 1000"):
        join(db, link, name="new", password="short")


def test_links_of_other_kinds_are_no_open_links(db: Database) -> None:
    add_rater(db, OPERATOR, "a", password=PASSWORD)
    invitation = invite(db, OPERATOR, "a")
    assert link_of(db, invitation) == Link("invitation", "a")
    session = sign_in(db, "a", PASSWORD)
    for token in (invitation, session, "nothing", "\ud800"):
        with pytest.raises(NotAllowed):
            join(db, token, name="g")
    with pytest.raises(NotAllowed):
        link_of(db, session)
    with pytest.raises(NotAllowed):
        actor_of(db, open_link(db, OPERATOR, campaign(db, 1)))
    disable_rater(db, OPERATOR, "a")
    with pytest.raises(NotAllowed):
        link_of(db, invite(db, OPERATOR, "a"))


def test_a_guest_who_is_shut_out_or_erased_stays_out(db: Database) -> None:
    name = campaign(db, 1)
    link = open_link(db, OPERATOR, name)
    guest = actor_of(db, join(db, link, worker="5f3c"))
    disable_rater(db, OPERATOR, guest.name)
    with pytest.raises(NotAllowed):
        join(db, link, worker="5f3c")
    erase_rater(db, OPERATOR, guest.name, judgements="keep")
    with db.engine.connect() as connection:
        stored = repr([connection.execute(select(t)).all() for t in Base.metadata.sorted_tables])
    assert "5f3c" not in stored


def test_links_are_a_managers_and_a_paused_campaign_takes_guests(db: Database) -> None:
    name = campaign(db, 1)
    a = rater(db, "a")
    for forbidden in (lambda: open_link(db, a, name), lambda: end_links(db, a, name)):
        with pytest.raises(NotAllowed, match="only a manager"):
            forbidden()
    link = open_link(db, OPERATOR, name)
    set_status(db, OPERATOR, name, "paused")
    assert next_turn(db, actor_of(db, join(db, link, name="g")), name).state == "paused"
    assert issubclass(NotAllowed, FeedbackError)
