"""The win rate at equal length: what is left of it once what length alone explains is taken out."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rlhf.algos.statistics import DRAWS_AT_ONCE, Interval, bootstrap_mean

RIDGE = 0.1
"""Holds the slope of length where the longer (or shorter) answer always wins; elsewhere it hardly counts."""
STEPS = 60
LARGEST_LOGIT = 20.0  # sigmoid(20) is 1 to eight digits

Floats = NDArray[np.float64]


def length_controlled(
    outcomes: Sequence[float],
    policy_lengths: Sequence[float],
    baseline_lengths: Sequence[float],
    *,
    seed: int,
    resamples: int,
) -> Interval:
    """The share of prompts that the policy would win if both answers were of one length (Dubois et al. 2024).

        x_i      = tanh(d_i / s)          d_i = length of the policy's answer - the baseline's, s its spread
        P(win_i) = sigmoid(a + b x_i)     fitted to the outcomes: 1 a win, 0.5 a tie, 0 a loss
        result   = sigmoid(a)             the prediction at d = 0

    Departures from AlpacaEval 2: one pair of models alone, so that the term for the difficulty of an
    instruction, which is shared between models there, is left out; lengths are in the unit that is handed in
    (tokens, here); a weak ridge on b, `RIDGE` b^2 / 2. Where all lengths are equal, and where all outcomes
    are, this is the plain win rate.

    The interval is a percentile bootstrap over prompts, s held at its value in the whole sample; it draws
    what `bootstrap_mean` draws. Raises ValueError where there is no prompt.
    """
    outcome_P = np.asarray(outcomes, dtype=np.float64)
    difference_P = np.asarray(policy_lengths, np.float64) - np.asarray(baseline_lengths, np.float64)
    if outcome_P.shape != difference_P.shape:
        raise ValueError(
            f"{outcome_P.size} outcomes and {difference_P.size} pairs of lengths are not of one size"
        )
    spread = float(difference_P.std()) if difference_P.size else 0.0
    if spread == 0.0 or outcome_P.min() == outcome_P.max():
        return bootstrap_mean(outcome_P, seed=seed, n=resamples)
    x_P = np.tanh(difference_P / spread)
    rng = np.random.default_rng(seed)
    size = outcome_P.size
    at_once = max(DRAWS_AT_ONCE // size, 1)
    rates: list[Floats] = []
    for done in range(0, resamples, at_once):
        rows = min(at_once, resamples - done)
        drawn_RP = rng.integers(size, size=(rows, size))
        drawn_RP += np.arange(rows)[:, None] * size
        count_RP = np.bincount(drawn_RP.ravel(), minlength=rows * size).reshape(rows, size)
        rates.append(_rate_at_equal_length(outcome_P, x_P, count_RP.astype(np.float64)))
    low, high = np.quantile(np.concatenate(rates), [0.025, 0.975])
    (estimate,) = _rate_at_equal_length(outcome_P, x_P, np.ones((1, size)))
    return Interval(float(estimate), float(low), float(high))


def _rate_at_equal_length(outcome_P: Floats, x_P: Floats, weight_RP: Floats) -> Floats:
    """sigmoid(a) of each row's weighted fit, [R], by Newton's method with steps of at most 1.

    Of a row whose outcomes are all alike the intercept runs to its bound, and the rate is 0 or 1.
    """
    intercept_R = np.zeros(weight_RP.shape[0])
    slope_R = np.zeros_like(intercept_R)
    for _ in range(STEPS):
        p_RP = _sigmoid(intercept_R[:, None] + slope_R[:, None] * x_P)
        error_RP = weight_RP * (outcome_P - p_RP)
        spread_RP = weight_RP * p_RP * (1 - p_RP)
        gradient_a, gradient_b = error_RP.sum(axis=1), error_RP @ x_P - RIDGE * slope_R
        curve_aa = spread_RP.sum(axis=1) + 1e-12
        curve_ab, curve_bb = spread_RP @ x_P, spread_RP @ (x_P * x_P) + RIDGE
        determinant = curve_aa * curve_bb - curve_ab**2
        step_a = np.clip((curve_bb * gradient_a - curve_ab * gradient_b) / determinant, -1, 1)
        step_b = np.clip((curve_aa * gradient_b - curve_ab * gradient_a) / determinant, -1, 1)
        moved_R = np.clip(intercept_R + step_a, -LARGEST_LOGIT, LARGEST_LOGIT)
        largest = max(float(np.abs(moved_R - intercept_R).max()), float(np.abs(step_b).max()))
        intercept_R, slope_R = moved_R, slope_R + step_b
        if largest < 1e-9:
            break
    return _sigmoid(intercept_R)


def _sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))
