"""From rollouts to what PPO learns from: scores, log-probabilities, values, advantages and returns."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from rlhf.algos.advantages import reinforce, returns_to_go, rloo
from rlhf.algos.gae import Gae, gae, whiten
from rlhf.algos.kl import KlEstimator, sequence_kl
from rlhf.algos.masks import Reduce, length_mask, masked_mean
from rlhf.algos.ppo import explained_variance, truncated_importance_weights
from rlhf.algos.rewards import missing_end, token_rewards
from rlhf.algos.running import RunningMoments
from rlhf.config import PpoStage
from rlhf.data.encoding import Encoded
from rlhf.errors import TrainingError
from rlhf.records import Prompt
from rlhf.rewards.base import Scored
from rlhf.rollout.base import Rollout


@dataclass(frozen=True)
class Episode:
    """A prompt and its sampled response."""

    prompt: Prompt
    prompt_ids: tuple[int, ...]
    rollout: Rollout
    text: str

    @property
    def length(self) -> int:
        """Tokens of prompt and response."""
        return len(self.prompt_ids) + len(self.rollout.response_ids)

    @property
    def encoded(self) -> Encoded:
        """As tokens."""
        return Encoded([*self.prompt_ids, *self.rollout.response_ids.tolist()], len(self.prompt_ids))

    @property
    def scored(self) -> Scored:
        """As a reward takes it."""
        response_ids = tuple(self.rollout.response_ids.tolist())
        return Scored(self.prompt, self.text, self.prompt_ids, response_ids, self.rollout.finish)


@dataclass(frozen=True)
class Experience:
    """A batch of B episodes; [B, T] are right-padded and masked, T the longest response.

    Without a critic, old values and returns are 0 and nothing reads them. `weights_BT` are the truncated
    importance weights of the policy loss, None where the engine's log-probabilities are the trainer's.
    """

    episodes: Sequence[Episode]
    mask_BT: Tensor
    old_logprobs_BT: Tensor
    ref_logprobs_BT: Tensor
    old_values_BT: Tensor
    advantages_BT: Tensor
    returns_BT: Tensor
    weights_BT: Tensor | None = None
    metrics: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True)
class Forwards:
    """What the models say of each response token, [B, T] each, masked; values are 0 without a critic."""

    mask_BT: Tensor
    logprobs_BT: Tensor
    ref_logprobs_BT: Tensor
    values_BT: Tensor
    entropy_BT: Tensor


def to_columns(flat_N: Tensor, rows: Sequence[int], into_BT: Tensor, mask_BT: Tensor) -> None:
    """Writes what a microbatch gave, flat, into its rows of a padded tensor."""
    index = torch.tensor(list(rows))
    chosen_BT = into_BT[index]
    chosen_BT[mask_BT[index]] = flat_N.detach().to("cpu", into_BT.dtype)
    into_BT[index] = chosen_BT


def response_mask(episodes: Sequence[Episode]) -> Tensor:
    """True at each response's tokens, [B, T]."""
    lengths_B = torch.tensor([len(episode.rollout.response_ids) for episode in episodes])
    return length_mask(lengths_B, int(lengths_B.max()))


