"""The reward model's loss on pairs (Bradley & Terry 1952), and how often it is right."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  (its name everywhere)
from torch import Tensor

from rlhf.algos.logprobs import at_least_float32


@dataclass(frozen=True)
class PreferenceLoss:
    """The loss to differentiate, and detached weighted sums over this batch's pairs."""

    loss: Tensor
    difference_sum: Tensor  # weight * (score of chosen - score of rejected)
    weight_sum: Tensor


def bradley_terry(
    chosen_B: Tensor,
    rejected_B: Tensor,
    *,
    probability_B: Tensor | None = None,
    margin_B: Tensor | None = None,
    weight_B: Tensor | None = None,
    total_weight: float | Tensor | None = None,
) -> PreferenceLoss:
    """Cross-entropy of the model P(chosen better) = sigmoid(d - m), d = chosen - rejected.

        loss = sum_i w_i [-p_i log sigmoid(d_i - m_i) - (1 - p_i) log sigmoid(m_i - d_i)] / total_weight

    p (default 1) is the probability that "chosen" really is the better one: a soft or smoothed
    label. m (default 0) is by how much chosen should score above rejected before the pair counts as
    an even one; with p = 1 this is Llama 2's margin (Touvron et al. 2023, eq. 2). It belongs to the
    order of the pair: swapping the sides makes p into 1 - p and m into -m and leaves the loss as it
    was. The two add up: d = m + logit(p) is optimal, and the gradient by d is sigmoid(d - m) - p.
    So p = 0.5 with m = 1 says "chosen is better by exactly 1", not "undecided".

    w (default 1) weighs a pair; one of weight 0 is ignored whatever its scores are. `total_weight`
    is the weight of the whole batch over all microbatches and processes, so that the split changes
    nothing; without it the sum of these weights (a batch that weighs nothing then has loss 0).
    Half precision is lifted to float32.
    """
    chosen_B, rejected_B = at_least_float32(chosen_B), at_least_float32(rejected_B)
    weight_B = torch.ones_like(chosen_B) if weight_B is None else weight_B.to(chosen_B.dtype)
    counts_B = weight_B != 0
    difference_B = torch.where(counts_B, chosen_B, 0) - torch.where(counts_B, rejected_B, 0)
    logit_B = difference_B if margin_B is None else difference_B - torch.where(counts_B, margin_B, 0)
    losses_B = -F.logsigmoid(logit_B)
    if probability_B is not None:
        p_B = torch.where(counts_B, probability_B, 1)
        losses_B = p_B * losses_B - (1 - p_B) * F.logsigmoid(-logit_B)
    weight_sum = weight_B.sum()
    if total_weight is None:
        total_weight = torch.where(weight_sum > 0, weight_sum, 1)
    return PreferenceLoss(
        loss=(weight_B * losses_B).sum() / total_weight,
        difference_sum=(weight_B * difference_B).sum().detach(),
        weight_sum=weight_sum,
    )


@dataclass(frozen=True)
class PairAccuracy:
    """Weighted sums over pairs, which add up over batches."""

    correct_sum: Tensor
    weight_sum: Tensor

    @property
    def rate(self) -> float:
        """Share of the pairs that were ordered rightly; nan where none could be judged."""
        weight = float(self.weight_sum)
        return float(self.correct_sum) / weight if weight > 0 else float("nan")


def pair_accuracy(
    chosen_B: Tensor,
    rejected_B: Tensor,
    *,
    probability_B: Tensor | None = None,
    weight_B: Tensor | None = None,
) -> PairAccuracy:
    """How many pairs the scores order as the label does, in float64.

    Equal scores count half: a model that scores everything alike is right half of the time, not
    never and not always. A pair whose label is undecided (p = 0.5) has no right order and is left
    out of both sums. A score that is not a number is wrong.
    """
    p_B = torch.ones_like(chosen_B) if probability_B is None else probability_B
    weight_B = torch.ones_like(chosen_B) if weight_B is None else weight_B
    towards_better_B = (chosen_B.double() - rejected_B.double()) * (p_B - 0.5).sign().double()
    credit_B = (towards_better_B > 0).double() + 0.5 * (towards_better_B == 0).double()
    judged_weight_B = torch.where(p_B == 0.5, 0, weight_B.double())
    return PairAccuracy(correct_sum=(judged_weight_B * credit_B).sum(), weight_sum=judged_weight_B.sum())
