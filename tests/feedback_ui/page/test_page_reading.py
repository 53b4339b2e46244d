"""What a person needs to read and to move: languages, light and dark, a phone, a screen reader, contrast."""

import re
from pathlib import Path
from typing import Any

import pytest
from raters import press, question

import feedback_ui

STYLE = (Path(feedback_ui.__file__).parent / "static" / "page.css").read_text("utf-8")


_REACHED = """() => {
  const root = document.querySelector("#rater").shadowRoot;
  const one = root.activeElement;
  if (!one) return null;
  const shown = one.matches(".unseen-input") ? one.closest("label") : one;
  const own = one.getAttribute("aria-label") || one.textContent.trim() || one.title;
  const name = own || one.labels?.[0]?.textContent;
  const dock = root.querySelector(".dock");
  const below = shown.getBoundingClientRect().bottom > dock.getBoundingClientRect().top + 1;
  return [name, getComputedStyle(shown).outlineStyle, below && !dock.contains(one)];
}"""


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance of #rrggbb."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, 1.4.3: from 1 to 21."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def palettes() -> dict[str, dict[str, str]]:
    light = STYLE.split(":root {")[1].split("}")[0]
    dark = STYLE.split(':root[data-theme="dark"] {')[1].split("}")[0]
    return {
        name: dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for name, block in (("light", light), ("dark", dark))
    }


def test_black_on_white_has_the_contrast_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("shade", ["light", "dark"])
def test_every_text_has_the_contrast_of_level_aa(shade: str) -> None:
    colours = palettes()[shade]
    text = [("ink", on) for on in ("page", "card", "soft", "tint", "alarm-tint")]
    text += [("muted", on) for on in ("page", "card", "soft", "tint")]
    text += [("accent", "page"), ("accent", "card"), ("on-accent", "accent"), ("page", "ink")]
    text += [("alarm", "page"), ("alarm", "card"), ("alarm", "alarm-tint")]
    poor = {(front, back) for front, back in text if contrast(colours[front], colours[back]) < 4.5}
    assert poor == set()
    lines = [("line", "page"), ("line", "card"), ("accent", "page"), ("accent", "tint")]  # 1.4.11
    assert {pair for pair in lines if contrast(colours[pair[0]], colours[pair[1]]) < 3} == set()


def test_the_system_and_the_switch_have_the_same_dark() -> None:
    followed = STYLE.split(':root:not([data-theme="light"]) {')[1].split("}")[0]
    chosen = STYLE.split(':root[data-theme="dark"] {')[1].split("}")[0]
    assert followed.split() == chosen.split()


@pytest.mark.browser
def test_the_language_is_the_browsers_until_it_is_chosen_and_what_was_given_stays(site, open_page) -> None:
    page = open_page(site.campaign("compare", 1), locale="zh-CN")
    question(page)
    page.get_by_text("哪个回答更好？").wait_for()
    press(page, "2", "w")
    page.keyboard.type("理由")
    page.get_by_role("button", name="English").click()
    page.get_by_text("Which answer is better?").wait_for()
    assert page.get_by_label("Why?").input_value() == "理由"
    assert page.get_by_role("radio", name="A is better").is_checked()
    page.reload()
    page.get_by_text("Which answer is better?").wait_for()
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    assert cookies["feedback_language"] == "en"
    assert page.evaluate("document.documentElement.lang") == "en"
    page.get_by_role("button", name="中文").click()
    page.get_by_text("哪个回答更好？").wait_for()
    assert page.evaluate("document.documentElement.lang") == "zh-Hans"


@pytest.mark.browser
def test_a_question_of_the_campaigns_own_is_never_translated(site, open_page) -> None:
    page = open_page(site.campaign("compare", 1, question="Which is kinder?"), locale="zh-CN")
    question(page)
    assert page.locator(".question").inner_text() == "Which is kinder?"


@pytest.mark.browser
def test_light_and_dark_follow_the_system_until_they_are_switched(site, open_page) -> None:
    page = open_page(site.campaign("compare", 1), color_scheme="dark")
    question(page)
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(20, 21, 23)"
    page.emulate_media(color_scheme="light")
    page.wait_for_function(f"{ground} === 'rgb(252, 252, 251)'")
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate(ground) == "rgb(20, 21, 23)"
    page.reload()
    question(page)
    assert page.evaluate(ground) == "rgb(20, 21, 23)"


