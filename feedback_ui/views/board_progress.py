"""How far the chosen campaign is: figures, what to look at, judgements by day and by rater."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any

import gradio as gr
import pandas as pd

from feedback_ui.service.figures import Figures
from feedback_ui.service.pace import Times
from feedback_ui.service.progress import CampaignProgress, campaign_progress
from feedback_ui.views.board_alerts import alerts
from feedback_ui.views.board_context import Ask, Board, Part
from feedback_ui.views.board_html import bars, notice, panels, progress, section, tiles
from feedback_ui.views.board_words import Words

MOST_DAYS = 31
"""Days that a chart tells apart; more are told by week."""


class ProgressPart:
    """The first tab: `overview` needs no model of the raters, `judging` does."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._tiles = gr.HTML(elem_classes="board", elem_id="overview", padding=False)
        self._alerts = gr.HTML(elem_classes="board", elem_id="alerts", padding=False)
        self._days = board.make(
            gr.BarPlot,
            {"title": "progress.by_day", "x_title": "progress.day", "y_title": "progress.judgements"},
            x="day",
            y="judgements",
            tooltip="all",
            x_label_angle=-45,
            y_lim=[0, None],
            height=260,
            elem_id="by-day",
        )
        self._raters = gr.HTML(elem_classes="board", elem_id="by-rater")
        self.overview = Part([self._tiles], self._overview)
        self.judging = Part([self._alerts, self._days, self._raters], self._judging)

    def _overview(self, ask: Ask) -> Sequence[Any]:
        if ask.campaign is None:
            return [notice(ask.words("campaign.none"))]
        found = campaign_progress(self._board.db, ask.actor, ask.campaign)
        said = ask.words("progress.of", done=f"{found.judgements:,}", wanted=f"{found.wanted:,}")
        return [tiles(_tiles(ask.words, found)) + progress(found.judgements, found.wanted, said)]

    def _judging(self, ask: Ask) -> Sequence[Any]:
        found = self._board.figures(ask)
        if found is None:
            return ["", gr.update(value=None, visible=False), ""]
        left = campaign_progress(self._board.db, ask.actor, ask.chosen)
        return [
            alerts(ask.words, found),
            _by_day(found),
            _by_rater(ask.words, found, left.wanted - left.judgements),
        ]


def _tiles(words: Words, found: CampaignProgress) -> list[tuple[str, str]]:
    return [
        (words("progress.status"), words(f"status.{found.status}")),
        (words("progress.complete"), f"{found.complete:,} / {found.items:,}"),
        (words("progress.held"), f"{found.held:,}"),
        (words("progress.skips"), f"{found.skips:,}"),
        (words("progress.gold_items"), f"{found.gold_items:,}"),
        (words("progress.raters"), f"{len(found.by_rater):,}"),
    ]


def _by_day(found: Figures) -> Any:
    """Judgements of each day, of each week (by its Monday) where there are many days."""
    days = {date.fromisoformat(day): sum(own.values()) for day, own in found.pace.by_day.items()}
    counts: dict[date, int] = {}
    for day, count in days.items():
        start = day if len(days) <= MOST_DAYS else day - timedelta(days=day.weekday())
        counts[start] = counts.get(start, 0) + count
    rows = [
        {"day": f"{day:%m-%d}" if _one_year(days) else str(day), "judgements": counts[day]} for day in counts
    ]
    return gr.update(value=pd.DataFrame(rows, columns=["day", "judgements"]), visible=bool(rows))


def _one_year(days: Iterable[date]) -> bool:
    return len({day.year for day in days}) == 1


def _by_rater(words: Words, found: Figures, left: int) -> str:
    counts: dict[str, int] = {}
    for own in found.pace.by_day.values():
        for rater, count in own.items():
            counts[rater] = counts.get(rater, 0) + count
    if not counts:
        return ""
    order = sorted(counts, key=lambda rater: (-counts[rater], rater))
    times = found.pace.by_rater
    slowest = [rater for rater in order if rater in times]
    note = words("progress.times_note")
    if found.pace.times is not None:
        note = f"{words('progress.times_all', **_times(words, found.pace.times))} {note}"
        if left > 0:
            note += " " + words("progress.left", time=words.seconds(left * found.pace.times.median_s))
    return panels(
        [
            section(
                words("progress.by_rater"),
                bars([(rater, counts[rater], f"{counts[rater]:,}") for rater in order]),
            ),
            section(
                words("progress.times"),
                bars([(rater, times[rater].median_s, _short(words, times[rater])) for rater in slowest]),
                note,
            ),
        ]
    )


def _times(words: Words, times: Times) -> dict[str, str]:
    return {
        "median": words.seconds(times.median_s),
        "p10": words.seconds(times.p10_s),
        "p90": words.seconds(times.p90_s),
    }


def _short(words: Words, times: Times) -> str:
    """Median and tenths in one unit, for a narrow column."""
    unit, seconds = ("s", 1.0) if times.p90_s < 180 else ("min", 60.0)
    digits = 0 if unit == "s" and times.median_s >= 10 else 1
    shown = [f"{value / seconds:.{digits}f}" for value in (times.median_s, times.p10_s, times.p90_s)]
    return words(f"progress.time_{unit}", median=shown[0], p10=shown[1], p90=shown[2])
