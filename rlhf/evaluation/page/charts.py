"""Charts as inline SVG: colours come from the page, so that light and dark both fit.

A point's numbers stand in a <title>, which any browser shows on hover; the page's script makes a faster tip
of it and walks through the points by the arrow keys.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from markupsafe import Markup

from rlhf.evaluation.page.axes import Axis, spanning
from rlhf.evaluation.page.labels import Label, place
from rlhf.evaluation.page.numbers import number, percent
from rlhf.evaluation.page.words import Words

LEFT, TOP, BOTTOM = 44, 12, 36
MOST_POINTS = 120


class Point(NamedTuple):
    """A value at x, its interval where it has one, a name to write beside it, whether it is chosen."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    name: Words | None = None
    chosen: bool = False


@dataclass(frozen=True)
class Series:
    """Points that belong together; `kind` is a class of colour, `line` whether they are joined.

    The name stands beside the last point, or where not `labelled` only in what is said of a point.
    """

    name: Words
    points: Sequence[Point]
    kind: str = "main"
    line: bool = True
    labelled: bool = True


@dataclass(frozen=True)
class Frame:
    """How a chart is laid out: its size in pixels, its axes' names and forms."""

    x: Words
    width: int = 400
    height: int = 230
    shares: bool = False
    shares_x: bool = False
    logarithmic: bool = False
    ticks_x: Sequence[float] | None = None
    diagonal: bool = False
    even: float | None = None
    from_zero_x: bool = False


