"""The seam between the pipeline and whatever generates text: requests in, ragged rollouts out.

The randomness of a rollout belongs to its request: each token is drawn with one uniform number made from
(seed, request, position), through the inverse of the distribution function. So batching, the number of
workers, the order of requests and a kill change nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
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
    """What generates. Rollouts come in any order, each when it is done."""

    def generate(self, requests: Iterable[Request], sampling: Sampling) -> Iterator[Rollout]: ...
    def sync_weights(self, tensors: Iterable[tuple[str, Tensor]], version: int) -> None: ...


def uniforms(seeds_B: NDArray[np.uint64], ids_B: NDArray[np.uint64], position: int) -> NDArray[np.float64]:
    """One number in [0, 1) for each request, made from (seed, request, position) alone.

    Two rounds of splitmix64 (Steele, Lea and Flood 2014); 53 bits are kept.
    """
    with np.errstate(over="ignore"):
        mixed = _splitmix(seeds_B ^ _splitmix(ids_B + np.uint64(1)))
        mixed = _splitmix(mixed + np.uint64(position) * np.uint64(0xD1342543DE82EF95))
    return (mixed >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def draw(logits_BV: Tensor, uniforms_B: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """Tokens [B] drawn through the inverse distribution function, and their log-probabilities [B].

    Raises nothing for any finite logits: the token is one of positive probability.
    """
    logits_BV = logits_BV.float()
    scaled_BV = logits_BV / (sampling.temperature or 1.0)
    logprobs_BV = torch.log_softmax(scaled_BV, dim=-1)
    if sampling.temperature == 0:
        tokens_B = logits_BV.argmax(dim=-1)
    else:
        probs_BV = _restricted(logprobs_BV, sampling).double()
        cdf_BV = probs_BV.cumsum(dim=-1)
        # u < 1, so u * total < total: the first entry above it belongs to a token of positive probability
        threshold_B1 = uniforms_B.double().unsqueeze(1) * cdf_BV[:, -1:]
        tokens_B = torch.searchsorted(cdf_BV, threshold_B1, right=True).squeeze(1)
        tokens_B = tokens_B.clamp(max=logits_BV.shape[-1] - 1)
    return tokens_B, logprobs_BV.gather(1, tokens_B.unsqueeze(1)).squeeze(1)


def _restricted(logprobs_BV: Tensor, sampling: Sampling) -> Tensor:
    """Probabilities with those outside top-k and top-p set to 0; not normalised again."""
    probs_BV = logprobs_BV.exp()
    if 0 < sampling.top_k < probs_BV.shape[-1]:
        kth_B1 = probs_BV.topk(sampling.top_k, dim=-1).values[:, -1:]
        probs_BV = torch.where(probs_BV >= kth_B1, probs_BV, 0.0)
    if sampling.top_p < 1.0:
        sorted_BV, order_BV = probs_BV.sort(dim=-1, descending=True)
        total_B1 = sorted_BV.sum(dim=-1, keepdim=True)
        before_BV = sorted_BV.cumsum(dim=-1) - sorted_BV
        kept_BV = torch.where(before_BV < sampling.top_p * total_B1, sorted_BV, 0.0)
        probs_BV = torch.zeros_like(probs_BV).scatter(1, order_BV, kept_BV)
    return probs_BV


def _splitmix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
