"""Generalised advantage estimation (Schulman et al. 2016), and whitening over all processes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rlhf.algos.masks import Reduce, masked, moments

WHITEN_EPSILON = 1e-8


@dataclass(frozen=True)
class Gae:
    """Advantages and returns, [B, T] each, 0 where masked."""

    advantages_BT: Tensor
    returns_BT: Tensor


def gae(rewards_BT: Tensor, values_BT: Tensor, mask_BT: Tensor, *, gamma: float, lam: float) -> Gae:
    """Advantages and value targets of each response token.

        delta_t  = r_t + gamma V_{t+1} - V_t          V_{last+1} = 0
        A_t      = delta_t + gamma lam A_{t+1}        A_{last+1} = 0     (GAE, eq. 16)
        return_t = A_t + V_t                          the lambda return, before any whitening

    Departures: the value after the last token is 0 for a response cut at the length limit as well
    as for one that ended, since its score is final either way. Masked columns are stepped over, not
    through: t+1 is the next token that counts. Nothing carries a gradient.
    """
    rewards_BT = masked(rewards_BT, mask_BT).detach()
    values_BT = masked(values_BT, mask_BT).detach()
    next_value_B = torch.zeros_like(values_BT[:, :1].sum(-1))
    advantage_B = torch.zeros_like(next_value_B)
    columns: list[Tensor] = []
    for t in reversed(range(values_BT.shape[1])):
        delta_B = rewards_BT[:, t] + gamma * next_value_B - values_BT[:, t]
        advantage_B = torch.where(mask_BT[:, t], delta_B + gamma * lam * advantage_B, advantage_B)
        next_value_B = torch.where(mask_BT[:, t], values_BT[:, t], next_value_B)
        columns.append(advantage_B)
    carried_BT = torch.stack(columns[::-1], dim=1) if columns else torch.zeros_like(values_BT)
    advantages_BT = masked(carried_BT, mask_BT)
    return Gae(advantages_BT=advantages_BT, returns_BT=advantages_BT + values_BT)


def whiten(x_BT: Tensor, mask_BT: Tensor, *, shift_mean: bool = True, reduce: Reduce | None = None) -> Tensor:
    """(x - mean) / sqrt(var + 1e-8) over the tokens of all processes, 0 where masked.

    `shift_mean=False` adds the mean back, for rewards: their scale changes, their average does not
    (Ziegler et al. 2019). `reduce` sums a small tensor over the processes; without it the
    statistics are this process's own. The variance is the population's, as in Ziegler et al.'s
    code; TRL divides by count - 1.
    """
    m = moments(x_BT, mask_BT, reduce)
    white_BT = (masked(x_BT, mask_BT).double() - m.mean) * torch.rsqrt(m.var + WHITEN_EPSILON)
    if not shift_mean:
        white_BT = white_BT + m.mean
    return masked(white_BT, mask_BT).to(x_BT.dtype)
