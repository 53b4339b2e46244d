"""The loop's page on the server: managers alone get it, and it runs as a stranger to the server."""

from pathlib import Path
from uuid import uuid4

import pytest
from browsers import Browser
from people import campaign

from feedback_ui.app.settings import Settings
from feedback_ui.database import Database
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.campaigns import campaign_info
from feedback_ui.service.loops import PAGE, note_loop
from rlhf.evaluation.loop_report import render_loop
from scripts.looking.loop_records import loop


@pytest.fixture
def address(db: Database, tmp_path: Path) -> str:
    """Of the page of a loop that has made a campaign."""
    folder = tmp_path / "loop-1"
    folder.mkdir()
    (folder / PAGE).write_text(render_loop(loop(2, "waiting")), "utf-8")
    name = campaign(db, 1)
    note_loop(db, OPERATOR, name, folder, round_number=2, wanted=1000)
    return f"/manage/loops/{campaign_info(db, OPERATOR, name).id}"


def test_managers_alone_get_the_page(browser, address: str) -> None:
    nobody, rater, boss = browser(), browser("a"), browser("m", role="manager")
    answer = boss.get(address)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "Round 2 waits for 412 more judgements." in answer.text
    for one, status in ((nobody, 401), (rater, 403)):
        answer = one.get(address)
        assert answer.status_code == status
        assert "Round 2" not in answer.text
        assert "loop" not in answer.text
        elsewhere = one.get(f"/manage/loops/{uuid4()}")
        assert (elsewhere.status_code, elsewhere.text) == (status, answer.text)  # nor whether there is one


def test_one_person_at_the_machine_is_its_manager(build, address: str) -> None:
    assert Browser(build(Settings(accounts=False)), host="127.0.0.1:7860").get(address).status_code == 200
    assert Browser(build(Settings(accounts=False)), host="page.example").get(address).status_code == 403


def test_it_runs_without_the_server_s_cookies_and_reaches_nobody(browser, address: str) -> None:
    headers = browser("m", role="manager").get(address).headers
    rules = dict(rule.strip().partition(" ")[::2] for rule in headers["content-security-policy"].split(";"))
    assert rules["sandbox"] == "allow-scripts"  # and no allow-same-origin: its origin is none
    assert rules["default-src"] == "'none'"  # no request, no frame, no picture
    assert (rules["form-action"], rules["base-uri"]) == ("'none'", "'none'")
    assert rules["frame-ancestors"] == "'self'"
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


def test_no_other_page_may_be_framed(browser) -> None:
    boss = browser("m", role="manager")
    for path in ("/manage/", "/", "/api/me", "/manage/loops", "/manage/loopsy/x"):
        headers = boss.get(path).headers
        assert headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize("name", ["../../../etc/passwd", "%2e%2e/config", "x", "1", "' or 1=1"])
def test_nothing_else_is_read_by_its_address(browser, address: str, name: str) -> None:
    answer = browser("m", role="manager").get(f"/manage/loops/{name}")
    assert answer.status_code in (404, 422)
    assert "root:" not in answer.text


def test_a_page_that_is_not_there_is_not_found(db: Database, browser, address: str, tmp_path: Path) -> None:
    boss = browser("m", role="manager")
    campaign(db, 1, name="plain")
    plain = campaign_info(db, OPERATOR, "plain").id
    answer = boss.get(f"/manage/loops/{plain}")
    assert (answer.status_code, answer.json()["error"]["kind"]) == (404, "not-found")
    (tmp_path / "loop-1" / PAGE).unlink()
    answer = boss.get(address)
    assert (answer.status_code, answer.json()["error"]["kind"]) == (404, "not-found")


def test_nobody_can_change_anything_there(browser, address: str) -> None:
    boss = browser("m", role="manager")
    assert boss.tell(address).status_code in (404, 405)
