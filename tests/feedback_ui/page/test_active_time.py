"""Seconds at an item count while the page is seen, up to half a minute after the last sign of life."""

from typing import Any

import pytest
from raters import press, question

pytestmark = pytest.mark.browser

# The module alone, with a clock of the test's own.
_CLOCK = """async () => {
  const { ActiveTime } = await import("/static/active.js");
  window.clock = 0;
  window.time = new ActiveTime(() => window.clock);
  window.after = (seconds) => { window.clock += 1000 * seconds; };
  window.sign = () => dispatchEvent(new Event("pointermove"));
  window.hide = (hidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
  };
}"""


@pytest.fixture(scope="module")
def clocked(chrome: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from served import Served

    site = Served(tmp_path_factory.mktemp("active"))
    context = chrome.new_context()
    page = context.new_page()
    page.goto(f"{site.url}/static/words/en.json")
    page.evaluate(_CLOCK)
    yield page
    context.close()
    site.close()


@pytest.mark.parametrize(
    ("steps", "seconds"),
    [
        ("after(12)", 12),
        ("after(12); sign(); after(20); sign(); after(29)", 61),
        ("after(45)", 30),
        ("after(45); sign(); after(5)", 35),
        ("after(3600); sign(); after(3600); sign(); after(1)", 61),
        ("after(10); hide(true); after(500); hide(false); after(4)", 14),
        ("hide(true); after(5); sign(); after(5); hide(false)", 0),
    ],
)
def test_seconds(clocked: Any, steps: str, seconds: float) -> None:
    found = clocked.evaluate(f"() => {{ hide(false); time.begin(); {steps}; return time.seconds; }}")
    assert found == pytest.approx(seconds)


def test_what_was_counted_before_a_reload_is_carried_on(clocked: Any) -> None:
    assert clocked.evaluate("() => { hide(false); time.begin(8.5); after(2); return time.seconds; }") == 10.5


def test_a_judgement_comes_with_its_seconds(site: Any, open_page: Any) -> None:
    page = open_page(site.campaign("thumb", 2))
    question(page, "Question 0?")
    page.wait_for_timeout(1500)
    page.get_by_label("Why?").fill("x")
    page.wait_for_timeout(500)
    page.reload()
    question(page, "Question 0?")
    press(page, "1")
    question(page, "Question 1?")
    (kept,) = site.judgements()
    assert 1.4 < kept["active_s"] < 120
