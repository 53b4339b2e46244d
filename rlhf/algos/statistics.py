"""Intervals for the numbers that evaluations report."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

DRAWS_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class Interval:
    """An estimate and the bounds of its confidence interval."""

    estimate: float
    low: float
    high: float


def wilson(k: float, n: float, level: float = 0.95) -> Interval:
    """Wilson's score interval (1927) of a share: k of n. Stays inside [0, 1] and holds for small n.

        centre = (k + z^2/2) / (n + z^2)
        half   = z / (n + z^2) * sqrt(k (n - k) / n + z^2 / 4)

    k may be fractional, where ties count half; n is a number of independent cases.
    """
    _check_level(level)
    if not 0 <= k <= n or n == 0:
        raise ValueError(f"k={k} of n={n} is not a share; it takes 0 <= k <= n and n > 0")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    centre = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4)
    return Interval(estimate=k / n, low=max(centre - half, 0.0), high=min(centre + half, 1.0))


def bootstrap_mean(x: ArrayLike, *, seed: int, n: int = 10_000, level: float = 0.95) -> Interval:
    """Percentile bootstrap of a mean: n resamples of the same size, with replacement.

    The values must be independent cases; average the several samples of one prompt first.
    """
    _check_level(level)
    values = np.asarray(x, dtype=np.float64).ravel()
    if values.size == 0:
        raise ValueError("a mean needs at least one value")
    rng = np.random.default_rng(seed)
    at_once = max(DRAWS_AT_ONCE // values.size, 1)
    means = np.concatenate(
        [
            values[rng.integers(values.size, size=(min(at_once, n - done), values.size))].mean(axis=1)
            for done in range(0, n, at_once)
        ]
    )
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate=float(values.mean()), low=float(low), high=float(high))


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level={level} must lie between 0 and 1; 0.95 is usual")