def chart(title: Words, series: Sequence[Series], frame: Frame) -> Markup:
    """Lines and points over x, each series named at its last point. Empty where no point is finite."""
    drawn = [one for one in map(_finite, series) if one.points]
    points = [point for one in drawn for point in one.points]
    if not points:
        return Markup()
    across, up = _axes(drawn, frame)
    body = [_grid(across, up, frame)]
    if frame.even is not None:
        body.append(_line("even", across.start, up(frame.even), across.end, up(frame.even)))
    if frame.diagonal:
        low, high = max(across.low, up.low), min(across.high, up.high)
        body.append(_line("even", across(low), up(low), across(high), up(high)))
    body += [_chosen(point, across, up) for point in points if point.chosen]
    body += [_series(one, across, up, frame) for one in drawn]
    body += _names(drawn, across, up, frame)
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" tabindex="0" aria-label="{}" '
        'data-en="{}" data-zh="{}" data-axis-en="{}" data-axis-zh="{}">{}</svg>'
    ).format(frame.width, frame.height, *_described(title, drawn, frame), *frame.x, Markup("").join(body))


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """Every k-th point, the last among them: more could neither be seen nor hit."""
    step = -(-len(points) // most)
    return list(points[::-1][::step][::-1]) if step > 1 else list(points)


def _finite(series: Series) -> Series:
    kept = [point for point in series.points if math.isfinite(point.x) and math.isfinite(point.y)]
    return replace(series, points=kept)


def _axes(series: Sequence[Series], frame: Frame) -> tuple[Axis, Axis]:
    points = [point for one in series for point in one.points]
    ys = [y for point in points for y in (point.y, point.low, point.high) if y is not None]
    ys += [frame.even] if frame.even is not None else []
    xs = [*(point.x for point in points), *(frame.ticks_x or ()), *([0.0] if frame.from_zero_x else [])]
    right = frame.width - 14.0
    if frame.diagonal:
        both = [*xs, *ys]
        return spanning(both, LEFT, right, 0.02), spanning(both, frame.height - BOTTOM, TOP, 0.02)
    low, high = min(xs), max(xs)
    if low == high:
        low, high = low - 0.5, high + 0.5
    across = Axis(low, high, LEFT + 6, right - 6, frame.logarithmic)
    return across, spanning(ys, frame.height - BOTTOM, TOP)


def _grid(across: Axis, up: Axis, frame: Frame) -> Markup:
    form: Callable[[float], str] = _whole_percent if frame.shares else number
    parts = [
        _line("grid", LEFT, up(y), across.end + 6, up(y))
        + _text(LEFT - 6, up(y) + 4, Words(form(y), form(y)), "end")
        for y in up.ticks()
    ]
    for x in frame.ticks_x if frame.ticks_x is not None else across.ticks():
        shown = _whole_percent(x) if frame.shares_x else number(x)
        parts.append(_text(across(x), frame.height - BOTTOM + 16, Words(shown, shown), "middle"))
    parts.append(_text(across.end + 6, frame.height - 4, frame.x, "end", "axis"))
    return Markup("").join(parts)


def _whole_percent(value: float) -> str:
    return percent(value).replace(".0%", "%")


def _series(series: Series, across: Axis, up: Axis, frame: Frame) -> Markup:
    form = percent if frame.shares else number
    parts: list[Markup] = []
    if series.line and len(series.points) > 1:
        path = " ".join(f"{across(point.x):.1f},{up(point.y):.1f}" for point in series.points)
        parts.append(Markup('<polyline class="line" points="{}"/>').format(path))
    small = len(series.points) > 30
    for point in series.points:
        x, y = f"{across(point.x):.1f}", f"{up(point.y):.1f}"
        if point.low is not None and point.high is not None:
            parts.append(_line("whisker", x, up(point.low), x, up(point.high)))
        spread = f" [{form(point.low)}, {form(point.high)}]" if point.low is not None else ""
        kind = "pt chosen" if point.chosen else "pt small" if small else "pt"
        radius = 5 if point.chosen else 2 if small else 3.5
        said = f"{(percent if frame.shares_x else number)(point.x)}: {form(point.y)}{spread}"
        named = Markup(' data-en="{}" data-zh="{}"').format(*point.name) if point.name else ""
        parts.append(
            Markup('<circle class="{}" cx="{}" cy="{}" r="{}"{}><title>{}</title></circle>').format(
                kind, x, y, radius, named, said
            )
        )
    return Markup('<g class="{}" data-en="{}" data-zh="{}">{}</g>').format(
        series.kind, *series.name, Markup("").join(parts)
    )


def _names(series: Sequence[Series], across: Axis, up: Axis, frame: Frame) -> list[Markup]:
    """Each series' name at its last point, and the names of single points."""
    labels = [
        Label(name, across(point.x), up(point.y), one.kind)
        for one in series
        for point in one.points
        if (
            name := point.name
            or (one.name if one.labelled and point is one.points[-1] and one.name.en else None)
        )
    ]
    drawn = [dot for one in series for dot in _dots(one, across, up)]
    return [
        Markup('<g class="{}">{}</g>').format(
            placed.label.kind, _text(placed.x, placed.y, placed.label.words, placed.anchor, "name")
        )
        for placed in place(labels, drawn, frame.width, TOP)
    ]


def _dots(series: Series, across: Axis, up: Axis) -> list[tuple[float, float]]:
    """Places that a series covers: its points, what lies between them on a line, the ends of intervals."""
    points = [(across(point.x), up(point.y)) for point in series.points]
    between = [
        (x + share * (x_next - x), y + share * (y_next - y))
        for (x, y), (x_next, y_next) in pairwise(points if series.line else [])
        for share in (0.2, 0.4, 0.6, 0.8)
    ]
    ends = [
        (across(point.x), up(y)) for point in series.points for y in (point.low, point.high) if y is not None
    ]
    return [*points, *between, *ends]


def _chosen(point: Point, across: Axis, up: Axis) -> Markup:
    return _line("choice", across(point.x), up.start, across(point.x), up.end)


def _described(title: Words, series: Sequence[Series], frame: Frame) -> tuple[str, str, str]:
    """For those who cannot see it: what it is, and where each series begins and ends."""
    form = percent if frame.shares else number
    ends = [(one.name, form(one.points[0].y), form(one.points[-1].y)) for one in series]
    en = f"{title.en}, by {frame.x.en}: " + "; ".join(f"{n.en} from {a} to {b}".strip() for n, a, b in ends)
    zh = f"{title.zh}（横轴：{frame.x.zh}）：" + "；".join(
        f"{n.zh} 从 {a} 到 {b}".strip() for n, a, b in ends
    )
    return en, en, zh


def _line(kind: str, x1: object, y1: object, x2: object, y2: object) -> Markup:
    ends = (f"{float(str(value)):.1f}" for value in (x1, y1, x2, y2))
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(kind, *ends)


def _text(x: float, y: float, words: Words, anchor: str, kind: str = "") -> Markup:
    """The words at a place, in both languages where they differ."""
    one = Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
    if words.en == words.zh:
        return one.format(kind, x, y, anchor, words.en)
    return one.format(f"en {kind}".strip(), x, y, anchor, words.en) + one.format(
        f"zh {kind}".strip(), x, y, anchor, words.zh
    )
