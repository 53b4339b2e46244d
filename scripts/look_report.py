"""Screenshots of a report: 1280 and 380 pixels wide, light and dark, English and Chinese.

`python scripts/look_report.py runs/demo/eval-1/report.html --out /tmp/shots` writes eight pictures and exits
with 1 where the page asks for anything outside of itself, scrolls sideways or has an error in its script.
It needs Playwright and a Chromium, which the project does not install: `pip install playwright`, and
`playwright install chromium` or `--chromium /usr/bin/chromium`.
"""

import argparse
import importlib
import itertools
import sys
from pathlib import Path
from typing import Any

WIDTHS = (1280, 380)
WAIT_MS = 180_000


def main(arguments: list[str] | None = None) -> int:
    """Writes the pictures and says what is wrong with the page; 1 if anything is."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("report", type=Path)
    parser.add_argument("--out", type=Path, default=Path("report-pictures"))
    parser.add_argument("--chromium", help="a browser that is installed already")
    options = parser.parse_args(arguments)
    try:
        playwright: Any = importlib.import_module("playwright.sync_api")
    except ImportError:
        print("Playwright is not installed: pip install playwright", file=sys.stderr)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    problems: list[str] = []
    with playwright.sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
        for width, scheme, language in itertools.product(WIDTHS, ("light", "dark"), ("en", "zh")):
            name = f"{width}-{scheme}-{language}"
            problems += [
                f"{name}: {what}" for what in _picture(browser, options, width, scheme, language, name)
            ]
        browser.close()
    print(
        "\n".join(problems) or f"eight pictures in {options.out}; nothing asked for, nothing scrolls sideways"
    )
    return 1 if problems else 0


def _picture(
    browser: Any, options: argparse.Namespace, width: int, scheme: str, language: str, name: str
) -> list[str]:
    """One picture of the whole page; what went wrong meanwhile."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    found: list[str] = []

    def asked(route: Any) -> None:
        if route.request.url.startswith("file:"):
            route.continue_()
        else:
            found.append(f"asks for {route.request.url}")
            route.abort()

    page.route("**/*", asked)
    page.on("pageerror", lambda error: found.append(f"script: {error}"))
    page.on("console", lambda line: found.append(f"console: {line.text}") if line.type == "error" else None)
    page.goto(f"{options.report.resolve().as_uri()}#{language}", timeout=WAIT_MS)
    if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        found.append("scrolls sideways")
    page.screenshot(path=options.out / f"{name}.png", full_page=True, timeout=WAIT_MS)
    page.close()
    return found


if __name__ == "__main__":
    sys.exit(main())
