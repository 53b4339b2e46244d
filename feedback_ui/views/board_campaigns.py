"""Campaigns: all with how far they are, status and guidelines of the chosen one, and new ones."""

from collections.abc import Sequence
from functools import partial
from typing import Any, get_args

import gradio as gr

from feedback_ui.errors import InvalidFeedback
from feedback_ui.form import ANSWERS, FLAGS, Form, parse_form
from feedback_ui.schema import CampaignStatus
from feedback_ui.service.campaigns import (
    campaign_info,
    campaigns,
    create_campaign,
    set_guidelines,
    set_status,
)
from feedback_ui.service.plan import LEASE_S, Plan
from feedback_ui.service.progress import all_progress
from feedback_ui.views.board_context import Ask, Board, Part
from feedback_ui.views.board_words import Words

STATUSES: tuple[CampaignStatus, ...] = get_args(CampaignStatus)


class CampaignsPart:
    """The tab with all campaigns. `after` are parts that a new status changes.

    `chosen` holds what can be edited of the chosen campaign; `created` is Gradio's event of a new one.
    """

    def __init__(self, board: Board, after: Sequence[Part]) -> None:
        self._board = board
        self._table = board.make(
            gr.Dataframe, {"label": "campaigns.all"}, interactive=False, wrap=True, elem_id="campaigns"
        )
        with board.make(gr.Accordion, {"label": "campaigns.one"}, open=True):
            with gr.Row():
                buttons: dict[CampaignStatus, gr.Button] = {
                    status: board.make(
                        gr.Button, {"value": f"campaigns.{status}"}, elem_id=f"status-{status}"
                    )
                    for status in STATUSES
                }
            self._guidelines = board.make(
                gr.Textbox,
                {"label": "campaigns.guidelines", "info": "campaigns.guidelines_info"},
                lines=6,
                elem_id="guidelines",
            )
            save = board.make(gr.Button, {"value": "campaigns.save_guidelines"}, elem_id="save-guidelines")
        self.part = Part([self._table], self._show)
        self.chosen = Part([self._guidelines], self._newest_guidelines)
        for status, button in buttons.items():
            board.on(button.click, partial(self._set_status, status), [], [], [self.part, *after])
        board.on(save.click, self._save_guidelines, [self._guidelines], [], [self.chosen])
        with board.make(gr.Accordion, {"label": "campaigns.new"}, open=False):
            new = _NewCampaign(board)
        self.created = board.on(new.create.click, self._create, new.inputs, [new.name, board.campaign], [])

    def _show(self, ask: Ask) -> list[Any]:
        words = ask.words
        kinds = {one.name: one.form.kind for one in campaigns(self._board.db, ask.actor)}
        rows = [
            [
                one.name,
                words(f"kind.{kinds[one.name]}"),
                words(f"status.{one.status}"),
                f"{one.judgements:,} / {one.wanted:,}",
                f"{one.complete:,} / {one.items:,}",
            ]
            for one in all_progress(self._board.db, ask.actor)
            if one.name in kinds
        ]
        heads = [words(f"campaigns.{name}") for name in ("name", "kind", "status", "judgements", "items")]
        return [gr.update(value={"headers": heads, "data": rows})]

    def _newest_guidelines(self, ask: Ask) -> list[Any]:
        if ask.campaign is None:
            return [gr.update(value="", info=ask.words("campaigns.guidelines_info"))]
        found = campaign_info(self._board.db, ask.actor, ask.campaign)
        info = ask.words("campaigns.guidelines_version", version=found.guideline_version)
        return [gr.update(value=found.guidelines, info=info)]

    def _set_status(self, status: CampaignStatus, ask: Ask) -> list[Any]:
        set_status(self._board.db, ask.actor, ask.chosen, status)
        return [ask.words("campaigns.now", status=ask.words(f"status.{status}"))]

    def _save_guidelines(self, ask: Ask, said: str) -> list[Any]:
        version = set_guidelines(self._board.db, ask.actor, ask.chosen, said)
        return [ask.words("campaigns.guidelines_saved", version=version)]

    def _create(self, ask: Ask, name: str, *values: Any) -> list[Any]:
        question, language, guidelines, *rest = values
        form, plan = _asked(ask.words, *rest)
        made = create_campaign(
            self._board.db,
            ask.actor,
            name,
            form,
            plan=plan,
            question=question.strip() or None,
            guidelines=guidelines,
            language=language.strip() or "any",
        )
        choices = campaign_choices(self._board, ask)
        return [ask.words("campaigns.created", name=name), "", gr.update(choices=choices, value=str(made))]


