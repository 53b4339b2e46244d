"""The real server on a store of its own, in a thread, and what of the store a test wants to know."""

import json
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import uvicorn
from fastapi import FastAPI
from sqlalchemy import text
from starlette.responses import HTMLResponse

from feedback_ui.app import application
from feedback_ui.app.application import create_app
from feedback_ui.app.settings import Settings
from feedback_ui.database import Database, open_database
from feedback_ui.form import Form
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.campaigns import create_campaign
from feedback_ui.service.importing import import_rows

SCALES = ({"name": "helpful"}, {"name": "honest", "low": 0, "high": 3})
# One form of each kind; names are those of the kinds.
FORMS: dict[str, dict[str, Any]] = {
    "compare": {"flags": ("unsafe", "false", "other"), "edit": True},
    "rank": {},
    "rate": {"scales": SCALES},
    "score": {"scales": ({"name": "quality", "low": 1, "high": 5},)},
    "thumb": {"flags": ("unsafe",)},
    "write": {},
    "chat": {},
}
COUNTS = {"compare": 2, "rank": 4, "rate": 2, "score": 1, "thumb": 1, "write": 0, "chat": 0}


def form_of(kind: str, **more: Any) -> Form:
    """The form of a kind in these tests."""
    return Form.model_validate({"kind": kind, **FORMS[kind], **more})


def rows(kind: str, count: int) -> list[tuple[str, dict[str, Any]]]:
    """Items of a kind: prompts "Question 0?", answers "answer 1 to 0", ..."""
    return [
        (
            f"rows:{number}",
            {
                "prompt": f"Question {number}?",
                "responses": [f"answer {at + 1} to {number}" for at in range(COUNTS[kind])],
            },
        )
        for number in range(count)
    ]


_PLAIN = """<!doctype html><html><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><body style="margin: 0">
<div id="rater"></div><script type="module">
import { start } from "/static/rater.js";
start(document.querySelector("#rater"));
</script></body></html>"""


def _mount_plain(app: FastAPI, parts: Any) -> None:
    """The rater's page without Gradio around it, which takes a browser seconds to start."""
    app.get("/")(lambda: HTMLResponse(_PLAIN))


@dataclass
class Served:
    """A server that a browser can reach. Nobody has to sign in unless `accounts` says so.

    With `gradio` its pages are the real ones; without, the rater's stands alone.
    """

    folder: Path
    gradio: bool = False
    accounts: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    port: int = 0

    def __post_init__(self) -> None:
        self.db: Database = open_database(str(self.folder / "feedback.db"))
        self.start()

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Begin to answer, at the port of before if there was one."""
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        app = self._app()
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, lifespan="on")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]}, daemon=True)
        self._thread.start()

    def _app(self) -> FastAPI:
        settings = Settings(accounts=self.accounts, **self.settings)
        if self.gradio:
            return create_app(self.db, settings)
        with patch.object(application, "_mount_gradio", _mount_plain):
            return create_app(self.db, settings)

    def stop(self) -> None:
        """Cease to answer."""
        self._server.should_exit = True
        self._thread.join(30)

    def close(self) -> None:
        """For good."""
        self.stop()
        self.db.close()

    def campaign(
        self,
        kind: str = "compare",
        items: int = 3,
        *,
        name: str | None = None,
        form: Form | None = None,
        given: list[dict[str, Any]] | None = None,
        **more: Any,
    ) -> str:
        """The address of a new campaign, of usual items or of those given; `more` as for create_campaign."""
        made = rows(kind, items) if given is None else [(f"rows:{n}", row) for n, row in enumerate(given)]
        own = create_campaign(self.db, OPERATOR, name or kind, form or form_of(kind), **more)
        assert not import_rows(self.db, OPERATOR, own, made).problems
        return f"{self.url}/?campaign={own}"

    def judgements(self) -> list[dict[str, Any]]:
        """All that was ever written: action and content, ids of answers as texts."""
        query = text("select action, content, active_s from judgement order by number")
        texts = {str(own).replace("-", ""): said for own, said in self._all("select id, text from response")}
        with self.db.engine.connect() as connection:
            found = connection.execute(query).all()
        return [
            {"action": action, "active_s": seconds, **_named(json.loads(content), texts)}
            for action, content, seconds in found
        ]

    def _all(self, query: str) -> list[Any]:
        with self.db.engine.connect() as connection:
            return list(connection.execute(text(query)).all())


def _named(value: Any, texts: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {_named(name, texts): _named(held, texts) for name, held in value.items()}
    if isinstance(value, list):
        return [_named(held, texts) for held in value]
    return texts.get(str(value).replace("-", ""), value) if isinstance(value, str) else value
