"""What a rater does in the page, in a word each."""

from typing import Any


def question(page: Any, prompt: str | None = None) -> None:
    """Wait until an item is shown, by its prompt if one is named."""
    if prompt is not None:
        page.locator(".prompt .text", has_text=prompt).last.wait_for()
    page.locator(".question").wait_for()


def choose(page: Any, name: str) -> None:
    """Click a point of the comparison by its name."""
    page.locator(f".point[title='{name}']").click()


def send(page: Any) -> None:
    """Click the button that sends."""
    page.locator(".dock .send").click()


def press(page: Any, *keys: str) -> None:
    """One key after the other."""
    for key in keys:
        page.keyboard.press(key)


def ended(page: Any) -> None:
    """Wait until nothing is left."""
    page.locator(".plain-place").wait_for()
