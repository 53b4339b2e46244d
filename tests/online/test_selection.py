"""Which pairs are asked about: by hand, and whatever the order of the candidates."""

import math
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from scipy.special import logit

from rlhf.online.selection import (
    STRATEGIES,
    Candidate,
    Strategy,
    disagreement,
    information,
    pair_key,
    select,
    spread_out,
)


def pool(count: int, seed: int = 0, per_prompt: int = 1) -> list[Candidate]:
    rng = np.random.default_rng(seed)
    return [
        Candidate(
            f"pair {number}",
            f"prompt {number // per_prompt}",
            tuple(rng.normal(size=3).tolist()),
            tuple(rng.normal(size=4).tolist()),
        )
        for number in range(count)
    ]


def chosen(candidates: Sequence[Candidate], strategy: Strategy, count: int, **more: int) -> list[str]:
    found = select(candidates, strategy, count, more.get("evaluation", 0), seed=more.get("seed", 0))
    return [candidates[place].key for place in found.chosen]


def of(key: str, *differences: float, at: Sequence[float] = (0.0,)) -> Candidate:
    return Candidate(key, key, tuple(differences), tuple(at))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_order_of_the_candidates_changes_nothing(strategy: Strategy):
    candidates = pool(60, per_prompt=2)
    shuffled = Random(1).sample(candidates, len(candidates))
    one, other = (select(some, strategy, 12, 5, seed=4) for some in (candidates, shuffled))
    for name in ("evaluation", "chosen"):
        keys = [
            [some[place].key for place in getattr(found, name)]
            for some, found in ((candidates, one), (shuffled, other))
        ]
        assert keys[0] == keys[1]
    assert len(one.chosen) == 12
    assert len(one.evaluation) == 5


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_slice_is_one_pair_a_prompt_and_a_stranger_to_what_is_chosen(strategy: Strategy):
    candidates = pool(60, per_prompt=3)
    found = select(candidates, strategy, 60, 5, seed=0)
    kept_apart = [candidates[place].prompt for place in found.evaluation]
    assert len(set(kept_apart)) == 5
    assert not set(kept_apart) & {candidates[place].prompt for place in found.chosen}
    assert len(found.chosen) == 60 - 5 * 3  # all that is left, each once
    assert len(set(found.chosen)) == len(found.chosen)


def test_the_slice_does_not_depend_on_strategy_or_scores():
    candidates = pool(40)
    other = [replace(one, differences=(0.0, 0.0), embedding=(1.0,)) for one in candidates]
    slices = [
        select(some, strategy, 5, 8, seed=2).evaluation
        for some in (candidates, other)
        for strategy in STRATEGIES
    ]
    assert all(one == slices[0] for one in slices)


def test_the_slice_is_random_and_each_pair_as_likely():
    """Of four prompts of two pairs each one is drawn: each of the eight pairs in an eighth of 2,000 seeds."""
    candidates = pool(8, per_prompt=2)
    counts = np.bincount(
        [select(candidates, "random", 0, 1, seed=seed).evaluation[0] for seed in range(2000)]
    )
    assert len(counts) == 8
    assert np.abs(counts - 250).max() < 4.5 * math.sqrt(2000 * 7 / 64)


def test_random_is_as_likely_for_each_and_one_more_candidate_moves_no_other():
    candidates = pool(20)
    counts = np.bincount(
        [place for seed in range(1000) for place in select(candidates, "random", 5, 0, seed=seed).chosen]
    )
    assert np.abs(counts - 250).max() < 4.5 * math.sqrt(1000 * 3 / 16)
    whole = chosen(candidates, "random", 20)
    assert chosen(candidates[:-1], "random", 20) == [key for key in whole if key != candidates[-1].key]
    assert chosen(candidates, "random", 20, seed=1) != whole


def test_uncertainty_takes_the_smallest_mean_difference_whatever_its_sign():
    candidates = [of("a", 2.0), of("b", -0.1), of("c", 0.5), of("d", -3.0, 3.2), of("e", -4.0)]
    assert chosen([one for one in candidates if one.key != "d"], "uncertainty", 3) == ["b", "c", "a"]
    assert chosen([of("d", -3.0, 3.2), of("f", 0.2, 0.2)], "uncertainty", 1) == ["d"]  # means 0.1 and 0.2


