"""The core of the page, from the browser to the store: run by `make test`; the rest by `make test-ui`."""

from typing import Any

from raters import choose, question, send


def test_two_answers_are_compared_by_keyboard_and_the_last_one_is_taken_back(whole_site, open_page) -> None:
    page = open_page(whole_site.campaign("compare", 2))
    question(page, "Question 0?")
    left, right = page.locator(".answer .text").all_inner_texts()
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    question(page, "Question 1?")
    (kept,) = whole_site.judgements()
    assert (kept["better"], kept["worse"], kept["strength"]) == (left, right, 2)

    page.keyboard.press("u")
    question(page, "Question 0?")
    assert page.locator(".answer .text").all_inner_texts() == [left, right]
    assert page.get_by_label("A is better", exact=True).is_checked()
    page.keyboard.press("5")
    page.keyboard.press("Enter")
    question(page, "Question 1?")
    assert [one["action"] for one in whole_site.judgements()] == ["judge", "withdraw", "judge"]
    assert (whole_site.judgements()[-1]["better"], whole_site.judgements()[-1]["strength"]) == (right, 1)


def test_what_was_begun_survives_a_reload(site, open_page) -> None:
    page = open_page(site.campaign("compare", 1))
    question(page)
    choose(page, "B is much better")
    page.get_by_label("Why?").fill("因为它更短")
    page.reload()
    question(page)
    assert page.get_by_label("Why?").input_value() == "因为它更短"
    right = page.locator(".answer .text").last.inner_text()
    send(page)
    page.get_by_text("All done").wait_for()
    (kept,) = site.judgements()
    assert (kept["better"], kept["strength"], kept["reason"]) == (right, 3, "因为它更短")


def test_a_network_that_fails_loses_nothing_and_says_so(site, open_page) -> None:
    page = open_page(site.campaign("compare", 2), expect_errors=True)
    question(page, "Question 0?")
    seen: list[Any] = []

    def answer_is_lost(route: Any) -> None:
        seen.append(route.request.post_data_json)
        route.fetch()  # the server has it
        route.abort()  # and nobody hears of it

    page.route("**/judge", answer_is_lost)
    choose(page, "A is better")
    send(page)
    page.get_by_text("Nothing is lost: 1 kept on this device").wait_for()
    page.unroute("**/judge")
    question(page, "Question 1?")  # it is sent again by itself
    assert len(seen) >= 1
    assert [one["strength"] for one in site.judgements()] == [2]


def test_text_is_shown_as_it_was_written_and_does_nothing(whole_site, open_page) -> None:
    written = "<img src=x onerror=alert(1)> <think>so</think> vector<int>"
    page = open_page(whole_site.campaign("thumb", given=[{"prompt": written, "responses": [written]}]))
    question(page)
    assert page.locator(".prompt .text").inner_text() == written
    assert page.locator(".answer .text").inner_text() == written
    page.keyboard.press("r")
    assert page.locator(".answer .text.raw").evaluate("box => box.textContent") == written
