"""A constraint on cost: the multiplier's steps worked by hand, and when it moves."""

import math

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from rlhf.config import objective
from rlhf.records import Prompt
from rlhf.rewards import (
    EnsembleReward,
    HelpfulReward,
    Reward,
    SafeReward,
    Scored,
    Scores,
    WeightedReward,
    observe,
    restore,
    state_of,
)
from rlhf.rewards.base import over_limit


class Given:
    """Scores that stand in the rows' fields."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, batch: list[Scored]) -> Scores:
        total_B = torch.tensor([float(scored.prompt.fields[self._name]) for scored in batch])
        return Scores(total_B, {self._name: total_B})


def rows(*pairs: tuple[float, float]) -> list[Scored]:
    prompts = [Prompt("p", {"good": good, "bad": bad}) for good, bad in pairs]
    return [Scored(prompt, "x", (1,), (2,), "eos") for prompt in prompts]


def safe(**settings: object) -> SafeReward:
    rule = {"kind": "rules", "per_word": 1.0}
    cfg = objective.SafeReward.model_validate({"helpful": rule, "cost": rule, **settings})
    return SafeReward(cfg, Given("good"), Given("bad"))


def learnt(reward: Reward, batch: list[Scored]) -> Scores:
    scores = reward(batch)
    observe(reward, scores)
    return scores


def test_the_total_is_normalised_by_the_multiplier() -> None:
    scores = safe(multiplier=3.0)(rows((2.0, 1.0), (0.0, -1.0)))
    assert scores.total.tolist() == pytest.approx([(2 - 3) / 4, 3 / 4])
    assert {name: part.tolist() for name, part in scores.parts.items()} == {
        "helpful": [2.0, 0.0],
        "cost": [1.0, -1.0],
        "lagrange": [pytest.approx(3.0), pytest.approx(3.0)],
    }


def test_the_multiplier_follows_the_cost_by_its_log() -> None:
    reward = safe(limit=0.5, rate=0.1, multiplier=2.0)
    # mean cost 2, so 1.5 above the limit: ln lambda rises by 0.1 * 2 * 1.5
    learnt(reward, rows((0.0, 1.0), (0.0, 3.0)))
    assert math.log(reward.multiplier) == pytest.approx(math.log(2) + 0.3)
    before = reward.multiplier
    # mean cost -0.5, 1 below: falls by 0.1 * lambda * 1
    learnt(reward, rows((0.0, -0.5)))
    assert math.log(reward.multiplier) == pytest.approx(math.log(before) - 0.1 * before)
    before = reward.multiplier
    learnt(reward, rows((0.0, 0.5)))
    assert reward.multiplier == before


def test_a_limit_that_cannot_be_met_stops_at_the_most() -> None:
    reward = safe(limit=0.0, rate=1.0, max_multiplier=5.0)
    for _ in range(50):
        learnt(reward, rows((0.0, 100.0)))
    assert reward.multiplier == pytest.approx(5.0)
    assert torch.isfinite(reward(rows((1.0, 1.0))).total).all()


def test_it_settles_where_the_constraint_just_holds() -> None:
    """A policy that lowers its cost as the multiplier rises, c = 2 - lambda: 0.5 needs 1.5."""
    reward = safe(limit=0.5, rate=0.2, multiplier=0.2)
    for _ in range(200):
        learnt(reward, rows((0.0, 2.0 - reward.multiplier)))
    assert reward.multiplier == pytest.approx(1.5, abs=1e-3)


def test_looks_leave_the_state_alone_and_a_state_is_exact() -> None:
    reward, other = safe(limit=0.1), safe(limit=0.1)
    learnt(reward, rows((0.3, 0.7)))
    state = state_of(reward)
    for _ in range(3):
        reward(rows((9.0, 9.0)))
    assert state_of(reward) == state
    restore(other, state)
    for batch in (rows((1.0, 0.3)), rows((0.1, -2.0), (0.2, 0.9))):
        assert torch.equal(learnt(reward, batch).total, learnt(other, batch).total)
    assert state_of(reward) == state_of(other)


def test_wrappers_hand_the_state_on() -> None:
    """In a weighted sum the multiplier moves as it does alone."""
    alone, inner = safe(limit=0.5), safe(limit=0.5)
    whole = WeightedReward({"safe": (2.0, inner), "more": (1.0, Given("good"))})
    batch = rows((0.5, 2.0), (0.0, 1.0))
    learnt(alone, batch)
    learnt(whole, batch)
    assert inner.multiplier == alone.multiplier > 1.0
    fresh = safe(limit=0.5)
    restore(WeightedReward({"safe": (2.0, fresh), "more": (1.0, Given("good"))}), state_of(whole))
    assert fresh.multiplier == inner.multiplier
    nested = SafeReward(
        objective.SafeReward.model_validate({"cost": {"kind": "custom", "path": "a:b"}}), whole, Given("bad")
    )
    before = inner.multiplier
    learnt(nested, batch)
    assert inner.multiplier > before
    assert state_of(nested)["helpful"]["safe"] == state_of(inner)


def test_a_checkpoint_is_judged_by_help_alone_and_by_the_limit() -> None:
    reward = safe(limit=1.0, multiplier=7.0)
    judge = HelpfulReward(reward)
    costly, cheap = judge(rows((2.0, 1.0), (4.0, 3.0))), judge(rows((1.0, 1.5), (0.0, -9.0)))
    assert costly.total.tolist() == [2.0, 4.0]
    assert (judge.over_limit(costly), judge.over_limit(cheap)) == (pytest.approx(1.0), 0.0)
    assert sorted(costly.parts) == ["cost", "helpful"]
    assert over_limit(judge, costly) == over_limit(reward, reward(rows((2.0, 1.0), (4.0, 3.0)))) == 1.0
    assert over_limit(Given("good"), costly) is None
    learnt(reward, rows((0.0, 50.0)))
    assert torch.equal(judge(rows((2.0, 1.0), (4.0, 3.0))).total, costly.total)


def test_what_makes_no_sense_is_refused() -> None:
    validate = TypeAdapter[objective.Reward](objective.Reward).validate_python
    with pytest.raises(ValidationError, match=r"cost.path is needed: .* as in cost.path=rm-2"):
        validate({"kind": "safe", "cost": {"kind": "model"}})
    with pytest.raises(ValidationError, match="multiplier=20 is above max_multiplier=10"):
        validate({"kind": "safe", "cost": {"kind": "model", "path": "rm-2"}, "multiplier": 20})


class TestEnsemble:
    def scores(self, combine: str, **settings: object) -> Scores:
        cfg = objective.EnsembleReward.model_validate({"combine": combine, **settings})
        members = [Given("good"), Given("bad"), Given("good")]
        return EnsembleReward(members, cfg)(rows((1.0, 4.0), (2.0, 2.0), (3.0, -3.0)))

    def test_by_hand(self) -> None:
        # 1, 4, 1: mean 2, deviation sqrt(2); 2, 2, 2; 3, -3, 3: mean 1, deviation sqrt(8)
        spread = [2**0.5, 0.0, 8**0.5]
        scores = self.scores("mean")
        assert scores.total.tolist() == pytest.approx([2.0, 2.0, 1.0])
        assert scores.parts["spread"].tolist() == pytest.approx(spread)
        assert self.scores("min").total.tolist() == pytest.approx([1.0, 2.0, -3.0])
        assert self.scores("mean_minus_std", std_coef=0.5).total.tolist() == pytest.approx(
            [2 - spread[0] / 2, 2.0, 1 - spread[2] / 2]
        )

    def test_parts_are_the_same_however_it_is_combined(self) -> None:
        one, other = self.scores("mean").parts, self.scores("min").parts
        assert list(one) == ["mean", "min", "spread"]
        assert all(torch.equal(one[name], other[name]) for name in one)
