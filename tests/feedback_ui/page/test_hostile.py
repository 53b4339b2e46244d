"""Hostile texts in the browser: none runs, asks for anything, moves anything, or is shown as another.

The fixture `open_page` holds that no script fails, no dialog opens, and no request leaves the server.
"""

import re
import socket
from typing import Any

import pytest
from hostile import HOSTILE, Hostile
from raters import ended, press, question
from served import form_of

from feedback_ui.form import MAX_TEXT
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.accounts import add_rater

pytestmark = pytest.mark.browser

# What a text could become if it were more than text.
_TAGS = "script style img a form input button iframe object embed svg link meta base video audio marquee"
_ATTRIBUTES = "style id href src onerror onload onclick tabindex autofocus"
_LIVE = ", ".join(
    [f".text {tag}" for tag in _TAGS.split()] + [f".text [{attribute}]" for attribute in _ATTRIBUTES.split()]
)
_READ = """() => {
  const root = document.querySelector("#rater").shadowRoot;
  const box = (one) => {
    const { x, y, width, height } = root.querySelector(one).getBoundingClientRect();
    return [x, y, width, height].map(Math.round);
  };
  const across = (one) => [box(one)[0], box(one)[2]];
  const page = document.documentElement;
  const rendered = root.querySelector(".answer .text");
  return {
    fixed: [".top", ".tools", ".dock", ".dock .send", ".thumbs"].map(box),
    across: [".main", ".question", ".answer", ".answer .text", ".reason"].map(across),
    sideways: page.scrollWidth > page.clientWidth,
    styles: document.styleSheets.length,
    frames: frames.length,
    letters: rendered.querySelector("math") ? null : rendered.textContent,
  };
}"""
_FILL = """([name, text]) => {
  const field = document.querySelector("#rater").shadowRoot.querySelector(name);
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
}"""


def texts(page: Any, name: str) -> list[str]:
    """All of the text in the elements of a name, the way the browser holds it."""
    return page.locator(name).evaluate_all("found => found.map((one) => one.textContent)")


def letters(text: str) -> str:
    return "".join(re.findall(r"[^\W_]", text))


def small(one: Hostile) -> bool:
    return len(one.text) <= MAX_TEXT


def test_prompts_answers_and_reasons(site, open_page) -> None:
    plain = Hostile("plain", "An answer of no malice.")
    shown = [plain, *HOSTILE]
    given = [{"prompt": one.text, "responses": [one.text]} for one in shown]
    page = open_page(site.campaign("thumb", form=form_of("thumb", flags=()), given=given))
    usual: Any = None
    for at, one in enumerate(shown):
        page.locator(".progress", has_text=f"{at} of {len(shown)}").wait_for()
        read = page.evaluate(_READ)
        text = read.pop("letters")
        usual = usual or read
        assert read == usual, one.name
        assert page.locator(_LIVE).count() == 0, one.name
        if text is not None:
            numbered = re.sub(r"(?m)^\s*\d+[.)]", "", one.text)
            assert letters(text) in (letters(one.text), letters(numbered)), one.name
        press(page, "r")
        assert texts(page, ".turn .text.raw") == [one.text], one.name
        assert texts(page, ".answer .text.raw") == [one.text], one.name
        press(page, "r")
        page.evaluate(_FILL, [".reason textarea", one.text if small(one) else "too long to be a reason"])
        press(page, "1")
    ended(page)
    reasons = [said.get("reason", "") for said in site.judgements()]
    expected = [one.text if small(one) else "too long to be a reason" for one in shown]
    assert reasons == [
        re.sub(r"\r\n?", "\n", text) for text in expected
    ]  # as the browser's text fields have it

    press(page, "l")
    page.locator(".past li").first.wait_for()
    assert page.locator(".past img, .past script, .past a, .past [style]").count() == 0
    width = page.locator("dialog").evaluate("one => [one.scrollWidth, one.clientWidth]")
    assert width[0] == width[1]


