"""Continuous batching: requests of any length and temperature are decoded together, token by token.

A thread steps the sequences that are live; a request joins them at the next step, and a sequence that is done
leaves its row to another. The pieces are those of `rlhf.rollout.hf` (slots, masks, draws), so that a request
is answered here as it is there: each token's number is made from (seed, request, position).
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from rlhf.models.policy_value import decoder_of
from rlhf.rollout.base import Request, Sampling
from rlhf.rollout.draw import draw, uniforms
from rlhf.rollout.rows import prefill_groups
from rlhf.rollout.slots import SlotCache, StepMask


class Token(NamedTuple):
    """One token of an answer; `finish` says why it is the last one."""

    id: int
    finish: Literal["eos", "length"] | None


class Failed(NamedTuple):
    """The answer will not come."""

    reason: str


class BusyError(Exception):
    """As many requests wait as may."""


@dataclass(eq=False)
class Ticket:
    """A request that was taken in; `tell` hears each token or one failure, in the decoder's thread."""

    request: Request
    sampling: Sampling
    tell: Callable[[Token | Failed], None]
    cancelled: bool = False
    drawn: int = 0
    token: int = 0
    place: int = 0
    uniforms_T: list[float] = field(default_factory=list[float])

    def __post_init__(self) -> None:
        """The next input is the prompt's last token; the numbers of all draws are made at once."""
        self.token, self.place = self.request.prompt_ids[-1], len(self.request.prompt_ids) - 1
        seed, number = (np.array([x], dtype=np.uint64) for x in (self.request.seed, self.request.id))
        self.uniforms_T = uniforms(seed, number, np.arange(self.sampling.max_new_tokens)).tolist()

    def cancel(self) -> None:
        """Nobody wants the rest; its row is free from the next step on."""
        self.cancelled = True


class Decoder:
    """Decodes for one policy, up to `rows` answers at once, in a thread of its own; `close` ends it.

    `capacity` is the number of tokens that a prompt and its answer may have together. The model is in
    evaluation mode and nothing changes its weights meanwhile.
    """

    def __init__(
        self, model: PreTrainedModel, *, pad_id: int, rows: int, capacity: int, max_waiting: int
    ) -> None:
        self._model = model.eval()
        self._pad_id = pad_id
        self._rows = rows
        self._max_waiting = max_waiting
        self._mask = StepMask(model.config)
        self._cache = SlotCache(rows, capacity)
        self._live: list[Ticket] = []  # in the cache's first rows, in this order
        self._waiting: deque[Ticket] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self.capacity = capacity
        self._thread = threading.Thread(target=self._work, name="decoder", daemon=True)
        self._thread.start()

    def submit(self, tickets: Sequence[Ticket]) -> None:
        """Takes in requests, all or none.

        Raises:
            BusyError: too many wait already, or the decoder is closed.
        """
        with self._changed:
            if self._closed or len(self._waiting) + len(tickets) > self._max_waiting + self._rows:
                raise BusyError
            self._waiting.extend(tickets)
            self._changed.notify()

    def close(self) -> None:
        """Fails what is not done, and waits for the thread to end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._waiting or self._live)
                if self._closed:
                    break
                joining = self._joining()
            try:
                self._leave([ticket for ticket in self._live if ticket.cancelled])
                self._fill(joining)
                if self._live:
                    self._step()
            except Exception as error:  # of one step; the sequences in it are lost, the server goes on
                self._fail(f"{type(error).__name__}: {error}")
                self._cache = SlotCache(self._rows, self.capacity)
        self._fail("the server stops")

    def _joining(self) -> list[Ticket]:
        """Takes as many of those that wait as find a row."""
        free = self._rows - sum(not ticket.cancelled for ticket in self._live)
        taken: list[Ticket] = []
        while self._waiting and len(taken) < free:
            ticket = self._waiting.popleft()
            if not ticket.cancelled:
                taken.append(ticket)
        return taken

    @torch.no_grad()
    def _leave(self, gone: Sequence[Ticket]) -> None:
        """Moves the others together, so that the live rows stay the first ones."""
        if not gone:
            return
        width = max(ticket.place for ticket in self._live) + 1
        kept = [row for row, ticket in enumerate(self._live) if ticket not in gone]
        self._cache.move(torch.tensor(kept, dtype=torch.long, device=self._model.device), width)
        self._live = [self._live[row] for row in kept]

    @torch.no_grad()
    def _fill(self, joining: Sequence[Ticket]) -> None:
        """Runs prompts without their last tokens into the rows behind the live ones."""
        first, device = len(self._live), self._model.device
        self._live += joining
        for group in prefill_groups([ticket.request for ticket in joining]):
            prompts = [joining[index].request.prompt_ids[:-1] for index in group]
            width = max(len(prompt) for prompt in prompts)
            padded = [[*prompt, *[self._pad_id] * (width - len(prompt))] for prompt in prompts]
            self._cache.window.fill_rows = torch.tensor([first + index for index in group], device=device)
            decoder_of(self._model)(
                input_ids=torch.tensor(padded, device=device),
                position_ids=torch.arange(width, device=device).expand(len(prompts), width),
                past_key_values=self._cache,
                use_cache=True,
            )
        self._cache.window.fill_rows = None

    @torch.no_grad()
    def _step(self) -> None:
        """Draws one token for each live sequence, and says so."""
        tokens_B = self._drawn(self._logits())
        done: list[Ticket] = []
        for ticket, token in zip(self._live, tokens_B, strict=True):
            ticket.token, ticket.place, ticket.drawn = token, ticket.place + 1, ticket.drawn + 1
            ended = token in ticket.sampling.stop_ids
            full = ticket.drawn == ticket.sampling.max_new_tokens
            if ended or full:
                done.append(ticket)
            ticket.tell(Token(token, "eos" if ended else "length" if full else None))
        self._leave(done)

    def _logits(self) -> Tensor:
        """Logits [B, V] of every live sequence's next token."""
        device = self._model.device
        tokens_B1 = torch.tensor([[ticket.token] for ticket in self._live], device=device)
        positions_B = torch.tensor([ticket.place for ticket in self._live], device=device)
        self._cache.window.step(positions_B, max(ticket.place for ticket in self._live) + 1)
        return self._model(
            input_ids=tokens_B1,
            attention_mask=self._mask(positions_B, self._cache.window.width, self._model.dtype),
            position_ids=positions_B.unsqueeze(1),
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]

    def _drawn(self, logits_BV: Tensor) -> list[int]:
        """A token a row, each by its own request's sampling."""
        groups: dict[tuple[float, int, float], list[int]] = {}
        for row, ticket in enumerate(self._live):
            how = ticket.sampling
            groups.setdefault((how.temperature, how.top_k, how.top_p), []).append(row)
        tokens = [0] * len(self._live)
        for rows in groups.values():
            numbers = [self._live[row].uniforms_T[self._live[row].drawn] for row in rows]
            numbers_M = torch.tensor(numbers, dtype=torch.float64, device=logits_BV.device)
            chosen_M, _ = draw(logits_BV[rows], numbers_M, self._live[rows[0]].sampling)
            for row, token in zip(rows, chosen_M.tolist(), strict=True):
                tokens[row] = token
        return tokens

    def _fail(self, reason: str) -> None:
        """Tells the live ones, and when the decoder is closed the waiting ones too."""
        lost, self._live = self._live, []
        if self._closed:
            with self._changed:
                lost += self._waiting
                self._waiting.clear()
        for ticket in lost:
            ticket.tell(Failed(reason))
