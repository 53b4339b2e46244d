"""The loop that learns from a campaign: what it waits for, from the store, and the page that it writes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import gradio as gr

from feedback_ui.service.loops import Loop, Waiting, loops
from feedback_ui.views.board_context import Ask, Board, Part
from feedback_ui.views.board_html import notice, progress, section, table, text, tiles
from feedback_ui.views.board_words import Words

EVERY_S = 10
"""Between two looks at how far a round is, while the tab is open."""
PAGES = "/manage/loops"
"""Below it are the pages of loops, by the id of a campaign of theirs."""


class LoopPart:
    """The tab of the loop. `live` is how far it is, `page` what it has written; `chosen` is both."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._live = gr.HTML(elem_classes="board", elem_id="loop-live", padding=False)
        self._page = gr.HTML(elem_classes="board", elem_id="loop-page", padding=False)
        self.part = Part([self._live, self._page], self._show)

    def begin(self, tab: gr.Tab) -> None:
        """Look again from time to time, once the tab was opened."""
        clock = gr.Timer(EVERY_S, active=False)
        opened = Part([clock], lambda ask: [gr.Timer(active=True)])
        show, outputs = self._board.showing(self.part)
        start, started = self._board.showing(opened)
        tab.select(show, [self._board.campaign], outputs, api_visibility="private")
        tab.select(start, [self._board.campaign], started, api_visibility="private")
        clock.tick(show, [self._board.campaign], outputs, show_progress="hidden", api_visibility="private")

    def _show(self, ask: Ask) -> Sequence[Any]:
        found = loops(self._board.db, ask.actor)
        if not found:
            return [notice(ask.words("loop.none")), ""]
        own = [one for one in found if any(each.campaign_id == ask.campaign for each in one.campaigns)]
        loop = own[0] if own else found[0]
        said = "" if own else notice(ask.words("loop.other", name=loop.name), "mild")
        live = said + _live(ask.words, loop, self._board.db.now()) + _others(ask.words, found, loop)
        return [live, _page(ask.words, loop)]


def _live(words: Words, loop: Loop, now: datetime) -> str:
    newest = loop.campaigns[0].round_number
    current = [one for one in loop.campaigns if one.round_number == newest]
    earlier = [one for one in loop.campaigns if one.round_number != newest]
    made = "".join(_waiting(words, one, now) for one in current)
    return made + (_earlier(words, earlier) if earlier else "")


def _waiting(words: Words, one: Waiting, now: datetime) -> str:
    """One campaign of the round: how much is there, how fast it comes, when the rest may be there."""
    title = words(f"loop.{one.purpose}", round=one.round_number, campaign=one.campaign)
    said = words("loop.of", judged=f"{one.judged:,}", wanted=f"{one.wanted:,}", left=f"{one.left:,}")
    rate = "–" if one.per_hour is None else f"{one.per_hour:,.{0 if one.per_hour >= 100 else 1}f}"
    expected = "–" if one.expected is None else words.seconds((one.expected - now).total_seconds())
    figures = [
        (words("loop.left"), f"{one.left:,}"),
        (words("loop.rate"), rate),
        (words("loop.expected"), expected),
        (words("progress.status"), words(f"status.{one.status}")),
    ]
    if one.left == 0:
        after = notice(words("loop.there"), "good")
    elif one.status != "open":
        after = notice(words("loop.stopped", status=words(f"status.{one.status}")), "alarm")
    else:
        after = ""
    return section(title, tiles(figures) + progress(one.judged, one.wanted, said) + after)


def _earlier(words: Words, rounds: Sequence[Waiting]) -> str:
    rows = [
        [
            str(one.round_number),
            one.campaign,
            words(f"loop.for_{one.purpose}"),
            f"{one.judged:,} / {one.wanted:,}",
            words(f"status.{one.status}"),
        ]
        for one in rounds
    ]
    head = [words(f"loop.{name}") for name in ("round", "campaign", "for", "judgements", "status")]
    folded = f"<summary>{text(words('loop.earlier'))}</summary>{table(head, rows, numbers=(3,))}"
    return f'<details class="panel">{folded}</details>'


def _others(words: Words, found: Sequence[Loop], shown: Loop) -> str:
    others = [one for one in found if one is not shown]
    if not others:
        return ""
    rows = [[one.name, one.campaigns[0].campaign, str(one.campaigns[0].round_number)] for one in others]
    head = [words(f"loop.{name}") for name in ("loop", "campaign", "round")]
    return section(words("loop.others"), table(head, rows), words("loop.others_note"))


def _page(words: Words, loop: Loop) -> str:
    """The loop's own page in a frame that can reach nothing; its address changes when it is written anew."""
    written = loop.page_written
    if written is None:
        return notice(words("loop.no_page", folder=loop.folder))
    path = f"{PAGES}/{loop.campaigns[0].campaign_id}"
    query = f"{path}?written={written.timestamp():.0f}#{words.language}"
    link = (
        f'<a href="{text(f"{path}#{words.language}")}" target="_blank" rel="noopener">'
        f"{text(words('loop.open'))}</a>"
    )
    frame = (
        f'<iframe src="{text(query)}" sandbox="allow-scripts" referrerpolicy="no-referrer" '
        f'title="{text(words("loop.page"))}"></iframe>'
    )
    return f'<p class="loop-link">{link}</p>{frame}'