def test_answers_written_and_improved(site, open_page) -> None:
    told = [one for one in HOSTILE if len(one.text) < 10_000][::4]
    page = open_page(site.campaign("write", len(told)))
    for at, one in enumerate(told):
        question(page, f"Question {at}?")
        page.evaluate(_FILL, [".own-answer textarea", one.text])
        page.locator(".dock .send").click()
        page.locator(".toast", has_text="Kept:").wait_for()
        assert page.locator(".toast :is(img, script, a, svg, [style])").count() == 0
    ended(page)
    kept = [said["demonstration"] for said in site.judgements()]
    assert kept == [re.sub(r"\r\n?", "\n", one.text) for one in told]


def test_names_of_campaigns_questions_and_guidelines(site, open_page) -> None:
    named = [one for one in HOSTILE if len(one.text.strip()) <= 200]
    assert len(named) > 50
    for one in named:
        site.campaign("thumb", 0, name=one.text, question=one.text, guidelines=one.text)
    page = open_page(f"{site.url}/")
    ended(page)
    assert sorted(texts(page, ".campaigns b")) == sorted(one.text.strip() for one in named)
    rights = page.locator(".campaigns button").evaluate_all(
        "all => all.map((one) => Math.round(one.getBoundingClientRect().right))"
    )
    assert len(set(rights)) == 1
    for one in named[::6]:
        press(page, *(["Escape"] if page.locator("dialog").count() else []))
        page.goto(f"{site.url}/")
        page.locator(".campaigns button").nth(sorted_names(page).index(one.text.strip())).click()
        page.locator(".tool[title='Guidelines (G)']").wait_for()
        assert texts(page, ".top h1") == [one.text.strip()]
        press(page, "g")
        page.get_by_role("dialog").wait_for()
        assert page.locator("dialog .text :is(img, script, a, svg, form, [style])").count() == 0
        assert not page.evaluate(
            "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        )


def sorted_names(page: Any) -> list[str]:
    """The campaigns in the order of the page."""
    ended(page)
    return texts(page, ".campaigns b")


def test_names_of_scales_and_of_the_rater(serve, open_page) -> None:
    site = serve(accounts=True)
    name = "<img src=x onerror=alert(1)>\u202e"
    add_rater(site.db, OPERATOR, name, password="a long password")
    scales = [{"name": one.text[:80]} for one in HOSTILE if 0 < len(one.text) <= 80][:20]
    page = open_page(site.campaign("rate", 1, form=form_of("rate", scales=scales)))
    page.locator("input[name=name]").fill(name)
    page.locator("input[name=password]").fill("a long password")
    page.locator("button[type=submit]").click()
    question(page)
    assert texts(page, ".tool.menu .words") == [name]
    assert texts(page, ".points .name")[: len(scales)] == [scale["name"] for scale in scales]
    assert not page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    for _ in range(2 * len(scales)):
        press(page, "3")
    press(page, "Enter")
    ended(page)
    (kept,) = site.judgements()
    assert [list(values) for values in kept["ratings"].values()] == [[one["name"] for one in scales]] * 2


def test_the_policy_of_the_page_lets_nothing_out_even_if_text_were_run(whole_site, open_page) -> None:
    """The second wall: what a text would do if it did become a part of the page."""
    elsewhere = socket.create_server(("127.0.0.1", 0))
    page = open_page(whole_site.campaign("thumb", 1), expect_errors=True)
    question(page)
    out = page.evaluate(
        """async (outside) => {
          const tried = {};
          tried.fetch = await fetch(outside).then(() => "went", () => "refused");
          const loads = (tag, name) => new Promise((done) => {
            const one = document.createElement(tag);
            one.onload = () => done("went");
            one.onerror = () => done("refused");
            one[name] = `${outside}/x`;
            document.body.append(one);
          });
          tried.picture = await loads("img", "src");
          tried.script = await loads("script", "src");
          return tried;
        }""",
        f"http://127.0.0.1:{elsewhere.getsockname()[1]}",
    )
    assert out == {"fetch": "refused", "picture": "refused", "script": "refused"}
    elsewhere.setblocking(False)
    with elsewhere, pytest.raises(BlockingIOError):
        elsewhere.accept()  # nobody has come
