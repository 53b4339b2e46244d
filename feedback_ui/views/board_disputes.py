"""Items on which raters contradict each other, one at a time, and the manager's word that settles one.

Who wrote an answer is not told, and answers stand in the order of the file: the manager is as blind as
raters.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any
from uuid import UUID, uuid4

import gradio as gr

from feedback_ui.errors import InvalidFeedback
from feedback_ui.form import Form
from feedback_ui.service.adjudication import Dispute, adjudicate
from feedback_ui.service.figures import Figures
from feedback_ui.views.board_context import Ask, Board, Part
from feedback_ui.views.board_html import answer, conversation, notice, section, table, text
from feedback_ui.views.board_words import Words

BOTH_BAD = "both_bad"
STRENGTHS = (-3, -2, -1, 0, 1, 2, 3)


@dataclass(frozen=True)
class Looked:
    """The item in view: where it stood among the disputes, and the key of one click on it."""

    item_id: UUID | None = None
    place: int = 0
    key: str = ""


class DisputesPart:
    """The tab in which disputes are settled. `changed` are parts that a verdict changes."""

    def __init__(self, board: Board, changed: Sequence[Part]) -> None:
        self._board = board
        self._looked = gr.State(Looked())
        self._shown = gr.HTML(elem_classes="board", elem_id="dispute", padding=False)
        with gr.Row():
            before = board.make(gr.Button, {"value": "dispute.before"}, size="sm", elem_id="dispute-before")
            after = board.make(gr.Button, {"value": "dispute.after"}, size="sm", elem_id="dispute-after")
        choices = [(f"compare.{strength}", str(strength)) for strength in STRENGTHS]
        self._strength = board.make(
            gr.Radio,
            {"label": "dispute.verdict", "choices": [*choices, ("compare.both_bad", BOTH_BAD)]},
            visible=False,
            elem_id="verdict",
        )
        self._thumb = board.make(
            gr.Radio,
            {"label": "dispute.verdict", "choices": [("thumb.up", "up"), ("thumb.down", "down")]},
            visible=False,
            elem_id="verdict-thumb",
        )
        self._ranking = board.make(
            gr.Textbox,
            {"label": "dispute.ranking", "info": "dispute.ranking_info"},
            placeholder="2 > 1 = 3",
            visible=False,
            elem_id="verdict-ranking",
        )
        self._score = board.make(
            gr.Number, {"label": "dispute.score"}, visible=False, elem_id="verdict-score"
        )
        self._ratings = board.make(
            gr.Dataframe, {"label": "dispute.ratings"}, type="array", visible=False, elem_id="verdict-ratings"
        )
        self._reason = board.make(gr.Textbox, {"label": "dispute.reason"}, lines=2, visible=False)
        settle = board.make(
            gr.Button, {"value": "dispute.settle"}, variant="primary", elem_id="dispute-settle"
        )
        self._given = [self._strength, self._thumb, self._ranking, self._score, self._ratings, self._reason]
        self.part = Part([self._looked, self._shown, *self._given], lambda ask: self._at(ask, 0))
        seen = self.part.outputs
        board.on(
            before.click, lambda ask, looked: ["", *self._at(ask, looked.place - 1)], [self._looked], seen
        )
        board.on(
            after.click, lambda ask, looked: ["", *self._at(ask, looked.place + 1)], [self._looked], seen
        )
        board.on(settle.click, self._settle, [self._looked, *self._given], seen, changed)

    def _at(self, ask: Ask, place: int) -> list[Any]:
        """The dispute at a place, from the first or last where it is beyond."""
        found = self._board.figures(ask)
        if found is None or not found.disputes:
            nothing = notice(ask.words("dispute.none"), "good")
            return [Looked(), nothing, *(gr.update(visible=False) for _ in self._given)]
        place = min(max(place, 0), len(found.disputes) - 1)
        dispute = found.disputes[place]
        looked = Looked(dispute.item_id, place, f"settle-{uuid4()}")
        return [looked, _page(ask.words, found, place), *_asked(found.form, len(dispute.answers))]

    def _settle(self, ask: Ask, looked: Looked, *given: Any) -> list[Any]:
        found = self._board.figures(ask)
        if looked.item_id is None or found is None:
            raise InvalidFeedback(ask.words("dispute.nothing"))
        said = given_of(ask.words, found.form, *given)
        adjudicate(self._board.db, ask.actor, looked.item_id, said, key=looked.key)
        return [ask.words("dispute.settled"), *self._at(ask, looked.place)]


def given_of(
    words: Words,
    form: Form,
    strength: str | None,
    thumb: str | None,
    ranking: str,
    score: float | None,
    ratings: Sequence[Sequence[Any]],
    reason: str,
) -> dict[str, Any]:
    """What the manager gave as `feedback_ui.form.Given` has it.

    Raises InvalidFeedback where nothing was given, or the ranking cannot be read.
    """
    given: dict[str, Any] = {"reason": reason} if reason.strip() else {}
    if form.kind in ("compare", "chat"):
        if strength is None:
            raise InvalidFeedback(words("dispute.choose"))
        return given | ({BOTH_BAD: True} if strength == BOTH_BAD else {"strength": int(strength)})
    if form.kind == "thumb":
        return given | ({"thumb": thumb == "up"} if thumb else {})
    if form.kind == "rank":
        return given | {"ranking": _ranking(words, ranking)}
    if form.kind == "score":
        return given | {"score": score}
    return given | {"ratings": _ratings_of(words, form, ratings)}


def _ranking(words: Words, said: str) -> list[list[int]]:
    groups = [re.split(r"[=＝]", group) for group in re.split(r"[>＞]", said)]
    numbers = [[number.strip() for number in group] for group in groups]
    if not all(number.isdecimal() and int(number) for group in numbers for number in group):
        raise InvalidFeedback(words("dispute.ranking_unread"))
    return [[int(number) - 1 for number in group] for group in numbers]


def _ratings_of(words: Words, form: Form, rows: Sequence[Sequence[Any]]) -> dict[int, dict[str, int]]:
    names = [scale.name for scale in form.scales]
    try:
        return {
            place: dict(zip(names, (int(value) for value in row[1:]), strict=True))
            for place, row in enumerate(rows)
        }
    except (TypeError, ValueError):
        raise InvalidFeedback(words("dispute.ratings_unread")) from None


def _asked(form: Form, answers: int) -> list[Any]:
    """Updates that empty what was given and show what the campaign asks."""
    kind = form.kind
    heads = ["", *(f"{scale.name} ({scale.low}–{scale.high})" for scale in form.scales)]
    blank = [[str(place + 1), *([""] * len(form.scales))] for place in range(answers)]
    return [
        gr.update(visible=kind in ("compare", "chat"), value=None),
        gr.update(visible=kind == "thumb", value=None),
        gr.update(visible=kind == "rank", value=""),
        gr.update(visible=kind == "score", value=None),
        gr.update(
            visible=kind == "rate", value={"headers": heads, "data": blank} if kind == "rate" else None
        ),
        gr.update(visible=form.reason != "off", value=""),
    ]


def _page(words: Words, found: Figures, place: int) -> str:
    dispute = found.disputes[place]
    roles = {role: words(f"role.{role}") for role in ("system", "user", "assistant")}
    head = f"<h2>{text(words('dispute.of', place=place + 1, count=len(found.disputes)))}</h2>"
    sides = "".join(
        section(words("dispute.answer", number=at + 1), answer(said))
        for at, said in enumerate(dispute.answers)
    )
    return (
        head
        + section(words("dispute.prompt"), conversation(dispute.prompt, roles))
        + f'<div class="sides">{sides}</div>'
        + section(words("dispute.votes"), _votes(words, dispute))
    )


def _votes(words: Words, dispute: Dispute) -> str:
    rows = [(ascii_uppercase[at % 26], *_vote(words, content)) for at, content in enumerate(dispute.said)]
    head = [words("dispute.rater"), words("dispute.vote"), words("dispute.reason")]
    return table(head, rows)


def _vote(words: Words, content: dict[str, Any]) -> tuple[str, str]:
    """What a rater said, in words, and why."""
    if content.get(BOTH_BAD):
        said = words("compare.both_bad")
    elif "strength" in content:
        side = 0 if content["better"] is None else 1 if content["better"] == 1 else -1
        said = words(f"compare.{side * content['strength']}")
    elif "ranking" in content:
        said = " > ".join(" = ".join(str(place + 1) for place in group) for group in content["ranking"])
    elif "thumb" in content:
        said = words("thumb.up" if content["thumb"] else "thumb.down")
    elif "score" in content:
        said = f"{content['score']:g}"
    else:
        said = "; ".join(
            f"{place + 1}: {json.dumps(values, ensure_ascii=False)}"
            for place, values in content.get("ratings", {}).items()
        )
    return said, str(content.get("reason", ""))
