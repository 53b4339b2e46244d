"""People: invite, disable, erase; who takes part in the chosen campaign, and how they stand there."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import gradio as gr

from feedback_ui.errors import Conflict, InvalidFeedback
from feedback_ui.service.accounts import Account, accounts, add_rater, disable_rater, invite
from feedback_ui.service.crowd import Participant, participants, set_standing
from feedback_ui.service.erasure import erase_rater
from feedback_ui.service.joining import end_links, open_link
from feedback_ui.views.board_context import Ask, Board, Part
from feedback_ui.views.board_words import Words


class PeoplePart:
    """The tab with accounts, invitations and open links."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._table = board.make(
            gr.Dataframe, {"label": "people.all"}, interactive=False, wrap=True, elem_id="people"
        )
        with board.make(gr.Accordion, {"label": "people.invite"}, open=True):
            with gr.Row(equal_height=True):
                name = board.make(gr.Textbox, {"label": "people.name"}, max_length=200, elem_id="new-name")
                role = board.make(
                    gr.Radio,
                    {
                        "label": "people.role",
                        "choices": [("role.rater", "rater"), ("role.manager", "manager")],
                    },
                    value="rater",
                )
            add = board.make(gr.Button, {"value": "people.add"}, variant="primary", elem_id="add-rater")
            self._link = board.make(
                gr.Textbox,
                {"label": "people.link", "info": "people.link_info"},
                buttons=["copy"],
                interactive=False,
                visible=False,
                elem_id="invitation",
            )
        with board.make(gr.Accordion, {"label": "people.one"}, open=False):
            self._person = board.make(gr.Dropdown, {"label": "people.person"}, choices=[], elem_id="person")
            with gr.Row():
                again = board.make(gr.Button, {"value": "people.invite_again"}, elem_id="invite-again")
                shut = board.make(gr.Button, {"value": "people.disable"}, elem_id="disable")
            kept = board.make(
                gr.Radio,
                {
                    "label": "people.judgements",
                    "choices": [("people.keep", "keep"), ("people.remove", "remove")],
                },
                value="keep",
            )
            typed = board.make(gr.Textbox, {"label": "people.type_name"}, elem_id="erase-name")
            erase = board.make(gr.Button, {"value": "people.erase"}, variant="stop", elem_id="erase")
        crowd = _CrowdPart(board, self._person)
        self.part = Part([self._table, self._person], self._show)
        self.crowd = crowd.part
        self.crowd_chosen = crowd.chosen
        shown = [self.part]
        board.on(add.click, self._add, [name, role], [name, self._link], shown)
        board.on(again.click, self._invite, [self._person], [self._link])
        board.on(shut.click, self._disable, [self._person], [], shown)
        board.on(erase.click, self._erase, [self._person, kept, typed], [typed], shown)

    def _show(self, ask: Ask) -> list[Any]:
        words = ask.words
        found = accounts(self._board.db, ask.actor)
        heads = [words(f"people.{name}") for name in ("name", "role", "state", "pseudonym")]
        rows = [
            [one.name, words(f"role.{one.role}"), words(f"account.{_state(one)}"), one.pseudonym]
            for one in found
        ]
        choices = [(one.name, str(one.id)) for one in found]
        return [
            gr.update(value={"headers": heads, "data": rows}),
            gr.update(choices=choices, value=None),
        ]

    def _add(self, ask: Ask, name: str, role: str) -> list[Any]:
        made = add_rater(self._board.db, ask.actor, name, role="manager" if role == "manager" else "rater")
        return [ask.words("people.added", name=made.name), "", self._invited(ask, made.id)]

    def _invite(self, ask: Ask, person: str | None) -> list[Any]:
        return [ask.words("people.invited"), self._invited(ask, _chosen(ask.words, person))]

    def _invited(self, ask: Ask, rater: UUID) -> Any:
        token = invite(self._board.db, ask.actor, rater)
        return gr.update(value=f"{ask.address}/join/{token}", visible=True)

    def _disable(self, ask: Ask, person: str | None) -> list[Any]:
        rater = _chosen(ask.words, person)
        if rater == ask.actor.rater_id:
            raise Conflict(ask.words("people.not_yourself"))
        disable_rater(self._board.db, ask.actor, rater)
        return [ask.words("people.disabled")]

    def _erase(self, ask: Ask, person: str | None, kept: str, typed: str) -> list[Any]:
        rater = _chosen(ask.words, person)
        names = {one.id: one.name for one in accounts(self._board.db, ask.actor)}
        if typed.strip() != names.get(rater):
            raise InvalidFeedback(ask.words("people.name_differs"))
        erase_rater(self._board.db, ask.actor, rater, judgements="remove" if kept == "remove" else "keep")
        return [ask.words("people.erased"), ""]


