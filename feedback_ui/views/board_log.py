"""Who did what to the store, newest first."""

import json
from collections.abc import Sequence
from typing import Any

import gradio as gr

from feedback_ui.service.audit import audit_log
from feedback_ui.views.board_context import Ask, Board, Part


class LogPart:
    """The tab with the audit log."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._table = board.make(
            gr.Dataframe,
            {"label": "log.title"},
            interactive=False,
            wrap=True,
            show_search="search",
            elem_id="log",
        )
        self.part = Part([self._table], self._show)

    def _show(self, ask: Ask) -> Sequence[Any]:
        rows = [
            [
                f"{line.at:%Y-%m-%d %H:%M:%S}",
                line.actor,
                line.action,
                line.subject,
                json.dumps(line.detail, ensure_ascii=False) if line.detail else "",
            ]
            for line in audit_log(self._board.db, ask.actor)
        ]
        heads = [ask.words(f"log.{name}") for name in ("when", "who", "what", "whom", "detail")]
        return [gr.update(value={"headers": heads, "data": rows})]
