"""Keys do what the page says, and nothing while a person types, composes, or means something else."""

import pytest
from raters import press, question

pytestmark = pytest.mark.browser

CHOSEN = """(() => {
  const points = document.querySelector("#rater").shadowRoot.querySelectorAll(".point input");
  return [...points].findIndex((one) => one.checked);
})()"""


@pytest.mark.parametrize(
    "event",
    [
        {"key": "1", "code": "Digit1", "isComposing": True},
        {"key": "Process", "code": "Digit1", "keyCode": 229},
        {"key": "1", "code": "Digit1", "repeat": True},
        {"key": "1", "code": "Digit1", "ctrlKey": True},
        {"key": "1", "code": "Digit1", "altKey": True},
        {"key": "1", "code": "Digit1", "metaKey": True},
        {"key": "!", "code": "Digit1", "shiftKey": True},
        {"key": "S", "code": "KeyS", "shiftKey": True},
        {"key": "Enter", "code": "Enter", "repeat": True},
        {"key": "Enter", "code": "Enter", "isComposing": True},
    ],
    ids=lambda event: "-".join(map(str, event)),
)
def test_a_key_that_is_part_of_something_else_does_nothing(chosen_page, event: dict[str, object]) -> None:
    page, site = chosen_page
    page.evaluate(
        "event => document.body.dispatchEvent(new KeyboardEvent('keydown', "
        "{ ...event, bubbles: true, composed: true, cancelable: true }))",
        event,
    )
    assert page.evaluate(CHOSEN) == 4
    assert page.locator("dialog").count() == 0
    assert site.judgements() == []


@pytest.fixture(scope="module")
def chosen_page(chrome, tmp_path_factory):
    """One page for all, on which the fifth point is chosen."""
    from served import Served

    site = Served(tmp_path_factory.mktemp("keys"))
    context = chrome.new_context(locale="en-GB")
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(site.campaign("compare", 2))
    question(page)
    press(page, "5")
    yield page, site
    context.close()
    site.close()


def test_no_key_does_anything_while_one_types_or_composes(chosen_page) -> None:
    page, site = chosen_page
    page.keyboard.press("w")
    field = page.get_by_label("Why?")
    assert field.evaluate("one => one.getRootNode().activeElement === one")
    page.keyboard.type("1 s u g l r ? b 0")
    client = page.context.new_cdp_session(page)
    client.send("Input.imeSetComposition", {"text": "zhong1", "selectionStart": 6, "selectionEnd": 6})
    press(page, "Enter", "2")
    client.send("Input.insertText", {"text": "中"})
    assert page.evaluate(CHOSEN) == 4
    assert page.locator("dialog").count() == 0
    assert site.judgements() == []
    assert field.input_value().startswith("1 s u g l r ? b 0")
    page.keyboard.press("Escape")
    press(page, "6")
    assert page.evaluate(CHOSEN) == 5
    press(page, "5")


@pytest.mark.parametrize(
    ("key", "title"),
    [("g", "Guidelines"), ("l", "Your last judgements"), ("?", "Keys"), ("s", "Why do you skip this?")],
)
def test_a_panel_opens_by_its_key_takes_the_focus_and_closes_with_escape(
    chosen_page, key: str, title: str
) -> None:
    page, site = chosen_page
    page.keyboard.press(key)
    panel = page.get_by_role("dialog", name=title)
    panel.wait_for()
    assert panel.evaluate("one => one.contains(one.getRootNode().activeElement)")
    press(page, "2") if key != "s" else None  # the page below does not hear it
    assert page.evaluate(CHOSEN) == 4
    page.keyboard.press("Escape")
    panel.wait_for(state="detached")
    assert site.judgements() == []


def test_every_key_that_does_something_stands_beside_it(chosen_page) -> None:
    page, _ = chosen_page
    seen = [one.inner_text() for one in page.locator(".dock kbd, .reason kbd").all() if one.is_visible()]
    assert seen == ["W", "1", "2", "3", "4", "5", "6", "7", "0", "S", "U", "⏎"]
    for name in ("Guidelines (G)", "Last judgements (L)", "Raw text (R)", "Keys (?)"):
        assert page.locator(f".tool[title='{name}']").is_visible()


def test_keys_go_by_their_place_on_a_keyboard_of_other_letters(chosen_page) -> None:
    page, _ = chosen_page
    for event, expected in (({"key": "ф", "code": "KeyG"}, "dialog"), ({"key": "&", "code": "Digit1"}, 0)):
        page.evaluate(
            "event => document.body.dispatchEvent(new KeyboardEvent('keydown', { ...event, bubbles: true }))",
            event,
        )
        if expected == "dialog":
            page.get_by_role("dialog", name="Guidelines").wait_for()
            page.keyboard.press("Escape")
            page.locator("dialog").wait_for(state="detached")
        else:
            assert page.evaluate(CHOSEN) == expected
    press(page, "5")


def test_enter_on_a_button_is_the_buttons(chosen_page) -> None:
    page, site = chosen_page
    page.locator(".tool[title='Guidelines (G)']").focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog", name="Guidelines").wait_for()
    page.keyboard.press("Escape")
    assert site.judgements() == []
