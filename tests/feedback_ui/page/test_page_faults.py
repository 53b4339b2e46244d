"""Networks, reloads, servers and sessions that go away: what was given is never lost, and counts once."""

from typing import Any

import pytest
from raters import choose, ended, press, question, send

from feedback_ui.service.access import OPERATOR
from feedback_ui.service.accounts import add_rater
from feedback_ui.service.campaigns import set_guidelines, set_status

pytestmark = pytest.mark.browser

OFFLINE = "Nothing is lost: 1 kept on this device"


def cut(page: Any, path: str = "**/api/**") -> None:
    """From now on nothing reaches the server."""
    page.route(path, lambda route: route.abort())


def test_a_click_without_a_network_is_sent_when_it_is_back(site, open_page) -> None:
    page = open_page(site.campaign("compare", 2), expect_errors=True)
    question(page, "Question 0?")
    cut(page)
    press(page, "1", "Enter")
    page.get_by_text(OFFLINE).wait_for()
    press(page, "7", "Enter")  # what waits to be sent is not changed any more
    assert site.judgements() == []
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    question(page, "Question 1?")
    assert [one["strength"] for one in site.judgements()] == [3]
    assert page.locator(".notice").is_hidden()


def test_a_click_without_a_network_survives_a_reload(site, open_page) -> None:
    page = open_page(site.campaign("compare", 2), expect_errors=True)
    question(page, "Question 0?")
    cut(page)
    press(page, "2", "Enter")
    page.get_by_text(OFFLINE).wait_for()
    page.reload()
    page.get_by_text("No connection").wait_for()
    page.unroute_all()
    question(page, "Question 1?")
    assert [one["strength"] for one in site.judgements()] == [2]


def test_a_server_that_starts_anew_gets_what_it_missed(site, open_page) -> None:
    page = open_page(site.campaign("thumb", 2), expect_errors=True)
    question(page, "Question 0?")
    site.stop()
    press(page, "1")
    page.get_by_text(OFFLINE).wait_for()
    site.start()
    question(page, "Question 1?")
    assert [one["thumb"] for one in site.judgements()] == [True]


def test_an_answer_that_is_lost_on_its_way_counts_once(site, open_page) -> None:
    page = open_page(site.campaign("thumb", 3), expect_errors=True)
    question(page, "Question 0?")

    def lost(route: Any) -> None:
        route.fetch()
        route.abort()

    page.route("**/judge", lost)
    press(page, "1")
    page.get_by_text(OFFLINE).wait_for()
    assert len(site.judgements()) == 1
    page.unroute_all()
    question(page, "Question 1?")
    assert page.locator(".notice").is_hidden()  # the same click, and not one that comes too late
    press(page, "2")
    question(page, "Question 2?")
    assert [one["thumb"] for one in site.judgements()] == [True, False]


def test_a_page_that_is_opened_without_a_network_waits_for_it(site, open_page) -> None:
    address = site.campaign("compare", 1)
    page = open_page(address, expect_errors=True)
    question(page)
    cut(page, "**/api/me")
    page.reload()
    page.get_by_text("It goes on by itself as soon as it is back").wait_for()
    page.unroute_all()
    question(page)


def test_an_edit_survives_a_reload_in_its_middle_and_another_machine(site, open_page) -> None:
    address = site.campaign("compare", 1)
    page = open_page(address)
    question(page)
    press(page, "3")
    page.get_by_role("button", name="Improve").first.click()
    with page.expect_response("**/draft"):
        page.get_by_label("Answer A, improved by you").fill("改过的回答")
    page.reload()
    question(page)
    assert page.get_by_label("Answer A, improved by you").input_value() == "改过的回答"

    other = open_page(address)  # another browser of the same person
    question(other)
    assert other.get_by_label("Answer A, improved by you").input_value() == "改过的回答"
    assert other.get_by_role("radio", name="A is slightly better").is_checked()
    with other.expect_response("**/draft"):
        other.get_by_label("Answer A, improved by you").fill("again")
    page.reload()
    question(page)
    assert page.get_by_label("Answer A, improved by you").input_value() == "again"


def test_typing_up_to_the_moment_of_a_reload_is_kept(site, open_page) -> None:
    page = open_page(site.campaign("write", 1))
    question(page)
    page.evaluate(  # the server is not told, not even as the page goes away
        """() => {
          const send = window.fetch;
          window.fetch = (path, ...more) =>
            path.endsWith("/draft") ? Promise.reject(new TypeError("cut")) : send(path, ...more);
        }"""
    )
    press(page, "i")
    page.keyboard.type("不要丢失 a word")
    page.reload()
    question(page)
    assert page.get_by_label("Your answer").input_value() == "不要丢失 a word"


def test_an_item_that_another_window_has_judged_is_said_and_passed(site, open_page) -> None:
    address = site.campaign("thumb", 2)
    page, other = open_page(address, expect_errors=True), open_page(address)
    question(page, "Question 0?")
    question(other, "Question 0?")
    press(other, "1")
    question(other, "Question 1?")
    press(page, "2")
    page.get_by_text("you have judged this item already").wait_for()
    question(page, "Question 1?")
    assert [one["thumb"] for one in site.judgements()] == [True]


