"""Screenshots of the loop's page: made-up loops at points of their life, and a real one where it is named.

`python scripts/look_loop.py --out /tmp/shots` renders the records of `scripts/looking/loop_records.py` and
takes their pictures as `look_report.py` does: 1280 and 380 pixels, light and dark, English and Chinese.
`--only ended,ten` takes some, `--folder runs/demo/loop-1` the loop of that folder. Exits with 1 where a page
asks for anything outside of itself, scrolls sideways or has an error in its script.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from rlhf.evaluation.loop_report import render_loop  # noqa: E402
from rlhf.runs.loop_record import read_loop_record  # noqa: E402
from scripts import look_report  # noqa: E402
from scripts.looking.loop_records import records  # noqa: E402


def main(arguments: list[str] | None = None) -> int:
    """Writes pages and pictures; 1 if anything is wrong with a page, 2 where nothing can be looked at."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("loop-pictures"))
    parser.add_argument("--only", default="", help=f"of {', '.join(records())}, with commas between")
    parser.add_argument("--folder", type=Path, help="a loop's run folder")
    parser.add_argument("--chromium", help="a browser that is installed already")
    options = parser.parse_args(arguments)
    if options.folder:
        found = read_loop_record(options.folder)
        if found is None:
            print(f"{options.folder} holds no loop.json", file=sys.stderr)
            return 2
        pages = {"real": found}
    else:
        only = options.only.split(",") if options.only else list(records())
        pages = {name: records()[name]() for name in only}
    worst = 0
    for name, record in pages.items():
        folder = options.out / name
        folder.mkdir(parents=True, exist_ok=True)
        page = folder / "report.html"
        page.write_text(render_loop(record), encoding="utf-8")
        browser = ["--chromium", options.chromium] if options.chromium else []
        print(f"{name}: ", end="", flush=True)
        worst = max(worst, look_report.main([str(page), "--out", str(folder), *browser]))
    return worst


if __name__ == "__main__":
    sys.exit(main())
