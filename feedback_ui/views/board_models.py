"""How the models that stood side by side compare, by Bradley–Terry strengths and by plain counts."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from feedback_ui.service.quality import Quality
from feedback_ui.views.board_context import Ask, Board, Part
from feedback_ui.views.board_html import decimal, intervals, notice, panels, section, table
from feedback_ui.views.board_words import Words
from rlhf.crowd import Strengths


class ModelsPart:
    """The tab with the models' strengths."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._shown = gr.HTML(elem_classes="board", elem_id="models", padding=False)
        self.part = Part([self._shown], self._show)

    def _show(self, ask: Ask) -> Sequence[Any]:
        found = self._board.figures(ask)
        if found is None or found.quality is None or found.quality.models is None:
            return [notice(ask.words("models.none"))]
        models = found.quality.models
        warnings = "" if models.connected else _apart(ask.words, models)
        return [
            warnings + panels([_strengths(ask.words, models), _records(ask.words, found.quality, models)])
        ]


def _strengths(words: Words, models: Strengths) -> str:
    bounds = [bound for own in models.strengths.values() for bound in (own.low, own.high)]
    widest = max(0.5, *(abs(bound) for bound in bounds)) * 1.05
    rows = [(name, own, decimal(own), False) for name, own in models.strengths.items()]
    chart = intervals(rows, low=-widest, high=widest, middle=0)
    return section(words("models.strengths"), chart, words("models.strengths_note"))


def _records(words: Words, quality: Quality, models: Strengths) -> str:
    """Counts of each two, the stronger first, and what Bradley–Terry says of the next comparison."""
    rows: list[list[str]] = []
    place = {name: at for at, name in enumerate(models.strengths)}
    for (first, second), own in quality.records.items():
        wins, losses = own.wins, own.losses
        if place[first] > place[second]:
            first, second, wins, losses = second, first, losses, wins
        odds = models.odds(first, second)
        rows.append([first, second, f"{wins} · {own.ties} · {losses}", f"{100 * odds.first:.0f} %"])
    head = [words(f"models.{name}") for name in ("one", "other", "record", "odds")]
    return section(words("models.records"), table(head, rows, numbers=(2, 3)), words("models.records_note"))


def _apart(words: Words, models: Strengths) -> str:
    groups = " | ".join(", ".join(group) for group in models.components)
    return notice(words("models.apart", groups=groups), "alarm")
