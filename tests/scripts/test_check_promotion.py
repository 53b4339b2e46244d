"""The tables of promotion: closed forms, what is promised, and a small run of it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from scipy.stats import binom

from rlhf.algos.statistics import Interval
from scripts.check_promotion import Power, main, shortfalls
from scripts.promotion_check.exact import least_wins, promoted_share
from scripts.promotion_check.guarded import Guarded
from scripts.promotion_check.trials import CASES, Outcome, outcome

ALL, NONE = Interval(1.0, 0.99, 1.0), Interval(0.0, 0.0, 0.16)
EQUAL = Outcome("one judgement a prompt", True, True, 4000, Interval(0.02, 0.016, 0.025))
BETTER = Outcome("one judgement a prompt", False, True, 4000, Interval(0.976, 0.97, 0.98))
STOPPED = Guarded("worse", False, 20, NONE, 0.3, {})


def test_least_wins_by_hand():
    # 2^-5 is more than 0.025, 2^-6 is less; of 8 seven have 9 / 256 = 0.035, all eight 1 / 256
    assert [least_wins(told) for told in (0, 1, 5, 6, 8)] == [1, 2, 6, 6, 8]
    assert least_wins(400) == 221


def test_power_is_the_binomial_tail_where_nothing_ties():
    for rate in (0.5, 0.6, 0.7):
        assert promoted_share(100, rate, 0.0) == pytest.approx(float(binom.sf(60, 100, rate)), rel=1e-9)
    assert least_wins(100) == 61


def test_power_with_ties_by_hand():
    """Six prompts: promoted only where none ties and all are won."""
    assert promoted_share(6, 0.5, 0.2) == pytest.approx((0.8 * 0.5) ** 6)
    assert promoted_share(6, 0.7, 0.2) == pytest.approx((0.8 * 0.75) ** 6)
    assert promoted_share(50, 0.5, 1.0) == 0.0
    with pytest.raises(ValueError, match=r"cannot be 0\.9"):
        promoted_share(50, 0.9, 0.5)


def test_the_promise_of_400_prompts():
    assert promoted_share(400, 0.6, 0.0) >= 0.95
    assert promoted_share(400, 0.5, 0.0) <= 0.025


def test_every_broken_promise_is_said():
    def said(
        power: Power | None = None, case: Outcome | None = None, whole: Guarded | None = None
    ) -> list[str]:
        some = ([power] if power else [], [case] if case else [], [whole] if whole else [])
        return list(shortfalls(*some))

    assert said(Power(400, 0.0, 0.6, 0.95), EQUAL, STOPPED) == []
    assert "0.9400" in said(Power(400, 0.0, 0.6, 0.94))[0]
    assert said(Power(200, 0.0, 0.6, 0.8)) == []  # no promise is made of so few
    assert "equal" in said(Power(50, 0.2, 0.5, 0.026))[0]
    assert "equal" in said(case=replace(EQUAL, promoted=Interval(0.034, 0.029, 0.04)))[0]
    assert said(case=replace(EQUAL, promoted=Interval(0.09, 0.08, 0.1), by_prompt=False)) == []
    assert said(case=replace(EQUAL, promoted=Interval(0.029, 0.0255, 0.0335))) == []  # may be chance
    assert said(case=BETTER) == []
    assert "0.60" in said(case=replace(BETTER, promoted=Interval(0.9, 0.88, 0.92)))[0]
    assert said(whole=STOPPED) == []
    assert "worse" in said(whole=replace(STOPPED, promoted=Interval(0.05, 0.01, 0.24)))[0]
    assert (
        "worse"
        in said(whole=replace(STOPPED, promote=True, promoted=Interval(0.8, 0.76, 0.84), trials=400))[0]
    )


def test_trials_agree_with_what_is_exact():
    """One judgement a prompt, 400 prompts: within four standard errors of the binomial tail."""
    equal, better = (next(c for c in CASES if c.equal is is_equal) for is_equal in (True, False))
    for case, rate in ((equal, 0.5), (better, 0.6)):
        exact = promoted_share(400, rate, 0.0)
        found = outcome(case, 1500, seed=1)
        assert found.promoted.estimate == pytest.approx(exact, abs=4 * (exact * (1 - exact) / 1500) ** 0.5)
    assert outcome(equal, 50, seed=1) == outcome(equal, 50, seed=1)


def test_judgements_of_one_prompt_are_no_independent_ones():
    naive = next(case for case in CASES if not case.by_prompt)
    assert outcome(naive, 400, seed=0).promoted.low > 0.025


def test_a_run_prints_and_writes_the_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert (
        main(
            ["--trials", "40", "--guarded", "2", "--prompts", "20,40", "--seed", "3", "--out", str(tmp_path)]
        )
        == 0
    )
    assert "hacked by length" in capsys.readouterr().out
    found = json.loads((tmp_path / "promotion.json").read_text())
    assert {one["prompts"] for one in found["power"]} == {20, 40}
    worse = [one for one in found["guarded"] if not one["promote"]]
    assert len(worse) == 3
    assert all(one["trials"] == 20 and one["promoted"]["estimate"] == 0.0 for one in worse)
    page = (tmp_path / "promotion.md").read_text()
    assert "--trials 40 --guarded 2 --prompts 20,40 --seed 3 --out docs/results" in page
