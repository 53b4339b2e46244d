"""An engine that says what it was told to: for tests, and for looking at a stage without a model."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from rlhf.rollout.base import Request, Rollout, Sampling


class ScriptedEngine:
    """Answers each request with `script(prompt_ids)`, cut at the first end token and at the limit.

    `logprob` is what it claims for every token, in nats.
    """

    def __init__(self, script: Callable[[tuple[int, ...]], Sequence[int]], logprob: float = 0.0) -> None:
        self._script = script
        self._logprob = logprob
        self.version = 0

    def generate(self, requests: Iterable[Request], sampling: Sampling) -> Iterator[Rollout]:
        """Yields the scripted rollout of each request in order."""
        for request in requests:
            response = list(self._script(request.prompt_ids))[: sampling.max_new_tokens]
            ends = [place for place, token in enumerate(response) if token in sampling.stop_ids]
            response = response[: ends[0] + 1] if ends else response
            yield Rollout(
                request_id=request.id,
                response_ids=torch.tensor(response, dtype=torch.long),
                logprobs=torch.full((len(response),), self._logprob),
                finish="eos" if ends else "length",
                version_per_token=torch.full((len(response),), self.version),
            )

    def sync_weights(self, tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Notes the version."""
        self.version = version
