"""Advantage estimators in the loop: what each leaves out, and where two of them are the same."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from ppo_parts import (
    answer,
    distance,
    learnt,
    make_episodes,
    make_ppo,
    make_roles,
    make_updater,
    score,
    weights,
)

from rlhf.algos.kl import FixedKl
from rlhf.algos.running import RunningMoments
from rlhf.config import PpoStage
from rlhf.rewards.base import Scored, Scores
from rlhf.rollout.scripted import ScriptedEngine
from rlhf.training.experience import make_experience, shape_scores
from rlhf.training.held_out import evaluate
from rlhf.training.ppo import Ppo, Progress

CRITIC_FREE = ("reinforce", "rloo", "reinforce_pp")


def one_iteration(**options: Any) -> tuple[dict[str, float], Ppo]:
    stage = PpoStage(
        **{
            "total_episodes": 16,
            "batch_size": 8,
            "minibatch_size": 4,
            "epochs": 2,
            "response_length": 6,
            "samples_per_prompt": 2,
            **options,
        }
    )
    ppo = make_ppo(make_updater(stage, make_roles("gpt2", has_critic=stage.has_critic)))
    return ppo.iterate(Progress(0, FixedKl(0.05)), 1), ppo


@pytest.mark.parametrize("advantage", CRITIC_FREE)
def test_without_a_critic_there_is_no_value_in_module_figures_or_look(advantage: str) -> None:
    figures, ppo = one_iteration(advantage=advantage)
    assert set(ppo.trained_tensors()) == {
        name for name, _ in ppo.roles.policy_value.named_parameters() if name.startswith("policy.")
    }
    assert {"value", "value_loss", "value_error", "value_clip_fraction", "explained_variance"}.isdisjoint(
        figures
    )
    assert all(value == value for value in figures.values())
    assert figures["first_ratio_gap"] == 0.0
    assert figures["ratio_max"] > 1.001
    look = evaluate(ppo, 0.5)
    for row in look.episodes:
        assert set(row["value"]) == {0.0}
        left = [sum(row["reward"][at:]) for at in range(len(row["reward"]))]
        assert row["advantage"] == pytest.approx(left, abs=1e-5)


def test_one_step_is_gae_of_lambda_0() -> None:
    one, ppo = one_iteration(advantage="one_step", lam=0.3)
    other, twin = one_iteration(advantage="gae", lam=0.0)
    assert learnt(one) == learnt(other)
    ours, theirs = weights(ppo.module), weights(twin.module)
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_the_samples_of_a_prompt_are_measured_against_each_other() -> None:
    """A score that the prompt alone decides teaches RLOO nothing, REINFORCE something."""

    def easy_prompts(batch: Sequence[Scored]) -> Scores:
        return Scores(torch.tensor([float(sum(row.prompt_ids) % 5) for row in batch]))

    moved: dict[str, float] = {}
    for advantage in ("rloo", "reinforce"):
        stage = PpoStage(
            total_episodes=8,
            batch_size=8,
            minibatch_size=8,
            epochs=1,
            response_length=6,
            samples_per_prompt=4,
            advantage=advantage,
            missing_end_score=0.0,
        )
        ppo = make_ppo(make_updater(stage, make_roles("gpt2", has_critic=False)))
        ppo = replace(ppo, reward=easy_prompts)
        moved[advantage] = ppo.iterate(Progress(0, FixedKl(0.0)), 1)["grad_norm"]
    assert moved["rloo"] < 1e-6 < 0.1 < moved["reinforce"]


def test_normalised_scores_do_not_know_the_scale_of_the_reward() -> None:
    """A reward a thousand times as large and shifted trains the same weights."""

    def scaled(batch: Sequence[Scored]) -> Scores:
        total_B = score(batch).total.double()
        return Scores((1000 * total_B + 50).float())

    trained: list[dict[str, torch.Tensor]] = []
    for reward in (score, scaled):
        stage = PpoStage(
            total_episodes=16,
            batch_size=8,
            minibatch_size=4,
            epochs=1,
            response_length=6,
            normalize_scores=True,
        )
        made = make_updater(stage, make_roles("gpt2"))
        ppo = make_ppo(made, engine=ScriptedEngine(answer), reward=reward)
        progress = Progress(0, FixedKl(0.05))
        for iteration in (1, 2):
            figures = ppo.iterate(progress, iteration)
        total_B = reward([episode.scored for episode in make_episodes(8)]).total  # any numbers of its scale
        assert figures["score_running_std"] == pytest.approx(progress.scores.deviation)
        assert 0.1 < figures["score_running_std"] / total_B.std().item() < 10
        assert progress.scores.count == 16
        trained.append(weights(made.roles.policy_value))
    assert distance(trained[0], weights(make_roles("gpt2").policy_value)) > 1e-2
    assert distance(trained[1], trained[0]) < 1e-4


def test_scores_are_normalised_then_cut_then_put_under_the_missing_end_rule() -> None:
    stage = PpoStage(normalize_scores=True, score_clip=1.5)
    seen = RunningMoments(count=10.0, mean=4.0, squares=40.0)  # deviation 2
    shaped_B = shape_scores(torch.tensor([4.0, 6.0, 9.0, -5.0]), stage, seen)
    assert shaped_B.tolist() == pytest.approx([0.0, 1.0, 1.5, -1.5])
    only_cut = shape_scores(torch.tensor([4.0, -0.5]), PpoStage(score_clip=1.5), seen)
    assert only_cut.tolist() == [1.5, -0.5]

    made = make_updater(
        PpoStage(total_episodes=8, batch_size=8, minibatch_size=8, score_clip=0.25, missing_end_score=3.0),
        make_roles("gpt2"),
    )
    episodes = make_episodes(8)
    forwards = made.updater.forwards(episodes, [list(range(8))])
    raw_B = score([episode.scored for episode in episodes]).total
    found = make_experience(episodes, forwards, raw_B, made.stage, kl_coef=0.0).metrics
    cut_B = raw_B.clamp(-0.25, 0.25)
    unended = sum(episode.rollout.finish == "length" for episode in episodes)
    assert 0 < unended < 8
    assert found["score"] == pytest.approx(raw_B.mean().item())  # what the reward said
    assert found["reward"] == pytest.approx((cut_B.sum().item() - 3.0 * unended) / 8, abs=1e-6)
    assert found["score_clip_fraction"] == (raw_B.abs() >= 0.25).float().mean().item()
