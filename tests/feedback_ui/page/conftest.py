"""A browser (Chromium by Playwright) on the real page. Skipped where there is no Chromium."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from served import Served

PATIENCE_MS = 60_000  # processors may be shared by many


def chromium() -> str | None:
    """The browser: the one that CHROMIUM names, else one that is installed."""
    return os.environ.get("CHROMIUM") or next(
        (
            found
            for name in ("chromium", "chromium-browser", "google-chrome")
            if (found := shutil.which(name))
        ),
        None,
    )


@pytest.fixture(scope="module")
def chrome() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install playwright")
    path = chromium()
    if path is None:
        pytest.skip("no Chromium here: apt-get install chromium, or name one by CHROMIUM=/path")
    with playwright.sync_playwright() as browsers:
        browser = browsers.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture
def serve(tmp_path: Path, _sqlite_template: Path) -> Iterator[Callable[..., Served]]:
    """Starts the server on a new store; stopped at the end."""
    running: list[Served] = []

    def start(**options: Any) -> Served:
        shutil.copy(_sqlite_template, tmp_path / "feedback.db")
        running.append(Served(tmp_path, **options))
        return running[-1]

    yield start
    for one in running:
        one.close()


@pytest.fixture
def site(serve: Callable[..., Served]) -> Served:
    """For one person, who need not sign in; the rater's page alone."""
    return serve()


@pytest.fixture
def whole_site(serve: Callable[..., Served]) -> Served:
    """The same with Gradio's pages."""
    return serve(gradio=True)


class Faults(list[str]):
    """What went wrong on a page: errors of scripts, dialogs, requests that leave the server."""


@pytest.fixture
def open_page(chrome: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page of its own; at the end nothing may have gone wrong on any of them."""
    contexts: list[Any] = []
    faults = Faults()

    def new(address: str, *, expect_errors: bool = False, **options: Any) -> Any:
        options = {
            "viewport": {"width": 1280, "height": 900},
            "locale": "en-GB",
            "color_scheme": "light",
            **options,
        }
        context = chrome.new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()

        def asked(request: Any) -> None:
            if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
                faults.append(f"asks for {request.url}")

        def dialog(shown: Any) -> None:
            faults.append(f"dialog {shown.message}")
            shown.dismiss()

        page.on("request", asked)
        page.on("dialog", dialog)
        page.on("pageerror", lambda error: faults.append(f"script: {error}"))
        if not expect_errors:
            page.on(
                "console",
                lambda line: faults.append(f"console: {line.text}") if line.type == "error" else None,
            )
        page.goto(address)
        return page

    yield new
    for context in contexts:
        context.close()
    assert not faults
