"""Rows of intervals and of shares: SVG as wide as the place it stands in, its numbers beside it as text."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from rlhf.evaluation.page.numbers import Range, number, percent

ROW, SMALL = 22, 5


def side(interval: Range, even: float) -> str:
    """Whether an interval lies above, below or around what chance would give."""
    return "up" if interval["low"] > even else "down" if interval["high"] < even else "open"


def track(
    rows: Sequence[tuple[Range, str]],
    *,
    low: float = 0.0,
    high: float = 1.0,
    lines: Sequence[float] = (),
    ceiling: float | None = None,
) -> Markup:
    """Intervals beneath each other on one axis from `low` to `high`; each with its class of colour.

    `lines` are thin marks on the axis, the first of them the one to compare with.
    """
    height = ROW * len(rows)
    body = [
        _line(
            f"mark{' even' if position == 0 else ''}", _at(value, low, high), 0, _at(value, low, high), height
        )
        for position, value in enumerate(lines)
    ]
    if ceiling is not None:
        body.append(_line("ceiling", _at(ceiling, low, high), 0, _at(ceiling, low, high), height))
    for position, (interval, kind) in enumerate(rows):
        y = ROW * (position + 0.5)
        body.append(
            _line(f"whisker {kind}", _at(interval["low"], low, high), y, _at(interval["high"], low, high), y)
        )
        body.append(
            Markup('<circle class="dot {}" cx="{}" cy="{}" r="{}"/>').format(
                kind, _at(interval["estimate"], low, high), y, SMALL
            )
        )
    return Markup('<svg class="track" height="{}" aria-hidden="true">{}</svg>').format(
        height, Markup("").join(body)
    )


def scale(ticks: Sequence[float], *, low: float = 0.0, high: float = 1.0, shares: bool = True) -> Markup:
    """The axis of tracks: its numbers at their places."""
    form = percent if shares else number
    texts = [
        Markup('<text x="{}" y="12" text-anchor="{}">{}</text>').format(
            _at(tick, low, high),
            "start" if position == 0 else "end" if position == len(ticks) - 1 else "middle",
            form(tick).replace(".0%", "%"),
        )
        for position, tick in enumerate(ticks)
    ]
    return Markup('<svg class="scale" height="16" aria-hidden="true">{}</svg>').format(Markup("").join(texts))


def outcome_bar(comparison: Mapping[str, int], height: int) -> Markup:
    """Wins, ties and losses as parts of one bar."""
    start, parts = 0.0, list[Markup]()
    for name in ("wins", "ties", "losses"):
        share = comparison[name] / comparison["prompts"]
        parts.append(
            Markup('<rect class="{}" x="{}" width="{}" height="{}"/>').format(
                name, _pc(start), _pc(share), height
            )
        )
        start += share
    return Markup('<svg class="bar" height="{}" aria-hidden="true">{}</svg>').format(
        height, Markup("").join(parts)
    )


def _at(value: float, low: float, high: float) -> str:
    return _pc((min(max(value, low), high) - low) / (high - low))


def _pc(share: float) -> str:
    return f"{100 * share:.2f}%"


def _line(kind: str, x1: object, y1: object, x2: object, y2: object) -> Markup:
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(kind, x1, y1, x2, y2)
