"""The six doubts on cases by hand."""

import pytest
from evaluation_samples import comparison

from rlhf.algos.statistics import Interval
from rlhf.evaluation.doubts import (
    Draws,
    cost_doubt,
    difference_of_means,
    length_doubt,
    memory_doubt,
    noise_doubt,
    ratio_interval,
    sign_test,
    worse_groups,
)
from rlhf.evaluation.panel import Marks

DRAWS = Draws(seed=0, resamples=300)


def marks(*values: float) -> Marks:
    return Marks(list(values))


def test_the_sign_test_by_hand() -> None:
    assert sign_test(0, 0) == 1.0
    assert sign_test(5, 5) == 1.0
    assert sign_test(3, 0) == pytest.approx(2 / 8)  # three heads or three tails
    assert sign_test(9, 1) == pytest.approx(2 * (10 + 1) / 2**10)
    assert sign_test(1, 9) == sign_test(9, 1)


def test_where_lengths_are_equal_length_explains_nothing() -> None:
    mine, other = marks(1.0, 0.0, 1.0, 1.0), marks(0.0, 1.0, 0.0, 1.0)
    overall = comparison(mine.total, other.total)
    controlled = Interval(0.6, 0.5, 0.7)
    found = length_doubt("gold", overall, controlled, (mine, other), ([5, 4, 9, 3], [5, 4, 2, 3]), DRAWS)
    assert found.same_length is not None
    assert found.same_length.prompts == 3
    assert found.same_length.win_rate.estimate == 0.5  # a win, a loss, a tie
    assert (found.policy_tokens, found.baseline_tokens) == (21 / 4, 14 / 4)
    apart = length_doubt("gold", overall, controlled, (mine, other), ([1] * 4, [2] * 4), DRAWS)
    assert apart.same_length is None


def test_a_baseline_against_itself_is_even() -> None:
    same = marks(1.0, 0.0, 2.0)
    found = noise_doubt("gold", comparison([1.0] * 4, [0.0] * 4), (same, same), DRAWS)
    assert found.itself == Interval(0.5, 0.5, 0.5)
    assert found.p_value == pytest.approx(1 / 8)


def test_memory_is_the_difference_of_win_rates() -> None:
    seen = marks(1.0, 1.0, 1.0, 1.0), marks(0.0, 0.0, 0.0, 1.0)  # 3 wins, 1 tie
    held_out = marks(1.0, 0.0), marks(0.0, 1.0)
    found = memory_doubt("gold", seen, held_out, DRAWS)
    assert found.difference.estimate == pytest.approx(0.875 - 0.5)
    assert (found.seen.prompts, found.held_out.prompts) == (4, 2)
    assert found.difference.low <= 0.375 <= found.difference.high


def test_what_a_nat_bought() -> None:
    found = cost_doubt(Interval(4.0, 3.0, 5.0), [10, 30], Interval(0.5, 0.4, 0.6))
    assert found.per_token == 0.2
    assert found.gain_per_sqrt_nat == 0.25
    assert cost_doubt(Interval(0.0, 0.0, 0.0), [10], Interval(0.5, 0.4, 0.6)).gain_per_sqrt_nat is None


def test_a_group_is_worse_where_the_whole_interval_is() -> None:
    fell, rose = comparison([0.0] * 5, [1.0] * 5), comparison([1.0] * 5, [0.0] * 5)
    unsure = comparison([0.0, 2.0, 0.0], [1.0, 1.0, 0.5])
    (worse,) = worse_groups({"family": {"sums": fell, "colour": rose}, "language": {"en": unsure}})
    assert (worse.field, worse.value, worse.difference.high) == ("family", "sums", -1.0)


def test_differences_and_ratios_of_constants_have_no_width() -> None:
    assert difference_of_means([2.0, 2.0], [0.5], DRAWS) == Interval(1.5, 1.5, 1.5)
    assert ratio_interval([1.0, 3.0], [2.0, 6.0], DRAWS) == Interval(0.5, 0.5, 0.5)


def test_a_loss_a_token_weighs_tokens_alike() -> None:
    found = ratio_interval([1.0, 9.0], [1.0, 3.0], DRAWS)
    assert found.estimate == 2.5  # 10 nats over 4 tokens, not the mean of 1 and 3
    assert (found.low, found.high) == (1.0, 3.0)
