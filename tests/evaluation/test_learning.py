"""Learning curves: parts that hold one another, and a forecast that keeps silent where it knows nothing."""

import pytest

from rlhf.demo import world
from rlhf.evaluation.learning import fit_power_law, forecast_accuracy, nested

SIZES = [1000, 2000, 4000, 8000]


def errors(floor: float, scale: float, exponent: float, sizes: list[int] = SIZES) -> list[float]:
    return [floor + scale * size**-exponent for size in sizes]


@pytest.mark.parametrize("exponent", [0.2, 0.5, 0.81])
def test_an_exact_curve_is_found_again(exponent: float) -> None:
    law = fit_power_law(SIZES, errors(0.2, 3.0, exponent))
    assert law is not None
    assert (law.floor, law.scale, law.exponent) == pytest.approx((0.2, 3.0, exponent), rel=1e-3)
    assert law.explained == pytest.approx(1.0)


def test_twice_the_data_by_hand() -> None:
    """0.2 + 8 / sqrt(n): 0.45, 0.4, 1/3 and 0.3 at n = 1024, 1600, 3600, 6400; at 25,600 it is 0.25."""
    accuracies = [1 - 0.45, 1 - 0.4, 1 - (0.2 + 8 / 60), 1 - 0.3]
    assert forecast_accuracy([1024, 1600, 3600, 6400], accuracies, 25600) == pytest.approx(0.75, abs=1e-4)


def test_three_points_are_enough_and_their_order_says_nothing() -> None:
    three = errors(0.1, 2.0, 0.4, SIZES[:3])
    accuracies = [1 - error for error in three]
    expected = 1 - (0.1 + 2.0 * 8000**-0.4)
    assert forecast_accuracy(SIZES[:3], accuracies, 8000) == pytest.approx(expected, abs=1e-4)
    assert forecast_accuracy(SIZES[2::-1], accuracies[::-1], 8000) == pytest.approx(expected, abs=1e-4)


def test_bounds_hold_where_the_points_would_leave_them() -> None:
    """Errors that fall faster than 1/n, or below any floor of at least 0."""
    steep = fit_power_law(SIZES, [1000 / size**2 + 0.1 for size in SIZES])
    falling = fit_power_law(SIZES, [0.4, 0.3, 0.2, 0.1])
    assert steep is not None
    assert falling is not None
    assert steep.exponent == pytest.approx(1.0)
    assert falling.floor == pytest.approx(0.0)
    assert 0 < falling.error(16000) < falling.error(8000)


@pytest.mark.parametrize(
    "accuracies",
    [
        [0.6, 0.7],  # two points lie on any curve
        [0.7, 0.7, 0.7, 0.7],
        [0.7, 0.68, 0.66, 0.64],
        [0.66, 0.6, 0.67, 0.61],  # up and down
        [0.6, 0.68, 0.61, 0.66],  # up and down, a little upwards on the whole
    ],
)
def test_no_forecast_where_the_fit_says_nothing(accuracies: list[float]) -> None:
    assert forecast_accuracy(SIZES[: len(accuracies)], accuracies, 16000) is None


def test_points_of_one_size_are_one_point() -> None:
    assert forecast_accuracy([1000, 1000, 2000], [0.6, 0.61, 0.7], 4000) is None


def test_a_larger_part_holds_the_smaller_one() -> None:
    pairs = world.preferences(800, 0)
    eighth, half = nested(pairs, 0.125), nested(pairs, 0.5)
    assert len(eighth) / 800 == pytest.approx(0.125, abs=0.04)
    assert len(half) / 800 == pytest.approx(0.5, abs=0.06)
    assert set(map(id, eighth)) < set(map(id, half))
    assert [pair for pair in pairs if any(pair is kept for kept in half)] == half
    by_prompt = {pair.prompt.key for pair in half}
    assert all(pair.prompt.key not in by_prompt for pair in pairs if all(pair is not kept for kept in half))


def test_the_part_does_not_follow_the_split_into_training_and_test() -> None:
    """A prompt's part is drawn with a salt of its own: every share of the data is halved alike."""
    from rlhf.data.splits import split

    parts = split(world.preferences(2000, 0), {"model": 0.3, "judge": 0.7}, salt="reward models")
    for part in parts.values():
        assert len(nested(part, 0.5)) / len(part) == pytest.approx(0.5, abs=0.06)
