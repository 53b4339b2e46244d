"""Bradley-Terry with ties: closed forms, a numerical optimum, what is not connected, raters and sides."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
from scipy import optimize

from rlhf.crowd.bradley_terry import Comparison, Priors, Strengths, bradley_terry
from rlhf.crowd.intervals import Interval

FLAT = Priors(strength=1e4, log_tie=1e4, side=1e4)


def said(left: str, right: str, wins: int, ties: int, losses: int, rater: str = "") -> list[Comparison]:
    outcomes = ["left"] * wins + ["tie"] * ties + ["right"] * losses
    return [Comparison(left, right, outcome, rater) for outcome in outcomes]  # type: ignore[arg-type]


def estimates(found: Mapping[str, Interval]) -> dict[str, float]:
    return {name: interval.estimate for name, interval in sorted(found.items())}


def side_of(found: Strengths) -> float:
    return 0.0 if found.side is None else found.side.estimate


def simulated(
    strengths: dict[str, float],
    number: int,
    *,
    seed: int,
    log_nu: float = -1.0,
    side: float = 0.0,
    abilities: tuple[float, ...] = (1.0,),
) -> list[Comparison]:
    """Davidson's model itself, written with worths as in his paper: pi_i, pi_j and nu sqrt(pi_i pi_j)."""
    rng, names, rows = np.random.default_rng(seed), list(strengths), []
    for n in range(number):
        left, right = rng.choice(names, size=2, replace=False).tolist()
        rater = int(rng.integers(len(abilities)))
        one = math.exp(abilities[rater] * strengths[left] + side)
        other = math.exp(abilities[rater] * strengths[right])
        worths = np.array([one, other, math.exp(log_nu) * math.sqrt(one * other)])
        outcome = ("left", "right", "tie")[rng.choice(3, p=worths / worths.sum())]
        rows.append(Comparison(left, right, outcome, f"r{rater}", f"prompt {n // 2}"))
    return rows


def log_posterior(
    rows: list[Comparison],
    strengths: dict[str, float],
    log_nu: float,
    side: float,
    abilities: dict[str, float],
    priors: Priors,
) -> float:
    """Comparison by comparison, from worths."""
    total = -sum((value / priors.strength) ** 2 for value in strengths.values()) / 2
    total -= (log_nu / priors.log_tie) ** 2 / 2 + (side / priors.side) ** 2 / 2
    total -= sum(((value - 1) / priors.ability) ** 2 for value in abilities.values()) / 2
    for row in rows:
        a = abilities.get(row.rater, 1.0)
        one, other = math.exp(a * strengths[row.left] + side), math.exp(a * strengths[row.right])
        tied = math.exp(log_nu) * math.sqrt(one * other)
        total += math.log({"left": one, "right": other, "tie": tied}[row.outcome] / (one + other + tied))
    return total


def test_two_without_ties_are_a_log_odds():
    # 30 of 40: log 3 apart
    found = bradley_terry(said("甲", "乙", 30, 0, 10), priors=FLAT, seed=0)
    assert estimates(found.strengths) == pytest.approx(
        {"甲": math.log(3) / 2, "乙": -math.log(3) / 2}, abs=1e-6
    )
    assert list(found.strengths) == ["甲", "乙"]
    assert found.log_tie is None
    assert found.side is None
    odds = found.odds("甲", "乙")
    assert (odds.first, odds.second, odds.tie) == pytest.approx((0.75, 0.25, 0.0), abs=1e-6)


def test_two_with_ties_have_davidsons_closed_form():
    # 20, 15 ties, 5: exp(d) = 20/5; nu = 15 / sqrt(20 * 5)
    found = bradley_terry(said("a", "b", 20, 15, 5), priors=FLAT, seed=0)
    gap = found.strengths["a"].estimate - found.strengths["b"].estimate
    assert gap == pytest.approx(math.log(4), abs=1e-6)
    assert found.log_tie is not None
    assert found.log_tie.estimate == pytest.approx(math.log(1.5), abs=1e-6)
    odds = found.odds("a", "b")
    assert (odds.first, odds.tie, odds.second) == pytest.approx((0.5, 0.375, 0.125), abs=1e-6)


