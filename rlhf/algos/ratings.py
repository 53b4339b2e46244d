"""What a reward model loses on single answers: logistic of thumbs, squared error of scores."""

import torch
import torch.nn.functional as F  # noqa: N812  (its name everywhere)
from torch import Tensor

from rlhf.algos.logprobs import at_least_float32


def thumb_loss(scores_N: Tensor, probability_N: Tensor, prior: float = 0.0) -> Tensor:
    """Cross-entropy [N] of P(good) = sigmoid(score + prior), in nats.

        loss_i = -p_i log sigmoid(s_i + prior) - (1 - p_i) log sigmoid(-s_i - prior)

    The reward as the logit of a binary classifier (Jung et al. 2024, "Binary Classifier Optimization", who
    show that its cross-entropy bounds that of the pairs it implies). p is 1 for a thumb up, 0 for one down,
    or between where it is a posterior. `prior` are the log-odds of a thumb up among all, so that a score of
    0 says "like the average answer"; a constant leaves the differences of scores as they are.
    """
    logit_N = at_least_float32(scores_N) + prior
    return -probability_N * F.logsigmoid(logit_N) - (1 - probability_N) * F.logsigmoid(-logit_N)


def score_loss(scores_N: Tensor, target_N: Tensor) -> Tensor:
    """Squared error [N] (as regression reward models have it: Wang et al. 2024, HelpSteer2).

    The target is given in deviations from the mean of all scores, which is the unit that is learnt.
    """
    return (at_least_float32(scores_N) - target_N).square()


def rating_loss(
    scores_N: Tensor, target_N: Tensor, is_thumb_N: Tensor, weight_N: Tensor, *, prior: float = 0.0
) -> Tensor:
    """The weighted sum of both, each on its own rows; divide by the weight of the whole batch.

    A row of weight 0 counts nothing, whatever its score is.
    """
    counts_N = weight_N != 0
    scores_N = torch.where(counts_N, scores_N, 0)
    losses_N = torch.where(
        is_thumb_N,
        thumb_loss(scores_N, torch.where(is_thumb_N, target_N, 0.5), prior),
        score_loss(scores_N, target_N),
    )
    return (weight_N * losses_N).sum()