def test_disagreement_is_the_variance_of_the_predicted_preference():
    # probabilities 0.9 and 0.1: variance 0.16; both 0.5: 0; 0.6 and 0.8: 0.01
    differences = logit(np.array([[0.9, 0.1], [0.5, 0.5], [0.6, 0.8]]))
    assert disagreement(differences) == pytest.approx([0.16, 0.0, 0.01])
    # scores that differ much while both models are sure are no disagreement
    candidates = [of("sure", 20.0, 60.0), of("slight", 0.4, 1.4), of("torn", 1.0, -1.0)]
    assert chosen(candidates, "disagreement", 3) == ["torn", "slight", "sure"]


def test_information_by_hand():
    # sure and contradicting: H(1/2) - 0 = ln 2; both 1/2: nothing is learnt; 0.9 and 0.1: ln 2 - H(0.9)
    differences = np.array([[60.0, -60.0], [0.0, 0.0], [logit(0.9), logit(0.1)], [3.0, 3.0]])
    entropy = -0.9 * math.log(0.9) - 0.1 * math.log(0.1)
    assert information(differences) == pytest.approx([math.log(2), 0.0, math.log(2) - entropy, 0.0], abs=1e-9)


@pytest.mark.parametrize("strategy", ["uncertainty", "disagreement", "information"])
def test_naming_the_other_answer_first_changes_nothing(strategy: Strategy):
    candidates = pool(30)
    swapped = [replace(one, differences=tuple(-d for d in one.differences)) for one in candidates]
    assert chosen(candidates, strategy, 10) == chosen(swapped, strategy, 10)


def test_spread_out_by_hand():
    """Worths equal: the k-centre walk on a line. Then a high worth draws it near, a worth of 0 never."""
    line = np.array([[0.0], [1.0], [9.0], [10.0], [4.0]])
    assert spread_out(np.ones(5), line, 5) == [0, 3, 4, 1, 2]
    worth = np.array([1.0, 5.0, 1.0, 1.0, 0.0])
    # first 1 (worth 5); then distances 1, 8, 9, 3: place 3; then 0 (1 * 1), 2 (1 * 1), 4 (0): 0 stands first
    assert spread_out(worth, line, 4) == [1, 3, 0, 2]


def test_information_leaves_out_twins_until_nothing_else_is_left():
    twins = [of(f"twin {n}", 5.0, -5.0, at=(1.0, 1.0)) for n in range(5)]
    others = [of("far", 0.5, -0.5, at=(-1.0, 0.0)), of("away", 0.5, -0.5, at=(3.0, 0.0))]
    found = chosen([*twins, *others], "information", 3)
    assert sum(key.startswith("twin") for key in found) == 1
    assert found[0].startswith("twin")


def test_equal_content_is_one_candidate():
    candidates = pool(10)
    assert chosen(candidates + candidates, "random", 20) == chosen(candidates, "random", 20)
    assert max(select(candidates + candidates, "uncertainty", 20, 0, seed=0).chosen) < 10


def test_a_pair_is_its_content():
    assert pair_key("p", "猫", "狗") == pair_key("p", "狗", "猫")
    assert pair_key("p", "ab", "c") != pair_key("p", "a", "bc")
    assert pair_key("p", "a", "b") != pair_key("q", "a", "b")


def test_what_a_strategy_lacks_is_said():
    with pytest.raises(ValueError, match="needs as many prompts, of 3"):
        select(pool(9, per_prompt=3), "random", 1, 4, seed=0)
    with pytest.raises(ValueError, match="uncertainty needs the scores of 1"):
        select([Candidate("a", "a")], "uncertainty", 1, 0, seed=0)
    with pytest.raises(ValueError, match="disagreement needs the scores of 2"):
        select([of("a", 1.0)], "disagreement", 1, 0, seed=0)
    with pytest.raises(ValueError, match="as many for every pair"):
        select([of("a", 1.0, 2.0), of("b", 1.0, 2.0, 3.0)], "information", 1, 0, seed=0)
    with pytest.raises(ValueError, match="an embedding of every pair"):
        select([replace(of("a", 1.0, 2.0), embedding=())], "information", 1, 0, seed=0)
    with pytest.raises(ValueError, match="not a number"):
        select([of("a", math.nan)], "uncertainty", 1, 0, seed=0)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_nothing_to_choose_from_is_nothing_chosen(strategy: Strategy):
    assert select([], strategy, 3, 0, seed=0).chosen == []
    assert select(pool(5), strategy, 0, 0, seed=0).chosen == []