def test_the_side_has_a_closed_form_too():
    # equals, each shown left as often: 60 of 100 for the left is log(6/4) of side and nothing of strength
    rows = said("a", "b", 30, 0, 20) + said("b", "a", 30, 0, 20)
    found = bradley_terry(rows, side_bias=True, priors=FLAT, seed=0)
    assert found.side is not None
    assert found.side.estimate == pytest.approx(math.log(1.5), abs=1e-6)
    assert estimates(found.strengths) == pytest.approx({"a": 0, "b": 0}, abs=1e-6)
    assert found.side.low > 0


@pytest.mark.parametrize("side_bias", [False, True])
@pytest.mark.parametrize("rater_ability", [False, True])
def test_it_is_the_numerical_optimum(side_bias: bool, rater_ability: bool):
    """Shows 6 of the page's promise: Bradley-Terry with ties is what a general optimiser finds."""
    truth = {"base": -0.8, "sft": 0.0, "ppo": 0.9, "最佳": 1.1}
    rows = simulated(truth, 300, seed=1, side=0.3, abilities=(1.2, 0.8, -0.4))
    priors = Priors(strength=1.5, log_tie=1.0, side=0.7, ability=0.4)
    names, raters = sorted(truth), ["r0", "r1", "r2"]

    def unpacked(x: np.ndarray) -> tuple[dict[str, float], float, float, dict[str, float]]:
        side = float(x[5]) if side_bias else 0.0
        abilities = dict(zip(raters, x[-3:].tolist(), strict=True)) if rater_ability else {}
        return dict(zip(names, x[:4].tolist(), strict=True)), float(x[4]), side, abilities

    start = np.array([0.0] * (5 + side_bias) + [1.0] * 3 * rater_ability)
    best = optimize.minimize(
        lambda x: -log_posterior(rows, *unpacked(x), priors), start, method="BFGS", options={"gtol": 1e-6}
    )
    found = bradley_terry(
        rows, side_bias=side_bias, rater_ability=rater_ability, priors=priors, seed=0, draws=1
    )
    strengths, log_nu, side, abilities = unpacked(best.x)
    assert found.converged
    assert found.log_tie is not None
    assert found.log_posterior == pytest.approx(-best.fun, abs=1e-7)
    own = log_posterior(
        rows,
        estimates(found.strengths),
        found.log_tie.estimate,
        side_of(found),
        estimates(found.abilities),
        priors,
    )
    assert own == pytest.approx(found.log_posterior, abs=1e-9)
    assert own >= -best.fun - 1e-9
    assert estimates(found.strengths) == pytest.approx(strengths, abs=1e-4)
    assert found.log_tie.estimate == pytest.approx(log_nu, abs=1e-4)
    assert estimates(found.abilities) == pytest.approx(abilities, abs=1e-4)
    assert side_of(found) == pytest.approx(side, abs=1e-4)


def test_strengths_side_and_abilities_are_recovered():
    truth = {"a": -1.5, "b": 0.0, "c": 1.5}
    rows = simulated(truth, 6000, seed=2, side=0.4, abilities=(1.5, 1.0, 0.5, -0.5))
    found = bradley_terry(rows, side_bias=True, rater_ability=True, seed=0, draws=2)
    assert found.side is not None
    assert found.side.estimate == pytest.approx(0.4, abs=0.1)
    abilities = list(estimates(found.abilities).values())
    ratios = np.array(abilities) / abilities[1]  # the prior alone says what ability 1 is
    assert ratios.tolist() == pytest.approx([1.5, 1.0, 0.5, -0.5], abs=0.15)
    scaled = np.array(list(estimates(found.strengths).values())) * abilities[1]
    assert scaled.tolist() == pytest.approx([-1.5, 0.0, 1.5], abs=0.15)


