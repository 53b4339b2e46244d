"""The lineage as a picture: each run a box, oldest at the top, an arrow for each input."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from rlhf.evaluation.page.words import Words, name_of
from rlhf.metrics import duration

WIDTH, BOX, GAP = 400, 54, 22
PILL, LEFT, RIGHT = 118, 138, 332  # where a stage's data ends, and its box begins and ends

READS: Mapping[str, Words] = {
    "sft": Words("demonstrations", "示范"),
    "rm": Words("preferences", "偏好"),
    "ppo": Words("prompts", "提示"),
    "sample": Words("prompts", "提示"),
    "study": Words("preferences", "偏好"),
}
"""What data a stage is made from, beside the runs it takes."""


def flow(steps: Sequence[Mapping[str, Any]]) -> Markup:
    """From data through the runs to this evaluation; empty where nothing is known of where it came from."""
    if not steps:
        return Markup()
    steps = _in_order(steps)
    place = {step["path"]: position for position, step in enumerate(steps)}
    served = [
        step["path"] for step in steps if step["role"] in ("policy", "baseline", "reward_model", "judge")
    ]
    rows: list[Mapping[str, Any]] = [*steps, {"path": None, "stage": "eval", "inputs": dict.fromkeys(served)}]
    body = _arrows([_sources(step, served, place, row) for row, step in enumerate(rows)])
    for row, step in enumerate(rows):
        body.append(_box(row, step))
        words = Words("held-out prompts", "留出的提示") if step["path"] is None else READS.get(step["stage"])
        if words:
            body.append(_data(row, words))
    height = len(rows) * (BOX + GAP) - GAP + 4
    head = Markup(
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0 8 4 0 8z"/></marker></defs>'
    )
    return Markup('<svg class="flow" viewBox="0 0 {} {}" aria-hidden="true">{}{}</svg>').format(
        WIDTH, height, head, Markup("").join(body)
    )


def _in_order(steps: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The steps as they stand, but each after those it takes something from: times may be equal."""
    waiting, placed = list(steps), list[Mapping[str, Any]]()
    while waiting:
        left = {step["path"] for step in waiting}
        ready = (step for step in waiting if left.isdisjoint(step["inputs"].values()))
        placed.append(next(ready, waiting[0]))  # a run cannot stand on itself; a file could say so
        waiting.remove(placed[-1])
    return placed


def _top(row: int) -> float:
    return 2 + row * (BOX + GAP)


def _sources(step: Mapping[str, Any], served: Sequence[str], place: Mapping[str, int], row: int) -> list[int]:
    """The rows that a step takes something from, the nearest first."""
    taken = served if step["path"] is None else step["inputs"].values()
    return sorted({place[path] for path in taken if place.get(path, row) < row}, reverse=True)


def _arrows(sources: Sequence[Sequence[int]]) -> list[Markup]:
    """Straight down to the next row; to one further on, round the right side, a lane for each source."""
    trunks = sorted({source for row, found in enumerate(sources) for source in found if source != row - 1})
    step = min(14.0, (WIDTH - RIGHT - 12) / max(len(trunks), 1))
    lane = {source: RIGHT + 12 + step * (len(trunks) - 1 - order) for order, source in enumerate(trunks)}
    drawn: list[Markup] = []
    for row, found in enumerate(sources):
        if row - 1 in found:
            x = (LEFT + RIGHT) / 2
            drawn.append(
                Markup('<path class="edge" d="M{0} {1}V{2}" marker-end="url(#tip)"/>').format(
                    x, _top(row - 1) + BOX, _top(row) - 1
                )
            )
        around = [source for source in found if source != row - 1]
        for order, source in enumerate(around):
            end = _top(row) + BOX * (order + 1) / (len(around) + 1)
            drawn.append(_around(lane[source], _top(source) + BOX * 0.75, end))
    return drawn


def _around(lane: float, start: float, end: float) -> Markup:
    return Markup(
        '<path class="edge" d="M{r} {s}H{b}Q{l} {s} {l} {s5}V{e5}Q{l} {e} {b} {e}H{t}" '
        'marker-end="url(#tip)"/>'
    ).format(r=RIGHT, s=start, b=lane - 5, l=lane, s5=start + 5, e5=end - 5, e=end, t=RIGHT + 1)


def _box(row: int, step: Mapping[str, Any]) -> Markup:
    y = _top(row)
    this = step["path"] is None
    title = Words("this evaluation", "本次评测") if this else name_of(step["stage"] or step["role"])
    below = "" if this else _short(step["path"])
    took = duration(step["seconds"]) if not this and step["seconds"] is not None else ""
    return Markup('<rect class="box{}" x="{}" y="{}" width="{}" height="{}" rx="4"/>').format(
        " this" if this else "", LEFT, y, RIGHT - LEFT, BOX
    ) + Markup("").join(
        [
            *_texts(LEFT + 12, y + (33 if this else 22), title, "stage"),
            Markup('<text class="path" x="{}" y="{}">{}</text>').format(LEFT + 12, y + 42, below),
            Markup('<text class="took" x="{}" y="{}" text-anchor="end">{}</text>').format(
                RIGHT - 10, y + 22, took
            ),
        ]
    )


def _data(row: int, words: Words) -> Markup:
    y = _top(row) + BOX / 2
    return Markup('<path class="edge" d="M{} {}H{}" marker-end="url(#tip)"/>').format(
        PILL, y, LEFT - 1
    ) + Markup("").join(_texts(PILL - 6, y + 4, words, "data", "end"))


def _texts(x: float, y: float, words: Words, kind: str, anchor: str = "start") -> list[Markup]:
    return [
        Markup('<text class="{} {}" x="{}" y="{}" text-anchor="{}">{}</text>').format(
            language, kind, x, y, anchor, text
        )
        for language, text in (("en", words.en), ("zh", words.zh))
    ]


def _short(path: str, most: int = 27) -> str:
    """A long path by its end; the whole stands in the table."""
    return path if len(path) <= most else "…" + path[1 - most :]
