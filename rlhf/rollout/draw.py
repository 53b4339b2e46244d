"""Drawing tokens: one uniform number each, through the inverse of the distribution function.

Sampling from [B, V] logits passes over them about three times: to divide by the temperature, for the softmax,
and to sum it over blocks. All else works on one block of each row.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from rlhf.rollout.base import Request, Sampling

BLOCK = 256  # neighbouring tokens whose probabilities are summed; about the square root of usual vocabularies
BELOW_1 = 1.0 - 2.0**-53  # the largest float64 below 1: below_1 * x < x for every positive x


def uniforms(seeds: NDArray[np.uint64], ids: NDArray[np.uint64], positions: ArrayLike) -> NDArray[np.float64]:
    """One number in [0, 1) for each (seed, request, position), made from these alone; arguments broadcast.

    Two rounds of splitmix64 (Steele, Lea and Flood 2014); 53 bits are kept.
    """
    with np.errstate(over="ignore"):
        mixed = _splitmix(_splitmix(ids + np.uint64(1)) ^ seeds)
        mixed = _splitmix(mixed + np.asarray(positions, dtype=np.uint64) * np.uint64(0xD1342543DE82EF95))
    return (mixed >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def request_seed(request: Request) -> int:
    """A seed in [0, 2^63) made from (seed, request), for an engine that draws numbers of its own."""
    seed, number = (np.array([value], dtype=np.uint64) for value in (request.seed, request.id))
    return int(_splitmix(_splitmix(number + np.uint64(1)) ^ seed)[0] >> np.uint64(1))


def draw(logits_BV: Tensor, uniforms_B: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """Tokens [B] drawn through the inverse distribution function, and their log-probabilities [B].

    Log-probabilities are at the temperature, before top-k and top-p (at temperature 0: at 1), float32. Raises
    nothing for any finite logits: the token is one of positive probability.
    """
    logits_BV = logits_BV.float()
    if sampling.temperature == 0:
        tokens_B = logits_BV.argmax(dim=-1)
        chosen_B = logits_BV.gather(1, tokens_B.unsqueeze(1)).squeeze(1)
        return tokens_B, chosen_B - logits_BV.logsumexp(dim=-1)
    if sampling.temperature != 1:
        logits_BV = logits_BV / sampling.temperature
    probs_BV = logits_BV.softmax(dim=-1)
    tokens_B = _invert(_restricted(probs_BV, sampling), uniforms_B.double())
    return tokens_B, probs_BV.gather(1, tokens_B.unsqueeze(1)).squeeze(1).log()


def _invert(probs_BV: Tensor, uniforms_B: Tensor) -> Tensor:
    """The first token at which the sum of probabilities passes u times the total: its block, then itself.

    Sums inside of a block are float32, over blocks and over the chosen block's tokens float64.
    """
    vocabulary = probs_BV.shape[-1]
    whole = vocabulary // BLOCK
    sums_BK = probs_BV[:, : whole * BLOCK].unflatten(1, (whole, BLOCK)).sum(dim=-1)
    if vocabulary % BLOCK:
        rest_B1 = probs_BV[:, whole * BLOCK :].sum(dim=-1, keepdim=True)
        sums_BK = torch.cat([sums_BK, rest_B1], dim=1)
    block_B1, share_B1 = _place(sums_BK.double(), uniforms_B.unsqueeze(1))
    inside = torch.arange(min(BLOCK, vocabulary), device=probs_BV.device)
    tokens_BN = block_B1 * BLOCK + inside
    inside_BN = probs_BV.gather(1, tokens_BN.clamp(max=vocabulary - 1)).double()
    place_B1, _ = _place(torch.where(tokens_BN < vocabulary, inside_BN, 0.0), share_B1)
    tokens_B = (block_B1 * BLOCK + place_B1).squeeze(1)
    return tokens_B.clamp(max=vocabulary - 1)  # of logits that are not numbers, whose log-probability is none


def _place(weights_BN: Tensor, uniforms_B1: Tensor) -> tuple[Tensor, Tensor]:
    """Which of N weights holds u times their sum, [B, 1], and how far inside it that lies, in [0, 1).

    u < 1, so u * total < total: the first sum above it was made by a positive weight.
    """
    sums_BN = weights_BN.cumsum(dim=-1)
    threshold_B1 = uniforms_B1 * sums_BN[:, -1:]
    place_B1 = torch.searchsorted(sums_BN, threshold_B1, right=True).clamp(max=weights_BN.shape[-1] - 1)
    weight_B1 = weights_BN.gather(1, place_B1)
    before_B1 = sums_BN.gather(1, place_B1) - weight_B1
    share_B1 = (threshold_B1 - before_B1) / weight_B1
    return place_B1, share_B1.clamp(min=0.0, max=BELOW_1)


def _restricted(probs_BV: Tensor, sampling: Sampling) -> Tensor:
    """Probabilities with those outside top-k and top-p set to 0; not normalised again."""
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
