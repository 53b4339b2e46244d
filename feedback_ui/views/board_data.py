"""What goes into the chosen campaign and what comes out: files up, snapshots down."""

import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.processing_utils import save_file_to_cache

from feedback_ui.errors import InvalidFeedback
from feedback_ui.export_rows import AGGREGATES
from feedback_ui.problems import in_words
from feedback_ui.service.audit import snapshots_taken
from feedback_ui.service.campaigns import campaign_info
from feedback_ui.service.importing import Imported, import_file
from feedback_ui.service.snapshot import snapshot
from feedback_ui.views.board_context import Ask, Board, Part
from feedback_ui.views.board_html import notice, section, table
from feedback_ui.views.board_words import Words

SHOWN_PROBLEMS = 20
FORMATS = ("csv", "parquet", "datasets")
"""Of an export, beside JSON lines."""


class DataPart:
    """The tab for import and export.

    `chosen` holds what came of the last export and import; `imported` is Gradio's event of an import.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        with board.make(gr.Accordion, {"label": "export.title"}, open=True):
            aggregate = board.make(
                gr.Radio,
                {
                    "label": "export.aggregate",
                    "info": "export.aggregate_info",
                    "choices": [(f"export.{name}", name) for name in AGGREGATES],
                },
                value="raw",
                elem_id="aggregate",
            )
            formats = board.make(
                gr.CheckboxGroup,
                {"label": "export.formats", "choices": [(f"export.{name}", name) for name in FORMATS]},
                elem_id="formats",
            )
            make = board.make(gr.Button, {"value": "export.make"}, variant="primary", elem_id="export")
            self._made = board.make(
                gr.File, {"label": "export.file"}, interactive=False, visible=False, elem_id="export-file"
            )
        self._taken = board.make(
            gr.Dataframe, {"label": "export.taken"}, interactive=False, wrap=True, elem_id="snapshots"
        )
        with board.make(gr.Accordion, {"label": "import.title"}, open=True):
            file = board.make(
                gr.File,
                {"label": "import.file"},
                file_count="single",
                type="filepath",
                height=140,
                elem_id="import-file",
            )
            add = board.make(gr.Button, {"value": "import.do"}, variant="primary", elem_id="import")
            self._came_to = gr.HTML(elem_classes="board", elem_id="imported", padding=False)
        self.part = Part([self._taken], self._show)
        self.chosen = Part([self._made, self._came_to], self._emptied)
        self.imported = board.on(add.click, self._import, [file], [file, self._came_to])
        board.on(make.click, self._export, [aggregate, formats], [self._made], [self.part])

    def _show(self, ask: Ask) -> list[Any]:
        words = ask.words
        found = snapshots_taken(self._board.db, ask.actor, ask.campaign) if ask.campaign is not None else []
        rows = [
            [f"{one.created:%Y-%m-%d %H:%M}", str(one.judgements), one.sha256[:16], Path(one.folder).name]
            for one in found
        ]
        heads = [words(f"export.{name}") for name in ("when", "judgements", "hash", "name")]
        return [gr.update(value={"headers": heads, "data": rows})]

    def _emptied(self, ask: Ask) -> list[Any]:
        return [gr.update(value=None, visible=False), ""]

    def _import(self, ask: Ask, path: str | None) -> list[Any]:
        if not path:
            raise InvalidFeedback(ask.words("import.choose"))
        campaign = ask.chosen
        try:
            found = import_file(self._board.db, ask.actor, campaign, Path(path))
        finally:
            Path(path).unlink(missing_ok=True)  # what was uploaded is in the store, or of no use
        said = ask.words("import.done", items=found.items, known=found.known)
        if found.judgements:
            said += " " + ask.words("import.judgements", count=found.judgements)
        return [said, None, _came_to(ask.words, said, found)]

    def _export(self, ask: Ask, aggregate: Any, formats: Sequence[str]) -> list[Any]:
        name = _file_name(campaign_info(self._board.db, ask.actor, ask.chosen).name)
        folder = Path(tempfile.mkdtemp(prefix="feedback-export-"))
        try:
            taken = len(snapshots_taken(self._board.db, ask.actor, ask.chosen))
            whole = folder / f"{name}-{taken + 1}-{aggregate}"
            manifest = snapshot(
                self._board.db,
                ask.chosen,
                whole,
                actor=ask.actor,
                aggregate=aggregate,
                as_csv="csv" in formats,
                as_parquet="parquet" in formats,
                as_datasets="datasets" in formats,
            )
            packed = shutil.make_archive(str(whole), "zip", folder, whole.name)
            sent = save_file_to_cache(packed, self._made.GRADIO_CACHE)  # Gradio sends it after this returns
        finally:
            shutil.rmtree(folder)
        counts = ", ".join(
            ask.words(f"export.{what}", count=f"{manifest.counts[what]:,}")
            for what in ("preferences", "demonstrations", "scores")
            if manifest.counts[what]
        )
        return [
            ask.words("export.done", counts=counts or "0", name=whole.name),
            gr.update(value=sent, visible=True),
        ]


def _came_to(words: Words, said: str, found: Imported) -> str:
    if not found.problems:
        return notice(said, "good")
    rows = [
        (problem.place, in_words(problem.error, words.language))
        for problem in found.problems[:SHOWN_PROBLEMS]
    ]
    title = words("import.problems", count=len(found.problems), shown=len(rows))
    return notice(said) + section(title, table([words("import.place"), words("import.why")], rows))


def _file_name(name: str) -> str:
    """A campaign's name as part of a file's name anywhere."""
    return re.sub(r"[^\w-]+", "-", name).strip("-")[:60] or "campaign"
