"""The test that promotes: by hand, against Clopper and Pearson, and under what must not change it."""

from fractions import Fraction
from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import beta

from rlhf.online.promotion import LEVEL, decide, win_rate
from rlhf.runs.loop_record import Guard

KEPT = {"longer": Guard(value=1.2, limit=1.5, ok=True)}
BROKEN = {"kl_nats": Guard(value=31.2, limit=25.0, ok=False), **KEPT}


def outcomes(won: int, lost: int, tied: int = 0) -> list[float]:
    return [1.0] * won + [0.0] * lost + [0.5] * tied


def tail(won: int, count: int) -> Fraction:
    """P(won or more of count | 1/2), exactly."""
    return Fraction(sum(comb(count, k) for k in range(won, count + 1)), 2**count)


def test_five_wins_of_five_may_be_chance_and_six_may_not():
    # 2^-5 = 0.031 is more than 0.025, 2^-6 = 0.016 is less
    assert not decide(outcomes(5, 0), {}).promoted
    assert decide(outcomes(6, 0), {}).promoted
    # Clopper and Pearson in closed form where all are won: 0.025^(1/6)
    assert win_rate(outcomes(6, 0)).low == pytest.approx(0.025 ** (1 / 6), abs=1e-9)
    assert win_rate(outcomes(6, 0)).high == 1.0


def test_of_400_prompts_221_must_be_won():
    assert tail(221, 400) < LEVEL < tail(220, 400)
    assert decide(outcomes(221, 179), {}).promoted
    assert not decide(outcomes(220, 180), {}).promoted


@pytest.mark.parametrize(
    ("won", "lost", "tied"), [(9, 3, 0), (30, 12, 8), (240, 160, 0), (1, 0, 0), (3, 9, 2)]
)
def test_the_bounds_are_those_of_clopper_and_pearson_on_what_was_told_apart(won: int, lost: int, tied: int):
    told = won + lost
    low = float(beta.ppf(0.025, won, lost + 1))
    high = 1.0 if lost == 0 else float(beta.ppf(0.975, won + 1, lost))
    found = win_rate(outcomes(won, lost, tied))
    share = told / (told + tied)
    assert found.estimate == pytest.approx((won + tied / 2) / (told + tied))
    assert found.low == pytest.approx(0.5 + share * (low - 0.5), abs=1e-9)
    assert found.high == pytest.approx(0.5 + share * (high - 0.5), abs=1e-9)
    assert (found.prompts, found.wins, found.ties, found.losses) == (told + tied, won, tied, lost)


def test_the_decision_is_the_exact_sign_test_at_every_count():
    for count in range(1, 41):
        for won in range(count + 1):
            assert decide(outcomes(won, count - won), {}).promoted == (tail(won, count) < LEVEL)


def test_ties_say_nothing_of_who_is_better_and_pull_the_rate_to_one_half():
    without, with_ties = win_rate(outcomes(15, 4)), win_rate(outcomes(15, 4, 81))
    assert decide(outcomes(15, 4), {}).promoted
    assert decide(outcomes(15, 4, 81), {}).promoted
    assert with_ties.low - 0.5 == pytest.approx((without.low - 0.5) * 19 / 100)
    assert win_rate(outcomes(0, 0, 7)).low == win_rate(outcomes(0, 0, 7)).high == 0.5
    assert not decide(outcomes(0, 0, 7), {}).promoted


def test_means_of_several_judgements_by_enumeration():
    """Prompts of three raters: leans of 1/2 and 1/6, all patterns of signs counted one by one."""
    shares = [1, 1, 2 / 3, 2 / 3, 1 / 3, 1, 2 / 3, 0]
    leans = [Fraction(round(6 * share) - 3, 6) for share in shares]
    seen = sum(leans)
    totals = [
        sum((s * abs(a) for s, a in zip(signs, leans, strict=True)), Fraction())
        for signs in product((1, -1), repeat=8)
    ]
    reached = sum(total >= seen for total in totals) / 2**8
    for level in (0.9 * reached, 1.1 * reached):
        assert decide(shares, {}, level=level).promoted == (reached < level)
    # the bound: at its slope, what was seen or more has the probability `level`
    low = win_rate(shares).low

    def at(slope: float) -> tuple[float, float]:
        chances = expit(slope * np.abs(np.array(leans, dtype=float)))
        signs = np.array(list(product((1, 0), repeat=8)))
        weights = np.where(signs == 1, chances, 1 - chances).prod(axis=1)
        rate = 0.5 + float((np.abs(np.array(leans, dtype=float)) * (2 * chances - 1)).mean())
        return rate, float(weights[np.array([total >= seen for total in totals])].sum())

    slope = brentq(lambda slope: at(slope)[1] - LEVEL, -50, 50)
    assert low == pytest.approx(at(slope)[0], abs=1e-9)