def test_shown_the_other_way_round_nothing_but_the_side_turns():
    rows = simulated({"a": 0.5, "b": 0.0, "c": -0.5}, 200, seed=3, side=0.4)
    other = {"left": "right", "right": "left", "tie": "tie"}
    turned = [Comparison(row.right, row.left, other[row.outcome], row.rater, row.item) for row in rows]  # type: ignore[arg-type]
    one, two = (bradley_terry(x, side_bias=True, seed=0, draws=5) for x in (rows, turned))
    assert estimates(two.strengths) == pytest.approx(estimates(one.strengths), abs=1e-8)
    assert one.side is not None
    assert two.side is not None
    assert two.side.estimate == pytest.approx(-one.side.estimate, abs=1e-8)


def test_order_changes_nothing_and_a_seed_repeats():
    rows = simulated({"a": 0.5, "b": 0.0, "c": -0.5}, 100, seed=3)
    found = bradley_terry(rows, seed=0, draws=20)
    assert bradley_terry(rows[::-1], seed=0, draws=20) == found
    assert bradley_terry(rows, seed=1, draws=20) != found


def test_what_was_never_compared_is_level_and_said():
    rows = said("a", "b", 9, 0, 1) + said("x", "y", 5, 0, 5)
    found = bradley_terry(rows, seed=0, draws=10)
    assert found.components == (("a", "b"), ("x", "y"))
    assert not found.connected
    for one, other in found.components:
        assert found.strengths[one].estimate + found.strengths[other].estimate == pytest.approx(0, abs=1e-8)
    joined = bradley_terry([*rows, Comparison("b", "x", "tie")], seed=0, draws=10)
    assert joined.connected
    # each of the four stands elsewhere once something is known
    assert joined.strengths["x"].estimate < 0


def test_who_never_lost_is_held_by_the_prior():
    # 5 to 0: t = 5 sd^2 / (1 + exp(2 t)) at +-t, where sd = 1 has t = 0.9044...
    found = bradley_terry(said("a", "b", 5, 0, 0), priors=Priors(strength=1.0), seed=0, draws=5)
    t = found.strengths["a"].estimate
    assert t == pytest.approx(5 / (1 + math.exp(2 * t)), abs=1e-9)
    assert 0.5 < t < 1.5


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    truth, held = {"a": -0.6, "b": 0.1, "c": 0.5}, []
    for seed in range(20):
        found = bradley_terry(simulated(truth, 240, seed=seed), seed=seed, draws=40)
        held += [
            found.strengths[name].low <= value <= found.strengths[name].high for name, value in truth.items()
        ]
    assert 0.85 < np.mean(held) <= 1.0


def test_the_bootstrap_draws_items_whole():
    # the same hundred prompts, each judged by one, and by nine who say the same: no wider for it, no narrower
    rng = np.random.default_rng(0)
    outcomes = ["left" if won else "right" for won in rng.random(100) < 0.7]
    once = [Comparison("a", "b", outcome, "r", f"p{n}") for n, outcome in enumerate(outcomes)]  # type: ignore[arg-type]
    nine = [Comparison("a", "b", row.outcome, f"r{r}", row.item) for row in once for r in range(9)]
    alone = [Comparison("a", "b", row.outcome, row.rater) for row in nine]

    def width(rows: list[Comparison]) -> float:
        found = bradley_terry(rows, priors=FLAT, seed=0).strengths["a"]
        return found.high - found.low

    assert width(nine) == pytest.approx(width(once), rel=0.02)
    assert width(alone) == pytest.approx(width(once) / 3, rel=0.25)


def test_nothing_is_known_of_nothing():
    found = bradley_terry([], seed=0)
    assert found == Strengths({}, None, None, {}, (), 0.0, True)
    assert found.connected


@pytest.mark.parametrize(
    ("rows", "options", "says"),
    [
        ([Comparison("a", "a", "tie")], {}, "with itself"),
        ([Comparison("a", "b", "draw")], {}, "none of left, right, tie"),  # type: ignore[arg-type]
        ([Comparison("a", "b", "tie")], {"priors": Priors(strength=math.inf)}, "priors.strength"),
        ([Comparison("a", "b", "tie")], {"draws": 0}, "draws=0"),
    ],
)
def test_what_cannot_be_is_said(rows: list[Comparison], options: dict, says: str):
    with pytest.raises(ValueError, match=says):
        bradley_terry(rows, seed=0, **options)
