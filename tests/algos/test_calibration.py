import math

import numpy as np
import pytest

from rlhf.algos.calibration import calibration

LOG = math.log


def test_by_hand():
    # confidences 0.75, 0.75, 0.9, 0.6; the second pair is ordered wrongly
    # two bins: [0.5, 0.75) holds 0.6 (right: 1); [0.75, 1] holds the rest (right: 2 of 3, mean 0.8)
    # ece = 1/4 |0.6 - 1| + 3/4 |0.8 - 2/3| = 0.1 + 0.1
    result = calibration([LOG(3.0001), -LOG(3.0001), LOG(9), LOG(1.5)], num_bins=2)
    low, high = result.bins
    assert (low.low, low.high, low.weight) == (0.5, 0.75, 1)
    assert (high.low, high.high, high.weight) == (0.75, 1.0, 3)
    assert low.predicted == pytest.approx(0.6)
    assert low.observed == 1
    assert high.predicted == pytest.approx(0.8, abs=1e-4)
    assert high.observed == pytest.approx(2 / 3)
    assert result.ece == pytest.approx(0.2, abs=1e-4)


def test_weights_and_soft_labels_by_hand():
    # one bin: confidences 0.9 (weight 3, observed 0.8) and 0.6 (weight 1, favours rejected: observed 1 - 0.3)
    result = calibration([LOG(9), -LOG(1.5)], probability_B=[0.8, 0.3], weight_B=[3, 1], num_bins=1)
    (only,) = result.bins
    assert only.predicted == pytest.approx((3 * 0.9 + 0.6) / 4)
    assert only.observed == pytest.approx((3 * 0.8 + 0.7) / 4)
    assert result.ece == pytest.approx(abs(3.3 - 3.1) / 4)


def pairs(seed: int, count: int, stretch: float) -> tuple[np.ndarray, np.ndarray]:
    """Differences scored by a model whose scores are `stretch` times the true ones."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=count) * 2
    return stretch * true, (rng.random(count) < 1 / (1 + np.exp(-true))).astype(float)


def test_a_calibrated_model_has_little_error_and_a_boastful_one_much():
    honest = calibration(*pairs(0, 50_000, 1.0)[:1], probability_B=pairs(0, 50_000, 1.0)[1]).ece
    boastful, label = pairs(0, 50_000, 5.0)
    assert honest < 0.01
    assert calibration(boastful, probability_B=label).ece > 0.15


def test_the_order_of_the_sides_changes_nothing():
    difference, label = pairs(1, 200, 1.0)
    difference[:5] = 0
    rng = np.random.default_rng(2)
    flip = np.where(rng.random(200) < 0.5, -1.0, 1.0)
    one = calibration(difference, probability_B=label)
    other = calibration(flip * difference, probability_B=0.5 + flip * (label - 0.5))
    assert other == one


def test_it_says_the_same_as_counting_both_orders():
    difference, label = pairs(3, 300, 2.0)
    both = np.concatenate([1 / (1 + np.exp(-difference)), 1 / (1 + np.exp(difference))])
    truth = np.concatenate([label, 1 - label])
    ece = 0.0
    for low in np.arange(20) / 20:  # twenty bins on [0, 1] fold to ten on [1/2, 1]
        inside = (both >= low) & (both < low + 0.05)
        if inside.any():
            ece += inside.mean() * abs(both[inside].mean() - truth[inside].mean())
    assert calibration(difference, probability_B=label).ece == pytest.approx(ece, rel=1e-9)


def test_equal_scores_are_calibrated_by_definition():
    result = calibration([0.0, 0.0], probability_B=[1.0, 1.0])
    assert result.ece == 0
    assert result.bins[0].observed == 0.5


def test_certainty_falls_into_the_last_bin():
    result = calibration([800.0, -800.0, math.inf])
    assert [b.weight for b in result.bins] == [3]
    assert result.bins[0].high == 1.0


def test_nothing_to_judge_is_refused():
    with pytest.raises(ValueError, match="at least one pair"):
        calibration([])
    with pytest.raises(ValueError, match="nan"):
        calibration([1.0, math.nan])
