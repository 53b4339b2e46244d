import math

import numpy as np
import pytest
from scipy import stats

from rlhf.algos.statistics import bootstrap_mean, wilson


def test_wilson_by_hand():
    # z = 1.959964, z^2 = 3.841459; 8 of 10: centre = (8 + 1.920729) / 13.841459 = 0.716740
    # half = 1.959964 / 13.841459 * sqrt(8 * 2 / 10 + 0.960365) = 0.226577
    interval = wilson(8, 10)
    assert interval.estimate == 0.8
    assert interval.low == pytest.approx(0.490162, abs=2e-6)
    assert interval.high == pytest.approx(0.943318, abs=2e-6)


@pytest.mark.parametrize(("k", "n"), [(0, 5), (5, 5), (1, 3), (40, 100), (999, 1000)])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_wilson_against_scipy(k: int, n: int, level: float):
    reference = stats.binomtest(k, n).proportion_ci(level, method="wilson")
    interval = wilson(k, n, level)
    assert (interval.low, interval.high) == pytest.approx(
        (reference.low, reference.high), rel=1e-9, abs=1e-12
    )


def test_wilson_is_symmetric_and_takes_half_wins():
    one, other = wilson(2.5, 10), wilson(7.5, 10)
    assert one.low == pytest.approx(1 - other.high)
    assert one.estimate == 0.25


@pytest.mark.parametrize(("k", "n"), [(0, 0), (3, 2), (-1, 2)])
def test_wilson_refuses_what_is_no_share(k: int, n: int):
    with pytest.raises(ValueError, match="not a share"):
        wilson(k, n)


def test_bootstrap_of_equal_values_is_a_point():
    interval = bootstrap_mean([2.0, 2.0, 2.0], seed=0)
    assert (interval.estimate, interval.low, interval.high) == (2, 2, 2)


def test_bootstrap_of_two_values_is_known_exactly():
    # of 0 and 1, a resample's mean is 0, 1/2 or 1 with chances 1/4, 1/2, 1/4
    assert (bootstrap_mean([0.0, 1.0], seed=0).low, bootstrap_mean([0.0, 1.0], seed=0).high) == (0, 1)
    narrow = bootstrap_mean([0.0, 1.0], seed=0, level=0.4)  # quantiles 0.3 and 0.7
    assert (narrow.low, narrow.high) == (0.5, 0.5)


def test_bootstrap_agrees_with_the_normal_interval_for_many_values():
    x = np.random.default_rng(0).normal(3, 2, size=2000)
    half = 1.959964 * x.std() / math.sqrt(2000)
    interval = bootstrap_mean(x, seed=1)
    assert interval.estimate == pytest.approx(x.mean())
    assert interval.low == pytest.approx(x.mean() - half, abs=0.05 * half)
    assert interval.high == pytest.approx(x.mean() + half, abs=0.05 * half)


def test_bootstrap_is_made_of_its_seed():
    x = np.arange(10.0) ** 2
    assert bootstrap_mean(x, seed=1) == bootstrap_mean(x, seed=1)
    assert bootstrap_mean(x, seed=1, n=200) != bootstrap_mean(x, seed=2, n=200)


def test_bootstrap_in_pieces_draws_all_resamples(monkeypatch: pytest.MonkeyPatch):
    x = np.arange(10.0)
    whole = bootstrap_mean(x, seed=3, n=4001)
    monkeypatch.setattr("rlhf.algos.statistics.DRAWS_AT_ONCE", 70)
    pieces = bootstrap_mean(x, seed=3, n=4001)
    assert pieces.low == pytest.approx(whole.low, abs=0.2)
    assert pieces.high == pytest.approx(whole.high, abs=0.2)


def test_bootstrap_refuses_nothing_and_odd_levels():
    with pytest.raises(ValueError, match="at least one value"):
        bootstrap_mean([], seed=0)
    with pytest.raises(ValueError, match=r"level=95"):
        bootstrap_mean([1.0], seed=0, level=95)


def test_one_resample_has_one_mean():
    interval = bootstrap_mean(np.arange(10.0) ** 2, seed=0, n=1)
    assert interval.low == interval.high
