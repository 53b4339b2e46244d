"""The online loop as one HTML page: no network, light and dark, two languages, whole without its script."""

import math
from collections.abc import Mapping
from typing import Any

from rlhf.evaluation.page import loop_plots, loop_rounds, loop_samples, loop_state
from rlhf.evaluation.page.context import Row
from rlhf.evaluation.page.loop_words import strategy_name
from rlhf.evaluation.page.numbers import written
from rlhf.evaluation.page.pages import page
from rlhf.runs.loop_record import LoopRecord

SECTIONS = (
    ("now", "Now", "现状"),
    ("results", "Results by round", "逐轮结果"),
    ("rounds", "Rounds", "每一轮"),
    ("reward_model", "Reward model", "奖励模型"),
    ("policies", "Policies", "策略"),
    ("samples", "Side by side", "并排对照"),
    ("log", "Log", "日志"),
    ("again", "Go on", "继续"),
)


def render_loop(record: LoopRecord) -> str:
    """The whole page from `loop.json`, and from nothing else; for a loop at any point of its life.

    Everything that a model or a person wrote is escaped: what is seen is what was written. No request leaves
    the page, and its policy (CSP) lets no script run but its own, named by its hash.
    """
    html = page(
        "loop.html.j2",
        ["report.css", "loop.css"],
        record=record,
        sections=SECTIONS,
        prefix="loop_",
        **_context(record),
    )
    return written(html)  # control characters, which no page can hold, wherever the record has them


def _context(record: LoopRecord) -> dict[str, Any]:
    """Names for the templates; charts that cannot be drawn are left out."""
    kinds = loop_state.kinds(record)
    columns, models = loop_rounds.slices(record)
    ranges = {name: loop_rounds.range_of(*three) for name, three in record.strengths.items()}
    reach = max((abs(end) for three in record.strengths.values() for end in three), default=0.0)
    return {
        "now": loop_state.now(record),
        "rounds": loop_rounds.rounds(record),
        "results": loop_plots.results(record),
        "measures": loop_plots.measures(record),
        "by_step": loop_plots.by_step(record),
        "is_stream": record.mode == "streaming",
        "columns": columns,
        "models": models,
        "slice_range": loop_rounds.slice_range,
        "strategy_name": strategy_name,
        "kinds": kinds,
        "strengths": [
            Row(label, found, kind=_colour(label, record, kinds))
            for label in loop_state.policies(record)
            if (found := ranges.get(label))
        ],
        "reach": max(math.ceil(2.1 * reach) / 2, 0.5),
        "samples": loop_samples.samples(record, kinds),
        "few": loop_samples.FEW,
        "decider": loop_rounds.decider(record),
        "gold": loop_rounds.gold,
        "people": loop_rounds.people,
        "has_gold": any(loop_rounds.gold(one)[0] is not None for one in record.rounds),
        "has_score": any(one.gold_score is not None for one in record.rounds),
        "has_people": any(loop_rounds.people(one)[0] is not None for one in record.rounds),
    }


def _colour(label: str, record: LoopRecord, kinds: Mapping[str, str]) -> str:
    """The incumbent stands out, and what was never promoted stands back."""
    if label == record.incumbent.label:
        return "up"
    return "open" if kinds.get(label) in ("kept", "broken") else "plainly"
