"""From one score a response to one reward a token."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rlhf.algos.kl import KlEstimator, token_kl
from rlhf.algos.masks import last_token_mask, masked

MissingEnd = Literal["penalty", "replace"]


def missing_end(score_B: Tensor, ended_B: Tensor, mode: MissingEnd, penalty: float) -> Tensor:
    """Scores [B] in which a response without an end token pays `penalty` (a positive number).

    "penalty" gives score - penalty (TRL's missing_eos_penalty); "replace" gives -penalty whatever
    the score was (Huang et al. 2024, who put -1). The first keeps better responses better, the
    second makes them all alike.
    """
    if penalty < 0:
        raise ValueError(f"penalty={penalty} is taken off the score, so it must not be negative")
    if mode == "penalty":
        return torch.where(ended_B, score_B, score_B - penalty)
    if mode == "replace":
        return torch.where(ended_B, score_B, -penalty)
    raise ValueError(f"mode={mode!r} is not one of 'penalty', 'replace'")


def place_score(score_B: Tensor, mask_BT: Tensor) -> Tensor:
    """[B, T] that holds each score at the last token that counts of its row and 0 elsewhere.

    Raises ValueError for a row without any token: its score would vanish.
    """
    if not bool(mask_BT.any(-1).all()):
        raise ValueError("a response has no token to carry its score; mask_BT needs one True in each row")
    return masked(score_B[:, None].expand(mask_BT.shape), last_token_mask(mask_BT))


@dataclass(frozen=True)
class TokenRewards:
    """total_BT = score_BT - kl_penalty_BT, [B, T] each, 0 where masked."""

    total_BT: Tensor
    score_BT: Tensor
    kl_penalty_BT: Tensor


def token_rewards(
    score_B: Tensor,
    logprobs_BT: Tensor,
    ref_logprobs_BT: Tensor,
    mask_BT: Tensor,
    kl_coef: float,
    estimator: KlEstimator = "k1",
) -> TokenRewards:
    """Rewards of PPO, before whitening (Ziegler et al. 2019, eq. 2, token by token).

        r_t = [t is the last token] score - kl_coef * (log pi(a_t) - log pi_ref(a_t))

    With k3 the estimate exp(-d) - 1 + d takes the place of d = log pi - log pi_ref; `rlhf.algos.kl` says
    what that does. The summed penalty of a response is kl_coef times its `sequence_kl`. Nothing carries a
    gradient.
    """
    score_BT = place_score(score_B, mask_BT).detach()
    kl_penalty_BT = kl_coef * token_kl(logprobs_BT, ref_logprobs_BT, mask_BT, estimator).detach()
    return TokenRewards(total_BT=score_BT - kl_penalty_BT, score_BT=score_BT, kl_penalty_BT=kl_penalty_BT)
