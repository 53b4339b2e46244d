"""What one microbatch adds to the loss of its minibatch, and what it says of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rlhf.algos.ppo import policy_loss, value_loss
from rlhf.config import PpoStage
from rlhf.models.policy_value import TokenOutputs
from rlhf.training.experience import Experience


@dataclass(frozen=True)
class Losses:
    """`loss` is to be differentiated; `sums` add up over the parts of a minibatch, maxima do not.

    Ratio and gap are the policy's, 0 where it was not asked for.
    """

    loss: Tensor
    sums: dict[str, Tensor]
    ratio_max: Tensor
    gap_max: Tensor  # |ratio - 1|
    gap_sum: Tensor


def ppo_losses(
    out: TokenOutputs,
    experience: Experience,
    rows: Sequence[int],
    stage: PpoStage,
    *,
    num_tokens: float,
    policy: bool = True,
    critic: bool = True,
) -> Losses:
    """The losses of the chosen rows' tokens, for which the module said `out`: the policy's, the critic's.

    `num_tokens` is the minibatch's, over all microbatches and processes. Sums are over tokens, but for the
    losses themselves.
    """
    chosen = torch.tensor(rows)
    mask_BT = experience.mask_BT[chosen]

    def flat(x_BT: Tensor) -> Tensor:
        return x_BT[chosen][mask_BT].to(out.logprobs_N.device)

    old_logprobs_N = flat(experience.old_logprobs_BT)
    all_N = torch.ones_like(old_logprobs_N, dtype=torch.bool)
    nothing = torch.zeros((), device=all_N.device)
    loss, ratio_max, gap_max, gap_sum = nothing, nothing, nothing, nothing
    sums: dict[str, Tensor] = {}
    if policy:
        found = policy_loss(
            out.logprobs_N,
            old_logprobs_N,
            flat(experience.advantages_BT),
            all_N,
            clip=stage.clip,
            num_tokens=num_tokens,
            weights_BT=None if experience.weights_BT is None else flat(experience.weights_BT),
        )
        gap_N = (out.logprobs_N.detach() - old_logprobs_N).exp().sub(1).abs()
        loss, ratio_max, gap_max, gap_sum = found.loss, found.ratio_max, gap_N.max(), gap_N.double().sum()
        sums |= {
            "policy_loss": found.loss,
            "tokens": found.num_tokens,
            "clip_fraction": found.clip_fraction_sum,
            "approx_kl": found.approx_kl_sum,
            "ratio": found.ratio_sum,
        }
    if critic and stage.has_critic:
        value = value_loss(
            out.values_N,
            flat(experience.old_values_BT),
            flat(experience.returns_BT),
            all_N,
            clip=stage.value_clip,
            num_tokens=num_tokens,
        )
        loss = loss + stage.value_coef * value.loss
        sums |= {
            "value_loss": value.loss,
            "value_clip_fraction": value.clip_fraction_sum,
            "value_error": value.squared_error_sum,
        }
    return Losses(loss, {name: x.detach() for name, x in sums.items()}, ratio_max, gap_max, gap_sum)
