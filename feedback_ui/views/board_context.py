"""What the parts of the board share: who asks, in which language, and how handlers authorise and answer.

A part shows something of the store and may hold actions. Every handler, also one that only shows, runs
through `Board`, which asks who sends the request and refuses who is no manager; nothing of the store is in
what is sent before that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import gradio as gr
from gradio.components import Component

from feedback_ui.database import Database
from feedback_ui.errors import InvalidFeedback
from feedback_ui.language import language_of
from feedback_ui.problems import in_words
from feedback_ui.service.access import Actor, require_manager
from feedback_ui.service.figures import FigureCache, Figures
from feedback_ui.views.board_html import text
from feedback_ui.views.board_words import Words, words_in
from rlhf.errors import RlhfError

Made = TypeVar("Made", bound=Any)
ActorOf = Callable[[gr.Request], Actor]
_LONG_S = 15
"""How long a message stays that says what went wrong."""


@dataclass(frozen=True)
class Ask:
    """One request of a manager. `campaign` is the chosen one; `address` is the page's, up to the host."""

    actor: Actor
    words: Words
    campaign: UUID | None
    address: str

    @property
    def chosen(self) -> UUID:
        """The campaign that an action is about. Raises InvalidFeedback where none is chosen."""
        if self.campaign is None:
            raise InvalidFeedback(self.words("campaign.choose_first"))
        return self.campaign


Show = Callable[[Ask], Sequence[Any]]
Act = Callable[..., Sequence[Any]]


@dataclass(frozen=True)
class Part:
    """`show` gives an update for each of `outputs`."""

    outputs: Sequence[Component]
    show: Show


class Board:
    """The store, who asks it, and the components whose words change with the language."""

    def __init__(self, db: Database, actor_of: ActorOf) -> None:
        self.db = db
        self.cache = FigureCache(db)
        self._actor_of = actor_of
        self._worded: list[tuple[Any, dict[str, Any]]] = []
        self.campaign = self.make(
            gr.Dropdown, {"label": "campaign.label"}, choices=[], render=False, elem_id="campaign"
        )

    def make(self, kind: Callable[..., Made], words: dict[str, Any], **options: Any) -> Made:
        """A component whose properties in `words` are said in the manager's language.

        Args:
            words: of each property the key of what it says; of `choices`, the pairs of key and value.
        """
        made = kind(**_said(words, words_in("en")), **options)
        self._worded.append((made, words))
        return made

    @property
    def worded(self) -> list[Component]:
        """The components whose words change."""
        return [component for component, _ in self._worded]

    def reworded(self, words: Words, more: Mapping[Any, dict[str, Any]]) -> list[Any]:
        """The updates that say all in a language, with `more` properties of some components."""
        return [
            gr.update(**_said(keys, words), **more.get(component, {})) for component, keys in self._worded
        ]

    def ask(self, request: gr.Request, campaign: str | None) -> Ask:
        """Who asks, and about what. Raises NotAllowed for who is signed out or no manager."""
        actor = self._actor_of(request)
        require_manager(actor)
        return Ask(actor, words_in(language_of(request)), _uuid(campaign), _address(request))

    def figures(self, ask: Ask) -> Figures | None:
        """Of the chosen campaign, None where there is none yet."""
        return self.cache.figures(ask.actor, ask.campaign) if ask.campaign is not None else None

    def showing(self, *parts: Part) -> tuple[Callable[..., Any], list[Component]]:
        """A handler of the chosen campaign that shows these parts, and its outputs."""
        outputs = [output for part in parts for output in part.outputs]

        def run(request: gr.Request, campaign: str | None) -> Any:
            try:
                ask = self.ask(request, campaign)
                return _for_gradio([update for part in parts for update in part.show(ask)])
            except RlhfError as error:
                return _refused(request, error, len(outputs))

        return run, outputs

    def on(
        self,
        event: Callable[..., Any],
        act: Act,
        inputs: Sequence[Component],
        outputs: Sequence[Component] = (),
        then: Sequence[Part] = (),
    ) -> Any:
        """Have an event act on the store, say what came of it, and show parts anew.

        Args:
            act: of an Ask and the values of `inputs`: the message (none where it is empty), then an update
                for each of `outputs`.

        Returns:
            Gradio's event, after which others can be run.
        """
        shown = [output for part in then for output in part.outputs]

        def run(request: gr.Request, campaign: str | None, *values: Any) -> Any:
            try:
                ask = self.ask(request, campaign)
                said, *updates = act(ask, *values)
                after = [update for part in then for update in part.show(ask)]
            except RlhfError as error:
                return _refused(request, error, len(outputs) + len(shown))
            if said:
                gr.Info(text(said), title=ask.words("page.done"))
            return _for_gradio([*updates, *after])

        return event(run, [self.campaign, *inputs], [*outputs, *shown], api_visibility="private")


def _for_gradio(updates: list[Any]) -> Any:
    """What a handler returns: of an only output Gradio would take a list for the value itself."""
    return updates[0] if len(updates) == 1 else updates


def _refused(request: gr.Request, error: RlhfError, count: int) -> Any:
    words = words_in(language_of(request))
    gr.Warning(text(in_words(error, words.language)), duration=_LONG_S, title=words("page.refused"))
    return _for_gradio([gr.skip() for _ in range(count)])


def _said(keys: dict[str, Any], words: Words) -> dict[str, Any]:
    return {
        name: [(words(said), value) for said, value in key] if name == "choices" else words(key)
        for name, key in keys.items()
    }


def _uuid(said: str | None) -> UUID | None:
    try:
        return UUID(said) if said else None
    except ValueError:
        return None


def _address(request: gr.Request) -> str:
    """Where the browser says that the page is; else how this server was reached."""
    origin = str(request.headers.get("origin", ""))
    return (
        origin if origin.startswith(("http://", "https://")) else f"http://{request.headers.get('host', '')}"
    )
