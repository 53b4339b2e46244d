"""The Gradio pages in their server."""

from collections.abc import Callable
from typing import Any

import gradio as gr
from fastapi import FastAPI

from feedback_ui.database import Database
from feedback_ui.service.access import Actor
from feedback_ui.views.manager import manager_page
from feedback_ui.views.rater import rater_page

MAX_UPLOAD = "256mb"


def mount_pages(app: FastAPI, db: Database, actor: Callable[[Any], Actor]) -> None:
    """The rater's page at / and the manager's at /manage.

    Args:
        actor: who sends a request, by its cookies; raises where nobody is signed in. The gate before these
            pages asks it for every path; the handlers in them ask it again.
    """

    def actor_of(request: gr.Request) -> Actor:
        return actor(request)

    _mount(app, manager_page(db, actor_of), "/manage")
    _mount(app, rater_page(), "/")


def _mount(app: FastAPI, blocks: gr.Blocks, path: str) -> None:
    """Without what Gradio would offer beside the page: the API's docs, monitoring, history, files, errors."""
    gr.mount_gradio_app(
        app,
        blocks,
        path,
        footer_links=[],
        run_history=False,
        allowed_paths=[],
        show_error=False,
        max_file_size=MAX_UPLOAD,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
    )
