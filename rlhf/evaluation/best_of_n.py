"""Best-of-n: of n answers of the baseline the one that the reward likes best; what PPO is held against."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BestOf:
    """Mean scores, by judge, of the best by reward of n answers; `kl_nats` is the bound of its distance."""

    n: int
    kl_nats: float
    scores: Mapping[str, float]


def best_of_curve(
    reward_PN: ArrayLike, scores_PN: Mapping[str, ArrayLike], *, largest: int | None = None
) -> tuple[BestOf, ...]:
    """What n = 1, 2, 4, ... up to the number of answers a prompt would give, that number itself included.

    `reward_PN` chooses; `scores_PN` are every judge's scores of the same answers, [P, N] each.
    """
    count = np.asarray(reward_PN).shape[1] if largest is None else largest
    sizes = sorted({1 << power for power in range(count.bit_length()) if 1 << power <= count} | {count})
    return tuple(
        BestOf(
            n,
            kl_bound_nats(n),
            {name: float(expected_best(reward_PN, values, n).mean()) for name, values in scores_PN.items()},
        )
        for n in sizes
    )


def expected_best(reward_PN: ArrayLike, value_PN: ArrayLike, n: int) -> Floats:
    """For each prompt the mean value of the best by reward of n answers drawn from its N without return, [P].

    Unbiased for a fresh draw of n: all C(N, n) subsets are averaged, by order statistics. The answer of rank
    r from the bottom (from 0) is the best of C(r, n - 1) of them. Answers of equal reward share their
    weight, as if the tie were broken by lot.

    Raises ValueError where n is not between 1 and N.
    """
    rewards, values = np.asarray(reward_PN, np.float64), np.asarray(value_PN, np.float64)
    count = rewards.shape[1]
    if not 1 <= n <= count:
        raise ValueError(f"n={n} of {count} answers: it takes 1 <= n <= {count}")
    subsets = math.comb(count, n)
    weight_N = np.array([math.comb(rank, n - 1) / subsets for rank in range(count)])
    expected = np.empty(len(rewards))
    for row, (reward_N, value_N) in enumerate(zip(rewards, values, strict=True)):
        order = np.argsort(reward_N, kind="stable")
        _, tied_N = np.unique(reward_N[order], return_inverse=True)
        value_of_tied = np.bincount(tied_N, weights=value_N[order]) / np.bincount(tied_N)
        expected[row] = np.bincount(tied_N, weights=weight_N) @ value_of_tied
    return expected


def best_places(rewards: Sequence[float], n: int) -> list[int]:
    """Where the best of each n consecutive answers stands, the first of those that tie."""
    return [
        max(range(start, start + n), key=lambda place: (rewards[place], -place))
        for start in range(0, len(rewards), n)
    ]


def kl_bound_nats(n: int) -> float:
    """log n - (n - 1) / n: best-of-n is at most so far from the policy that answers (Stiennon et al. 2020).

    A bound of KL(best-of-n || policy), exact where no two answers tie (Beirami et al. 2024).
    """
    return math.log(n) - (n - 1) / n
