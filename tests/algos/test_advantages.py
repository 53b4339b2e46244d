import itertools
import math

import pytest
import torch
from ragged_samples import (
    GARBAGE,
    generator,
    normal,
    on_ranks,
    padded,
    padded_mask,
    poisoned,
    ragged_mask,
    tensor,
)

from rlhf.algos.advantages import leave_one_out, reinforce, returns_to_go, rloo
from rlhf.algos.gae import gae

MASK_BT = torch.tensor([[True, True, True], [True, True, False], [True, False, False]])
REWARDS_BT = tensor([1.0, 0.0, 4.0], [-1.0, 2.0, 99.0], [6.0, 99.0, 99.0])


def test_what_is_left_to_earn_by_hand():
    # 1 + .5 * (0 + .5 * 4) = 2;  0 + .5 * 4 = 2;  4 | -1 + .5 * 2 = 0;  2 | 6
    expected = tensor([2.0, 2.0, 4.0], [0.0, 2.0, 0.0], [6.0, 0.0, 0.0])
    assert torch.equal(returns_to_go(REWARDS_BT, MASK_BT, gamma=0.5), expected)


def test_reinforce_by_hand():
    # G_0 at gamma 1: 5, 1, 6; the means of the others: 3.5, 5.5, 3
    found = reinforce(REWARDS_BT, MASK_BT, gamma=1.0)
    expected = tensor([1.5, 0.5, 0.5], [-4.5, -3.5, 0.0], [3.0, 0.0, 0.0])
    torch.testing.assert_close(found, expected)


def test_rloo_by_hand():
    # R: 5, 1, 6. Rows 0 and 2 answer one prompt: 5 - 6, 6 - 5; all three one prompt: 5 - 3.5, 1 - 5.5, 6 - 3
    rewards_BT = torch.cat([REWARDS_BT, tensor([3.0, 0.0, 99.0])])
    mask_BT = torch.cat([MASK_BT, torch.tensor([[True, True, False]])])
    found = rloo(rewards_BT, mask_BT, torch.tensor([8, 9, 8, 9]))
    expected = tensor([-1.0, -1.0, -1.0], [-2.0, -2.0, 0.0], [1.0, 0.0, 0.0], [2.0, 2.0, 0.0])
    torch.testing.assert_close(found, expected)
    one_group = rloo(REWARDS_BT, MASK_BT, torch.tensor([4, 4, 4]))
    assert one_group[:, 0].tolist() == pytest.approx([1.5, -4.5, 3.0])


def test_leave_one_out_sums_to_nothing_in_each_group():
    rng = generator(0)
    groups_B = torch.tensor([0, 1, 0, 2, 1, 2, 0])
    found_B = leave_one_out(normal(rng, 7), groups_B)
    for group in range(3):
        assert found_B[groups_B == group].sum().item() == pytest.approx(0.0, abs=1e-12)


def test_what_has_no_other_is_refused():
    with pytest.raises(ValueError, match="group 9 has a single response"):
        rloo(REWARDS_BT, MASK_BT, torch.tensor([8, 9, 8]))
    with pytest.raises(ValueError, match="one response"):
        reinforce(REWARDS_BT[:1], MASK_BT[:1], gamma=1.0)


def test_whole_responses_are_measured_by_both_in_the_same_way():
    """Of one group that is the batch, RLOO's advantage is REINFORCE's at the first token."""
    rng = generator(3)
    rewards_BT, mask_BT = normal(rng, 6, 4), ragged_mask(rng, 6, 4)
    one = rloo(rewards_BT, mask_BT, torch.zeros(6, dtype=torch.long))
    other = reinforce(rewards_BT, mask_BT, gamma=1.0)
    torch.testing.assert_close(one[:, 0], other[:, 0])


def test_what_is_left_is_what_gae_returns_at_lambda_1_whatever_the_values():
    rng = generator(4)
    rewards_BT, mask_BT = normal(rng, 5, 6), ragged_mask(rng, 5, 6)
    learnt = gae(rewards_BT, normal(rng, 5, 6), mask_BT, gamma=0.9, lam=1.0)
    torch.testing.assert_close(returns_to_go(rewards_BT, mask_BT, gamma=0.9), learnt.returns_BT)


@pytest.mark.parametrize("name", ["reinforce", "rloo"])
def test_the_expected_gradient_is_that_of_the_expected_reward(name: str):
    """All pairs of one-token responses, enumerated: the baseline takes nothing off and adds nothing."""
    rng = generator(5)
    logits_V = normal(rng, 4).requires_grad_()
    rewards_V = normal(rng, 4) + 7.0  # far from 0: a baseline that the response has a part in would show
    logprobs_V = logits_V.log_softmax(0)
    (exact_V,) = torch.autograd.grad((logprobs_V.exp() * rewards_V).sum(), logits_V, retain_graph=True)
    total = torch.zeros(())
    mask_BT = torch.ones(2, 1, dtype=torch.bool)
    for pair in itertools.product(range(4), repeat=2):
        drawn = torch.tensor(pair)
        rewards_BT = rewards_V[drawn][:, None]
        advantages_BT = (
            reinforce(rewards_BT, mask_BT, gamma=1.0)
            if name == "reinforce"
            else rloo(rewards_BT, mask_BT, torch.tensor([0, 0]))
        )
        chance = math.exp(logprobs_V[drawn].sum().item())
        total = total + chance * (advantages_BT[:, 0] * logprobs_V[drawn]).mean()
    (found_V,) = torch.autograd.grad(total, logits_V)
    torch.testing.assert_close(found_V, exact_V, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("garbage", GARBAGE)
def test_padding_changes_nothing(garbage: float):
    rng = generator(6)
    rewards_BT, mask_BT = normal(rng, 4, 5), ragged_mask(rng, 4, 5)
    groups_B = torch.tensor([0, 0, 1, 1])
    wide_BT, wide_mask_BT = padded(poisoned(rewards_BT, mask_BT, garbage), garbage), padded_mask(mask_BT)
    assert torch.equal(
        reinforce(wide_BT, wide_mask_BT, gamma=0.9), padded(reinforce(rewards_BT, mask_BT, gamma=0.9), 0)
    )
    assert torch.equal(rloo(wide_BT, wide_mask_BT, groups_B), padded(rloo(rewards_BT, mask_BT, groups_B), 0))


def test_the_order_of_the_responses_changes_nothing():
    rng = generator(7)
    rewards_BT, mask_BT, order = normal(rng, 4, 5), ragged_mask(rng, 4, 5), torch.tensor([2, 0, 3, 1])
    groups_B = torch.tensor([0, 0, 1, 1])
    moved = rloo(rewards_BT[order], mask_BT[order], groups_B[order])
    torch.testing.assert_close(moved, rloo(rewards_BT, mask_BT, groups_B)[order])
    torch.testing.assert_close(
        reinforce(rewards_BT[order], mask_BT[order], gamma=1.0),
        reinforce(rewards_BT, mask_BT, gamma=1.0)[order],
    )


def test_processes_share_one_baseline():
    rng = generator(8)
    rewards_BT, mask_BT = normal(rng, 7, 5), ragged_mask(rng, 7, 5)
    whole = reinforce(rewards_BT, mask_BT, gamma=0.9)
    parts = on_ranks(
        [
            lambda reduce: reinforce(rewards_BT[:2], mask_BT[:2], gamma=0.9, reduce=reduce),
            lambda reduce: reinforce(rewards_BT[2:], mask_BT[2:], gamma=0.9, reduce=reduce),
        ]
    )
    torch.testing.assert_close(torch.cat(parts), whole)
