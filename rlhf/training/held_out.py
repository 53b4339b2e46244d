"""A look at the held-out prompts, and which look's policy is published."""

import numpy as np

from rlhf.algos.kl import sequence_kl
from rlhf.algos.running import RunningMoments
from rlhf.rewards.base import over_limit
from rlhf.training.experience import masked_total
from rlhf.training.looks import Look, answer_rows, episode_rows
from rlhf.training.ppo import Ppo
from rlhf.training.seeds import sub_seed

SAMPLES_SHOWN = 8


def evaluate(ppo: Ppo, kl_coef: float, scores_seen: RunningMoments = RunningMoments()) -> Look:  # noqa: B008
    """A look at the held-out prompts; the same draws every time.

    `kl_coef` prices the episodes' KL, `scores_seen` normalises their scores.
    """
    numbers = range(len(ppo.held_out))
    episodes = ppo.sample(ppo.held_out, numbers, sub_seed(ppo.seed, "evaluation"))
    scores = validation = ppo.scores(ppo.reward, episodes)
    if ppo.validation_reward is not ppo.reward:
        validation = ppo.scores(ppo.validation_reward, episodes)
    forwards = ppo.forwards(episodes, [list(numbers)])
    kl_B = sequence_kl(forwards.logprobs_BT, forwards.ref_logprobs_BT, forwards.mask_BT).double()
    entropy = masked_total(forwards.entropy_BT, forwards.mask_BT).sum() / forwards.mask_BT.sum()
    figures = {
        "eval/score": scores.total.double().mean().item(),
        "eval/validation_score": validation.total.double().mean().item(),
        "eval/validation_deviation": validation.total.double().std(correction=0).item(),
        "eval/kl": kl_B.mean().item(),
        "eval/entropy": entropy.item(),
        "eval/length": forwards.mask_BT.sum(dim=1).double().mean().item(),
        "eval/end_rate": float(np.mean([episode.rollout.finish == "eos" for episode in episodes])),
    }
    over = over_limit(ppo.validation_reward, validation)
    if over is not None:
        figures["eval/over_limit"] = over
    answers = answer_rows(episodes, scores, validation, kl_B)
    samples = [
        {
            "prompt": episode.prompt.text,
            **{name: row[name] for name in ("response", "score")},
            **{f"score/{name}": part[number].item() for name, part in scores.parts.items()},
            **{name: row[name] for name in ("validation_score", "kl", "finish")},
        }
        for number, (episode, row) in enumerate(zip(episodes[:SAMPLES_SHOWN], answers, strict=False))
    ]
    shown = episode_rows(
        episodes[:SAMPLES_SHOWN],
        forwards,
        scores.total,
        ppo.stage,
        ppo.encoder,
        kl_coef=kl_coef,
        kl_estimator=ppo.kl_estimator,
        scores_seen=scores_seen,
    )
    return Look(figures, samples, answers, shown)


def is_better(
    candidate: dict[str, float], best: dict[str, float], *, kl_budget: float, kl_price: float
) -> bool:
    """The rule for the best checkpoint: within the KL budget, the highest validation score less KL's price.

    Where the reward has a limit, that is among the checkpoints that keep to it (`eval/over_limit` is 0), and
    while none does, the one least above it is taken.

    The validation score comes from a reward model that PPO does not maximise, so a policy that games the
    reward hardly wins by it. What two reward models like alike can still be far from what people like, and
    is, the further from their data the policy goes: so a later checkpoint has to gain `kl_price`, in score,
    for each nat that it is further away. Outside of the budget, a checkpoint counts only while none is
    inside, and then the one nearest to the reference.
    """
    inside, best_inside = (
        bool(one) and one["eval/kl"] <= kl_budget and not one.get("eval/over_limit")
        for one in (candidate, best)
    )
    if not best or inside != best_inside:
        return inside or not best
    if inside:
        worth, most = (one["eval/validation_score"] - kl_price * one["eval/kl"] for one in (candidate, best))
        return worth > most
    excess, least = ((one.get("eval/over_limit", 0.0), one["eval/kl"]) for one in (candidate, best))
    return excess < least