def make_experience(
    episodes: Sequence[Episode],
    forwards: Forwards,
    scores_B: Tensor,
    stage: PpoStage,
    *,
    kl_coef: float,
    kl_estimator: KlEstimator = "k1",
    scores_seen: RunningMoments = RunningMoments(),  # noqa: B008, frozen
    importance_cap: float | None = None,
    reduce: Reduce | None = None,
) -> Experience:
    """Places scores and KL penalties on tokens, estimates advantages, whitens them over all processes.

    `scores_B` are the reward's; they are normalised by `scores_seen`, clipped, and put under the missing-end
    rule here. The samples of a prompt are those whose request numbers lie in one block of
    `stage.samples_per_prompt`. With an `importance_cap`, tokens are weighed by how much likelier the trainer
    finds them than the engine did. Metrics are this process's means except for explained variance.

    Raises:
        TrainingError: a score, a log-probability or a value is not a number; says which.
    """
    mask_BT = forwards.mask_BT
    _all_numbers("a score of the reward", scores_B)
    _all_numbers("a log-probability of the policy", forwards.logprobs_BT[mask_BT])
    _all_numbers("a log-probability of the reference", forwards.ref_logprobs_BT[mask_BT])
    _all_numbers("a value of the critic", forwards.values_BT[mask_BT])
    ended_B = torch.tensor([episode.rollout.finish == "eos" for episode in episodes])
    shaped_B = shape_scores(scores_B, stage, scores_seen)
    final_B = missing_end(shaped_B, ended_B, stage.missing_end, stage.missing_end_score)
    logprobs = forwards.logprobs_BT, forwards.ref_logprobs_BT
    rewards = token_rewards(final_B, *logprobs, mask_BT, kl_coef, kl_estimator)
    rewards_BT = rewards.total_BT
    if stage.whiten_rewards:
        rewards_BT = whiten(rewards_BT, mask_BT, shift_mean=False, reduce=reduce)
    groups_B = torch.tensor([episode.rollout.request_id // stage.samples_per_prompt for episode in episodes])
    estimate = estimate_advantages(rewards_BT, forwards.values_BT, mask_BT, groups_B, stage, reduce)
    advantages_BT = estimate.advantages_BT
    if whitens_advantages(stage):
        advantages_BT = whiten(advantages_BT, mask_BT, reduce=reduce)
    lengths_B = mask_BT.sum(dim=1).double()
    metrics = {
        "score": scores_B.double().mean().item(),
        "score_std": scores_B.double().std(correction=0).item(),
        "kl": sequence_kl(*logprobs, mask_BT).double().mean().item(),
        "kl_k3": sequence_kl(*logprobs, mask_BT, "k3").double().mean().item(),
        "reward": masked_total(rewards.total_BT, mask_BT).mean().item(),
        "entropy": masked_mean(forwards.entropy_BT, mask_BT).item(),
        "length": lengths_B.mean().item(),
        "end_rate": ended_B.double().mean().item(),
        "distinct_responses": len({episode.text for episode in episodes}) / len(episodes),
        **engine_gap(episodes, forwards),
    }
    if stage.normalize_scores:
        metrics["score_running_mean"] = scores_seen.mean
        metrics["score_running_std"] = scores_seen.deviation
    if stage.score_clip is not None:
        metrics["score_clip_fraction"] = (shaped_B.abs() >= stage.score_clip).double().mean().item()
    weights_BT = None
    if importance_cap is not None:
        engine_BT = engine_logprobs(episodes, mask_BT)
        weights_BT = truncated_importance_weights(forwards.logprobs_BT, engine_BT, mask_BT, importance_cap)
        metrics["importance_weight"] = masked_mean(weights_BT, mask_BT).item()
        at_cap_BT = weights_BT >= importance_cap * (1 - 1e-6)
        metrics["importance_capped"] = masked_mean(at_cap_BT.double(), mask_BT).item()
    if stage.has_critic:
        explained = explained_variance(forwards.values_BT, estimate.returns_BT, mask_BT, reduce)
        metrics["value"] = masked_mean(forwards.values_BT, mask_BT).item()
        metrics["explained_variance"] = explained.item()
    return Experience(
        episodes=episodes,
        mask_BT=mask_BT,
        old_logprobs_BT=forwards.logprobs_BT,
        ref_logprobs_BT=forwards.ref_logprobs_BT,
        old_values_BT=forwards.values_BT,
        advantages_BT=advantages_BT,
        returns_BT=estimate.returns_BT,
        weights_BT=weights_BT,
        metrics=metrics,
    )


def shape_scores(scores_B: Tensor, stage: PpoStage, seen: RunningMoments) -> Tensor:
    """Scores [B] as PPO takes them: normalised by those of the run so far, then clipped, where asked for."""
    if stage.normalize_scores:
        scores_B = seen.normalised(scores_B)
    return scores_B if stage.score_clip is None else scores_B.clamp(-stage.score_clip, stage.score_clip)


def estimate_advantages(
    rewards_BT: Tensor,
    values_BT: Tensor,
    mask_BT: Tensor,
    groups_B: Tensor,
    stage: PpoStage,
    reduce: Reduce | None = None,
) -> Gae:
    """Advantages by `stage.advantage`, before whitening; returns are 0 where no critic learns them."""
    match stage.advantage:
        case "gae":
            return gae(rewards_BT, values_BT, mask_BT, gamma=stage.gamma, lam=stage.lam)
        case "one_step":
            return gae(rewards_BT, values_BT, mask_BT, gamma=stage.gamma, lam=0.0)
        case "reinforce":
            advantages_BT = reinforce(rewards_BT, mask_BT, gamma=stage.gamma, reduce=reduce)
        case "rloo":
            advantages_BT = rloo(rewards_BT, mask_BT, groups_B)
        case "reinforce_pp":
            advantages_BT = returns_to_go(rewards_BT, mask_BT, gamma=stage.gamma)
    return Gae(advantages_BT=advantages_BT, returns_BT=torch.zeros_like(advantages_BT))


def whitens_advantages(stage: PpoStage) -> bool:
    """Whether advantages are whitened: REINFORCE and RLOO keep the unit of the score, as published."""
    if stage.whiten_advantages == "auto":
        return stage.advantage not in ("reinforce", "rloo")
    return stage.whiten_advantages


def _all_numbers(what: str, x: Tensor) -> None:
    if not bool(torch.isfinite(x).all()):
        worst = x[~torch.isfinite(x)][0].item()
        raise TrainingError(
            f"not-a-number: {what} is {worst}; this iteration was not applied\n"
            "look at the reward, lower stage.learning_rate or set precision=fp32; the last saved state is "
            "untouched"
        )


def masked_total(x_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Sum over each response's tokens, float64 [B]."""
    return torch.where(mask_BT, x_BT, 0).double().sum(dim=1)


def engine_logprobs(episodes: Sequence[Episode], mask_BT: Tensor) -> Tensor:
    """The log-probabilities that the engine gave its tokens, [B, T], 0 where masked."""
    engine_BT = torch.zeros(mask_BT.shape)
    engine_BT[mask_BT] = torch.cat([episode.rollout.logprobs for episode in episodes]).to(engine_BT)
    return engine_BT


def engine_gap(episodes: Sequence[Episode], forwards: Forwards) -> dict[str, float]:
    """How far the engine's log-probabilities are from the trainer's: mean and largest |ratio - 1|."""
    engine_BT = engine_logprobs(episodes, forwards.mask_BT)
    off_N = ((forwards.logprobs_BT - engine_BT)[forwards.mask_BT].double().exp() - 1).abs()
    return {"engine_gap": off_N.mean().item(), "engine_gap_max": off_N.max().item()}
