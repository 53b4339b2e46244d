"""Intervals of shares and of functions of sums: closed forms, and one with the tensors' own."""

import math

import numpy as np
import pytest
from scipy import sparse, stats

from rlhf.algos.statistics import wilson
from rlhf.crowd.intervals import bootstrap_sums, normal_quantile, share


@pytest.mark.parametrize(("k", "n"), [(0, 5), (2.5, 10), (40, 100), (999, 1000)])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_a_share_has_wilsons_interval(k: float, n: int, level: float):
    found, reference = share(k, n, level), wilson(k, n, level)
    assert (found.estimate, found.low, found.high) == (reference.estimate, reference.low, reference.high)


def test_of_nothing_nothing_is_known():
    found = share(0, 0)
    assert math.isnan(found.estimate)
    assert (found.low, found.high) == (0.0, 1.0)


def test_the_bootstrap_of_a_mean_is_the_normal_one_for_many():
    values = np.random.default_rng(0).normal(3.0, 2.0, size=2000)
    parts = sparse.csr_array(np.stack([values, np.ones(2000)], axis=1))
    found = bootstrap_sums(parts, lambda sums_BF: sums_BF[:, 0] / sums_BF[:, 1], seed=1, draws=4000)
    assert found.estimate == pytest.approx(values.mean())
    low, high = stats.norm.interval(0.95, values.mean(), values.std() / math.sqrt(2000))
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.01)


def test_draws_in_several_parts_are_all_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rlhf.crowd.intervals.NUMBERS_AT_ONCE", 100)
    seen: list[int] = []

    def count(sums_BF: np.ndarray) -> np.ndarray:
        seen.append(len(sums_BF))
        return sums_BF[:, 0]

    bootstrap_sums(sparse.csr_array(np.ones((30, 1))), count, seed=0, draws=10)
    assert seen == [1, 3, 3, 3, 1]  # the estimate, then ten draws


def test_draws_without_a_value_are_left_out():
    parts = sparse.csr_array(np.array([[1.0], [0.0]]))
    found = bootstrap_sums(parts, lambda sums_BF: np.where(sums_BF[:, 0] > 0, 7.0, np.nan), seed=0, draws=50)
    assert (found.estimate, found.low, found.high) == (7.0, 7.0, 7.0)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_is_a_share(level: float):
    with pytest.raises(ValueError, match="between 0 and 1"):
        normal_quantile(level)
