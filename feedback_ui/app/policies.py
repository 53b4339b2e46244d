"""Policies that raters chat with, reached by HTTP: an OpenAI-compatible `/v1/chat/completions` each.

What goes wrong is told to the rater without a name or an address, which would say who answered; the log has
the whole.
"""

import asyncio
import json
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2

from feedback_ui.errors import FeedbackError, InvalidFeedback
from feedback_ui.rows import Answer
from rlhf.records import Message

log = logging.getLogger("feedback_ui")

CONNECT_S = 10.0
ANSWER_S = 180.0
"""Seconds for an answer: small machines write slowly."""
MAX_ANSWER = 4 * 2**20  # bytes of a response
_ATTEMPTS = 4  # until two answers differ
_SEEDS = 2**31


class ModelUnavailable(FeedbackError):  # noqa: N818
    """A policy cannot be asked at the moment; nothing is lost, and the message can be sent again."""


@dataclass(frozen=True)
class Endpoint:
    """A policy: the name that is stored with its answers, the address before /chat/completions, the model
    there (None: the only one, or the one of that name)."""

    name: str
    url: str
    model: str | None = None


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn; `max_tokens` None is what the endpoint takes by itself. `key` is its API key."""

    temperature: float = 1.0
    max_tokens: int | None = None
    key: str | None = field(default=None, repr=False)


def parse_endpoint(said: str) -> Endpoint:
    """`NAME=URL`, or a URL alone, all of whose models are taken (`models_at`).

    Raises:
        InvalidFeedback: it is neither.
    """
    name, equals, url = said.partition("=")
    if not equals or "/" in name:
        name, url = "", said
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidFeedback(
            f"--model-url {said} is no NAME=URL; give one as in after=http://127.0.0.1:8000/v1"
        )
    return Endpoint(name.strip(), url.rstrip("/").removesuffix("/chat/completions"))


def models_at(given: Sequence[Endpoint], sampling: Sampling) -> tuple[Endpoint, ...]:
    """The policies behind what was given, asked once when the server starts.

    Raises:
        InvalidFeedback: an endpoint does not answer, or has no model of the name that was given.
    """
    found = [one for endpoint in given for one in _models(endpoint, sampling)]
    names = [endpoint.name for endpoint in found]
    doubled = {name for name in names if names.count(name) > 1}
    if doubled:
        raise InvalidFeedback(f"--model-url names {', '.join(sorted(doubled))} twice; name each as NAME=URL")
    return tuple(found)


def _models(endpoint: Endpoint, sampling: Sampling) -> list[Endpoint]:
    try:
        with httpx2.Client(timeout=CONNECT_S, trust_env=_by_proxy(endpoint)) as client:
            response = client.get(f"{endpoint.url}/models", headers=_authorised(sampling))
            response.raise_for_status()
            names = [str(model["id"]) for model in response.json()["data"]]
    except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
        raise InvalidFeedback(
            f"--model-url {endpoint.url}: {endpoint.url}/models does not answer ({error}); start it first, "
            f"as by python -m rlhf.serve"
        ) from None
    if not endpoint.name:
        return [Endpoint(name, endpoint.url, name) for name in names]
    if endpoint.name in names or len(names) == 1:
        return [Endpoint(endpoint.name, endpoint.url, endpoint.name if endpoint.name in names else names[0])]
    raise InvalidFeedback(
        f"--model-url {endpoint.name}={endpoint.url}: there are {', '.join(names) or 'no models'}; name one "
        f"of them, or give the URL alone for all"
    )


class Policies:
    """Asks two of the policies at a time; an asynchronous client that is closed with `close`."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        sampling: Sampling,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """With the network, or what stands in for it."""
        self.endpoints = tuple(endpoints)
        self.sampling = sampling
        timeout = httpx2.Timeout(ANSWER_S, connect=CONNECT_S)
        local = all(not _by_proxy(endpoint) for endpoint in endpoints)
        self._client = httpx2.AsyncClient(timeout=timeout, transport=transport, trust_env=not local)

    async def two_answers(self, conversation: Sequence[Message]) -> tuple[Answer, Answer]:
        """Two answers that differ, of two policies drawn by chance, or of the only one.

        Raises:
            InvalidFeedback: no policy is served, or they say the same whatever is drawn.
            ModelUnavailable: one cannot be reached, or fails.
        """
        if not self.endpoints:
            raise InvalidFeedback("no model is connected; its manager starts the page with --model-url")
        chance = random.SystemRandom()
        two = chance.sample(self.endpoints, 2) if len(self.endpoints) > 1 else [*self.endpoints] * 2
        seeds = [chance.randrange(_SEEDS) for _ in two]
        asked = (self._answer(one, conversation, seed) for one, seed in zip(two, seeds, strict=True))
        first, second = await asyncio.gather(*asked)
        for _ in range(_ATTEMPTS - 1):
            if first.text != second.text:
                return first, second
            second = await self._answer(two[1], conversation, chance.randrange(_SEEDS))
        if first.text != second.text:
            return first, second
        raise InvalidFeedback("both answers are the same; ask in other words")

    async def _answer(self, endpoint: Endpoint, conversation: Sequence[Message], seed: int) -> Answer:
        body: dict[str, Any] = {
            "model": endpoint.model or endpoint.name,
            "messages": [{"role": turn.role, "content": turn.content} for turn in conversation],
            "temperature": self.sampling.temperature,
            "seed": seed,
        }
        if self.sampling.max_tokens is not None:
            body["max_tokens"] = self.sampling.max_tokens
        text = await self._said(endpoint, body)
        sampling = {name: body[name] for name in ("temperature", "max_tokens") if name in body}
        return Answer(text, model=endpoint.name, sampling=sampling, seed=seed)

    async def _said(self, endpoint: Endpoint, body: dict[str, Any]) -> str:
        url = f"{endpoint.url}/chat/completions"
        try:
            async with self._client.stream(
                "POST", url, json=body, headers=_authorised(self.sampling)
            ) as response:
                content = bytearray()
                async for part in response.aiter_bytes():
                    content += part
                    if len(content) > MAX_ANSWER:
                        raise _unavailable(endpoint, f"answers with more than {MAX_ANSWER // 2**20} MiB")
        except httpx2.HTTPError as error:
            raise _unavailable(endpoint, f"cannot be asked: {error or type(error).__name__}") from None
        if response.status_code == 400:
            log.error("the policy %s at %s refuses: %s", endpoint.name, endpoint.url, _quoted(content))
            raise InvalidFeedback("the model cannot take this message; it may be too long for it")
        if not response.is_success:
            raise _unavailable(endpoint, f"answers {response.status_code}: {_quoted(content)}")
        try:
            said = json.loads(content)["choices"][0]["message"]["content"]
        except (ValueError, KeyError, IndexError, TypeError):
            said = None
        if not isinstance(said, str):
            raise _unavailable(endpoint, f"answers with no chat completion: {_quoted(content)}")
        return said

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _unavailable(endpoint: Endpoint, what: str) -> ModelUnavailable:
    log.error("the policy %s at %s %s", endpoint.name, endpoint.url, what)
    return ModelUnavailable("the model does not answer at this moment; nothing is lost, send it again")


def _quoted(content: bytes | bytearray) -> str:
    return " ".join(content.decode(errors="replace").split())[:200] or "nothing"


def _authorised(sampling: Sampling) -> dict[str, str]:
    return {"Authorization": f"Bearer {sampling.key}"} if sampling.key else {}


def _by_proxy(endpoint: Endpoint) -> bool:
    """Whether the environment's proxy may be used: never to this machine itself."""
    return urlsplit(endpoint.url).hostname not in ("localhost", "127.0.0.1", "::1")
