"""The seam between the pipeline and whatever generates text: requests in, ragged rollouts out.

The randomness of a rollout belongs to its request: each token is drawn with one uniform number made from
(seed, request, position), through the inverse of the distribution function. So batching, the number of
workers, the order of requests and a kill change nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor


@dataclass(frozen=True)
class Request:
    """One response asked for; `prompt_ids` holds at least one token."""

    id: int
    prompt_ids: tuple[int, ...]
    seed: int


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. Temperature 0 is greedy; top_k 0 and top_p 1 are off."""

    temperature: float
    max_new_tokens: int
    stop_ids: frozenset[int]
    top_k: int = 0
    top_p: float = 1.0


@dataclass(frozen=True)
class Rollout:
    """A response [T], its end token included, with the log-probability [T] of each token when it was drawn.

    `logprobs` are at the sampling temperature, before top-k and top-p (at temperature 0: at 1), float32
    on the CPU. `version_per_token` [T] says which weights drew each token.
    """

    request_id: int
    response_ids: Tensor
    logprobs: Tensor
    finish: Literal["eos", "length"]
    version_per_token: Tensor


class RolloutEngine(Protocol):
    """What generates. Rollouts come in any order, each when it is done.

    `sync_weights` hands over all parameters by their plain names (`rlhf.rollout.weights`); one version is one
    set of weights.
    """

    def generate(self, requests: Iterable[Request], sampling: Sampling) -> Iterator[Rollout]: ...
    def sync_weights(self, tensors: Iterable[tuple[str, Tensor]], version: int) -> None: ...
