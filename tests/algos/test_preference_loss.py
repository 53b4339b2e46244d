import math

import pytest
import torch
from ragged_samples import GARBAGE, generator, normal, tensor
from torch import Tensor

from rlhf.algos.preference import bradley_terry, pair_accuracy

LOG = math.log


class Pairs:
    def __init__(self, seed: int, count: int = 8) -> None:
        rng = generator(seed)
        self.chosen, self.rejected = normal(rng, count, scale=2), normal(rng, count, scale=2)
        self.probability = torch.rand(count, generator=rng, dtype=torch.float64)
        self.margin, self.weight = normal(rng, count), normal(rng, count).abs()

    def loss(self, **changes: object) -> Tensor:
        given: dict[str, object] = {
            "chosen_B": self.chosen,
            "rejected_B": self.rejected,
            "probability_B": self.probability,
            "margin_B": self.margin,
            "weight_B": self.weight,
        }
        return bradley_terry(**{**given, **changes}).loss  # type: ignore[arg-type]


def test_hard_labels_by_hand():
    # d = 0: log 2;  d = log 3: -log(3/4);  d = -log 3: -log(1/4);  mean of the three
    result = bradley_terry(tensor(1.0, LOG(3), 0.0), tensor(1.0, 0.0, LOG(3)))
    assert result.loss.item() == pytest.approx((LOG(2) + LOG(4 / 3) + LOG(4)) / 3)
    assert result.difference_sum.item() == pytest.approx(0)
    assert result.weight_sum.item() == 3


def test_margin_label_and_weight_by_hand():
    # pair 0: d = log 3, m = log 3: an even pair, log 2 whatever p is
    # pair 1: d = log 3, m = 0, p = 0.25: 0.25 log(4/3) + 0.75 log 4
    # weights 1 and 3, so divided by 4
    result = bradley_terry(
        tensor(LOG(3), LOG(3)),
        tensor(0.0, 0.0),
        probability_B=tensor(0.9, 0.25),
        margin_B=tensor(LOG(3), 0.0),
        weight_B=tensor(1.0, 3.0),
    )
    assert result.loss.item() == pytest.approx((LOG(2) + 3 * (0.25 * LOG(4 / 3) + 0.75 * LOG(4))) / 4)
    assert result.difference_sum.item() == pytest.approx(4 * LOG(3))
    assert result.weight_sum.item() == 4


def test_a_margin_asks_for_more():
    # Llama 2: -log sigmoid(d - m): at d = m it is still log 2
    close = bradley_terry(tensor(1.0), tensor(0.0), margin_B=tensor(1.0)).loss.item()
    assert close == pytest.approx(LOG(2))
    assert close > bradley_terry(tensor(1.0), tensor(0.0)).loss.item()


