"""Screenshots of the feedback page: each view at 1280 and 380 pixels, light and dark, in English and Chinese.

`python scripts/look_feedback.py --out /tmp/shots` serves a store of its own with a campaign of each kind,
writes the pictures, and exits with 1 where a page asks for anything outside of itself, scrolls sideways, or
fails in its script. `--only compare,rank` and `--settings 1280-light-en` take some of them. It needs
Playwright and a Chromium: `playwright install chromium`, or `--chromium PATH`.
"""

import argparse
import itertools
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from feedback_ui.app.application import create_app  # noqa: E402
from feedback_ui.app.settings import Settings  # noqa: E402
from feedback_ui.database import Database, open_database  # noqa: E402
from feedback_ui.form import Form  # noqa: E402
from feedback_ui.service.access import OPERATOR  # noqa: E402
from feedback_ui.service.campaigns import campaign_info, create_campaign  # noqa: E402
from feedback_ui.service.importing import import_rows  # noqa: E402
from scripts.looking.items import FORMS, guidelines, items  # noqa: E402

WIDTHS = (1280, 380)
WAIT_MS = 180_000
Act = Callable[[Page], None]


def main(arguments: list[str] | None = None) -> int:
    """Writes the pictures and says what is wrong with the pages; 1 if anything is."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("feedback-pictures"))
    parser.add_argument("--only", default="", help="views, by their names, with commas between")
    parser.add_argument("--settings", default="", help="such as 1280-light-en, with commas between")
    parser.add_argument(
        "--chromium", default=shutil.which("chromium"), help="a browser that is installed already"
    )
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    views = [name for name in VIEWS if not options.only or name in options.only.split(",")]
    problems: list[str] = []
    taken = 0
    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
        for setting in itertools.product(WIDTHS, ("light", "dark"), ("en", "zh")):
            name = "-".join(map(str, setting))
            if options.settings and name not in options.settings.split(","):
                continue
            with serving() as (url, addresses):  # a store of its own: drafts are kept
                problems += _pictures(browser, url, addresses, setting, views, options.out)
            taken += len(views)
        browser.close()
    print(
        "\n".join(problems)
        or f"{taken} pictures in {options.out}; nothing asked for, nothing scrolls sideways"
    )
    return 1 if problems else 0


def _pictures(
    browser: Browser,
    url: str,
    addresses: dict[str, str],
    setting: tuple[int, str, str],
    views: list[str],
    out: Path,
) -> list[str]:
    """The views in one setting; what went wrong meanwhile."""
    width, shade, language = setting
    context = browser.new_context(
        viewport={"width": width, "height": 900 if width > 500 else 780},
        color_scheme="dark" if shade == "dark" else "light",
        locale={"en": "en-GB", "zh": "zh-CN"}[language],
        has_touch=width < 500,
    )
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    found: list[str] = []

    def at(what: str) -> None:
        found.append(f"{width}-{shade}-{language} {page.url}: {what}")

    page.on(
        "request",
        lambda asked: None if asked.url.startswith((url, "data:", "blob:")) else at(f"asks for {asked.url}"),
    )
    page.on("pageerror", lambda error: at(f"script: {error}"))
    for view in views:
        place, act = VIEWS[view]
        page.goto(addresses.get(f"{place}-{language}", url + place))
        page.locator("main").first.wait_for()
        act(page)
        page.wait_for_timeout(300)
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            at(f"{view} scrolls sideways")
        page.screenshot(path=out / f"{view}-{width}-{shade}-{language}.png")
        page.unroute_all(behavior="ignoreErrors")
    context.close()
    return found


def _ready(page: Page) -> None:
    page.locator(".question").wait_for()


def _pressed(*keys: str) -> Act:
    def act(page: Page) -> None:
        _ready(page)
        for key in keys:
            page.keyboard.press(key)

    return act


def _extras(page: Page) -> None:
    _pressed("6")(page)
    page.locator(".answer").last.locator(".tool").last.click()
    page.locator(".answer").last.get_by_role("checkbox").first.check()
    page.locator(".answer").first.locator(".tool").first.click()


def _judged(page: Page) -> None:
    _ready(page)
    for at, key in enumerate("204"):
        page.keyboard.press(key)
        with page.expect_response("**/judge"):
            page.keyboard.press("Enter")
        page.wait_for_timeout(300)
        if at == 1:
            page.keyboard.press("s")
            with page.expect_response("**/skip"):
                page.keyboard.press("2")
            page.wait_for_timeout(300)
    page.keyboard.press("l")
    page.locator(".past li").first.wait_for()


def _cut_off(page: Page) -> None:
    _ready(page)
    page.route("**/judge", lambda route: route.abort())
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    page.locator(".notice").wait_for()


def _ended(page: Page) -> None:
    page.locator(".plain-place").wait_for()


def _finished(page: Page) -> None:
    _pressed("1")(page)
    _ended(page)


def _composing(page: Page) -> None:
    page.locator(".composer textarea").wait_for()


# Each view: the campaign's kind, or a path; what is done there before the picture is taken.
VIEWS: dict[str, tuple[str, Act]] = {
    "compare": ("compare", _ready),
    "rank": ("rank", _pressed("b", "a", "=", "d")),
    "rate": ("rate", _pressed("4", "5", "3")),
    "score": ("score", _ready),
    "thumb": ("thumb", _ready),
    "write": ("write", _ready),
    "chat": ("chat", _composing),
    "guidelines": ("compare", _pressed("g")),
    "past": ("past", _judged),
    "keys": ("compare", _pressed("?")),
    "skip": ("compare", _pressed("s")),
    "offline": ("past", _cut_off),
    "finished": ("finished", _finished),
    "choice": ("/", _ended),
    "compare-chosen": ("compare", _pressed("2")),
    "compare-extras": ("compare", _extras),
}


@contextmanager
def serving() -> Generator[tuple[str, dict[str, str]]]:
    """A server of a store with campaigns; its address, and those of the campaigns by kind and language."""
    with tempfile.TemporaryDirectory() as folder:
        db = open_database(str(Path(folder) / "feedback.db"))
        listener = socket.create_server(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        addresses = {name: f"{url}/?campaign={own}" for name, own in _campaigns(db)}
        app = create_app(db, Settings(accounts=False))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield url, addresses
        finally:
            server.should_exit = True
            thread.join(30)
            db.close()


def _campaigns(db: Database) -> Iterator[tuple[str, str]]:
    for (kind, form), language in itertools.product(FORMS.items(), ("en", "zh")):
        name = {"en": f"Helpful answers ({kind})", "zh": f"有帮助的回答（{kind}）"}[language]
        create_campaign(
            db, OPERATOR, name, Form.model_validate(form), guidelines=guidelines(language), language=language
        )
        import_rows(db, OPERATOR, name, ((f"row {n}", row) for n, row in enumerate(items(kind, language))))
        yield f"{kind}-{language}", str(campaign_info(db, OPERATOR, name).id)


if __name__ == "__main__":
    sys.exit(main())
