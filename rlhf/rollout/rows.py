"""What each row of the decoding batch is at: on the device for a step, on the host for Python's decisions."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from rlhf.data.rounding import SEQUENCES, rounded, rounded_places
from rlhf.rollout.base import Request, Rollout, Sampling
from rlhf.rollout.draw import uniforms

PREFILL_TOKENS = 16384  # prompt tokens run at once, padding included
WIDTHS = 64  # a static batch attends to as many places as are in use, rounded up to 64, 128, 256, ...


class Rows:
    """Up to `count` sequences; a row is live from its prompt to its last token, then free for another.

    A `static` batch keeps to fewer shapes than another, so that each can be compiled: it shrinks by halves.
    """

    def __init__(
        self,
        count: int,
        longest_prompt: int,
        sampling: Sampling,
        device: torch.device,
        *,
        static: bool = False,
    ) -> None:
        self.capacity = longest_prompt + sampling.max_new_tokens - 1  # the last token drawn is not fed again
        self._last_place = self.capacity - 1
        if static:
            count, self.capacity = 1 << (count - 1).bit_length(), _doubled(self.capacity)
        self.count = count
        self._static = static
        self._sampling = sampling
        self._stops = torch.tensor(sorted(sampling.stop_ids), dtype=torch.long, device=device)
        self._requests: list[Request | None] = [None] * count
        self._live = np.zeros(count, dtype=bool)
        self._drawn = np.zeros(count, dtype=np.int64)
        self._place = np.zeros(count, dtype=np.int64)
        steps = sampling.max_new_tokens
        self._token_B = torch.zeros(count, dtype=torch.long, device=device)  # the next input
        self._place_B = torch.zeros(count, dtype=torch.long, device=device)  # its position
        self._drawn_B = torch.zeros(count, dtype=torch.long, device=device)
        self._uniforms_BT = torch.zeros((count, steps), dtype=torch.float64, device=device)
        self._tokens_BT = torch.zeros((count, steps), dtype=torch.long, device=device)
        self._logprobs_BT = torch.zeros((count, steps), dtype=torch.float32, device=device)

    @property
    def any_live(self) -> bool:
        """Whether a step has anything to do."""
        return bool(self._live.any())

    @property
    def idle(self) -> list[int]:
        """Rows that may be filled."""
        return np.flatnonzero(~self._live).tolist()

    @property
    def width(self) -> int:
        """Places that hold the longest live sequence with its next token."""
        width = int(self._place[self._live].max()) + 1
        return min(_doubled(width) if self._static else rounded_places(width), self.capacity)

    @property
    def inputs(self) -> tuple[Tensor, Tensor]:
        """The next token of every row and its position, [B] each; those of idle rows mean nothing."""
        return self._token_B[: self.count], self._place_B[: self.count]

    def fill(self, rows: Sequence[int], requests: Sequence[Request]) -> None:
        """Gives rows to requests; all but the last token of each prompt is to be run before the next step."""
        device = self._token_B.device
        chosen = torch.tensor(rows, device=device)
        places = np.array([len(request.prompt_ids) - 1 for request in requests])
        seeds = np.array([[request.seed] for request in requests], dtype=np.uint64)
        ids = np.array([[request.id] for request in requests], dtype=np.uint64)
        u_MT = uniforms(seeds, ids, np.arange(self._sampling.max_new_tokens))
        self._uniforms_BT[chosen] = torch.from_numpy(u_MT).to(device)
        self._token_B[chosen] = torch.tensor([request.prompt_ids[-1] for request in requests], device=device)
        self._place_B[chosen] = torch.from_numpy(places).to(device)
        self._drawn_B[chosen] = 0
        self._place[rows], self._drawn[rows], self._live[rows] = places, 0, True
        for row, request in zip(rows, requests, strict=True):
            self._requests[row] = request

    @property
    def next_uniforms(self) -> Tensor:
        """The numbers [B] that draw the next tokens."""
        drawn_B1 = self._drawn_B[: self.count, None]
        return self._uniforms_BT[: self.count].gather(1, drawn_B1).squeeze(1)

    def advance(self, tokens_B: Tensor, logprobs_B: Tensor, version: int) -> Iterator[Rollout]:
        """Takes the drawn tokens [B] with their log-probabilities; yields the rollouts that they complete."""
        steps, live = self._sampling.max_new_tokens, self._live
        drawn_B, place_B = self._drawn_B[: self.count], self._place_B[: self.count]
        self._tokens_BT[: self.count].scatter_(1, drawn_B[:, None], tokens_B[:, None])
        self._logprobs_BT[: self.count].scatter_(1, drawn_B[:, None], logprobs_B[:, None])
        self._token_B[: self.count] = tokens_B
        drawn_B.add_(1).clamp_(max=steps - 1)  # the bounds are for idle rows
        place_B.add_(1).clamp_(max=self._last_place)
        self._drawn[live] += 1
        self._place[live] += 1
        ended = torch.isin(tokens_B, self._stops).cpu().numpy()
        done = np.flatnonzero(live & (ended | (self._drawn == steps)))
        if len(done) == 0:
            return
        chosen = torch.from_numpy(done).to(self._token_B.device)
        tokens_MT, logprobs_MT = self._tokens_BT[chosen].cpu(), self._logprobs_BT[chosen].cpu()
        live[done] = False
        for number, row in enumerate(done.tolist()):
            request, length = self._requests[row], int(self._drawn[row])
            assert request is not None
            yield Rollout(
                request_id=request.id,
                response_ids=tokens_MT[number, :length].clone(),
                logprobs=logprobs_MT[number, :length].clone(),
                finish="eos" if ended[row] else "length",
                version_per_token=torch.full((length,), version),
            )

    def shrink(self) -> Tensor | None:
        """Moves the live rows together and lets the others go; says which they were, None where none goes."""
        live = np.flatnonzero(self._live)
        wanted = self._least_count(len(live))
        if wanted == self.count:
            return None
        rows = np.concatenate([live, np.flatnonzero(~self._live)[: wanted - len(live)]])
        chosen = torch.from_numpy(rows).to(self._token_B.device)
        self.count = len(rows)
        for name in ("_token_B", "_place_B", "_drawn_B", "_uniforms_BT", "_tokens_BT", "_logprobs_BT"):
            setattr(self, name, getattr(self, name)[chosen])
        self._live, self._drawn, self._place = self._live[rows], self._drawn[rows], self._place[rows]
        self._requests = [self._requests[row] for row in rows.tolist()]
        return chosen

    def _least_count(self, live: int) -> int:
        """Rows to decode with so many live ones: a power of two where there are few, or all is compiled."""
        if self._static or live < SEQUENCES:
            return min(1 << max(live - 1, 0).bit_length(), self.count)
        return min(rounded(live, SEQUENCES), self.count)


def prefill_groups(requests: Sequence[Request]) -> list[list[int]]:
    """Which prompts are run together, shortest first: little padding, and no more than `PREFILL_TOKENS`.

    Their last tokens are left out, and so is a prompt of which nothing is left then.
    """
    lengths = [len(request.prompt_ids) - 1 for request in requests]
    groups: list[list[int]] = []
    for index in sorted((i for i, length in enumerate(lengths) if length), key=lambda i: lengths[i]):
        if groups:
            shortest, size = lengths[groups[-1][0]], len(groups[-1]) + 1
            if lengths[index] <= 1.25 * shortest + 8 and size * lengths[index] <= PREFILL_TOKENS:
                groups[-1].append(index)
                continue
        groups.append([index])
    return groups


def _doubled(width: int) -> int:
    """The next of 64, 128, 256, ..."""
    return max(WIDTHS, 1 << (width - 1).bit_length())
