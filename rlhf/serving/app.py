"""The HTTP of the endpoint, as OpenAI's API has it: paths, bodies, streams, errors.

Requests must be JSON by their content type, so that no web page can send them unasked; at a local address
they must also name it as their host, so that no name that a page controls leads here.
"""

import asyncio
import hmac
import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from rlhf.config.serve import ServeConfig
from rlhf.serving.answering import AnswerError, Answers, Piece, Served
from rlhf.serving.requests import Asked, ChatRequest, RequestError, TextRequest, parse_request

BODY_TIMEOUT_S = 30.0
CLIENT_GONE = 499  # nobody reads it
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
KINDS = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error"}
Handler = Callable[[Request], Awaitable[Response]]


def make_app(policies: Mapping[str, Served], cfg: ServeConfig, key: str | None = None) -> Starlette:
    """The application for policies by public name; its end closes their decoders."""
    endpoint = _Endpoint(policies, cfg, key)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        yield
        for served in policies.values():
            await asyncio.to_thread(served.decoder.close)

    async def failed(_request: Request, error: Exception) -> Response:
        return error_response(error)

    return Starlette(
        routes=[
            Route("/health", endpoint.health),
            Route("/v1/models", endpoint.guarded(endpoint.models)),
            Route("/v1/models/{name}", endpoint.guarded(endpoint.model)),
            Route("/v1/chat/completions", endpoint.guarded(endpoint.chat), methods=["POST"]),
            Route("/v1/completions", endpoint.guarded(endpoint.text), methods=["POST"]),
        ],
        exception_handlers={RequestError: failed, AnswerError: failed, HTTPException: failed},
        lifespan=lifespan,
    )


@dataclass(frozen=True)
class _Endpoint:
    policies: Mapping[str, Served]
    cfg: ServeConfig
    key: str | None
    started: int = field(default_factory=lambda: int(time.time()))

    def guarded(self, handler: Handler) -> Handler:
        """The handler behind the checks that every request passes."""

        async def checked(request: Request) -> Response:
            if self.cfg.is_local and not self._is_local(request.headers.get("host", "")):
                raise RequestError("this endpoint is for this machine alone", status=403)
            sent = request.headers.get("authorization", "").encode()
            if self.key is not None and not hmac.compare_digest(sent, f"Bearer {self.key}".encode()):
                raise RequestError("the API key is missing or wrong: Authorization: Bearer KEY", status=401)
            return await handler(request)

        return checked

    def _is_local(self, host: str) -> bool:
        """Whether a Host header, with or without a port, names this machine."""
        names = LOCAL_HOSTS | {self.cfg.host}
        return host in names or host.rpartition(":")[0] in names

    async def health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def models(self, _request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._described(name) for name in self.policies]})

    async def model(self, request: Request) -> Response:
        name = str(request.path_params["name"])
        self._named(name)
        return JSONResponse(self._described(name))

    async def chat(self, request: Request) -> Response:
        return await self._answered(request, ChatRequest, "chat.completion")

    async def text(self, request: Request) -> Response:
        return await self._answered(request, TextRequest, "text_completion")

    async def _answered(
        self, request: Request, kind: type[ChatRequest] | type[TextRequest], what: str
    ) -> Response:
        asked = parse_request(kind, await _body(request, self.cfg.max_body_kb * 1024))
        served = self._named(asked.model)
        answers = Answers(served, asked, self.cfg)
        shape = _Shape(what, served.name, answers)
        if asked.stream:
            return StreamingResponse(_events(asked, answers, shape), media_type="text/event-stream")
        pieces = await _unless_gone(request, answers)
        return Response(status_code=CLIENT_GONE) if pieces is None else JSONResponse(shape.whole(pieces))

    def _named(self, name: str | None) -> Served:
        """The policy of this name; where there is only one, a request need not name it."""
        if name is None and len(self.policies) == 1:
            return next(iter(self.policies.values()))
        if name is None:
            raise RequestError(f"model is needed; there are {', '.join(self.policies)}", "model")
        if name not in self.policies:
            known = ", ".join(self.policies)
            raise RequestError(
                f"there is no model {name[:80]!r}; there are {known}",
                "model",
                status=404,
                code="model_not_found",
            )
        return self.policies[name]

    def _described(self, name: str) -> dict[str, Any]:
        """`created` is when the server started: the age of the weights would tell policies apart."""
        return {"id": name, "object": "model", "created": self.started, "owned_by": "rlhf"}


