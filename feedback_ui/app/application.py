"""The whole server: the API, the pages before one is signed in, and the two Gradio pages, behind the gate."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from feedback_ui.app import pages
from feedback_ui.app.api import rater_api
from feedback_ui.app.api_accounts import account_api
from feedback_ui.app.failures import explained
from feedback_ui.app.gate import Gate
from feedback_ui.app.parts import Parts
from feedback_ui.app.policies import Policies
from feedback_ui.app.sessions import Sessions
from feedback_ui.app.settings import Setting, Settings
from feedback_ui.app.statics import static_files, word_files
from feedback_ui.database import Database
from feedback_ui.errors import FeedbackError, NotAllowed
from feedback_ui.language import language_of
from feedback_ui.service.joining import link_of
from feedback_ui.service.loops import loop_page


def create_app(db: Database, settings: Settings) -> FastAPI:
    """A server on a store; whoever runs it closes the store. It is one process with one worker."""
    parts = Parts(
        db,
        settings,
        Sessions(db, single_person=not settings.accounts),
        Policies(settings.endpoints, settings.sampling),
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        yield
        await parts.policies.close()
        parts.workers.close()

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.include_router(account_api(parts))
    app.include_router(rater_api(parts))
    _answer_errors(app, settings.language)
    _add_pages(app, parts)
    app.mount("/static/words", word_files())
    app.mount("/static", static_files())
    _mount_gradio(app, parts)
    # Where the parent has a policy of its own, Gradio adds none: no other site may read anything.
    app.add_middleware(CORSMiddleware, allow_origins=[])
    app.add_middleware(Gate, sessions=parts.sessions, workers=parts.workers, language=settings.language)
    return app


def _answer_errors(app: FastAPI, language: Setting) -> None:
    async def failed(request: Request, error: Exception) -> Response:
        return explained(error, language_of(request, language))

    for kind in (FeedbackError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, failed)


def _add_pages(app: FastAPI, parts: Parts) -> None:
    language = parts.settings.language

    @app.api_route("/api/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    async def nothing(path: str) -> Response:
        raise HTTPException(404, f"there is no /api/{path}")

    @app.get("/sign-in")
    async def sign_in(request: Request) -> Response:
        if parts.sessions.single_person:
            return RedirectResponse("/", 303)
        return _page(request, pages.sign_in_page(request, language))

    @app.get("/join/{token}")
    async def join(request: Request, token: str) -> Response:
        try:
            link = await parts.workers.run(link_of, parts.db, token)
        except NotAllowed:
            return _page(request, pages.used_page(request, language), 404)
        made = pages.invitation_page if link.kind == "invitation" else pages.open_link_page
        return _page(request, made(request, language, token, link.name))

    @app.get("/manage")
    async def manage() -> Response:
        return RedirectResponse("/manage/", 308)

    @app.get("/manage/loops/{campaign}")
    async def loop(request: Request, campaign: UUID) -> Response:
        html = await parts.as_actor(request, lambda actor: loop_page(parts.db, actor, campaign))
        return HTMLResponse(html)


def _page(request: Request, html: str, status: int = 200) -> Response:
    response = HTMLResponse(html, status)
    pages.keep_language(response, request.query_params.get("language"))
    return response


def _mount_gradio(app: FastAPI, parts: Parts) -> None:
    from feedback_ui.views.mounting import mount_pages  # gradio takes seconds to import

    mount_pages(app, parts.db, parts.sessions.actor)
