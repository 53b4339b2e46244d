"""Who am I, signing in and out, joining by an invitation or an open link."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from feedback_ui.app.bodies import Join, Nothing, SignIn, read
from feedback_ui.app.parts import Parts, address_of, is_https
from feedback_ui.app.sessions import forget, keep, token_of
from feedback_ui.database import Database
from feedback_ui.errors import InvalidFeedback
from feedback_ui.service import accounts, joining
from feedback_ui.service.access import Actor


def account_api(parts: Parts) -> APIRouter:
    """The routes below /api that are about the person."""
    router = APIRouter(prefix="/api")

    def _me(actor: Actor) -> dict[str, Any]:
        return {"name": actor.name, "role": actor.role, "single_person": parts.sessions.single_person}

    def _signed_in(request: Request, token: str) -> Response:
        actor = accounts.actor_of(parts.db, token)
        before = token_of(request)
        if before is not None:
            accounts.sign_out(parts.db, before)
        response = JSONResponse(_me(actor))
        keep(response, token, secure=is_https(request))
        return response

    @router.get("/me")
    async def me(request: Request) -> dict[str, Any]:
        return await parts.as_actor(request, _me)

    @router.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        said = await read(request, SignIn)
        parts.failures.begin(address_of(request))
        token = await parts.workers.run_password(accounts.sign_in, parts.db, said.name, said.password)
        parts.failures.succeeded(address_of(request))
        return await parts.workers.run(_signed_in, request, token)

    @router.post("/join")
    async def join(request: Request) -> Response:
        said = await read(request, Join)
        parts.failures.begin(address_of(request))
        token = await parts.workers.run_password(_joined, parts.db, said)
        parts.failures.succeeded(address_of(request))
        return await parts.workers.run(_signed_in, request, token)

    @router.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        await read(request, Nothing)
        token = token_of(request)
        if token is not None:
            await parts.workers.run(accounts.sign_out, parts.db, token)
        response = JSONResponse({})
        forget(response, secure=is_https(request))
        return response

    return router


def _joined(db: Database, said: Join) -> str:
    """The token of a session, by an invitation or an open link."""
    if joining.link_of(db, said.token).kind == "invitation":
        if said.password is None:
            raise InvalidFeedback("choose a password")
        return accounts.accept_invitation(db, said.token, said.password)
    return joining.join(db, said.token, name=said.name, worker=said.worker, password=said.password)
