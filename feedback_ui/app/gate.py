"""What every request passes first: where it comes from, how large it is, and who may see which path.

What is not named here is not there. Gradio brings many endpoints (a proxy, file reading, monitoring, ...);
those that the pages need are listed, and all of them want a session, the manager's a manager.
"""

from typing import Any
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from feedback_ui.app.failures import explained, failure
from feedback_ui.app.headers import protect
from feedback_ui.app.pages import keep_language
from feedback_ui.app.sessions import Sessions, SignedOut
from feedback_ui.app.settings import Setting, is_loopback
from feedback_ui.app.workers import Workers
from feedback_ui.errors import NotAllowed
from feedback_ui.language import COOKIE, language_of

MAX_BODY = 4 * 2**20
"""Bytes of a request to the API: a draft of a million characters fits."""
MAX_UPLOAD = 256 * 2**20
"""Bytes of a file that a manager imports in the browser."""

_SAFE = frozenset({"GET", "HEAD"})
_OPEN = ("/sign-in", "/join/", "/static/", "/favicon.ico")
_OPEN_FILES = (
    "/assets/",
    "/theme.css",
    "/gradio_api/theme.css",
    "/manifest.json",
)  # Gradio's own, the same for all
_GRADIO = frozenset(
    {
        "/",
        "/config",
        "/theme.css",
        "/favicon.ico",
        "/manifest.json",
        "/gradio_api/info",
        "/gradio_api/app_id",
        "/gradio_api/startup-events",
        "/gradio_api/queue/join",
        "/gradio_api/queue/data",
        "/gradio_api/cancel",
        "/gradio_api/reset",
    }
)
_GRADIO_BELOW = ("/static/", "/assets/", "/gradio_api/heartbeat/", "/gradio_api/run/")
_MANAGER = frozenset({"/gradio_api/upload", "/gradio_api/upload_progress"})
_FILE = "/gradio_api/file="
_LOOPS = "/loops/"
_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


class Gate:
    """ASGI middleware, the outermost: refuses, answers what fails, and sets the safety headers."""

    def __init__(
        self, app: ASGIApp, *, sessions: Sessions, workers: Workers, language: Setting = "auto"
    ) -> None:
        """Around an application; `language` is of who has chosen none."""
        self.app = app
        self.sessions = sessions
        self.workers = workers
        self.language: Setting = language

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection: HTTP, or the server's start and stop; there are no web sockets."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False
        request = Request(scope)

        async def protected(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                protect(headers, scope["path"])
                self._say_language(request, headers)
            await send(message)

        try:
            response = self._refusal(request) or await self._unless_allowed(request)
            if response is None:
                limit = MAX_UPLOAD if scope["path"].endswith("/upload") else MAX_BODY
                await self.app(scope, _limited(receive, limit), protected)
                return
        except ClientDisconnect:
            return  # half a request: nobody is there to be answered
        except Exception as error:
            if started:
                raise  # half an answer is out: the server cuts the connection
            response = explained(error, language_of(request, self.language))
        await response(scope, receive, protected)

    def _say_language(self, request: Request, headers: MutableHeaders) -> None:
        """Who has chosen no language has the server's: the pages' scripts read it from the cookie."""
        is_page = headers.get("content-type", "").startswith("text/html")
        if is_page and self.language != "auto" and COOKIE not in request.cookies:
            response = Response()
            keep_language(response, self.language)
            headers.append("Set-Cookie", response.headers["Set-Cookie"])

    def _refusal(self, request: Request) -> Response | None:
        """What is wrong with how a request comes, whoever sends it."""
        headers = request.headers
        if self.sessions.single_person and not _is_from_here(headers):
            return PlainTextResponse(
                "This server is for one person at its own machine. For others, start it with --accounts.", 403
            )
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return failure(403, "forbidden", "another site asks for this")
        if request.method in _SAFE:
            return None
        origin = headers.get("origin", "")
        if urlsplit(origin).netloc != headers.get("host"):
            return failure(403, "forbidden", "a request that changes something comes from the page itself")
        is_json = headers.get("content-type", "").partition(";")[0].strip() == "application/json"
        if not is_json and request.url.path not in ("/manage/gradio_api/upload",):
            return failure(415, "invalid", "send JSON, and say so by the content type")
        return None

    async def _unless_allowed(self, request: Request) -> Response | None:
        """An answer to who may not see a path; None where the application is to answer.

        The API tells by itself who asks, in the transaction's thread.
        """
        path = request.scope["path"]
        if path == "/api" or path.startswith("/api/"):
            return None
        if path in ("/sign-in", "/manage") or path.startswith((*_OPEN, *_OPEN_FILES)):
            return None
        of_manager = path.startswith("/manage/")
        below = path.removeprefix("/manage") if of_manager else path
        if not _is_known(below, of_manager=of_manager):
            return failure(404, "not-found", "there is no such page")
        try:
            actor = await self.workers.run(self.sessions.actor, request)
        except SignedOut as error:
            if below != "/":
                return explained(error, language_of(request, self.language))
            query = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(f"/sign-in?next={quote(path + query, safe='')}", 303)
        if of_manager and actor.role != "manager":
            if below != "/":
                refused = NotAllowed("only a manager may do this")
                return explained(refused, language_of(request, self.language))
            return RedirectResponse("/", 303)
        return None


def _is_known(path: str, *, of_manager: bool) -> bool:
    if path in _GRADIO or path.startswith(_GRADIO_BELOW):
        return True
    if not of_manager:
        return False
    # files that the board has made, never an address that the server would fetch
    return path in _MANAGER or path.startswith((f"{_FILE}/", _LOOPS))


def _is_from_here(headers: Headers) -> bool:
    """Whether a browser on this machine asks, under this machine's own name, and no proxy for another.

    A name that leads here from elsewhere (DNS rebinding) is a stranger's page.
    """
    host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
    return is_loopback(host) and not any(name in headers for name in _FORWARDED)


def _limited(receive: Receive, limit: int) -> Receive:
    taken = 0

    async def counted() -> Message:
        nonlocal taken
        message: Any = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise HTTPException(413, f"the request is larger than {limit // 2**20} MiB")
        return message

    return counted
