"""The losses of proximal policy optimisation (Schulman et al. 2017), as sums that add up.

A minibatch is trained in microbatches, on several processes, and its gradient must not depend on
how it was split. So each loss is a sum over this microbatch's tokens divided by `num_tokens`, the
number of tokens of the whole minibatch over all microbatches and processes: the losses of the parts
add up to the loss of the whole. A mean over each part would give a token in a short part more
weight than one in a long part. Where gradients are averaged over processes instead of summed (as
DistributedDataParallel does), multiply the loss by the number of processes. Statistics ending in
`_sum` add up in the same way; divided by `num_tokens` they are means over tokens.

Old log-probabilities, advantages, weights, old values and returns are constants: no gradient flows
into them.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from rlhf.algos.masks import Reduce, masked, masked_max, masked_sum, moments

MAX_LOG_RATIO = 20.0
"""A ratio of exp(20) is past any clip range; beyond it, exp would overflow and its gradient be nan."""


@dataclass(frozen=True)
class PolicyLoss:
    """The loss to differentiate, and detached statistics of this microbatch's tokens."""

    loss: Tensor
    clip_fraction_sum: Tensor  # tokens whose clipped term is the larger loss: those without gradient
    approx_kl_sum: Tensor  # 0.5 * (log pi - log pi_old)^2, in nats
    ratio_sum: Tensor
    ratio_max: Tensor  # takes the maximum over parts, not the sum; 0 without a token
    num_tokens: Tensor  # of this microbatch


def policy_loss(
    logprobs_BT: Tensor,
    old_logprobs_BT: Tensor,
    advantages_BT: Tensor,
    mask_BT: Tensor,
    *,
    clip: float,
    num_tokens: float | Tensor,
    weights_BT: Tensor | None = None,
) -> PolicyLoss:
    """Clipped surrogate, negated (PPO, eq. 7), summed over tokens and divided by `num_tokens`.

        ratio_t = exp(log pi(a_t) - log pi_old(a_t))
        loss    = sum_t w_t max(-A_t ratio_t, -A_t clip(ratio_t, 1 - clip, 1 + clip)) / num_tokens

    `weights_BT` are the truncated importance weights of tokens that an engine drew with other
    log-probabilities than the trainer's. Departure: the log ratio is limited to ±20.
    """
    log_ratio_BT = (masked(logprobs_BT, mask_BT) - masked(old_logprobs_BT, mask_BT).detach()).clamp(
        -MAX_LOG_RATIO, MAX_LOG_RATIO
    )
    ratio_BT = log_ratio_BT.exp()
    advantages_BT = masked(advantages_BT, mask_BT).detach()
    unclipped_BT = -advantages_BT * ratio_BT
    clipped_BT = -advantages_BT * ratio_BT.clamp(1 - clip, 1 + clip)
    losses_BT = torch.maximum(unclipped_BT, clipped_BT)
    if weights_BT is not None:
        losses_BT = masked(weights_BT, mask_BT).detach() * losses_BT
    return PolicyLoss(
        loss=masked_sum(losses_BT, mask_BT) / _positive(num_tokens),
        clip_fraction_sum=masked_sum((clipped_BT > unclipped_BT).to(ratio_BT.dtype), mask_BT),
        approx_kl_sum=masked_sum(log_ratio_BT.detach() ** 2 / 2, mask_BT),
        ratio_sum=masked_sum(ratio_BT.detach(), mask_BT),
        ratio_max=masked_max(ratio_BT.detach(), mask_BT, empty=0),
        num_tokens=mask_BT.sum(),
    )


@dataclass(frozen=True)
class ValueLoss:
    """The loss to differentiate, and detached statistics of this microbatch's tokens."""

    loss: Tensor
    clip_fraction_sum: Tensor  # tokens whose clipped term is the larger loss: those without gradient
    squared_error_sum: Tensor  # (V - return)^2, not halved, not clipped
    value_sum: Tensor
    num_tokens: Tensor  # of this microbatch


def value_loss(
    values_BT: Tensor,
    old_values_BT: Tensor,
    returns_BT: Tensor,
    mask_BT: Tensor,
    *,
    clip: float,
    num_tokens: float | Tensor,
) -> ValueLoss:
    """Clipped squared error, summed over tokens and divided by `num_tokens`.

        V^clip_t = V_old_t + clip(V_t - V_old_t, -clip, clip)
        loss     = sum_t 0.5 max((V_t - return_t)^2, (V^clip_t - return_t)^2) / num_tokens

    Value clipping is OpenAI baselines', not the paper's (PPO, eq. 9 has the plain square);
    `clip=math.inf` turns it off.
    """
    values_BT = masked(values_BT, mask_BT)
    old_values_BT = masked(old_values_BT, mask_BT).detach()
    returns_BT = masked(returns_BT, mask_BT).detach()
    squared_error_BT = (values_BT - returns_BT) ** 2
    clipped_values_BT = values_BT.clamp(old_values_BT - clip, old_values_BT + clip)
    clipped_error_BT = (clipped_values_BT - returns_BT) ** 2
    losses_BT = 0.5 * torch.maximum(squared_error_BT, clipped_error_BT)
    return ValueLoss(
        loss=masked_sum(losses_BT, mask_BT) / _positive(num_tokens),
        clip_fraction_sum=masked_sum((clipped_error_BT > squared_error_BT).to(values_BT.dtype), mask_BT),
        squared_error_sum=masked_sum(squared_error_BT.detach(), mask_BT),
        value_sum=masked_sum(values_BT.detach(), mask_BT),
        num_tokens=mask_BT.sum(),
    )


def explained_variance(
    values_BT: Tensor, returns_BT: Tensor, mask_BT: Tensor, reduce: Reduce | None = None
) -> Tensor:
    """1 - Var(return - V) / Var(return) over the tokens of all processes, a float64 scalar.

    1 is a perfect critic, 0 one that knows the mean alone (a constant offset is not counted against
    it), below 0 worse than none. 0 as well where all returns are equal: there is nothing to explain.
    """
    residual_BT = masked(returns_BT, mask_BT) - masked(values_BT, mask_BT)
    residual_var = moments(residual_BT, mask_BT, reduce).var
    returns_var = moments(returns_BT, mask_BT, reduce).var
    varies = returns_var > 0
    return torch.where(varies, 1 - residual_var / torch.where(varies, returns_var, 1), 0)


def truncated_importance_weights(
    trainer_logprobs_BT: Tensor, engine_logprobs_BT: Tensor, mask_BT: Tensor, cap: float
) -> Tensor:
    """min(pi_trainer(a_t) / pi_engine(a_t), cap) for each token [B, T], 0 where masked, no gradient.

    Corrects, token by token, for tokens that the engine drew with slightly other probabilities than
    the trainer computes for the same weights (truncated importance sampling, Ionides 2008).
    """
    if not cap > 0:
        raise ValueError(f"cap={cap} must be positive; 2 is usual")
    log_weight_BT = masked(trainer_logprobs_BT, mask_BT) - masked(engine_logprobs_BT, mask_BT)
    return masked(log_weight_BT.clamp(max=math.log(cap)).exp(), mask_BT).detach()


def _positive(num_tokens: float | Tensor) -> float | Tensor:
    """The divisor of a loss; a tensor is trusted, since reading it would wait for the device."""
    if not isinstance(num_tokens, Tensor) and not num_tokens > 0:
        raise ValueError(f"num_tokens={num_tokens} must be the minibatch's count of tokens, at least 1")
    return num_tokens
