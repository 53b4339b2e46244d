"""One uniform number for each token, through the inverse of the distribution function."""

import numpy as np
import pytest
import torch

from rlhf.rollout.base import Sampling
from rlhf.rollout.draw import BLOCK, draw, uniforms

LOGITS = [1.2, -0.3, 0.0, 2.1, -4.0, 0.7, 0.7, -1.0]


def numbers(seed: int, ids: range, position: int) -> np.ndarray:
    seeds = np.full(len(ids), seed, dtype=np.uint64)
    return uniforms(seeds, np.array(ids, dtype=np.uint64), position)


@pytest.mark.parametrize("vary", ["id", "position", "seed"])
def test_uniforms_are_uniform_along_each_axis(vary: str) -> None:
    count = 5_000
    if vary == "id":
        u = numbers(7, range(count), 3)
    elif vary == "position":
        u = np.concatenate([numbers(7, range(12, 13), position) for position in range(count)])
    else:
        u = uniforms(np.arange(count, dtype=np.uint64), np.zeros(count, dtype=np.uint64), 0)
    assert u.min() >= 0.0
    assert u.max() < 1.0
    assert len(np.unique(u)) == count
    farthest = np.abs(np.sort(u) - (np.arange(count) + 0.5) / count).max()
    assert farthest < 1.95 / count**0.5  # Kolmogorov-Smirnov at a level of 1e-3
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 4 / count**0.5


def test_seed_id_and_position_each_give_other_numbers_unrelated_to_the_first() -> None:
    base = numbers(7, range(20_000), 0)
    for other in (
        numbers(8, range(20_000), 0),
        numbers(7, range(20_000), 1),
        numbers(7, range(20_000, 40_000), 0),
    ):
        assert not np.any(base == other)
        assert abs(np.corrcoef(base, other)[0, 1]) < 4 / 20_000**0.5


def test_a_number_is_the_same_alone_and_in_company() -> None:
    together = numbers(2**63 - 1, range(50), 9)
    assert [numbers(2**63 - 1, range(i, i + 1), 9)[0] for i in range(50)] == together.tolist()


def splitmix(x: int) -> int:
    """Steele, Lea and Flood's finaliser in whole numbers; of 0 it gives 0xE220A8397B1DCDAF, as published."""
    x = (x + 0x9E3779B97F4A7C15) % 2**64
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
    return x ^ (x >> 31)


@pytest.mark.parametrize(("seed", "number", "position"), [(0, 0, 0), (5, 2, 1), (2**63 - 1, 2**40, 511)])
def test_numbers_stay_what_they_are(seed: int, number: int, position: int) -> None:
    """Other numbers in a later version, and a run that it resumes would go on with other answers."""
    assert splitmix(0) == 0xE220A8397B1DCDAF
    mixed = splitmix((splitmix(seed ^ splitmix(number + 1)) + position * 0xD1342543DE82EF95) % 2**64)
    assert numbers(seed, range(number, number + 1), position).tolist() == [(mixed >> 11) / 2**53]


@pytest.mark.parametrize(
    ("top_k", "top_p", "kept"),
    [
        (0, 1.0, [0, 1, 2, 3, 4, 5, 6, 7]),
        (2, 1.0, [0, 3]),
        (1, 1.0, [3]),
        (8, 1.0, [0, 1, 2, 3, 4, 5, 6, 7]),
        (99, 1.0, [0, 1, 2, 3, 4, 5, 6, 7]),
        (0, 0.5, [3]),  # at temperature 0.7: 0.60 for token 3, 0.17 for token 0, 0.08 each for 5 and 6
        (0, 0.62, [0, 3]),
        (2, 0.75, [3]),  # of the two that top-k leaves, token 3 holds 0.78
        (0, 1e-9, [3]),
    ],
)
def test_a_grid_of_numbers_hits_each_token_by_its_share(top_k: int, top_p: float, kept: list[int]) -> None:
    count = 100_000
    grid = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    logits_BV = torch.tensor([LOGITS]).expand(count, -1)
    tokens_B, logprobs_B = draw(logits_BV, grid, Sampling(0.7, 1, frozenset(), top_k, top_p))
    full_V = (torch.tensor(LOGITS, dtype=torch.float64) / 0.7).softmax(0)
    expected_V = torch.zeros(8, dtype=torch.float64)
    expected_V[kept] = full_V[kept] / full_V[kept].sum()
    shares_V = tokens_B.bincount(minlength=8).double() / count
    torch.testing.assert_close(shares_V, expected_V, atol=2 / count, rtol=0)
    torch.testing.assert_close(logprobs_B.double(), full_V.log()[tokens_B], atol=1e-6, rtol=0)