class _Shape:
    """How answers look in the API: whole, or in chunks of a stream."""

    def __init__(self, what: str, model: str, answers: Answers) -> None:
        self._answers = answers
        self._is_chat = what.startswith("chat")
        self._head = {
            "id": f"{'chatcmpl' if self._is_chat else 'cmpl'}-{secrets.token_hex(12)}",
            "object": what,
            "created": int(time.time()),
            "model": model,
        }

    def whole(self, pieces: list[Piece]) -> dict[str, Any]:
        """The body of an answer that is not streamed; `seed` repeats it."""
        texts, finish = [""] * self._answers.choices, [""] * self._answers.choices
        for piece in pieces:
            texts[piece.choice] += piece.text
            finish[piece.choice] = piece.finish or ""
        choices: list[dict[str, Any]] = []
        for number, text in enumerate(texts):
            said = {"message": {"role": "assistant", "content": text}} if self._is_chat else {"text": text}
            choices.append({"index": number, **said, "finish_reason": finish[number], "logprobs": None})
        return {**self._head, "choices": choices, "usage": self._usage(), "seed": self._answers.seed}

    def first(self, choice: int) -> dict[str, Any]:
        """A stream of chat says first who speaks."""
        return self._chunk(choice, {"delta": {"role": "assistant", "content": ""}}, None)

    def chunk(self, piece: Piece) -> dict[str, Any]:
        """A piece of a stream."""
        if not self._is_chat:
            return self._chunk(piece.choice, {"text": piece.text}, piece.finish)
        return self._chunk(
            piece.choice, {"delta": {"content": piece.text} if piece.text else {}}, piece.finish
        )

    def last(self) -> dict[str, Any]:
        """The chunk that counts, where it was asked for."""
        return {**self._chunk_head(), "choices": [], "usage": self._usage()}

    @property
    def firsts(self) -> range:
        """The choices that get a first chunk."""
        return range(self._answers.choices if self._is_chat else 0)

    def _chunk(self, choice: int, said: Mapping[str, Any], finish: str | None) -> dict[str, Any]:
        return {
            **self._chunk_head(),
            "choices": [{"index": choice, **said, "finish_reason": finish, "logprobs": None}],
        }

    def _chunk_head(self) -> dict[str, Any]:
        return {
            **self._head,
            "object": "chat.completion.chunk" if self._is_chat else "text_completion",
            "seed": self._answers.seed,
        }

    def _usage(self) -> dict[str, int]:
        asked, drawn = self._answers.prompt_tokens, self._answers.tokens
        return {"prompt_tokens": asked, "completion_tokens": drawn, "total_tokens": asked + drawn}


async def _events(asked: Asked, answers: Answers, shape: _Shape) -> AsyncIterator[str]:
    """Server-sent events; what goes wrong once they have begun is one of them."""

    def event(content: Mapping[str, Any]) -> str:
        return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"

    try:
        for choice in shape.firsts:
            yield event(shape.first(choice))
        async with aclosing(answers.pieces()) as pieces:
            async for piece in pieces:
                yield event(shape.chunk(piece))
    except AnswerError as error:
        yield event(_error_body(error))
    else:
        if asked.stream_options and asked.stream_options.include_usage:
            yield event(shape.last())
    finally:
        answers.cancel()
    yield "data: [DONE]\n\n"


async def _unless_gone(request: Request, answers: Answers) -> list[Piece] | None:
    """All pieces; None where the client goes away meanwhile, and decoding ends with it."""

    async def collect() -> list[Piece]:
        return [piece async for piece in answers.pieces()]

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working, watching = asyncio.create_task(collect()), asyncio.create_task(gone())
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        watching.cancel()
        working.cancel()
        answers.cancel()


async def _body(request: Request, limit: int) -> bytes:
    """The body, no larger than `limit` bytes and no slower than `BODY_TIMEOUT_S`."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RequestError("a request is JSON: Content-Type: application/json", status=415)
    parts, size = list[bytes](), 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise RequestError(
                        f"the request is larger than {limit // 1024} KB, which is the most", status=413
                    )
                parts.append(part)
    except TimeoutError:
        raise RequestError(f"the request did not come within {BODY_TIMEOUT_S:g} s", status=408) from None
    return b"".join(parts)


def error_response(error: Exception) -> Response:
    """An error as the API shows it."""
    status, headers = 500, dict[str, str]()
    if isinstance(error, RequestError):
        status = error.status
    elif isinstance(error, HTTPException):
        status = error.status_code
        headers |= error.headers or {}
    if status == 429:
        headers["Retry-After"] = "1"
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(_error_body(error, status), status, headers)


def _error_body(error: Exception, status: int = 500) -> dict[str, Any]:
    message = error.detail if isinstance(error, HTTPException) else str(error)
    asked = error if isinstance(error, RequestError) else RequestError(message)
    kind = KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": asked.field, "code": asked.code}}