class _NewCampaign:
    """The fields of a new campaign; `inputs` in the order of `_create`."""

    def __init__(self, board: Board) -> None:
        self.name = board.make(
            gr.Textbox, {"label": "campaigns.name"}, max_length=200, elem_id="campaign-name"
        )
        kind = board.make(
            gr.Dropdown,
            {"label": "campaigns.kind", "choices": [(f"kind.{kind}", kind) for kind in ANSWERS]},
            value="compare",
            elem_id="kind",
        )
        question = board.make(gr.Textbox, {"label": "campaigns.question", "info": "campaigns.question_info"})
        guidelines = board.make(gr.Textbox, {"label": "campaigns.guidelines"}, lines=4)
        with gr.Row(equal_height=True):
            raters = board.make(gr.Number, {"label": "campaigns.raters"}, value=3, precision=0, minimum=1)
            overlap = board.make(gr.Slider, {"label": "campaigns.overlap"}, value=1, maximum=1, step=0.05)
            gold = board.make(gr.Slider, {"label": "campaigns.gold_share"}, value=0, maximum=0.5, step=0.05)
        flags = board.make(
            gr.CheckboxGroup,
            {"label": "campaigns.flags", "choices": [(f"flag.{flag}", flag) for flag in FLAGS]},
        )
        with gr.Row(equal_height=True):
            reason = board.make(
                gr.Radio,
                {
                    "label": "campaigns.reason",
                    "choices": [(f"reason.{name}", name) for name in ("off", "optional", "required")],
                },
                value="optional",
            )
            edit = board.make(gr.Checkbox, {"label": "campaigns.edit"}, value=False)
        scales = board.make(
            gr.Textbox,
            {"label": "campaigns.scales", "info": "campaigns.scales_info"},
            placeholder="helpful:1-5",
        )
        with board.make(gr.Accordion, {"label": "campaigns.crowd"}, open=False), gr.Row(equal_height=True):
            qualify = board.make(gr.Number, {"label": "campaigns.qualify"}, value=0, precision=0, minimum=0)
            mark = board.make(gr.Slider, {"label": "campaigns.pass_mark"}, value=0.8, maximum=1, step=0.05)
            share = board.make(gr.Slider, {"label": "campaigns.rater_share"}, value=1, maximum=1, step=0.05)
            pause = board.make(gr.Number, {"label": "campaigns.pause_gold"}, value=0, precision=0, minimum=0)
        language = board.make(gr.Textbox, {"label": "campaigns.language"}, value="any")
        self.create = board.make(
            gr.Button, {"value": "campaigns.create"}, variant="primary", elem_id="create-campaign"
        )
        about = [self.name, question, language, guidelines]
        asked = [kind, scales, flags, reason, edit]
        planned = [raters, overlap, gold, qualify, mark, share, pause]
        self.inputs = [*about, *asked, *planned]


def campaign_choices(board: Board, ask: Ask) -> list[tuple[str, str]]:
    """Names and ids of all campaigns, for the choice at the top."""
    return [(one.name, str(one.id)) for one in campaigns(board.db, ask.actor)]


def _asked(
    words: Words,
    kind: str,
    scales: str,
    flags: Sequence[str],
    reason: str,
    edit: bool,
    raters: float,
    overlap: float,
    gold: float,
    qualify: float,
    mark: float,
    share: float,
    pause: float,
) -> tuple[Form, Plan]:
    form = parse_form(
        {"kind": kind, "scales": scales_of(words, scales), "flags": flags, "reason": reason, "edit": edit}
    )
    plan = Plan(
        raters_per_item=int(raters or 0),
        overlap=overlap,
        gold_share=gold,
        lease_s=LEASE_S,
        qualify_items=int(qualify or 0),
        pass_mark=mark,
        rater_share=share,
        pause_gold=int(pause or 0),
    )
    return form, plan


def scales_of(words: Words, said: str) -> list[dict[str, Any]]:
    """`helpful:1-5, harmless:1-7` as scales. Raises InvalidFeedback where it cannot be read."""
    found: list[dict[str, Any]] = []
    for part in said.replace("，", ",").replace("：", ":").split(","):
        if not part.strip():
            continue
        name, _, bounds = part.rpartition(":")
        low, _, high = bounds.strip().partition("-")
        if not name.strip() or not low.isdecimal() or not high.isdecimal():
            raise InvalidFeedback(words("campaigns.scales_unread", said=part.strip()))
        found.append({"name": name.strip(), "low": int(low), "high": int(high)})
    return found
