"""Best-of-n against all subsets, counted one by one."""

import math
from itertools import combinations

import numpy as np
import pytest

from rlhf.evaluation.best_of_n import best_of_curve, best_places, expected_best, kl_bound_nats


def counted(rewards: list[float], values: list[float], n: int) -> float:
    """The mean over all subsets of the value of the best; ties shared."""
    means = []
    for subset in combinations(range(len(rewards)), n):
        best = max(rewards[place] for place in subset)
        winners = [values[place] for place in subset if rewards[place] == best]
        means.append(sum(winners) / len(winners))
    return sum(means) / len(means)


@pytest.mark.parametrize("n", range(1, 8))
def test_is_the_mean_over_all_subsets(n: int) -> None:
    rng = np.random.default_rng(n)
    rewards, values = rng.normal(size=(5, 7)), rng.normal(size=(5, 7))
    expected = [counted(r, v, n) for r, v in zip(rewards.tolist(), values.tolist(), strict=True)]
    assert expected_best(rewards, values, n) == pytest.approx(expected)


def test_ties_are_broken_by_lot() -> None:
    # answers 0 and 1 tie at the top: either is chosen as often, whichever stands first
    assert expected_best([[1.0, 1.0, 0.0]], [[1.0, 0.0, 5.0]], 3) == pytest.approx([0.5])
    assert expected_best([[2.0, 2.0, 2.0]], [[1.0, 2.0, 6.0]], 2) == pytest.approx([3.0])


def test_of_three_by_hand() -> None:
    # pairs of rewards 1 < 2 < 3: the third is best of two pairs, the second of one, the first of none
    assert expected_best([[1.0, 3.0, 2.0]], [[10.0, 30.0, 20.0]], 2) == pytest.approx([(2 * 30 + 20) / 3])


def test_the_curve_goes_by_powers_of_two_up_to_what_there_is() -> None:
    rewards = np.random.default_rng(0).normal(size=(4, 6))
    curve = best_of_curve(rewards, {"reward": rewards, "gold": -rewards})
    assert [one.n for one in curve] == [1, 2, 4, 6]
    assert curve[0].scores["reward"] == pytest.approx(rewards.mean())
    assert curve[-1].scores == {
        "reward": pytest.approx(rewards.max(axis=1).mean()),
        "gold": pytest.approx(-rewards.max(axis=1).mean()),
    }
    rising = [one.scores["reward"] for one in curve]
    assert rising == sorted(rising)


def test_the_bound_of_the_distance() -> None:
    assert kl_bound_nats(1) == 0.0
    assert kl_bound_nats(2) == pytest.approx(math.log(2) - 0.5)
    assert kl_bound_nats(16) == pytest.approx(1.8351, abs=1e-4)


def test_the_bound_is_the_distance_of_the_best_of_distinct_answers() -> None:
    # of m equally likely answers, m large: sum_i p_i log(p_i m), where p_i = (i^n - (i-1)^n) / m^n
    m, n = 4000, 4
    p = [((i**n) - (i - 1) ** n) / m**n for i in range(1, m + 1)]
    assert sum(q * math.log(q * m) for q in p) == pytest.approx(kl_bound_nats(n), abs=1e-3)


def test_chooses_among_each_prompts_own_answers() -> None:
    assert best_places([1.0, 3.0, 2.0, 5.0, 5.0, 4.0], 3) == [1, 3]  # the first of those that tie


def test_more_than_there_are_cannot_be_chosen_from() -> None:
    with pytest.raises(ValueError, match="n=3 of 2 answers"):
        expected_best([[1.0, 2.0]], [[1.0, 2.0]], 3)
