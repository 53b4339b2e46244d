"""Questions to an OpenAI-compatible `/chat/completions`, with patience where it is busy."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2

from rlhf.config.judge import JudgeConfig
from rlhf.errors import ConfigError, InputError

BUSY = frozenset({408, 409, 425, 429})
LONGEST_PAUSE_S = 60.0
LOCAL = ("localhost", "127.0.0.1", "::1")
REMEDIES = {
    400: "It refused the request as such: check stage.judge.model, or stage.judge.max_tokens=null.",
    401: "It wants a key: export one and name the variable, stage.judge.key_env=NAME.",
    403: "The key may not do this: check the one in the variable that stage.judge.key_env names.",
    404: "Check that stage.judge.url is the part before /chat/completions (it mostly ends in /v1), and "
    "stage.judge.model.",
}

Message = Mapping[str, str]


class Reply(NamedTuple):
    """What the model wrote, and the tokens that the endpoint counted (0 where it counts none)."""

    text: str
    tokens_in: int
    tokens_out: int


class ChatClient:
    """One model at one endpoint, asked at temperature 0: an asynchronous context manager.

    Busy (429) and failing (5xx, a broken connection, no answer in time) are tried again after 1, 2, 4, ...
    times `backoff_s`, or as long as the endpoint asks for; whatever else is wrong is an error at once. So is
    an endpoint that cannot be reached the first time.
    """

    def __init__(self, judge: JudgeConfig, *, backoff_s: float = 1.0) -> None:
        """Reads the key from the environment.

        Raises:
            ConfigError: the variable that should hold the key is not set.
        """
        self.judge = judge
        self.address = _address(judge)
        self._backoff_s = backoff_s
        self._answered = False
        self._key = _key(judge.key_env)
        self._http = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=judge.timeout_s,
            limits=httpx2.Limits(max_connections=judge.parallel),
            trust_env=_by_proxy(judge),
        )

    async def __aenter__(self) -> "ChatClient":
        """The client itself."""
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def ask(self, messages: Sequence[Message]) -> Reply:
        """The model's reply to a conversation.

        Raises:
            InputError: the endpoint cannot be reached, refuses, or fails however often it is asked.
        """
        body: dict[str, Any] = {"model": self.judge.model, "messages": list(messages), "temperature": 0}
        if self.judge.max_tokens is not None:
            body["max_tokens"] = self.judge.max_tokens
        trouble = ""
        for attempt in range(self.judge.retries + 1):
            pause_s = self._backoff_s * 2.0**attempt
            try:
                response = await self._http.post(self.address, json=body)
            except httpx2.ConnectError as error:
                trouble = f"cannot be reached ({error})"
                if not self._answered:
                    break
            except httpx2.TimeoutException:
                trouble = f"gave no answer within stage.judge.timeout_s={self.judge.timeout_s:g}"
            except httpx2.RequestError as error:
                trouble = f"broke off ({type(error).__name__}: {error})"
            else:
                self._answered = True
                if response.is_success:
                    reply = _read(response)
                    if reply:
                        return reply
                    trouble = f"answered with something that is no chat completion: {self._quoted(response)}"
                elif response.status_code in BUSY or response.is_server_error:
                    trouble = f"answered {response.status_code}: {self._quoted(response)}"
                    pause_s = max(pause_s, _asked_pause_s(response))
                else:
                    raise InputError(self._refusal(response))
            if attempt < self.judge.retries:
                await asyncio.sleep(min(pause_s, LONGEST_PAUSE_S))
        raise InputError(_no_use(self.judge, trouble))

    def _refusal(self, response: httpx2.Response) -> str:
        remedy = REMEDIES.get(response.status_code, "Check stage.judge.url and stage.judge.model.")
        return (
            f"the judge's endpoint {self.address} answered {response.status_code} to model "
            f"{self.judge.model}: {self._quoted(response)}\n{remedy}"
        )

    def _quoted(self, response: httpx2.Response) -> str:
        """The beginning of what came back, on one line and without the key, should it be repeated there."""
        text = " ".join(response.text.split())
        return (text.replace(self._key, "***") if self._key else text)[:200] or "nothing"


def check_endpoint(judge: JudgeConfig) -> None:
    """That somebody answers at the address, whatever they say, and that there is a key.

    Raises:
        ConfigError: the variable that should hold the key is not set.
        InputError: nobody answers.
    """
    _key(judge.key_env)
    try:
        httpx2.head(_address(judge), timeout=judge.timeout_s, trust_env=_by_proxy(judge))
    except httpx2.ConnectError as error:
        raise InputError(_no_use(judge, f"cannot be reached ({error})")) from None
    except httpx2.RequestError:
        return  # there is somebody; the questions are asked with more patience


def _address(judge: JudgeConfig) -> str:
    assert judge.url
    return judge.url.rstrip("/") + "/chat/completions"


def _by_proxy(judge: JudgeConfig) -> bool:
    """No proxy stands before this machine itself."""
    return urlsplit(judge.url or "").hostname not in LOCAL


def _no_use(judge: JudgeConfig, trouble: str) -> str:
    return (
        f"the judge's endpoint {_address(judge)} {trouble}.\n"
        "Check stage.judge.url and that the server runs, then give the same command again: it goes on "
        "from the verdicts that it has. stage.judge.parallel, retries and timeout_s make it more patient."
    )


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(
            f"stage.judge.key_env={variable}: this environment variable is not set; "
            f"export {variable}=... in the shell, or leave stage.judge.key_env out where no key is needed"
        )
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(
            f"stage.judge.key_env={variable}: what this variable holds cannot be a key (line breaks, or "
            "letters beyond ASCII); export it anew, from one line"
        )
    return key


def _read(response: httpx2.Response) -> Reply | None:
    """The reply in a chat completion; None where the body is none. A refusal without text is an empty one."""
    try:
        body = response.json()
        content = body["choices"][0]["message"]["content"] or ""
        usage = body.get("usage") or {}
        tokens = (int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens"))
        return Reply(content, *tokens) if isinstance(content, str) else None
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _asked_pause_s(response: httpx2.Response) -> float:
    """Seconds that `Retry-After` asks for; 0 where it names none (or a date)."""
    try:
        asked_s = float(response.headers.get("Retry-After", ""))
    except ValueError:
        return 0.0
    return asked_s if asked_s > 0.0 else 0.0
