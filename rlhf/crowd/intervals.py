"""Confidence intervals of shares, and of what is a function of sums over items."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import cast

import numpy as np
from scipy import sparse

from rlhf.crowd.judgements import Floats

NUMBERS_AT_ONCE = 4_000_000
Statistic = Callable[[Floats], Floats]  # of sums [B, F]: a figure for each row, nan where there is none


@dataclass(frozen=True)
class Interval:
    """An estimate and the bounds of its confidence interval; nan where nothing is known."""

    estimate: float
    low: float
    high: float


def share(k: float, n: float, level: float = 0.95) -> Interval:
    """Wilson's score interval (1927) of a share, k of n; of nothing it is nan within [0, 1].

        centre = (k + z^2/2) / (n + z^2)
        half   = z / (n + z^2) * sqrt(k (n - k) / n + z^2 / 4)

    k may be fractional, where an item counts in part.
    """
    if n == 0:
        return Interval(math.nan, 0.0, 1.0)
    z = normal_quantile(level)
    centre = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4)
    return Interval(estimate=k / n, low=max(centre - half, 0.0), high=min(centre + half, 1.0))


def bootstrap_sums(
    parts_NF: sparse.csr_array,
    of_sums: Statistic,
    *,
    seed: int,
    draws: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Percentile bootstrap over items (Efron 1979) of a statistic that is a function of sums over them.

    `parts_NF` holds what each item adds to each of F sums. Items are drawn with replacement, whole, with all
    that was said of them, for judgements of one item are not independent. Draws without a value are left out.
    """
    if not parts_NF.nnz:
        return Interval(math.nan, math.nan, math.nan)
    estimate = float(of_sums(np.asarray(parts_NF.sum(axis=0)).reshape(1, -1))[0])
    if math.isnan(estimate):
        return Interval(math.nan, math.nan, math.nan)
    values = np.concatenate(
        [of_sums(sums_BF) for sums_BF in resampled_sums(parts_NF, seed=seed, draws=draws)]
    )
    known = values[~np.isnan(values)]
    if not known.size:  # of a handful of items, every draw may be without a value
        return Interval(estimate, math.nan, math.nan)
    low, high = percentiles(known, level)
    return Interval(estimate, float(low), float(high))


def resampled_sums(parts_NF: sparse.csr_array, *, seed: int, draws: int) -> Iterator[Floats]:
    """Sums over resampled items, [B, F] at a time: `draws` rows in all."""
    num_items, num_sums = cast(tuple[int, int], parts_NF.shape)
    rng = np.random.default_rng(seed)
    at_once = max(NUMBERS_AT_ONCE // max(num_items, num_sums), 1)
    for done in range(0, draws, at_once):
        size = min(at_once, draws - done)
        times_BN = rng.multinomial(num_items, np.full(num_items, 1 / num_items), size=size)
        yield np.asarray(times_BN.astype(np.float64) @ parts_NF)


def percentiles(values_B: Floats, level: float) -> Floats:
    """The bounds that hold the middle `level` of the values, by column where there are several."""
    return np.quantile(values_B, [(1 - level) / 2, (1 + level) / 2], axis=0)


def normal_quantile(level: float) -> float:
    """z, so that a standard normal lies within +-z with probability `level`.

    Raises ValueError where the level is none.
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level} must lie between 0 and 1; 0.95 is usual")
    return NormalDist().inv_cdf(0.5 + level / 2)
