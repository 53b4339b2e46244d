"""The next batch is sampled while this one is trained on: how old its weights are, and what is made of it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from ppo_parts import PAD, TEMPERATURE, make_ppo, make_roles, make_updater, score

from rlhf.algos.kl import FixedKl
from rlhf.config import PpoStage, RolloutConfig, validate
from rlhf.errors import ConfigError
from rlhf.rewards.base import Scored, Scores
from rlhf.rollout.ahead import AheadEngine
from rlhf.rollout.base import RolloutEngine
from rlhf.rollout.hf import HfEngine
from rlhf.training.held_out import evaluate
from rlhf.training.old_logprobs import importance_cap, reuses_logprobs
from rlhf.training.ppo import Ppo, Progress

ITERATIONS = 4
STAGE = PpoStage(
    total_episodes=8 * ITERATIONS,
    batch_size=8,
    minibatch_size=8,
    epochs=1,
    response_length=9,
    temperature=TEMPERATURE,
)


def make(depth: int | None) -> tuple[Ppo, list[list[tuple[str, str]]]]:
    """A run whose engine has bf16 weights of its own, and what its reward is shown."""
    made = make_updater(STAGE, make_roles())
    seen = list[list[tuple[str, str]]]()

    def watched(batch: Sequence[Scored]) -> Scores:
        seen.append([(row.prompt.text, row.response) for row in batch])
        return score(batch)

    model = made.roles.policy_value.language_model
    engine: RolloutEngine = HfEngine(model, pad_id=PAD, batch_size=5, dtype=torch.bfloat16)
    if depth is not None:
        engine = AheadEngine(engine, depth)
    return replace(make_ppo(made, engine=engine, reward=watched), importance_cap=2.0), seen


def run(ppo: Ppo) -> list[dict[str, float]]:
    progress = Progress(0, FixedKl(0.05))
    return [ppo.iterate(progress, iteration) for iteration in range(1, ITERATIONS + 1)]


@pytest.mark.parametrize(("depth", "staleness"), [(1, [0, 1, 1, 1]), (2, [0, 1, 2, 2])])
def test_samples_are_so_many_updates_old_and_weighed_for_it(depth: int, staleness: list[int]) -> None:
    at_once, shown_at_once = make(None)
    ahead, shown = make(depth)
    plain, overlapped = run(at_once), run(ahead)
    assert [figures["staleness"] for figures in overlapped] == staleness
    assert all("staleness" not in figures for figures in plain)
    for one, other in zip(shown_at_once, shown, strict=True):
        assert [prompt for prompt, _ in one] == [prompt for prompt, _ in other]
    assert shown[:1] == shown_at_once[:1]  # nothing is old yet
    assert overlapped[0]["engine_gap"] == plain[0]["engine_gap"]
    for one, other in zip(plain[1:], overlapped[1:], strict=True):
        assert other["engine_gap"] > 3 * one["engine_gap"]  # an update against rounding
        assert 0 < other["importance_weight"] <= 2.0


def test_a_look_is_at_the_weights_as_they_are() -> None:
    ppo, _ = make(1)
    run(ppo)
    ppo.sync_engine(ITERATIONS)
    model = ppo.roles.policy_value.language_model
    now = HfEngine(model, pad_id=PAD, batch_size=5, dtype=torch.bfloat16)
    assert evaluate(ppo, 0.5).answers == evaluate(replace(ppo, engine=now), 0.5).answers


def test_old_samples_are_weighed_and_their_logprobs_made_anew_unless_told() -> None:
    overlapping = RolloutConfig(overlap=True, precision="bf16")
    assert importance_cap(overlapping) == 2.0
    assert importance_cap(RolloutConfig(overlap=True, importance_cap=1.5)) == 1.5
    assert not reuses_logprobs(PpoStage(), overlapping, torch.float32)


def test_a_bound_without_overlap_says_nothing() -> None:
    with pytest.raises(ConfigError, match=r"max_staleness=2 .*rollout\.overlap=true"):
        validate({"stage": {"kind": "ppo"}, "rollout": {"max_staleness": 2}})