def test_judgements_of_one_prompt_count_as_one():
    """Ten raters of six prompts are no sixty prompts."""
    keys = [str(number) for number in range(6) for _ in range(10)]
    said = [1.0] * 60
    assert win_rate(said, prompts=keys) == win_rate([1.0] * 6)
    assert win_rate(said).low > win_rate(said, prompts=keys).low
    # two for and one against are two thirds of a win
    found = win_rate([1, 0, 1, 0.5], prompts=["a", "a", "a", "b"])
    assert found.estimate == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert (found.prompts, found.wins, found.ties, found.losses) == (2, 1, 1, 0)


@settings(deadline=None)
@given(st.lists(st.sampled_from([0.0, 1 / 3, 0.5, 2 / 3, 1.0]), min_size=1, max_size=30), st.randoms())
def test_order_says_nothing_and_exchanged_policies_exchange_the_bounds(said: list[float], random):
    found = win_rate(said)
    assert found.low <= found.estimate + 1e-9
    assert found.estimate <= found.high + 1e-9
    shuffled = random.sample(said, len(said))
    assert win_rate(shuffled).low == pytest.approx(found.low, abs=1e-9)
    other = win_rate([1 - one for one in said])
    assert (other.low, other.high) == pytest.approx((1 - found.high, 1 - found.low), abs=1e-9)
    assert not (found.low > 0.5 and other.low > 0.5)


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(1, 60), st.integers(0, 20))
def test_one_more_win_in_place_of_a_loss_never_lowers_the_bound(won: int, lost: int, tied: int):
    before, after = outcomes(won, lost, tied), outcomes(won + 1, lost - 1, tied)
    assert win_rate(before).low <= win_rate(after).low + 1e-9


def test_outcomes_finer_than_the_grid_are_rounded_against_the_candidate():
    rng = np.random.default_rng(3)
    said = rng.random(30).tolist()
    coarse = (np.floor(np.array(said) * 1680) / 1680).tolist()
    assert win_rate(said).low == pytest.approx(win_rate(coarse).low, abs=1e-9)
    assert win_rate(said).high >= win_rate(coarse).high - 1e-9


def test_a_broken_guard_keeps_whatever_wins():
    found = decide(outcomes(300, 100), BROKEN)
    assert not found.promoted
    assert found.win_rate.low > 0.5
    assert found.guards == BROKEN
    assert "KL from the reference in nats 31.2 (at most 25.0)" in found.why
    assert "length" not in found.why  # that one is not broken
    assert "突破护栏：与参考策略的 KL（纳特） 31.2（至多 25.0）" in found.why_zh
    assert decide(outcomes(300, 100), KEPT).promoted


def test_the_reason_says_what_was_seen_and_what_it_means():
    promoted = decide(outcomes(240, 140, 20), KEPT)
    assert promoted.why == (
        "It wins 62.5% of 400 prompts (240 won, 20 tied, 140 lost): more than half, for the lower "
        f"bound at 97.5% is {promoted.win_rate.low:.1%}; no guard is broken."
    )
    assert promoted.why_zh.startswith("在 400 个提示上胜率为 62.5%（胜 240，平 20，负 140）：超过一半")
    chance = decide(outcomes(205, 195), KEPT)
    assert chance.why.startswith("It wins 51.2% of 400 prompts")
    assert "may be chance" in chance.why
    assert "可能出于偶然" in chance.why_zh
    worse = decide(outcomes(100, 300), {})
    assert "fewer than half" in worse.why
    assert "不到一半" in worse.why_zh


@pytest.mark.parametrize("wrong", [1.5, -0.1, float("nan")])
def test_what_is_no_outcome_is_refused(wrong: float):
    with pytest.raises(ValueError, match="an outcome is"):
        win_rate([1.0, wrong])


def test_nothing_and_keys_of_another_number_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        win_rate([])
    with pytest.raises(ValueError, match="longer"):
        win_rate([1.0, 0.0], prompts=["a"])
