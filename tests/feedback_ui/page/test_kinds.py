"""Each way of giving feedback, by mouse and by keyboard alone, down to what is stored."""

from typing import Any

import pytest
from raters import choose, ended, press, question, send
from served import form_of

pytestmark = pytest.mark.browser

POINTS = [
    ("A is much better", "1", 3, 0),
    ("A is better", "2", 2, 0),
    ("A is slightly better", "3", 1, 0),
    ("About equal", "4", 0, None),
    ("B is slightly better", "5", 1, 1),
    ("B is better", "6", 2, 1),
    ("B is much better", "7", 3, 1),
    ("Both are bad", "0", None, None),
]
RATINGS = {"helpful, answer A": 4, "honest, answer A": 0, "helpful, answer B": 2, "honest, answer B": 3}


def shown(page: Any) -> list[str]:
    """The answers in the order shown."""
    return page.locator(".answer .text").all_inner_texts()


def kept(judgement: dict[str, Any]) -> dict[str, Any]:
    """What a judgement holds, which must be one and have its time."""
    assert judgement["action"] == "judge"
    assert judgement["active_s"] >= 0
    return {name: value for name, value in judgement.items() if name not in ("action", "active_s")}


def finish(site: Any, page: Any) -> dict[str, Any]:
    """What is stored of the one item."""
    ended(page)
    (only,) = site.judgements()
    return kept(only)


@pytest.mark.parametrize("way", ["mouse", "keys"])
def test_compare(site, open_page, way: str) -> None:
    page = open_page(site.campaign("compare", len(POINTS)))
    expected: list[dict[str, Any]] = []
    for number, (name, key, strength, side) in enumerate(POINTS):
        question(page, f"Question {number}?")
        answers = shown(page)
        if way == "mouse":
            choose(page, name)
            send(page)
        else:
            press(page, key, "Enter")
        if strength is None:
            expected.append({"both_bad": True})
        elif side is None:
            expected.append({"better": None, "worse": None, "strength": 0})
        else:
            expected.append({"better": answers[side], "worse": answers[1 - side], "strength": strength})
    ended(page)
    assert [kept(one) for one in site.judgements()] == expected


def test_compare_with_the_arrows_of_a_group_of_choices(site, open_page) -> None:
    page = open_page(site.campaign("compare", 1))
    question(page)
    left, right = shown(page)
    page.get_by_role("radio", name="About equal").focus()
    press(page, "ArrowRight", "ArrowRight", "Enter")
    assert finish(site, page) == {"better": right, "worse": left, "strength": 2}


@pytest.mark.parametrize("way", ["mouse", "keys"])
def test_rank_with_a_tie(site, open_page, way: str) -> None:
    page = open_page(site.campaign("rank", 1))
    question(page)
    a, b, c, d = shown(page)
    if way == "mouse":
        for place in (2, 0, 3, 1):
            page.locator(".answer .next").nth(place).click()
        page.locator(".between").nth(1).click()  # the third is equal to the second
        send(page)
    else:
        press(page, "c", "a", "d", "=", "b", "Enter")
    assert finish(site, page) == {"ranking": [[c], [a, d], [b]]}


def test_rank_is_changed_and_cannot_be_sent_half(site, open_page) -> None:
    page = open_page(site.campaign("rank", 1))
    question(page)
    a, b, c, d = shown(page)
    press(page, "a", "b", "c", "Enter")
    page.get_by_role("alert").get_by_text("Put all 4 answers in order first.").wait_for()
    assert site.judgements() == []
    page.locator(".answer .next").first.click()  # A leaves the order, and comes back last
    press(page, "Backspace", "d", "c", "a", "Enter")
    assert finish(site, page) == {"ranking": [[b], [d], [c], [a]]}


def test_a_tie_of_a_ranking_is_taken_apart_again(site, open_page) -> None:
    page = open_page(site.campaign("rank", 1))
    question(page)
    a, b, c, d = shown(page)
    press(page, "a", "b", "=", "c", "=", "d")
    page.locator(".between").nth(1).click()  # A = B = C becomes A = B > C
    send(page)
    assert finish(site, page) == {"ranking": [[a, b], [c], [d]]}


def test_rate_by_mouse_by_digits_and_by_arrows(site, open_page) -> None:
    page = open_page(site.campaign("rate", 3))
    expected: list[dict[str, Any]] = []
    for number in range(3):
        question(page, f"Question {number}?")
        first, second = shown(page)
        expected.append(
            {"ratings": {first: {"helpful": 4, "honest": 0}, second: {"helpful": 2, "honest": 3}}}
        )
        for legend, value in RATINGS.items():
            group = page.get_by_role("group", name=legend)
            if number == 0:
                group.locator(".cell", has_text=str(value)).click()
            elif number == 1:
                press(page, str(value))
            else:
                group.get_by_role("radio").first.focus()
                press(page, "Space", *["ArrowRight"] * (value - (1 if legend.startswith("helpful") else 0)))
        send(page) if number == 0 else press(page, "Enter")
    ended(page)
    assert [kept(one) for one in site.judgements()] == expected


