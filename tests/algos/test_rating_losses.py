"""What single answers cost, by hand."""

import math

import pytest
import torch

from rlhf.algos.ratings import rating_loss, score_loss, thumb_loss


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_a_thumb_by_hand():
    # sigmoid(ln 3) = 3/4: up costs -ln 3/4, down -ln 1/4; undecided half of each
    losses = thumb_loss(tensor(*[math.log(3)] * 3), tensor(1, 0, 0.5))
    expected = [-math.log(0.75), -math.log(0.25), -0.5 * (math.log(0.75) + math.log(0.25))]
    assert losses.tolist() == pytest.approx(expected)


def test_turning_a_thumb_and_the_score_around_changes_nothing():
    scores, up = tensor(-2.0, 0.3, 5.0), tensor(1.0, 0.2, 0.0)
    torch.testing.assert_close(thumb_loss(scores, up, 0.7), thumb_loss(-scores, 1 - up, -0.7))


def test_with_the_prior_a_score_of_zero_is_the_average_answer():
    """Three of four thumbs are up: the best constant score is 0, the gradient there vanishes."""
    scores = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    thumb_loss(scores, tensor(1, 1, 1, 0), prior=math.log(3)).sum().backward()
    assert scores.grad is not None
    assert scores.grad.tolist() == pytest.approx([-0.25, -0.25, -0.25, 0.75])
    assert scores.grad.sum().item() == pytest.approx(0)


def test_a_thumb_far_off_stays_finite():
    scores = torch.tensor([-1e4, 1e4], requires_grad=True)
    losses = thumb_loss(scores, torch.tensor([1.0, 0.0]))
    assert losses.tolist() == [1e4, 1e4]
    losses.sum().backward()
    assert scores.grad is not None
    assert scores.grad.tolist() == [-1.0, 1.0]


def test_a_score_by_hand():
    assert score_loss(tensor(1.0, -0.5), tensor(0.0, 1.0)).tolist() == [1.0, 2.25]


def test_both_kinds_add_up_by_weight():
    scores, target = tensor(0.0, 1.0, 9.0), tensor(1.0, 3.0, 0.0)
    is_thumb = torch.tensor([True, False, False])
    total = rating_loss(scores, target, is_thumb, tensor(2.0, 0.5, 0.0))
    assert total.item() == pytest.approx(2 * math.log(2) + 0.5 * 4)
    nan = rating_loss(tensor(0.0, 1.0, math.nan), target, is_thumb, tensor(2.0, 0.5, 0.0))
    assert nan.item() == total.item()


def test_half_precision_is_lifted():
    scores = torch.tensor([0.5, -0.25], dtype=torch.bfloat16)
    is_thumb = torch.tensor([True, False])
    loss = rating_loss(scores, torch.tensor([1.0, 1.0]), is_thumb, torch.ones(2))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-0.5)) + 1.25**2)