@pytest.mark.browser
def test_right_to_left_and_chinese_text_run_as_they_should(site, open_page) -> None:
    given = [
        {"prompt": "مرحبا، ما هو GPU؟", "responses": ["وحدة معالجة الرسوميات (GPU).", "它是图形处理器。"]}
    ]
    page = open_page(site.campaign("compare", given=given, language="zh"))
    question(page)
    boxes = {
        box.inner_text(): (box.get_attribute("dir"), box.evaluate("one => getComputedStyle(one).direction"))
        for box in page.locator(".text").all()
    }
    assert boxes == {
        "مرحبا، ما هو GPU؟": ("rtl", "rtl"),
        "وحدة معالجة الرسوميات (GPU).": ("rtl", "rtl"),
        "它是图形处理器。": ("ltr", "ltr"),
    }
    assert page.locator(".text").first.get_attribute("lang") == "zh"
    assert (
        page.evaluate(
            "getComputedStyle(document.querySelector('#rater').shadowRoot.querySelector('.dock')).direction"
        )
        == "ltr"
    )


_KINDS = ("compare", "rank", "rate", "score", "thumb", "write")


@pytest.mark.browser
def test_a_phone_shows_it_all_in_its_width_with_room_for_a_finger(site, open_page) -> None:
    options = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    page = open_page("about:blank", **options)
    for kind in _KINDS:
        page.goto(site.campaign(kind, 1))
        question(page)
        assert page.evaluate("document.documentElement.scrollWidth") == 360, kind
        small = page.evaluate(
            """() => [...document.querySelector("#rater").shadowRoot
                .querySelectorAll(".dock button, .point, .cell, .chip, .top button")]
              .filter((one) => one.offsetParent)
              .map((one) => [one.textContent, one.getBoundingClientRect()])
              .filter(([, { width, height }]) => width < 36 || height < 36).map(([text]) => text)"""
        )
        assert small == [], kind  # 2.5.8 asks for 24 pixels
        assert page.locator(".dock .send").is_visible()


@pytest.mark.browser
def test_everything_that_can_be_reached_has_a_name_and_shows_the_focus(site, open_page) -> None:
    page = open_page("about:blank")
    for kind in _KINDS:
        page.goto(site.campaign(kind, 1))
        question(page)
        page.locator(".top button").first.focus()
        names: list[str] = []
        for _ in range(60):
            page.keyboard.press("Tab")
            reached = page.evaluate(_REACHED)
            if reached is None:
                break
            name, outline, hidden = reached
            assert name, f"{kind}: something without a name after {names}"
            assert outline == "solid", f"{kind}: {name} does not show that it has the focus"
            assert not hidden, f"{kind}: {name} has the focus below the dock"
            names.append(name)
        assert "Next" in names[-1], kind  # the order is that of the page
        assert names.index(next(name for name in names if "Skip" in name)) > names.index("Last judgements")
        assert page.locator("h1, h2, h3").first.evaluate("one => one.tagName") == "H1"


@pytest.mark.browser
def test_who_listens_is_told_what_happened(site, open_page) -> None:
    page = open_page(site.campaign("compare", 3))
    question(page, "Question 0?")
    press(page, "1", "Enter")
    question(page, "Question 1?")
    page.locator(".toast[role=status]", has_text="Kept: A is much better").wait_for()
    assert page.locator("[aria-live=polite]").inner_text() == "Next item. 1 of 3"
    assert page.locator(".question").evaluate("one => one.getRootNode().activeElement === one")
    group = page.get_by_role("group", name="Your judgement")
    assert group.get_by_role("radio").count() == 8
    assert page.get_by_role("article", name="Answer A").count() == 1


@pytest.mark.browser
def test_raw_text_is_a_switch_that_stays_and_marks_what_nobody_sees(site, open_page) -> None:
    given: Any = [{"prompt": "**bold** a\u200bb", "responses": ["# Title\n\n1. one"]}]
    page = open_page(site.campaign("thumb", given=given))
    question(page)
    assert page.locator(".answer h4").inner_text() == "Title"
    page.locator(".tool[title='Raw text (R)']").click()
    assert page.locator(".answer .text").inner_text() == "# Title\n\n1. one"
    assert page.locator(".prompt .unseen").get_attribute("data-code") == "U+200B"
    page.reload()
    question(page)
    assert page.locator(".answer .text.raw").count() == 1