class _CrowdPart:
    """Open links of the chosen campaign, and who came by them."""

    def __init__(self, board: Board, person: gr.Dropdown) -> None:
        self._board = board
        with board.make(gr.Accordion, {"label": "crowd.title"}, open=False):
            with gr.Row(equal_height=True):
                most = board.make(gr.Number, {"label": "crowd.limit"}, precision=0, minimum=1, value=None)
                days = board.make(gr.Number, {"label": "crowd.days"}, minimum=0, value=14)
            with gr.Row():
                new = board.make(gr.Button, {"value": "crowd.new_link"}, elem_id="open-link")
                end = board.make(gr.Button, {"value": "crowd.end_links"}, elem_id="end-links")
            link = board.make(
                gr.Textbox,
                {"label": "crowd.link", "info": "crowd.link_info"},
                buttons=["copy"],
                interactive=False,
                visible=False,
            )
            table = board.make(
                gr.Dataframe, {"label": "crowd.participants"}, interactive=False, wrap=True, elem_id="crowd"
            )
            with gr.Row():
                pause = board.make(gr.Button, {"value": "crowd.pause"})
                resume = board.make(gr.Button, {"value": "crowd.resume"})
        self.part = Part([table], self._show)
        self.chosen = Part([link], lambda _: [gr.update(value="", visible=False)])
        board.on(new.click, self._open, [most, days], [link])
        board.on(end.click, self._end, [], [link])
        board.on(pause.click, lambda ask, one: self._stand(ask, one, "paused"), [person], [], [self.part])
        board.on(resume.click, lambda ask, one: self._stand(ask, one, "active"), [person], [], [self.part])

    def _show(self, ask: Ask) -> list[Any]:
        words = ask.words
        found = participants(self._board.db, ask.actor, ask.campaign) if ask.campaign is not None else []
        names = ("name", "standing", "judged", "gold", "worker", "code")
        rows = [_row(words, one) for one in found]
        return [gr.update(value={"headers": [words(f"crowd.{name}") for name in names], "data": rows})]

    def _open(self, ask: Ask, most: float | None, days: float | None) -> list[Any]:
        valid = timedelta(days=days) if days else None
        token = open_link(
            self._board.db, ask.actor, ask.chosen, limit=int(most) if most else None, valid=valid
        )
        return [ask.words("crowd.opened"), gr.update(value=f"{ask.address}/join/{token}", visible=True)]

    def _end(self, ask: Ask) -> list[Any]:
        end_links(self._board.db, ask.actor, ask.chosen)
        return [ask.words("crowd.ended"), gr.update(value="", visible=False)]

    def _stand(self, ask: Ask, person: str | None, standing: Any) -> list[Any]:
        set_standing(self._board.db, ask.actor, ask.chosen, _chosen(ask.words, person), standing)
        return [ask.words(f"crowd.now_{standing}")]


def _row(words: Words, one: Participant) -> list[str]:
    gold = f"{one.gold_right} / {one.gold}"
    return [
        one.name,
        words(f"standing.{one.standing}"),
        str(one.judged),
        gold,
        one.worker or "",
        one.code or "",
    ]


def _state(one: Account) -> str:
    return "disabled" if one.disabled else "ready" if one.has_password else "invited"


def _chosen(words: Words, person: str | None) -> UUID:
    if not person:
        raise InvalidFeedback(words("people.choose"))
    return UUID(person)