def test_a_session_that_ends_keeps_what_was_given(serve, open_page) -> None:
    site = serve(accounts=True)
    add_rater(site.db, OPERATOR, "韩梅梅", password="a long password")
    address = site.campaign("thumb", 2)
    page = open_page(address, expect_errors=True)
    sign_in(page)
    question(page, "Question 0?")
    page.context.clear_cookies(name="feedback_session")
    press(page, "2")
    page.get_by_text("What you gave is kept on this device").wait_for()
    page.get_by_role("link", name="Sign in").click()
    sign_in(page)
    question(page, "Question 1?")
    assert [one["thumb"] for one in site.judgements()] == [False]


def sign_in(page: Any) -> None:
    """By the form of the sign-in page."""
    page.locator("input[name=name]").fill("韩梅梅")
    page.locator("input[name=password]").fill("a long password")
    page.locator("button[type=submit]").click()


def test_signing_out_leads_to_the_sign_in_page(serve, open_page) -> None:
    site = serve(accounts=True)
    add_rater(site.db, OPERATOR, "韩梅梅", password="a long password")
    page = open_page(site.campaign("thumb", 1), expect_errors=True)
    sign_in(page)
    question(page)
    page.get_by_role("button", name="韩梅梅").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in*")


def test_guidelines_are_pointed_at_before_the_first_item_until_they_are_read(site, open_page) -> None:
    first = "Before you begin: this campaign has guidelines."
    page = open_page(site.campaign("thumb", 3, guidelines="Be **kind**."))
    question(page, "Question 0?")
    page.locator(".notice.calm", has_text=first).wait_for()
    page.reload()
    page.locator(".notice", has_text=first).wait_for()
    press(page, "g")
    page.get_by_role("dialog").get_by_text("Be kind.").wait_for()
    assert page.locator(".notice").is_hidden()
    press(page, "Escape")
    page.reload()
    question(page, "Question 0?")
    assert page.locator(".notice").is_hidden()
    other = open_page(page.url)
    other.locator(".notice", has_text=first).wait_for()
    press(other, "1")  # who does not want to read them is not held up
    question(other, "Question 1?")
    assert other.locator(".notice").is_hidden()
    other.reload()
    question(other, "Question 1?")
    assert other.locator(".notice").is_hidden()


def test_a_pause_and_new_guidelines_are_said(site, open_page) -> None:
    page = open_page(site.campaign("thumb", 3))
    question(page, "Question 0?")
    set_guidelines(site.db, OPERATOR, "thumb", "Newer guidelines: be **kinder**.")
    press(page, "1")
    question(page, "Question 1?")
    page.get_by_text("The guidelines have changed.").wait_for()
    page.get_by_role("button", name="Read").click()
    page.get_by_role("dialog").get_by_text("Newer guidelines: be kinder.").wait_for()
    press(page, "Escape")
    set_status(site.db, OPERATOR, "thumb", "paused")
    press(page, "1")
    page.get_by_text("This campaign is paused.").wait_for()
    assert [one["thumb"] for one in site.judgements()] == [True, True]


def test_undo_goes_back_further_than_one_and_past_a_reload(site, open_page) -> None:
    page = open_page(site.campaign("thumb", 2))
    for number in (0, 1):
        question(page, f"Question {number}?")
        press(page, "1")
    ended(page)
    page.reload()
    ended(page)
    press(page, "u")
    question(page, "Question 1?")
    assert page.get_by_role("button", name="Good answer", exact=True).get_attribute("aria-pressed") == "true"
    press(page, "u")
    question(page, "Question 0?")
    press(page, "2")
    question(page, "Question 1?")
    press(page, "2")
    ended(page)
    assert [one.get("thumb") for one in site.judgements() if one["action"] == "judge"] == [
        True,
        True,
        False,
        False,
    ]


def test_skip_says_why_and_is_taken_back(site, open_page) -> None:
    page = open_page(site.campaign("compare", 2))
    question(page, "Question 0?")
    press(page, "s")
    page.get_by_label("Say more (optional)").fill("看不懂 1 2 3")
    page.get_by_role("button", name="I do not know the language").click()
    question(page, "Question 1?")
    press(page, "u")
    question(page, "Question 0?")
    press(page, "s", "2")
    question(page, "Question 1?")
    assert [
        {name: one[name] for name in ("action", "skip", "reason") if name in one} for one in site.judgements()
    ] == [
        {"action": "skip", "skip": "language", "reason": "看不懂 1 2 3"},
        {"action": "withdraw"},
        {"action": "skip", "skip": "cannot-judge"},
    ]


