"""Win rates worked by hand."""

import pytest

from rlhf.errors import TrainingError
from rlhf.evaluation.win_rate import compare, compare_by

POLICY = [1.0, 2.0, 3.0, 4.0]
BASELINE = [0.0, 2.0, 4.0, 1.0]  # a win, a tie, a loss, a win


def test_ties_count_half() -> None:
    result = compare(POLICY, BASELINE, seed=0, resamples=500)
    assert (result.prompts, result.wins, result.ties, result.losses) == (4, 2, 1, 1)
    assert result.win_rate.estimate == 0.625
    assert result.policy.estimate == 2.5
    assert result.baseline.estimate == 1.75
    assert result.difference.estimate == 0.75
    assert 0.0 <= result.win_rate.low < 0.625 < result.win_rate.high <= 1.0


def test_sides_swapped_give_the_complement() -> None:
    one = compare(POLICY, BASELINE, seed=0, resamples=500)
    other = compare(BASELINE, POLICY, seed=0, resamples=500)
    assert other.win_rate.estimate == 1 - one.win_rate.estimate
    assert (other.wins, other.losses) == (one.losses, one.wins)
    assert other.win_rate.low == pytest.approx(1 - one.win_rate.high)
    assert other.difference.high == pytest.approx(-one.difference.low)


def test_the_interval_belongs_to_the_seed() -> None:
    policy, baseline = [0.1 * (7 * n % 11) for n in range(50)], [0.1 * (5 * n % 13) for n in range(50)]
    once, again = (compare(policy, baseline, seed=3, resamples=300) for _ in range(2))
    assert once == again
    assert compare(policy, baseline, seed=4, resamples=300).win_rate != once.win_rate


def test_certain_wins_have_no_width() -> None:
    result = compare([2.0, 3.0], [1.0, 1.0], seed=0, resamples=100)
    assert (result.win_rate.low, result.win_rate.estimate, result.win_rate.high) == (1.0, 1.0, 1.0)


def test_groups_are_compared_apart() -> None:
    result = compare_by(["zh", "en", "zh", "en"], POLICY, BASELINE, seed=0, resamples=100)
    assert list(result) == ["en", "zh"]
    assert result["en"].win_rate.estimate == 0.75  # a tie and a win
    assert result["zh"].win_rate.estimate == 0.5  # a win and a loss
    assert result["zh"].prompts == 2


def test_refuses_what_is_no_score() -> None:
    with pytest.raises(TrainingError, match="not a number"):
        compare([float("nan"), 1.0], [0.0, 0.0], seed=0, resamples=10)
    with pytest.raises(ValueError, match="shorter"):
        compare([1.0, 2.0], [0.0], seed=0, resamples=10)
