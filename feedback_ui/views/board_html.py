"""HTML that the board makes by hand: everything that comes from people or models is escaped here.

A value of `gr.HTML` goes through a template engine in the browser; so not only what HTML reads is escaped,
but also what templates do.
"""

import html
import math
from collections.abc import Iterable, Sequence

from feedback_ui.rendering import direction, rendered
from rlhf.crowd import Interval

_TEMPLATE = str.maketrans({"{": "&#123;", "}": "&#125;", "$": "&#36;", "`": "&#96;"})


def text(said: object) -> str:
    """Anything as text in HTML, or in a quoted attribute."""
    return html.escape(str(said)).translate(_TEMPLATE)


def answer(said: str) -> str:
    """A prompt or an answer, its Markdown and formulas shown, in a box that it cannot leave."""
    return f'<div class="said" dir="{direction(said)}">{rendered(said).translate(_TEMPLATE)}</div>'


def conversation(prompt: object, roles: dict[str, str]) -> str:
    """A prompt: text, or messages with their roles, which `roles` names."""
    if isinstance(prompt, str):
        return answer(prompt)
    turns: list[str] = []
    for turn in prompt if isinstance(prompt, list) else []:
        role = str(turn["role"])
        turns.append(f'<div class="role">{text(roles.get(role, role))}</div>{answer(str(turn["content"]))}')
    return "".join(turns)


def section(title: str, body: str, note: str = "") -> str:
    """A panel with a heading; `body` is HTML."""
    below = f'<p class="note">{text(note)}</p>' if note else ""
    return f'<section class="panel"><h3>{text(title)}</h3>{below}{body}</section>'


def panels(sections: Iterable[str]) -> str:
    """Panels side by side where there is room."""
    return f'<div class="panels">{"".join(sections)}</div>'


def notice(said: str, kind: str = "") -> str:
    """A paragraph that stands out: kind is alarm, mild or good."""
    return f'<p class="notice {kind}">{text(said)}</p>'


def tiles(pairs: Iterable[tuple[str, str]]) -> str:
    """Figures with their names below: (name, figure)."""
    made = "".join(
        f'<div class="tile"><dt>{text(name)}</dt><dd>{text(figure)}</dd></div>' for name, figure in pairs
    )
    return f'<dl class="tiles">{made}</dl>'


def progress(done: int, wanted: int, said: str) -> str:
    """A bar of what is done, `said` beside it."""
    share = min(1.0, done / wanted) if wanted else 0.0
    return (
        f'<div class="progress" role="progressbar" aria-valuemin="0" aria-valuemax="{wanted}" '
        f'aria-valuenow="{done}" aria-label="{text(said)}"><div style="width:{100 * share:.1f}%"></div></div>'
        f"<p>{text(said)}</p>"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """A table of text; columns in `numbers` are set to the right."""
    side = ["number" if at in numbers else "" for at in range(len(head))]
    top = "".join(f'<th scope="col" class="{side[at]}">{text(name)}</th>' for at, name in enumerate(head))
    body = "".join(
        "<tr>" + "".join(f'<td class="{side[at]}">{text(cell)}</td>' for at, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def bars(rows: Sequence[tuple[str, float, str]]) -> str:
    """A bar for each (name, value, what is said of it), the longest as wide as there is room."""
    longest = max((value for _, value, _ in rows), default=0.0) or 1.0
    made = "".join(
        f'<tr><th scope="row">{text(name)}</th>'
        f'<td class="track"><div class="bar" style="width:{100 * value / longest:.1f}%"></div></td>'
        f'<td class="number">{text(said)}</td></tr>'
        for name, value, said in rows
    )
    return f'<table class="chart"><tbody>{made}</tbody></table>'


def intervals(
    rows: Sequence[tuple[str, Interval, str, bool]],
    *,
    low: float,
    high: float,
    middle: float | None = None,
    band: tuple[float, float] | None = None,
) -> str:
    """An estimate with its interval for each (name, interval, what is said of it, alarm), on one axis.

    `middle` is a line that the eye compares with, `band` a stretch beside it that is as it should be. Where
    nothing is known the track stays empty.
    """

    def at(value: float) -> float:
        return 100 * (min(max(value, low), high) - low) / (high - low)

    behind = ""
    if band is not None:
        behind += (
            f'<i class="band" style="left:{at(band[0]):.1f}%;width:{at(band[1]) - at(band[0]):.1f}%"></i>'
        )
    if middle is not None:
        behind += f'<i class="middle" style="left:{at(middle):.1f}%"></i>'
    made: list[str] = []
    for name, interval, said, alarm in rows:
        mark = ""
        if not math.isnan(interval.estimate):
            wide = at(interval.high) - at(interval.low)
            mark = f'<i class="range" style="left:{at(interval.low):.1f}%;width:{wide:.1f}%"></i>'
            mark += f'<i class="point" style="left:{at(interval.estimate):.1f}%"></i>'
        made.append(
            f'<tr class="{"alarm" if alarm else ""}"><th scope="row">{text(name)}</th>'
            f'<td class="track">{behind}{mark}</td><td class="number">{text(said)}</td></tr>'
        )
    return f'<table class="chart"><tbody>{"".join(made)}</tbody></table>'


def percent(interval: Interval) -> str:
    """`72 % (65–78)`; a dash where nothing is known."""
    if math.isnan(interval.estimate):
        return "–"
    return f"{100 * interval.estimate:.0f} % ({100 * interval.low:.0f}–{100 * interval.high:.0f})"


def decimal(interval: Interval) -> str:
    """`0.42 (0.31–0.55)`, minus signs kept apart from dashes; a dash where nothing is known."""
    if math.isnan(interval.estimate):
        return "–"
    numbers = [f"{value:.2f}".replace("-", "−") for value in (interval.estimate, interval.low, interval.high)]
    return f"{numbers[0]} ({numbers[1]} … {numbers[2]})"
