"""The manager's board: how a campaign goes, whether its judgements can be trusted, and what to do."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from feedback_ui.database import Database
from feedback_ui.language import COOKIE, LANGUAGES, language_of
from feedback_ui.problems import in_words
from feedback_ui.service.access import Actor
from feedback_ui.views.board_campaigns import CampaignsPart, campaign_choices
from feedback_ui.views.board_context import Board, Part
from feedback_ui.views.board_data import DataPart
from feedback_ui.views.board_disputes import DisputesPart
from feedback_ui.views.board_html import notice, text
from feedback_ui.views.board_log import LogPart
from feedback_ui.views.board_loop import LoopPart
from feedback_ui.views.board_models import ModelsPart
from feedback_ui.views.board_people import PeoplePart
from feedback_ui.views.board_progress import ProgressPart
from feedback_ui.views.board_trust import TrustPart
from feedback_ui.views.board_words import Words, words_in
from rlhf.errors import RlhfError

_STYLE = (Path(__file__).resolve().parents[1] / "static" / "board.css").read_text(encoding="utf-8")
_FILES_S = 3600
"""How long an exported file can be fetched."""

# Light and dark as chosen on the rater's page, else as the system has it.
_SHADE = """() => {
  const kept = localStorage.getItem("feedback_shade");
  const dark = kept ? kept === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.body.classList.toggle("dark", dark);
}"""
_SWITCH_SHADE = """() => {
  const dark = !document.body.classList.contains("dark");
  document.body.classList.toggle("dark", dark);
  localStorage.setItem("feedback_shade", dark ? "dark" : "light");
}"""
_SPEAK = f"""(language) => {{
  localStorage.setItem("{COOKIE}", language);
  document.cookie = `{COOKIE}=${{language}}; path=/; max-age=31536000; samesite=lax`;
  location.reload();
}}"""
_SIGN_OUT = """() => {
  fetch("/api/sign-out", {
    method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"
  }).finally(() => { location.href = "/sign-in?next=/manage/"; });
}"""
_NAMES = {"en": "English", "zh": "中文"}


def manager_page(db: Database, actor_of: Callable[[gr.Request], Actor]) -> gr.Blocks:
    """The board, to be mounted at /manage.

    Args:
        actor_of: who sends a request; raises NotAllowed where nobody is signed in.
    """
    board = Board(db, actor_of)
    with gr.Blocks(
        title="Feedback", analytics_enabled=False, fill_width=True, delete_cache=(_FILES_S, _FILES_S)
    ) as page:
        gr.HTML(f"<style>{_STYLE}</style>", elem_id="board-style")
        refused = gr.HTML(visible=False, elem_classes="board", padding=False)
        with gr.Column() as content:
            header = _Header(board)
            tabs = _Tabs(board)
        opened = page.load(
            _opening(board),
            None,
            [refused, content, *header.outputs, *board.worded],
            api_visibility="private",
        )
        page.load(None, None, None, js=_SHADE)
        chosen = (opened.then, board.campaign.input, tabs.campaigns.created.then)
        _show(board, chosen, [*tabs.quick, *tabs.chosen], tabs.slow)
        _show(board, (header.refresh.click, tabs.data.imported.then), tabs.quick, tabs.slow)
    return page


def _show(
    board: Board, events: Sequence[Callable[..., Any]], quick: Sequence[Part], slow: Sequence[Part]
) -> None:
    """Have events show parts of the chosen campaign: first what is there at once, then the figures."""
    at_once, at_once_outputs = board.showing(*quick)
    figures, figures_outputs = board.showing(*slow)
    for event in events:
        first = event(at_once, [board.campaign], at_once_outputs, api_visibility="private")
        first.then(figures, [board.campaign], figures_outputs, api_visibility="private")


class _Header:
    """Whose board it is, which campaign, the language, light and dark."""

    def __init__(self, board: Board) -> None:
        with gr.Row(elem_id="board-top"):
            self._head = gr.HTML(elem_classes=["board", "head"], elem_id="head", padding=False, min_width=200)
            with gr.Column(min_width=200, elem_classes="which"):
                board.campaign.render()
            with gr.Column(min_width=180, elem_classes="language"):
                self._language = board.make(
                    gr.Radio,
                    {"label": "page.language"},
                    choices=[(_NAMES[language], language) for language in LANGUAGES],
                    value="en",
                    elem_id="language",
                )
            self.refresh = board.make(
                gr.Button, {"value": "page.refresh"}, size="md", min_width=90, scale=0, elem_id="refresh"
            )
            shade = board.make(
                gr.Button, {"value": "page.shade"}, size="md", min_width=90, scale=0, elem_id="shade"
            )
            leave = board.make(gr.Button, {"value": "page.sign_out"}, size="md", min_width=90, scale=0)
        self.outputs = [self._head, self._language]
        self._language.input(None, [self._language], None, js=_SPEAK)
        shade.click(None, None, None, js=_SWITCH_SHADE)
        leave.click(None, None, None, js=_SIGN_OUT)


class _Tabs:
    """The tabs. `quick` are parts to show at once, `slow` parts whose figures take a moment; `chosen` parts
    hold what was typed or made for a campaign, and are shown when another is chosen."""

    def __init__(self, board: Board) -> None:
        with gr.Tabs():
            with board.make(gr.Tab, {"label": "tab.progress"}, id="progress"):
                progress = ProgressPart(board)
            with board.make(gr.Tab, {"label": "tab.trust"}, id="trust"):
                trust = TrustPart(board)
            with board.make(gr.Tab, {"label": "tab.models"}, id="models"):
                models = ModelsPart(board)
            with board.make(gr.Tab, {"label": "tab.disputes"}, id="disputes"):
                disputes = DisputesPart(board, [progress.judging])
            loop_tab = board.make(gr.Tab, {"label": "tab.loop"}, id="loop")
            with loop_tab:
                loop = LoopPart(board)
            with board.make(gr.Tab, {"label": "tab.campaigns"}, id="campaigns"):
                self.campaigns = CampaignsPart(board, [progress.overview])
            with board.make(gr.Tab, {"label": "tab.data"}, id="data"):
                self.data = DataPart(board)
            with board.make(gr.Tab, {"label": "tab.people"}, id="people"):
                people = PeoplePart(board)
            log_tab = board.make(gr.Tab, {"label": "tab.log"}, id="log")
            with log_tab:
                log = LogPart(board)
        show_log, log_outputs = board.showing(log.part)
        log_tab.select(show_log, [board.campaign], log_outputs, api_visibility="private")
        loop.begin(loop_tab)
        self.quick = [
            progress.overview, self.campaigns.part, self.data.part, people.part, people.crowd, log.part,
            loop.part,
        ]  # fmt: skip
        self.slow = [progress.judging, trust.part, models.part, disputes.part]
        self.chosen = [self.campaigns.chosen, self.data.chosen, people.crowd_chosen]


def _opening(board: Board) -> Callable[[gr.Request], list[Any]]:
    """What is shown first: the board in the manager's language, or that this person may not see it."""

    def opened(request: gr.Request) -> list[Any]:
        words = words_in(language_of(request))
        try:
            ask = board.ask(request, None)
            choices = campaign_choices(board, ask)
            chosen = _chosen(request, [value for _, value in choices])
        except RlhfError as error:
            message = gr.update(value=notice(in_words(error, words.language), "alarm"), visible=True)
            return [message, gr.update(visible=False), *(gr.skip() for _ in range(2 + len(board.worded)))]
        more = {board.campaign: {"choices": choices, "value": chosen}}
        shown = gr.update(visible=False), gr.update(visible=True)
        return [*shown, _head(words, ask.actor), words.language, *board.reworded(words, more)]

    return opened


def _head(words: Words, actor: Actor) -> str:
    links = f'<a href="/">{text(words("page.judge"))}</a>'
    who = text(words("page.who", name=actor.name))
    return f'<h2>{text(words("page.title"))}</h2><p>{links}<span class="note">{who}</span></p>'


def _chosen(request: gr.Request, there: list[str]) -> str | None:
    """The campaign of the page's address, else the first."""
    asked = request.query_params.get("campaign")
    return asked if asked in there else there[0] if there else None