@pytest.mark.parametrize("u", [0.0, 1.0 - 2.0**-53])
def test_the_ends_of_the_range_give_a_token_that_can_be(u: float) -> None:
    logits_BV = torch.tensor([[-torch.inf, 1.0, -torch.inf, 0.0, -torch.inf]])
    uniform_B = torch.tensor([u], dtype=torch.float64)
    tokens_B, logprobs_B = draw(logits_BV, uniform_B, Sampling(1.0, 1, frozenset()))
    assert tokens_B.tolist() == [1 if u == 0.0 else 3]
    assert logprobs_B.isfinite().all()


def test_greedy_takes_the_largest_and_reports_temperature_1() -> None:
    tokens_B, logprobs_B = draw(torch.tensor([LOGITS]), torch.tensor([0.999]), Sampling(0.0, 1, frozenset()))
    assert tokens_B.tolist() == [3]
    assert logprobs_B.item() == pytest.approx(torch.tensor(LOGITS).log_softmax(0)[3].item(), abs=1e-6)


def test_bf16_logits_are_drawn_from_in_float32() -> None:
    logits_BV = torch.tensor([LOGITS], dtype=torch.bfloat16)
    _, logprobs_B = draw(logits_BV, torch.tensor([0.5]), Sampling(0.7, 1, frozenset()))
    assert logprobs_B.dtype == torch.float32


@pytest.mark.parametrize("vocabulary", [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 1_000])
@pytest.mark.parametrize(("top_k", "top_p"), [(0, 1.0), (5, 1.0), (0, 0.3)])
def test_blocks_change_nothing(vocabulary: int, top_k: int, top_p: float) -> None:
    """Against the first sum of probabilities above u, in float64 and over the whole vocabulary."""
    generator = torch.Generator().manual_seed(vocabulary)
    logits_BV = 3 * torch.randn((400, vocabulary), generator=generator)
    uniform_B = torch.rand(400, generator=generator, dtype=torch.float64)
    tokens_B, logprobs_B = draw(logits_BV, uniform_B, Sampling(0.7, 1, frozenset(), top_k, top_p))
    for logits_V, u, token, logprob in zip(logits_BV, uniform_B, tokens_B, logprobs_B, strict=True):
        probs_V = (logits_V.double() / 0.7).softmax(0)
        assert float(logprob) == pytest.approx(float(probs_V[token].log()), abs=2e-6)
        order = probs_V.argsort(descending=True)
        kept_V = torch.zeros_like(probs_V)
        if top_k:
            kept_V[order[:top_k]] = probs_V[order[:top_k]]
        else:
            kept = order[: int((probs_V[order].cumsum(0) < top_p).sum()) + 1]
            kept_V[kept] = probs_V[kept]
        below = float(kept_V[:token].sum() / kept_V.sum())
        upto = below + float(kept_V[token] / kept_V.sum())
        assert kept_V[token] > 0
        assert below - 1e-6 <= float(u) < upto + 1e-6


def test_every_token_of_a_large_vocabulary_comes_by_its_share() -> None:
    """A staircase of probabilities over three blocks; token 300 and the last block's end can not be."""
    weights_V = torch.arange(1, 601, dtype=torch.float64)
    weights_V[300] = 0
    weights_V[580:] = 0
    count = 200_000
    grid = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    tokens_B = torch.cat(
        [
            draw(weights_V.log().float().expand(len(part), -1), part, Sampling(1.0, 1, frozenset()))[0]
            for part in grid.split(20_000)
        ]
    )
    shares_V = tokens_B.bincount(minlength=600).double() / count
    torch.testing.assert_close(shares_V, weights_V / weights_V.sum(), atol=2 / count, rtol=0)
    assert shares_V[300] == shares_V[580:].sum() == 0
