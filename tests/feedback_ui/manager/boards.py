"""The board without a browser: its handlers are found by the element that sets them off, and called."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import gradio as gr
from people import rater
from sqlalchemy import select

from feedback_ui.database import Database
from feedback_ui.errors import NotAllowed
from feedback_ui.schema import Campaign
from feedback_ui.service.access import Actor
from feedback_ui.views.manager import manager_page


class Page:
    """The board as a person has it; `who` is None for somebody who is signed out."""

    def __init__(self, db: Database, who: Actor | None, language: str = "en") -> None:
        self.db = db
        self.who = who
        self.blocks = manager_page(db, self._actor_of)
        self.request = SimpleNamespace(
            cookies={"feedback_language": language},
            headers={"origin": "https://page.example", "host": "page.example"},
            query_params={},
        )

    def _actor_of(self, request: Any) -> Actor:
        assert request is self.request
        if self.who is None:
            raise NotAllowed("sign in first")
        return self.who

    def press(self, element: str, campaign: str | None, *values: Any, event: str = "click") -> list[Any]:
        """What the handlers of an element give, by name of the campaign; only the first of a chain."""
        return self.handler(element, event)(self.request, self.id_of(campaign), *values)

    def handler(self, element: str, event: str = "click") -> Callable[..., list[Any]]:
        """The function that an element's event runs, with a list of updates also of a single output."""
        return self.with_list(self.blocks.fns[self.id_of_event(element, event)])

    def opened(self) -> list[Any]:
        """What the page's opening gives."""
        return self.handlers_named("opened")[0](self.request)

    def handlers_named(self, name: str) -> list[Callable[..., list[Any]]]:
        """All functions of a name."""
        return [one.fn for one in self.blocks.fns.values() if one.fn and one.fn.__name__ == name]

    def shown(self, campaign: str | None) -> str:
        """All that the parts show of a campaign, as one text."""
        first, then = self._showing()
        own = self.id_of(campaign)
        return repr([*first(self.request, own), *then(self.request, own)])

    def quick(self, campaign: str | None) -> list[Any]:
        """What is shown at once."""
        return self._showing()[0](self.request, self.id_of(campaign))

    def slow(self, campaign: str | None) -> list[Any]:
        """What is shown when the figures are there."""
        return self._showing()[1](self.request, self.id_of(campaign))

    def config(self) -> str:
        """What a browser is sent before anything is asked."""
        return json.dumps(self.blocks.get_config_file(), default=str)

    def id_of(self, campaign: str | None) -> str | None:
        if campaign is None:
            return None
        with self.db.engine.connect() as connection:
            own: UUID = connection.execute(select(Campaign.id).where(Campaign.name == campaign)).scalar_one()
        return str(own)

    def with_list(self, block: Any) -> Callable[..., list[Any]]:
        """A block's function, with a list of updates also of a single output."""

        def run(*values: Any) -> list[Any]:
            given = block.fn(*values)
            return [given] if len(block.outputs) == 1 else given

        return run

    def _showing(self) -> list[Callable[..., list[Any]]]:
        """What is run when a campaign is chosen: first what is there at once, then the figures."""
        events = {own: function for own, function in self.blocks.fns.items() if function.fn}
        chosen = self.id_of_event("campaign", "input")
        return [events[chosen].fn, next(one.fn for one in events.values() if one.trigger_after == chosen)]

    def id_of_event(self, element: str, event: str) -> int:
        """By which Gradio knows the function of an element's event."""
        return next(
            own
            for own, function in self.blocks.fns.items()
            for target, name in function.targets
            if name == event and function.fn and self.blocks.blocks[target].elem_id == element
        )


def manager(db: Database, name: str = "boss") -> Page:
    """The board of a new manager."""
    return Page(db, rater(db, name, role="manager"))


def is_skipped(update: Any) -> bool:
    """Whether an update leaves its component as it is."""
    return update == gr.skip()
