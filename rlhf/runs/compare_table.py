"""A comparison of two runs for a terminal: at most a screen, a line for each thing."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rlhf.metrics.progress import duration
from rlhf.runs.compare import Difference, FigurePair, RunComparison, name_of
from rlhf.runs.final_figures import FinalFigure
from rlhf.runs.folder import RunFolder

if TYPE_CHECKING:
    from rich.console import Console

LIMITS = {"configuration": 9, "inputs": 4, "data": 3, "versions": 4, "figures": 12}
"""Lines that a part may take, its heading left out."""
NONE = "-"
GAP = 2
WIDE = 100
"""Columns of the terminal from which intervals have room."""
_HASH = re.compile(r"[0-9a-f]{40,64}")

Line = tuple[str, str, str, str]


def print_comparison(found: RunComparison, console: "Console") -> None:
    """The two runs, what differs between them, and how they came out."""
    from rich.text import Text

    console.print(Text(f"A  {headline(found.a)}"), no_wrap=True, overflow="ellipsis")
    console.print(Text(f"B  {headline(found.b)}"), no_wrap=True, overflow="ellipsis")
    parts = [lines for part in LIMITS if (lines := list(_part(found, part, console.width)))]
    _print_table([*parts, [_time(found)]], console)
    same = [part for part in LIMITS if part != "figures" and not getattr(found, part)]
    notes = [f"the same in both: {', '.join(same)}"] if same else []
    if any(len(getattr(found, part)) > limit for part, limit in LIMITS.items()):
        notes.append("--json and --html FILE have the rest")
    if notes:
        console.print(Text("; ".join(notes), style="dim"), no_wrap=True, overflow="ellipsis")


def headline(run: RunFolder) -> str:
    """`demo/eval-1: evaluation, finished`."""
    kind = (run.manifest.kind if run.manifest else run.stage).replace("_", " ")
    return f"{name_of(run)}: {kind}, {run.status}"


def shown(value: Any) -> str:
    """A value of the configuration, or of another list of differences; of a hash the beginning."""
    if value is None:
        return NONE
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text[:12] if _HASH.fullmatch(text) else text


def with_interval(value: FinalFigure | None) -> str:
    """`0.697 [0.65, 0.742]`."""
    if value is None or value.low is None or value.high is None:
        return without_interval(value)
    return f"{value.value:.3g} [{value.low:.3g}, {value.high:.3g}]"


def without_interval(value: FinalFigure | None) -> str:
    """`0.697`."""
    return NONE if value is None else f"{value.value:.4g}"


def shown_seconds(seconds: float | None) -> str:
    """`1m 15s`, or a dash."""
    return NONE if seconds is None else duration(seconds)


def change(pair: FigurePair) -> str:
    """`+0.053 apart`: B minus A, and whether the intervals overlap or lie apart; `same` where both are."""
    if pair.difference is None or pair.a == pair.b:
        return "" if pair.difference is None else "same"
    return f"{pair.difference:+.3g}" + {None: "", True: " overlap", False: " apart"}[pair.overlap]


def difference_name(item: Difference) -> str:
    """`ppo: kl.coef`, `reward model`."""
    if item.stage:
        return f"{item.stage}: {item.name}"
    return item.name if "/" in item.name or "." in item.name else item.name.replace("_", " ")


def _print_table(parts: Sequence[Sequence[Line]], console: "Console") -> None:
    """Columns of fixed widths, so that nothing takes a second line; a part's first line is its heading."""
    from rich.table import Table
    from rich.text import Text

    lines = [line for part in parts for line in part]
    name, *_, last = (min(max(len(line[at]) for line in lines), console.width // 4 + 1) for at in range(4))
    value = (console.width - name - last - 3 * GAP) // 2
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, GAP, 0, 0))
    widths = (name, value, value, last)
    for width in widths:
        table.add_column(width=width, no_wrap=True, overflow="ellipsis")
    for part in parts:
        for number, line in enumerate(part):
            cells = (Text(_clipped(cell, width)) for cell, width in zip(line, widths, strict=True))
            table.add_row(*cells, style="bold" if number == 0 and len(part) > 1 else "")
    console.print(table)


def _clipped(text: str, width: int) -> str:
    """A path that is too long without its beginning, which says less than its end."""
    from rich.cells import cell_len

    if "/" not in text or cell_len(text) <= width:
        return text
    begin = next(at for at in range(len(text) + 1) if cell_len(text[at:]) < width)
    return f"…{text[begin:]}"


def _part(found: RunComparison, part: str, width: int) -> Iterator[Line]:
    items: Sequence[Any] = getattr(found, part)
    if not items:
        return
    limit = LIMITS[part]
    count = f" ({limit} of {len(items)})" if len(items) > limit else ""
    yield f"{part}{count}", "A", "B", "B - A" if part == "figures" else ""
    for item in items[:limit]:
        if isinstance(item, FigurePair):
            a, b = ((with_interval if width >= WIDE else without_interval)(of) for of in (item.a, item.b))
            yield item.name, a, b, change(item)
        else:
            yield difference_name(item), shown(item.a), shown(item.b), ""


def _time(found: RunComparison) -> Line:
    a, b = found.seconds
    longer = "" if a is None or b is None else ("+" if b >= a else "-") + duration(abs(b - a))
    return "time", shown_seconds(a), shown_seconds(b), longer