def test_an_earlier_judgement_is_corrected_from_the_list(site, open_page) -> None:
    page = open_page(site.campaign("compare", 3))
    for number in (0, 1):
        question(page, f"Question {number}?")
        press(page, "1", "Enter")
    question(page, "Question 2?")
    page.get_by_label("Why?").fill("begun")
    press(page, "Escape", "l")
    line = page.locator(".past li", has_text="Question 0?")
    assert "A is much better" in line.inner_text()
    line.get_by_role("button", name="Correct").click()
    page.get_by_text("You are correcting an earlier judgement.").wait_for()
    question(page, "Question 0?")
    right = page.locator(".answer .text").last.inner_text()
    assert page.get_by_role("radio", name="A is much better").is_checked()
    choose(page, "B is better")
    send(page)
    question(page, "Question 2?")
    assert page.get_by_label("Why?").input_value() == "begun"
    last = site.judgements()[-1]
    assert (last["better"], last["strength"]) == (right, 2)
    press(page, "l")
    newest = page.locator(".past li").first.inner_text().split("\n\n")
    assert newest[:2] == ["Question 0?", "B is better"]


def test_what_was_changed_after_an_undo_survives_a_reload_that_the_server_knows_nothing_of(
    site, open_page
) -> None:
    page = open_page(site.campaign("compare", 2), expect_errors=True)
    question(page, "Question 0?")
    press(page, "1", "w")
    page.keyboard.type("as it was sent")
    press(page, "Escape", "Enter")
    question(page, "Question 1?")
    press(page, "u")
    question(page, "Question 0?")
    # not by a route: what a page sends as it goes away passes by it
    page.evaluate("void (window.fetch = () => Promise.reject(new TypeError('no network')))")
    page.get_by_label("Why?").fill("changed since")
    page.reload()
    question(page, "Question 0?")
    assert page.get_by_label("Why?").input_value() == "changed since"
    send(page)
    question(page, "Question 1?")
    assert site.judgements()[-1]["reason"] == "changed since"


def begin_correction(page: Any, of: str) -> None:
    """Open one of the last judgements to correct it."""
    press(page, "Escape", "l")
    page.locator(".past li", has_text=of).get_by_role("button", name="Correct").click()
    page.get_by_text("You are correcting an earlier judgement.").wait_for()


def test_a_correction_that_was_begun_survives_a_reload(site, open_page) -> None:
    page = open_page(site.campaign("compare", 3))
    for number in (0, 1):
        question(page, f"Question {number}?")
        press(page, "1", "Enter")
    question(page, "Question 2?")
    page.get_by_label("Why?").fill("of the item in hand")
    begin_correction(page, "Question 0?")
    page.reload()  # nothing was changed in it: there is nothing to go on with
    question(page, "Question 2?")
    assert page.get_by_label("Why?").input_value() == "of the item in hand"

    begin_correction(page, "Question 0?")
    right = page.locator(".answer .text").last.inner_text()
    choose(page, "B is better")
    page.get_by_label("Why?").fill("想了又想")
    page.reload()
    page.get_by_text("You are correcting an earlier judgement.").wait_for()
    question(page, "Question 0?")
    page.get_by_text("What you had begun is still here.").wait_for()
    assert page.get_by_role("radio", name="B is better").is_checked()
    assert page.get_by_label("Why?").input_value() == "想了又想"
    assert len(site.judgements()) == 2  # a draft is no judgement
    send(page)
    question(page, "Question 2?")
    assert page.get_by_label("Why?").input_value() == "of the item in hand"
    last = site.judgements()[-1]
    assert (last["better"], last["reason"], len(site.judgements())) == (right, "想了又想", 3)
    page.reload()
    question(page, "Question 2?")


def test_a_correction_on_another_machine_goes_on_with_what_was_begun(site, open_page) -> None:
    address = site.campaign("compare", 2)
    page = open_page(address)
    question(page, "Question 0?")
    press(page, "1", "Enter")
    question(page, "Question 1?")
    begin_correction(page, "Question 0?")
    with page.expect_response("**/draft"):
        page.get_by_label("Why?").fill("begun here")
    other = open_page(address)
    question(other, "Question 1?")
    begin_correction(other, "Question 0?")
    assert other.get_by_label("Why?").input_value() == "begun here"
    with other.expect_response("**/draft"):
        other.get_by_role("button", name="Back without changing").click()
    question(other, "Question 1?")
    begin_correction(other, "Question 0?")
    assert other.get_by_label("Why?").input_value() == ""
    assert other.get_by_role("radio", name="A is much better").is_checked()
    other.get_by_label("Why?").fill("said there")
    send(other)
    question(other, "Question 1?")
    page.reload()  # what was begun here is of a judgement that counts no more
    question(page, "Question 1?")
    begin_correction(page, "Question 0?")
    assert page.get_by_label("Why?").input_value() == "said there"


def test_nobody_is_thanked_for_nothing(site, open_page) -> None:
    page = open_page(site.campaign("thumb", 0))
    page.get_by_role("heading", name="There is nothing to judge at the moment.").wait_for()
    assert page.get_by_text("All done").count() == 0
    page.goto(site.campaign("score", 1))
    question(page)
    press(page, "3")
    page.get_by_role("heading", name="All done. Thank you!").wait_for()
