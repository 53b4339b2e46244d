"""From a request to its answers: tickets for a policy's decoder, and text as it becomes certain."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from rlhf.config.serve import ServeConfig
from rlhf.data.encoding import Encoder
from rlhf.errors import DataError
from rlhf.records import Prompt
from rlhf.rollout.base import Request, Sampling
from rlhf.serving.decoder import BusyError, Decoder, Failed, Ticket, Token
from rlhf.serving.requests import Asked, RequestError
from rlhf.serving.spoken import Spoken

Event = tuple[int, Token | Failed]


@dataclass(frozen=True)
class Served:
    """A policy under its public name."""

    name: str
    encoder: Encoder
    decoder: Decoder


class Piece(NamedTuple):
    """Text of one choice; `finish` with the last piece of it."""

    choice: int
    text: str
    finish: Literal["stop", "length"] | None


class AnswerError(Exception):
    """An answer broke off on the server's side."""


class Answers:
    """The choices of one request while they are made: `n` for each prompt, those of one prompt together.

    `seed` is the request's, or one drawn for it; choice number i is what `Request(i, prompt, seed)` gives in
    a rollout.
    """

    def __init__(self, served: Served, asked: Asked, cfg: ServeConfig) -> None:
        """Hands the request to the decoder; call in the event loop.

        Raises:
            RequestError: it asks for too much, its prompt is too long, or too many wait already.
        """
        self.seed = secrets.randbits(63) if asked.seed is None else asked.seed
        prompts = asked.prompts()
        if len(prompts) * asked.n > cfg.max_choices:
            raise RequestError(
                f"{len(prompts) * asked.n} answers are more than a request may ask for, {cfg.max_choices}",
                "n",
            )
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._spoken: list[Spoken] = []
        self._tickets: list[Ticket] = []
        self.prompt_tokens = 0
        for prompt in prompts:
            ids = _prompt_ids(served.encoder, prompt)
            sampling = _sampling(asked, cfg, served, len(ids))
            self.prompt_tokens += len(ids)
            for _ in range(asked.n):
                number = len(self._tickets)
                request = Request(number, tuple(ids), self.seed % 2**64)
                self._spoken.append(Spoken(served.encoder, prompt, asked.stops))
                self._tickets.append(Ticket(request, sampling, self._teller(number)))
        try:
            served.decoder.submit(self._tickets)
        except BusyError:
            raise RequestError("too many requests wait already; try again", status=429) from None

    @property
    def choices(self) -> int:
        """How many there are."""
        return len(self._tickets)

    @property
    def tokens(self) -> int:
        """Tokens drawn so far, end tokens included."""
        return sum(spoken.tokens for spoken in self._spoken)

    async def pieces(self) -> AsyncGenerator[Piece]:
        """The text of all choices as it comes; leaving early frees their rows.

        Raises:
            AnswerError: decoding failed, or the server stops.
        """
        open_ones = set(range(self.choices))
        try:
            while open_ones:
                choice, event = await self._events.get()
                if isinstance(event, Failed):
                    raise AnswerError(event.reason)
                if choice not in open_ones:  # a stop string ended it, and its row took one more step
                    continue
                piece = self._piece(choice, event)
                if piece.finish:
                    open_ones.remove(choice)
                if piece.text or piece.finish:
                    yield piece
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Frees the rows of what is not done."""
        for ticket in self._tickets:
            ticket.cancel()

    def _piece(self, choice: int, token: Token) -> Piece:
        spoken = self._spoken[choice]
        text = spoken.push(token.id)
        if spoken.stopped:
            self._tickets[choice].cancel()
            return Piece(choice, text, "stop")
        if token.finish is None:
            return Piece(choice, text, None)
        return Piece(choice, text + spoken.rest(), "stop" if token.finish == "eos" else "length")

    def _teller(self, choice: int) -> Callable[[Token | Failed], None]:
        """Hands events from the decoder's thread to this loop."""
        loop = asyncio.get_running_loop()

        def tell(event: Token | Failed) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody listens any more
                loop.call_soon_threadsafe(self._events.put_nowait, (choice, event))

        return tell


def _prompt_ids(encoder: Encoder, prompt: Prompt) -> list[int]:
    try:
        return encoder.prompt_ids(prompt)
    except DataError as error:  # the chat template refuses the conversation
        raise RequestError(str(error), "messages") from None


def _sampling(asked: Asked, cfg: ServeConfig, served: Served, prompt_tokens: int) -> Sampling:
    """How tokens are drawn; an answer that names no length has what room there is, up to the option's."""
    room = served.decoder.capacity - prompt_tokens
    wanted = asked.limit
    if room < (wanted or 1):
        raise RequestError(
            f"the prompt has {prompt_tokens} tokens and the answer may have {wanted or 1}; together they are "
            f"more than this model takes, {served.decoder.capacity}",
            "max_tokens" if room > 0 else None,
            code="context_length_exceeded",
        )
    return Sampling(
        temperature=cfg.temperature if asked.temperature is None else asked.temperature,
        max_new_tokens=wanted or min(cfg.max_tokens, room),
        stop_ids=served.encoder.stop_ids,
        top_k=max(asked.top_k or 0, 0),
        top_p=1.0 if asked.top_p is None else asked.top_p,
    )