@pytest.mark.parametrize("seed", range(10))
def test_against_a_loop(seed: int):
    pairs, total, weights = Pairs(seed), 0.0, 0.0
    columns = (pairs.chosen, pairs.rejected, pairs.probability, pairs.margin, pairs.weight)
    for c, r, p, m, w in zip(*(x.tolist() for x in columns), strict=True):
        chance = 1 / (1 + math.exp(-(c - r - m)))
        total -= w * (p * LOG(chance) + (1 - p) * LOG(1 - chance))
        weights += w
    assert pairs.loss().item() == pytest.approx(total / weights, rel=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_swapping_the_sides_changes_nothing(seed: int):
    pairs = Pairs(seed)
    swapped = pairs.loss(
        chosen_B=pairs.rejected,
        rejected_B=pairs.chosen,
        probability_B=1 - pairs.probability,
        margin_B=-pairs.margin,
    )
    assert swapped.item() == pytest.approx(pairs.loss().item(), rel=1e-12)


def test_gradient_is_sigmoid_minus_label():
    pairs = Pairs(0)
    pairs.chosen.requires_grad_()
    pairs.rejected.requires_grad_()
    pairs.loss().backward()
    logit = (pairs.chosen - pairs.rejected - pairs.margin).detach()
    expected = pairs.weight * (logit.sigmoid() - pairs.probability) / pairs.weight.sum()
    torch.testing.assert_close(pairs.chosen.grad, expected, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(pairs.rejected.grad, -expected, rtol=1e-12, atol=1e-15)


def test_the_optimum_is_margin_plus_logit():
    # gradient 0 at d = m + log(p / (1 - p)) = 1.5 + log 4
    chosen = tensor(1.5 + LOG(4)).requires_grad_()
    bradley_terry(chosen, tensor(0.0), probability_B=tensor(0.8), margin_B=tensor(1.5)).loss.backward()
    assert chosen.grad is not None
    assert chosen.grad.item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    "split", [[[0, 1, 2], [3, 4, 5, 6, 7]], [[i] for i in range(8)], [[7, 0], [1, 6, 2, 5, 4, 3]]]
)
def test_the_split_changes_nothing_with_the_total_weight(split: list[list[int]]):
    pairs = Pairs(1)
    pairs.weight[3] = 0
    whole = pairs.chosen.clone().requires_grad_()
    loss = pairs.loss(chosen_B=whole)
    loss.backward()
    parts, added = pairs.chosen.clone().requires_grad_(), 0.0
    for rows in split:
        part = pairs.loss(
            chosen_B=parts[rows],
            rejected_B=pairs.rejected[rows],
            probability_B=pairs.probability[rows],
            margin_B=pairs.margin[rows],
            weight_B=pairs.weight[rows],
            total_weight=pairs.weight.sum(),
        )
        part.backward()
        added += part.item()
    assert added == pytest.approx(loss.item(), rel=1e-10)
    torch.testing.assert_close(parts.grad, whole.grad, rtol=1e-10, atol=0)


@pytest.mark.parametrize("garbage", GARBAGE)
def test_a_pair_without_weight_is_ignored_whatever_it_holds(garbage: float):
    pairs, kept = Pairs(2), list(range(7))
    expected = pairs.loss(
        chosen_B=pairs.chosen[kept],
        rejected_B=pairs.rejected[kept],
        probability_B=pairs.probability[kept],
        margin_B=pairs.margin[kept],
        weight_B=pairs.weight[kept],
    ).item()
    for x in (pairs.chosen, pairs.rejected, pairs.probability, pairs.margin):
        x[7] = garbage
    pairs.weight[7] = 0
    pairs.chosen.requires_grad_()
    loss = pairs.loss()
    loss.backward()
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    assert pairs.chosen.grad is not None
    assert pairs.chosen.grad[7] == 0


def test_a_batch_that_weighs_nothing_has_loss_zero():
    pairs = Pairs(3)
    assert pairs.loss(weight_B=torch.zeros(8)).item() == 0


def test_far_scores_stay_finite():
    far = tensor(1e4, -1e4).requires_grad_()
    loss = bradley_terry(far, -far.detach(), probability_B=tensor(1.0, 1.0)).loss
    loss.backward()
    assert loss.item() == pytest.approx(1e4)  # 0 for the first, 2e4 for the second
    assert far.grad is not None
    torch.testing.assert_close(far.grad, tensor(0.0, -0.5))


def test_half_precision_is_lifted():
    pairs = Pairs(4)
    chosen, rejected = pairs.chosen.bfloat16(), pairs.rejected.bfloat16()
    loss = bradley_terry(chosen, rejected).loss
    assert loss.dtype == torch.float32
    exact = bradley_terry(chosen.double(), rejected.double()).loss
    assert exact.dtype == torch.float64
    assert loss.item() == pytest.approx(exact.item(), rel=1e-6)


def test_accuracy_by_hand():
    # right, wrong, equal: (1 + 0 + 1/2) / 3
    accuracy = pair_accuracy(tensor(2.0, 1.0, 1.0), tensor(1.0, 2.0, 1.0))
    assert accuracy.rate == pytest.approx(0.5)
    assert accuracy.correct_sum.item() == 1.5
    # the same with weights 4, 1, 1: 4.5 / 6
    weighted = pair_accuracy(tensor(2.0, 1.0, 1.0), tensor(1.0, 2.0, 1.0), weight_B=tensor(4.0, 1.0, 1.0))
    assert weighted.rate == pytest.approx(0.75)


def test_accuracy_follows_a_soft_label_and_skips_an_undecided_one():
    chosen, rejected = tensor(2.0, 2.0, 2.0), tensor(1.0, 1.0, 1.0)
    accuracy = pair_accuracy(chosen, rejected, probability_B=tensor(0.9, 0.1, 0.5))
    assert accuracy.correct_sum.item() == 1  # right, wrong, left out
    assert accuracy.weight_sum.item() == 2


def test_accuracy_counts_what_is_not_a_number_as_wrong():
    accuracy = pair_accuracy(tensor(math.nan, 1.0), tensor(0.0, math.nan))
    assert accuracy.rate == 0
    assert math.isnan(pair_accuracy(tensor(1.0), tensor(0.0), probability_B=tensor(0.5)).rate)


def test_accuracy_is_the_same_with_sides_swapped():
    pairs = Pairs(5)
    pairs.chosen[0] = pairs.rejected[0]
    one = pair_accuracy(pairs.chosen, pairs.rejected, probability_B=pairs.probability)
    other = pair_accuracy(pairs.rejected, pairs.chosen, probability_B=1 - pairs.probability)
    assert one.rate == other.rate
