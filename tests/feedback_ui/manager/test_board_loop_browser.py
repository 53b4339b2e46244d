"""The board's tab of the loop in Chromium: live figures, and a page that is shown and can reach nothing."""

import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import uvicorn
from people import campaign, rater
from test_loops import judge

from feedback_ui.app.application import create_app
from feedback_ui.app.settings import Settings
from feedback_ui.database import open_database
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.loops import PAGE, note_loop
from feedback_ui.views import board_loop
from rlhf.evaluation.loop_report import render_loop
from scripts.looking.loop_records import loop

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
TIMEOUT_MS = 120_000
REACHES = """async () => {
  const tried = {};
  try { tried.cookie = document.cookie; } catch (error) { tried.cookie = error.name; }
  try { tried.storage = String(localStorage); } catch (error) { tried.storage = error.name; }
  try { tried.parent = parent.document.title; } catch (error) { tried.parent = error.name; }
  tried.fetch = await fetch("/api/me").then(() => "answered", (error) => error.name);
  tried.origin = self.origin;
  return tried;
}"""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no Chromium here"),
]


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A server for one person, with a loop whose second round waits for six judgements."""
    monkeypatch.setattr(board_loop, "EVERY_S", 1)
    db = open_database(str(tmp_path / "feedback.db"))
    name = campaign(db, 6)
    folder = tmp_path / "demo" / "loop-1"
    folder.mkdir(parents=True)
    (folder / PAGE).write_text(render_loop(loop(2, "waiting")), "utf-8")
    note_loop(db, OPERATOR, name, folder, round_number=2, wanted=6)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        create_app(db, Settings(accounts=False)), log_level="warning", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    yield SimpleNamespace(db=db, name=name, url=url, folder=folder)
    server.should_exit = True
    thread.join(30)
    db.close()


@pytest.fixture
def page(served: SimpleNamespace) -> Iterator[sync_api.Page]:
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        own = browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-US")
        own.set_default_timeout(TIMEOUT_MS)
        own.asked = []
        own.on("request", lambda request: own.asked.append(request.url))
        own.goto(f"{served.url}/manage/")
        own.wait_for_selector("#alerts .notice", state="attached")
        own.get_by_role("tab", name="Loop", exact=True).click()
        own.wait_for_selector("#loop-page iframe")
        yield own
        browser.close()


def test_the_loop_s_tab_is_live_and_its_page_reaches_nothing(
    page: sync_api.Page, served: SimpleNamespace
) -> None:
    assert "0 of 6 judgements, 6 to go" in page.inner_text("#loop-live")
    frame = page.frame_locator("#loop-page iframe")
    assert frame.locator("h1").inner_text() == "Round 2 waits for 412 more judgements."
    inside = page.query_selector("#loop-page iframe").content_frame()
    tried = inside.evaluate(REACHES)
    assert tried == {
        "cookie": "SecurityError",
        "storage": "SecurityError",
        "parent": "SecurityError",
        "fetch": "TypeError",
        "origin": "null",
    }

    frame.get_by_role("button", name="中文").click()  # its own script runs, and what one chose stays ...
    judge(served.db, rater(served.db, "a"), served.name, 2)
    page.wait_for_selector("#loop-live >> text=2 of 6 judgements, 4 to go")  # ... while figures come anew
    assert "412" in frame.locator("h1 .zh").inner_text()
    pages = [url for url in page.asked if "/manage/loops/" in url]
    assert len(pages) == 1

    (served.folder / PAGE).write_text(render_loop(loop(3)), "utf-8")
    frame.locator("h1", has_text="Round 3: done").wait_for()
    assert {url for url in page.asked if not url.startswith((served.url, "data:", "blob:"))} == set()
