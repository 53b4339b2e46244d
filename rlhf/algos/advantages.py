"""Advantage estimators beside GAE (`gae.py`): REINFORCE with a batch baseline, RLOO.

None of them needs a critic. Each gives one advantage a token, without gradient, 0 where masked; the
clipped surrogate of `ppo.py` takes them as it takes GAE's.
"""

import torch
from torch import Tensor

from rlhf.algos.gae import gae
from rlhf.algos.masks import Reduce, masked, masked_sum


def returns_to_go(rewards_BT: Tensor, mask_BT: Tensor, *, gamma: float) -> Tensor:
    """G_t = sum_{s >= t} gamma^(s - t) r_s, [B, T]: what each token still leads to, Monte Carlo.

    It is GAE of lambda 1 over values of 0. Whitened over the batch it is the advantage of REINFORCE++
    (Hu 2025), whose rewards hold the KL penalty of each token.
    """
    return gae(rewards_BT, torch.zeros_like(rewards_BT), mask_BT, gamma=gamma, lam=1.0).advantages_BT


def reinforce(rewards_BT: Tensor, mask_BT: Tensor, *, gamma: float, reduce: Reduce | None = None) -> Tensor:
    """A_t = G_t - b, b the mean of G_0 over the batch's other responses, on all processes, [B, T].

    REINFORCE (Williams 1992) with a baseline that a response has no part in, so that it takes nothing off
    the gradient's expectation. Raises ValueError where one response is all there is.
    """
    returns_BT = returns_to_go(rewards_BT, mask_BT, gamma=gamma)
    first_B = returns_BT[:, 0].double()
    sums = torch.stack([torch.ones_like(first_B).sum(), first_B.sum()])
    count, total = (sums if reduce is None else reduce(sums)).unbind()
    if not count > 1:
        raise ValueError("a batch of one response has no other to be its baseline")
    baseline_B = ((total - first_B) / (count - 1)).to(returns_BT.dtype)
    return masked(returns_BT - baseline_B[:, None], mask_BT)


def rloo(rewards_BT: Tensor, mask_BT: Tensor, groups_B: Tensor) -> Tensor:
    """A_t = R - mean of the R of the other responses to the same prompt, at every token, [B, T].

    R is the sum of a response's token rewards: the score less the KL penalty of the whole sequence
    (Ahmadian et al. 2024, eq. 9, reinforce leave-one-out). `groups_B` [B] says which responses share a
    prompt; a group lies whole on one process. Raises ValueError for a group of one.
    """
    total_B = masked_sum(rewards_BT, mask_BT, dim=-1).detach()
    return masked(leave_one_out(total_B, groups_B)[:, None].expand(mask_BT.shape), mask_BT)


def leave_one_out(total_B: Tensor, groups_B: Tensor) -> Tensor:
    """Each total [B] less the mean of its group's others. Raises ValueError for a group of one."""
    same_BB = groups_B[:, None] == groups_B[None, :]
    others_B = same_BB.sum(-1) - 1
    if not bool((others_B > 0).all()):
        alone = int(groups_B[others_B == 0][0])
        raise ValueError(f"group {alone} has a single response; leave-one-out needs two or more a prompt")
    group_total_B = masked(total_B[None, :].expand(same_BB.shape), same_BB).sum(-1)
    return total_B - (group_total_B - total_B) / others_B
