"""Charts as inline SVG: they take their colours from the page, so that light and dark both fit."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from rlhf.algos.statistics import Interval

WIDTH, HEIGHT = 360, 190
LEFT, RIGHT, TOP, BOTTOM = 46, 18, 12, 26
ROW = 30


@dataclass(frozen=True)
class _Axis:
    """Maps values to pixels along one direction."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    @property
    def ticks(self) -> list[float]:
        """Round numbers within the axis, at most six."""
        raw = (self.high - self.low) / 4
        power = 10 ** math.floor(math.log10(raw))
        step = next(power * times for times in (1, 2, 2.5, 5, 10) if power * times >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def line_chart(title: str, points: Sequence[tuple[float, float]]) -> Markup:
    """A curve over steps; points that are not finite are left out. Empty where fewer than two remain."""
    finite = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    if len(finite) < 2:
        return Markup()
    across = _Axis(finite[0][0], max(finite[-1][0], finite[0][0] + 1), LEFT, WIDTH - RIGHT)
    up = _spanning([y for _, y in finite], HEIGHT - BOTTOM, TOP)
    path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in finite)
    last_x, last_y = finite[-1]
    body = [
        _grid(up, across),
        Markup('<polyline class="curve" points="{}"/>').format(path),
        Markup('<circle class="dot" cx="{}" cy="{}" r="3.5"/>').format(
            f"{across(last_x):.1f}", f"{up(last_y):.1f}"
        ),
    ]
    described = f"{title}: from {_number(finite[0][1])} to {_number(last_y)}"
    return _svg(described, HEIGHT, body)


def interval_chart(title: str, rows: Sequence[tuple[str, Interval]], even: float) -> Markup:
    """An estimate and its interval on each row, against a line at `even`; the axis runs from 0 to 1."""
    if not rows:
        return Markup()
    height = TOP + ROW * len(rows) + BOTTOM
    across = _Axis(0.0, 1.0, 64, WIDTH - RIGHT)
    body: list[Markup] = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        kind = "even" if tick == even else "grid"
        x = f"{across(tick):.1f}"
        body.append(_line(kind, x, TOP, x, height - BOTTOM))
        body.append(_text(x, height - 8, f"{tick:.0%}", "middle"))
    for number, (label, interval) in enumerate(rows):
        y = TOP + ROW * (number + 0.5)
        side = "good" if interval.low > even else "bad" if interval.high < even else "open"
        low, high, at = (f"{across(value):.1f}" for value in (interval.low, interval.high, interval.estimate))
        body.append(_text("0", y + 4, label, "start"))
        body.append(_line(f"whisker {side}", low, y, high, y))
        body.append(Markup('<circle class="dot {}" cx="{}" cy="{}" r="5"/>').format(side, at, y))
    return _svg(title, height, body)


def reliability_chart(title: str, bins: Sequence[tuple[float, float]]) -> Markup:
    """Confidence against how often it was right, from 0.5 to 1; the diagonal is perfect calibration."""
    if not bins:
        return Markup()
    low = min(0.5, *(value for pair in bins for value in pair))
    across, up = _Axis(low, 1.0, LEFT, WIDTH - RIGHT), _Axis(low, 1.0, HEIGHT - BOTTOM, TOP)
    ends = [f"{axis(value):.1f}" for value in (low, 1.0) for axis in (across, up)]
    path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in bins)
    dots = [
        Markup('<circle class="dot" cx="{}" cy="{}" r="4"/>').format(f"{across(x):.1f}", f"{up(y):.1f}")
        for x, y in bins
    ]
    body = [
        _grid(up, across),
        _line("even", *ends),
        Markup('<polyline class="curve" points="{}"/>').format(path),
    ]
    return _svg(title, HEIGHT, [*body, *dots])


def _spanning(values: Sequence[float], start: float, end: float) -> _Axis:
    """An axis that holds all values with some air; a constant stands in the middle."""
    low, high = min(values), max(values)
    air = 0.06 * (high - low) or 0.1 * abs(high) or 0.5
    return _Axis(low - air, high + air, start, end)


def _grid(up: _Axis, across: _Axis) -> Markup:
    lines = [
        _line("grid", LEFT, f"{up(y):.1f}", WIDTH - RIGHT, f"{up(y):.1f}")
        + _text(LEFT - 6, up(y) + 4, _number(y), "end")
        for y in up.ticks
    ]
    labels = [_text(f"{across(x):.1f}", HEIGHT - 8, _number(x), "middle") for x in across.ticks]
    return Markup("").join([*lines, *labels])


def _svg(title: str, height: float, body: Sequence[Markup]) -> Markup:
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img"><title>{}</title>{}</svg>').format(
        WIDTH, height, escape(title), Markup("").join(body)
    )


def _line(kind: str, x1: object, y1: object, x2: object, y2: object) -> Markup:
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(kind, x1, y1, x2, y2)


def _text(x: object, y: object, text: str, anchor: str) -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(x, y, anchor, text)


_number: Callable[[float], str] = lambda value: f"{0.0 if abs(value) < 1e-12 else value:.4g}"  # noqa: E731