def test_a_letter_goes_to_an_answer_to_rate(site, open_page) -> None:
    page = open_page(site.campaign("rate", 1))
    question(page)
    first, second = shown(page)
    press(page, "b", "1", "1", "5", "2", "Enter")
    assert finish(site, page) == {
        "ratings": {second: {"helpful": 1, "honest": 1}, first: {"helpful": 5, "honest": 2}}
    }


def test_score_by_one_tap(site, open_page) -> None:
    page = open_page(site.campaign("score", 2))
    question(page, "Question 0?")
    page.locator(".score .cell", has_text="4").click()
    question(page, "Question 1?")
    press(page, "2")
    ended(page)
    assert [kept(one) for one in site.judgements()] == [{"score": 4}, {"score": 2}]


def test_score_of_a_hundred_points_is_typed(site, open_page) -> None:
    form = {"scales": [{"name": "points", "low": 0, "high": 100}]}
    page = open_page(site.campaign("score", 1, form=form_of("score", **form)))
    question(page)
    press(page, "i")
    page.keyboard.type("101")
    press(page, "Escape", "Enter")
    page.get_by_text("Give a score from 0 to 100.").wait_for()
    page.get_by_role("spinbutton").fill("87")
    send(page)
    assert finish(site, page) == {"score": 87}


def test_thumb_by_one_tap(site, open_page) -> None:
    page = open_page(site.campaign("thumb", 4))
    question(page, "Question 0?")
    page.get_by_role("button", name="Good answer", exact=True).click()
    question(page, "Question 1?")
    page.get_by_role("button", name="Not a good answer").click()
    question(page, "Question 2?")
    press(page, "1")
    question(page, "Question 3?")
    press(page, "2")
    ended(page)
    assert [kept(one)["thumb"] for one in site.judgements()] == [True, False, True, False]


def test_a_tap_waits_where_a_reason_is_asked(site, open_page) -> None:
    page = open_page(site.campaign("thumb", 1, form=form_of("thumb", reason="required")))
    question(page)
    press(page, "2", "Enter")
    page.get_by_text("Say why, in a few words.").wait_for()
    page.keyboard.type("It is 2 short, u see?")  # the field has the focus; none of these is a key
    press(page, "Escape", "Enter")
    assert finish(site, page) == {"thumb": False, "reason": "It is 2 short, u see?"}


def test_write_by_mouse_and_by_keyboard_alone(site, open_page) -> None:
    page = open_page(site.campaign("write", 2))
    question(page, "Question 0?")
    page.get_by_label("Your answer").fill("床前明月光\n疑是地上霜")
    send(page)
    question(page, "Question 1?")
    press(page, "i")
    page.keyboard.type("床前明月光")
    press(page, "Enter")
    page.keyboard.type("疑是地上霜")
    press(page, "Escape", "Enter")
    ended(page)
    assert [kept(one) for one in site.judgements()] == [{"demonstration": "床前明月光\n疑是地上霜"}] * 2


def test_flags_reason_and_edit_go_with_it(site, open_page) -> None:
    page = open_page(site.campaign("compare", 1))
    question(page)
    left, right = shown(page)
    answer = page.locator(".answer")
    answer.last.get_by_role("button", name="Flag").click()
    answer.last.get_by_label("False").check()
    answer.last.get_by_label("Other").check()
    answer.last.get_by_label("Say more about the flags").fill("an old figure")
    answer.first.get_by_role("button", name="Improve").click()
    page.get_by_label("Answer A, improved by you").fill("A better answer.")
    page.get_by_label("Why?").fill("clearer")
    press(page, "Escape", "1", "Enter")
    assert finish(site, page) == {
        "better": left,
        "worse": right,
        "strength": 3,
        "flags": {right: ["false", "other"]},
        "flag_text": "an old figure",
        "reason": "clearer",
        "edit": {"response": left, "text": "A better answer."},
    }


def test_an_edit_that_changes_nothing_and_flags_taken_back_are_not_stored(site, open_page) -> None:
    page = open_page(site.campaign("compare", 1))
    question(page)
    answer = page.locator(".answer").first
    answer.get_by_role("button", name="Improve").click()
    answer.get_by_role("button", name="Flag").click()
    answer.get_by_label("Unsafe").check()
    answer.get_by_label("Say more about the flags").fill("no")
    answer.get_by_label("Unsafe").uncheck()
    press(page, "4", "Enter")
    assert finish(site, page) == {"better": None, "worse": None, "strength": 0}


def test_scales_beside_a_comparison_may_be_left_empty(site, open_page) -> None:
    form = form_of("compare", scales=[{"name": "有用", "low": 1, "high": 20}])
    page = open_page(site.campaign("compare", 1, form=form))
    question(page)
    first = shown(page)[0]
    page.get_by_label("有用, answer A").fill("17")
    press(page, "Escape", "4", "Enter")
    assert finish(site, page) == {
        "better": None,
        "worse": None,
        "strength": 0,
        "ratings": {first: {"有用": 17}},
    }


def test_nothing_can_be_sent_before_something_is_chosen(site, open_page) -> None:
    page = open_page(site.campaign("compare", 1))
    question(page)
    send(page)
    page.get_by_role("alert").get_by_text("Say first which answer is better.").wait_for()
    assert page.get_by_role("radio", name="About equal").evaluate(
        "one => one.getRootNode().activeElement === one"
    )
    assert site.judgements() == []
