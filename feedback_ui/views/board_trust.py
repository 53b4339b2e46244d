"""Whether judgements can be trusted: agreement, skill, gold items, sides, lengths (docs/aggregation.md)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from feedback_ui.service.quality import Quality
from feedback_ui.views.board_alerts import HARDLY_ABOVE_CHANCE
from feedback_ui.views.board_context import Ask, Board, Part
from feedback_ui.views.board_html import decimal, intervals, notice, panels, percent, section
from feedback_ui.views.board_words import Words
from rlhf.crowd import Interval, Limits, RaterFigures

MOST_PAIRS = 15
_BAND = (0.5 - Limits().side, 0.5 + Limits().side)


class TrustPart:
    """The tab with the figures of raters."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._shown = gr.HTML(elem_classes="board", elem_id="trust", padding=False)
        self.part = Part([self._shown], self._show)

    def _show(self, ask: Ask) -> Sequence[Any]:
        found = self._board.figures(ask)
        if found is None or found.quality is None:
            return [notice(ask.words("figures.none"))]
        return [_page(ask.words, found.quality)]


def _page(words: Words, quality: Quality) -> str:
    made = [_agreement(words, quality), _preferences(words, quality)]
    if quality.skills:
        made.append(_skills(words, quality.skills, quality.raters))
    if quality.gold.overall.num:
        made.append(_gold(words, quality))
    made.append(_of_raters(words, quality, "agreement_of", lambda one: (one.agreement, one.num_shared)))
    if quality.num_sided:
        made.append(_of_raters(words, quality, "left", lambda one: (one.left, one.num_sided), halves=True))
    if quality.num_lengths:
        made.append(
            _of_raters(words, quality, "longer", lambda one: (one.longer, one.num_lengths), halves=True)
        )
    if quality.cohen:
        made.append(_cohen(words, quality))
    return panels(made)


def _agreement(words: Words, quality: Quality) -> str:
    shares = intervals(
        [(words("trust.raw"), quality.agreement, percent(quality.agreement), False)], low=0, high=1
    )
    rows = [(words("trust.alpha"), quality.alpha, decimal(quality.alpha), False)]
    if quality.fleiss is not None:
        rows.append((words("trust.fleiss"), quality.fleiss, decimal(quality.fleiss), False))
    chance = intervals(rows, low=-0.2, high=1, middle=0)
    return section(words("trust.agreement"), shares + chance, words("trust.agreement_note"))


def _preferences(words: Words, quality: Quality) -> str:
    rows = [
        (words("trust.left_all"), quality.left, quality.num_sided, quality.side_alarm),
        (words("trust.longer_all"), quality.longer, quality.num_lengths, False),
    ]
    chart = intervals(
        [(name, share, _counted(share, num), alarm) for name, share, num, alarm in rows],
        low=0,
        high=1,
        middle=0.5,
        band=_BAND,
    )
    return section(words("trust.preferences"), chart, words("trust.preferences_note"))


def _skills(words: Words, skills: Mapping[str, Interval], raters: Mapping[str, RaterFigures]) -> str:
    order = sorted(skills, key=lambda rater: -skills[rater].estimate)
    rows = [
        (
            rater,
            skills[rater],
            _counted(skills[rater], raters[rater].num_judgements if rater in raters else 0),
            skills[rater].high < HARDLY_ABOVE_CHANCE,
        )
        for rater in order
    ]
    return section(
        words("trust.skill"), intervals(rows, low=0, high=1, middle=0.5), words("trust.skill_note")
    )


def _gold(words: Words, quality: Quality) -> str:
    limit = Limits().gold
    rows = [(words("trust.everybody"), quality.gold.overall), *quality.gold.by_rater.items()]
    chart = intervals(
        [
            (name, share.passed, _counted(share.passed, share.num), share.passed.high < limit)
            for name, share in rows
        ],
        low=0,
        high=1,
        middle=limit,
    )
    return section(words("trust.gold"), chart, words("trust.gold_note", limit=f"{100 * limit:.0f} %"))


def _of_raters(
    words: Words,
    quality: Quality,
    what: str,
    figure: Callable[[RaterFigures], tuple[Interval, int]],
    *,
    halves: bool = False,
) -> str:
    """One figure of each rater; of `halves`, one half is what it should be near."""
    rows: list[tuple[str, Interval, str, bool]] = []
    for rater, own in quality.raters.items():
        share, num = figure(own)
        alarm = what == "left" and any(one.kind == "side" for one in own.alarms)
        rows.append((rater, share, _counted(share, num), alarm))
    chart = intervals(rows, low=0, high=1, middle=0.5 if halves else None, band=_BAND if halves else None)
    return section(words(f"trust.{what}"), chart, words(f"trust.{what}_note"))


def _cohen(words: Words, quality: Quality) -> str:
    pairs = sorted(quality.cohen.items(), key=lambda pair: pair[1].estimate)
    rows = [(f"{one} · {other}", kappa, decimal(kappa), False) for (one, other), kappa in pairs[:MOST_PAIRS]]
    note = words("trust.cohen_note", shown=len(rows), count=len(pairs))
    return section(words("trust.cohen"), intervals(rows, low=-0.2, high=1, middle=0), note)


def _counted(share: Interval, num: int) -> str:
    return f"{percent(share)} · {num:,}" if num else percent(share)
