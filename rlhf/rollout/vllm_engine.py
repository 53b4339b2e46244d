"""Rollouts by vLLM, beside the trainer or in this process; what comes back is checked before it is believed.

Prompts go out and responses come in as token ids: nothing is tokenised again. vLLM draws with a seed for each
request, so that order and company do not decide an answer; its kernels do in the last bits, so that unlike
`rollout=hf` it does not promise the same answers twice.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from rlhf.errors import InputError
from rlhf.rollout.base import Request, Rollout, Sampling
from rlhf.rollout.draw import request_seed

ROUNDING = 1e-3  # nats by which a log-probability may be above 0


@dataclass(frozen=True)
class Completion:
    """What vLLM says of one request: tokens with their log-probabilities, the end token included."""

    request_id: int
    token_ids: Sequence[int]
    logprobs: Sequence[float]


class VllmClient(Protocol):
    """One vLLM, wherever it runs."""

    def complete(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        """A completion of each request, in any order, as they come."""
        ...

    def load(self, tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Replaces the weights, named as by `plain_weights`, and what was computed with the old ones."""
        ...


class VllmEngine:
    """Generates through a client; `vocabulary` is how many token ids the policy knows.

    Log-probabilities are at the temperature. With top-k or top-p they are those of the tokens that are left,
    which is what was drawn from: importance weights want them so.
    """

    def __init__(self, client: VllmClient, *, vocabulary: int) -> None:
        self._client = client
        self._vocabulary = vocabulary
        self._version: int | None = None  # what it began with

    def sync_weights(self, tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Hands the weights on, unless vLLM has this version already."""
        if version != self._version:
            self._client.load(tensors, version)
            self._version = version

    def generate(self, requests: Iterable[Request], sampling: Sampling) -> Iterator[Rollout]:
        """Yields a rollout for each request as it comes.

        Raises:
            InputError: vLLM is away, says something that cannot be, or leaves a request unanswered.
        """
        waiting = {request.id: request for request in requests}
        for completion in self._client.complete(list(waiting.values()), sampling) if waiting else ():
            if waiting.pop(completion.request_id, None) is None:
                raise InputError(f"vLLM answered request {completion.request_id}, which waits for no answer")
            if trouble := self._trouble(completion, sampling):
                raise InputError(
                    f"vLLM's answer to request {completion.request_id} cannot be used: {trouble}"
                )
            length = len(completion.token_ids)
            yield Rollout(
                request_id=completion.request_id,
                response_ids=torch.tensor(completion.token_ids, dtype=torch.long),
                logprobs=torch.tensor(completion.logprobs, dtype=torch.float32),
                finish="eos" if completion.token_ids[-1] in sampling.stop_ids else "length",
                version_per_token=torch.full((length,), self._version or 0),
            )
        if waiting:
            raise InputError(
                f"vLLM left {len(waiting)} requests unanswered, {next(iter(waiting))} among them; see its log"
            )

    def _trouble(self, completion: Completion, sampling: Sampling) -> str:
        """What about a completion cannot be; empty where it can."""
        ids, logprobs, most = completion.token_ids, completion.logprobs, sampling.max_new_tokens
        if len(ids) != len(logprobs):
            return f"it has {len(ids)} tokens and {len(logprobs)} log-probabilities"
        if unknown := [token for token in ids if not 0 <= token < self._vocabulary]:
            return (
                f"token {unknown[0]} is none of the policy's {self._vocabulary}; does it serve another model?"
            )
        if wrong := [value for value in logprobs if not (math.isfinite(value) and value <= ROUNDING)]:
            return f"{wrong[0]} is no log-probability"
        ends = [place for place, token in enumerate(ids) if token in sampling.stop_ids]
        if (ends and ends[0] != len(ids) - 1) or len(ids) > most:
            return f"it goes on after its end: {len(ids)} tokens, of {most} at most, an end token at {ends}"
        if not ends and len(ids) < most:
            return (
                f"it breaks off after {len(ids)} tokens of {most} without an end token; is vLLM's "
                "--max-model-len below prompt and response together?"
            )
        return ""


def sampling_parameters(request: Request, sampling: Sampling) -> dict[str, Any]:
    """vLLM's parameters, all named: what is left out it takes from the model's generation_config.json."""
    return {
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "min_tokens": 0,
        "max_tokens": sampling.max_new_tokens,
        "stop_token_ids": sorted(sampling.stop_ids),
        "ignore_eos": True,  # the end tokens are ours, in stop_token_ids; the model's config may name others
        "seed": request_seed(request),
        "logprobs": 1,
    }
