"""Does a reward model's confidence in a pair match how often it is right?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Bin:
    """Pairs whose confidence lies in [low, high)."""

    low: float
    high: float
    weight: float  # the count, where no weights are given
    predicted: float  # mean confidence
    observed: float  # share in which the favoured side was the better one


@dataclass(frozen=True)
class Calibration:
    """Expected calibration error, and the bins of a reliability diagram (empty ones left out)."""

    ece: float
    bins: tuple[Bin, ...]


def calibration(
    difference_B: ArrayLike,
    *,
    probability_B: ArrayLike | None = None,
    weight_B: ArrayLike | None = None,
    num_bins: int = 10,
) -> Calibration:
    """Calibration of sigmoid(chosen score - rejected score), by the side that the model favours.

        q_i = sigmoid(|d_i|)                                   confidence in the favoured side
        o_i = p_i if d_i > 0, 1 - p_i if d_i < 0, 1/2 if d_i = 0    how far it was the better one
        ece = sum_b (weight of bin b / weight) |mean q in b - mean o in b|     (Guo et al. 2017, eq. 3)

    with bins of equal width on [1/2, 1] and p = 1 by default. Taking the pairs as they stand, chosen
    first, would show "observed" 1 in every bin and measure nothing; folding on the favoured side
    instead says the same as counting each pair in both orders, once, and no swap of sides changes it.

    Raises ValueError where there is no pair to judge, or where a difference is not a number.
    """
    d_B = np.asarray(difference_B, dtype=np.float64)
    p_B = np.ones_like(d_B) if probability_B is None else np.asarray(probability_B, dtype=np.float64)
    w_B = np.ones_like(d_B) if weight_B is None else np.asarray(weight_B, dtype=np.float64)
    if not w_B.sum() > 0:
        raise ValueError("calibration needs at least one pair with a positive weight")
    if np.isnan(d_B).any():
        raise ValueError("calibration needs scores that are numbers; some differences are nan")
    confidence_B = 1 / (1 + np.exp(-np.abs(d_B)))
    observed_B = 0.5 + np.sign(d_B) * (p_B - 0.5)
    bin_B = np.minimum(((confidence_B - 0.5) * 2 * num_bins).astype(int), num_bins - 1)
    bins = tuple(
        _bin(b, num_bins, confidence_B[chosen], observed_B[chosen], w_B[chosen])
        for b in range(num_bins)
        if w_B[chosen := bin_B == b].sum() > 0
    )
    ece = sum(b.weight * abs(b.predicted - b.observed) for b in bins) / float(w_B.sum())
    return Calibration(ece=ece, bins=bins)


Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def _bin(index: int, num_bins: int, confidence: Floats, observed: Floats, weight: Floats) -> Bin:
    return Bin(
        low=0.5 + index / (2 * num_bins),
        high=0.5 + (index + 1) / (2 * num_bins),
        weight=float(weight.sum()),
        predicted=float(np.average(confidence, weights=weight)),
        observed=float(np.average(observed, weights=weight)),
    )
