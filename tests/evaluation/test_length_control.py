"""The win rate at equal length, against closed forms and cases made by hand."""

import numpy as np
import pytest
from scipy.optimize import minimize

from rlhf.algos.statistics import bootstrap_mean
from rlhf.evaluation.length_control import RIDGE, length_controlled

DRAWN = {"seed": 3, "resamples": 400}


def test_at_equal_lengths_it_is_the_plain_win_rate_interval_and_all() -> None:
    outcomes = [1.0, 1.0, 0.5, 0.0, 1.0, 0.0, 1.0, 1.0]
    lengths = [5.0] * 8
    assert length_controlled(outcomes, lengths, lengths, **DRAWN) == bootstrap_mean(outcomes, seed=3, n=400)


@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
def test_outcomes_that_are_all_alike_are_the_rate(rate: float) -> None:
    result = length_controlled([rate] * 6, [9, 8, 7, 6, 5, 4], [1, 2, 3, 4, 5, 9], **DRAWN)
    assert (result.low, result.estimate, result.high) == (rate, rate, rate)


def test_a_length_that_says_nothing_changes_nothing() -> None:
    # of the longer and of the shorter answers alike, three of four win: slope 0, sigmoid(a) = 3/4
    outcomes = [1.0, 1.0, 1.0, 0.0] * 2
    result = length_controlled(outcomes, [7.0] * 4 + [3.0] * 4, [5.0] * 8, **DRAWN)
    assert result.estimate == pytest.approx(0.75, abs=1e-6)


def test_wins_that_length_explains_are_no_wins() -> None:
    # 40 of 48 are won, but the longer answer always wins with 9 of 10, whoever gave it: at equal length even
    longer, shorter = [1.0] * 36 + [0.0] * 4, [1.0] * 4 + [0.0] * 36
    outcomes = longer * 9 + shorter
    lengths = [8.0] * 360 + [2.0] * 40
    plain = sum(outcomes) / len(outcomes)
    result = length_controlled(outcomes, lengths, [5.0] * 400, **DRAWN)
    assert plain == pytest.approx(0.82)
    # d = +3 and -3; x = tanh(d / s), and the fit is exact: logit 9 = a + b x, -logit 9 = a - b x
    assert result.estimate == pytest.approx(0.5, abs=0.01)
    assert result.low < 0.5 < result.high


def test_sides_swapped_give_the_complement() -> None:
    rng = np.random.default_rng(0)
    outcomes = rng.choice([0.0, 0.5, 1.0], size=60).tolist()
    mine, other = rng.integers(1, 30, 60).tolist(), rng.integers(1, 20, 60).tolist()
    one = length_controlled(outcomes, mine, other, **DRAWN)
    turned = length_controlled([1 - outcome for outcome in outcomes], other, mine, **DRAWN)
    assert turned.estimate == pytest.approx(1 - one.estimate, abs=1e-8)
    assert turned.low == pytest.approx(1 - one.high, abs=1e-6)


def test_the_fit_is_the_maximum_of_the_penalised_likelihood() -> None:
    rng = np.random.default_rng(1)
    mine, other = rng.integers(1, 40, 80).astype(float), rng.integers(1, 20, 80).astype(float)
    outcomes = (rng.random(80) < 1 / (1 + np.exp(-(mine - other) / 20))).astype(float)
    x = np.tanh((mine - other) / (mine - other).std())

    def loss(fit: np.ndarray) -> float:
        logit = fit[0] + fit[1] * x
        return float((np.logaddexp(0, logit) - outcomes * logit).sum() + RIDGE * fit[1] ** 2 / 2)

    intercept = minimize(loss, np.zeros(2), tol=1e-12).x[0]
    result = length_controlled(outcomes.tolist(), mine.tolist(), other.tolist(), **DRAWN)
    assert result.estimate == pytest.approx(1 / (1 + np.exp(-intercept)), abs=1e-5)
    assert result.low < result.estimate < result.high


def test_a_winner_that_length_alone_decides_still_has_an_answer() -> None:
    result = length_controlled([1.0] * 10 + [0.0] * 10, [9.0] * 10 + [1.0] * 10, [5.0] * 20, **DRAWN)
    assert result.estimate == pytest.approx(0.5, abs=1e-6)
    assert 0.0 <= result.low <= result.high <= 1.0


def test_lengths_and_outcomes_belong_together() -> None:
    with pytest.raises(ValueError, match="not of one size"):
        length_controlled([1.0, 0.0], [1.0], [1.0], **DRAWN)
