"""The board in Chromium: an item settled, a campaign paused, an export fetched, hostile names harmless."""

import shutil
import socket
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import uvicorn
from people import campaign, pairs, rater
from test_board_figures import prefer

from feedback_ui.app.application import create_app
from feedback_ui.app.settings import Settings
from feedback_ui.database import Database, open_database
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.adjudication import disputes
from feedback_ui.service.progress import campaign_progress

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
TIMEOUT_MS = 60_000
HOSTILE = "<img src=x onerror=alert(1)>{{constructor.constructor('alert(2)')()}}${alert(3)}"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no Chromium here"),
]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[SimpleNamespace]:
    """A server for one person, with a campaign on one of whose two pairs two raters disagree."""
    db = open_database(str(tmp_path / "feedback.db"))
    rows = [(place, {**row, "prompt": HOSTILE}) for place, row in pairs(2)]
    rows = [(place, {**row, "prompt": f"{n}: {HOSTILE}"}) for n, (place, row) in enumerate(rows)]
    name = campaign(db, rows=rows, raters_per_item=2)
    prefer(db, name, rater(db, HOSTILE), [True, True])
    prefer(db, name, rater(db, "韩梅梅"), [False, True])
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        create_app(db, Settings(accounts=False)), log_level="warning", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield SimpleNamespace(db=db, name=name, url=f"http://127.0.0.1:{listener.getsockname()[1]}")
    server.should_exit = True
    thread.join(30)
    db.close()


@pytest.fixture
def page(served: SimpleNamespace) -> Iterator[sync_api.Page]:
    """The board, opened; at the end no dialog has come up and nothing was asked of another host."""
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        own = browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-US")
        own.set_default_timeout(TIMEOUT_MS)
        dialogs: list[str] = []
        asked: list[str] = []
        own.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        own.on("request", lambda request: asked.append(request.url))
        own.goto(f"{served.url}/manage/")
        own.wait_for_selector("#alerts .notice")
        yield own
        browser.close()
    assert dialogs == []
    assert {url for url in asked if not url.startswith((served.url, "data:", "blob:"))} == set()


def wait_until(page: sync_api.Page, met) -> None:
    """Until something holds in the store."""
    for _ in range(TIMEOUT_MS // 200):
        if met():
            return
        page.wait_for_timeout(200)
    raise AssertionError("it did not come about")


def open_tab(page: sync_api.Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def status(db: Database, name: str) -> str:
    return campaign_progress(db, OPERATOR, name).status


def test_the_board_in_a_browser(page: sync_api.Page, served: SimpleNamespace, tmp_path: Path) -> None:
    db, name = served.db, served.name
    assert "1 items are in dispute" in page.inner_text("#alerts")
    assert HOSTILE in page.inner_text("#by-rater")
    open_tab(page, "Trust")
    assert "Krippendorff" in page.inner_text("#trust")
    assert "韩梅梅" in page.inner_text("#trust")

    open_tab(page, "Disputes")
    assert HOSTILE in page.inner_text("#dispute .said >> nth=0")
    page.get_by_label("2 is much better").check()
    page.click("#dispute-settle")
    page.wait_for_selector("#dispute .good")
    assert disputes(db, OPERATOR, name) == []

    open_tab(page, "Campaigns")
    page.click("#status-paused")
    wait_until(page, lambda: status(db, name) == "paused")
    page.locator("#campaigns >> text=paused >> visible=true").first.wait_for()

    open_tab(page, "People")
    assert HOSTILE in page.inner_text("#people")
    page.get_by_label("Name", exact=True).fill("Lei")
    page.click("#add-rater")
    page.wait_for_selector("#invitation textarea, #invitation input")
    link = page.input_value("#invitation textarea, #invitation input")
    assert "Lei is invited" in page.inner_text("[data-testid=toast-body] >> nth=-1")
    assert link.startswith(f"{served.url}/join/")

    open_tab(page, "Data")
    page.get_by_label("majority").check()
    page.click("#export")
    with page.expect_download() as coming:
        page.click("#export-file a[download]")
    with zipfile.ZipFile(coming.value.path()) as packed:
        assert "pairs-1-majority/manifest.json" in packed.namelist()

    open_tab(page, "Log")
    page.locator("#log >> text=adjudicate >> visible=true").first.wait_for()

    page.get_by_label("中文").check()
    page.wait_for_selector("text=管理面板")
    page.wait_for_selector("#alerts >> text=需要留意")
