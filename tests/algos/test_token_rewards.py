import math

import pytest
import torch
from ragged_samples import GARBAGE, generator, normal, padded, padded_mask, poisoned, ragged_mask, tensor

from rlhf.algos.kl import sequence_kl
from rlhf.algos.rewards import missing_end, place_score, token_rewards

NAN = math.nan


def test_score_lands_on_the_last_token_that_counts():
    mask_BT = torch.tensor([[True, True, False], [True, True, True], [True, False, False]])
    placed_BT = place_score(tensor(5.0, 6.0, 7.0), mask_BT)
    assert placed_BT.tolist() == [[0, 5, 0], [0, 0, 6], [7, 0, 0]]


def test_a_response_without_tokens_is_refused():
    with pytest.raises(ValueError, match="no token"):
        place_score(tensor(1.0, 2.0), torch.tensor([[True, False], [False, False]]))


def test_token_rewards_by_hand():
    logprobs_BT = tensor([-1.0, -2.0, NAN], [-1.0, -1.0, -3.0])
    ref_BT = tensor([-2.0, -1.5, NAN], [-1.0, -2.0, -2.0])
    mask_BT = torch.tensor([[True, True, False], [True, True, True]])
    rewards = token_rewards(tensor(10.0, -4.0), logprobs_BT, ref_BT, mask_BT, kl_coef=0.1)
    # d: 1, -0.5 | 0, 1, -1;  penalty = 0.1 d;  total = score - penalty
    torch.testing.assert_close(rewards.kl_penalty_BT, tensor([0.1, -0.05, 0.0], [0.0, 0.1, -0.1]))
    torch.testing.assert_close(rewards.score_BT, tensor([0.0, 10.0, 0.0], [0.0, 0.0, -4.0]))
    torch.testing.assert_close(rewards.total_BT, tensor([-0.1, 10.05, 0.0], [0.0, -0.1, -3.9]))


def test_a_penalty_of_k3_by_hand():
    logprobs_BT, ref_BT = tensor([-1.0, -1.0]), tensor([-2.0, 0.0])
    rewards = token_rewards(tensor(10.0), logprobs_BT, ref_BT, torch.ones(1, 2).bool(), 0.1, "k3")
    # d: 1, -1;  exp(-d) - 1 + d: 1 / e, e - 2: both are taken off
    assert rewards.kl_penalty_BT.tolist()[0] == pytest.approx([0.1 / math.e, 0.1 * (math.e - 2)])
    assert rewards.total_BT.tolist()[0] == pytest.approx([-0.1 / math.e, 10 - 0.1 * (math.e - 2)])


@pytest.mark.parametrize("seed", range(5))
def test_against_a_loop(seed: int):
    rng = generator(seed)
    mask_BT = ragged_mask(rng, 4, 6)
    logprobs_BT, ref_BT, score_B = normal(rng, 4, 6), normal(rng, 4, 6), normal(rng, 4)
    total_BT = token_rewards(score_B, logprobs_BT, ref_BT, mask_BT, kl_coef=0.3).total_BT
    for b, length in enumerate(mask_BT.sum(-1).tolist()):
        for t in range(6):
            reward = 0.0
            if t < length:
                reward = -0.3 * (logprobs_BT[b, t].item() - ref_BT[b, t].item())
                reward += score_B[b].item() if t == length - 1 else 0.0
            assert total_BT[b, t].item() == pytest.approx(reward, rel=1e-12)


def test_summed_over_a_response_it_is_score_minus_coefficient_times_kl():
    rng = generator(9)
    mask_BT = ragged_mask(rng, 4, 6)
    logprobs_BT, ref_BT, score_B = normal(rng, 4, 6), normal(rng, 4, 6), normal(rng, 4)
    total_BT = token_rewards(score_B, logprobs_BT, ref_BT, mask_BT, kl_coef=0.3).total_BT
    torch.testing.assert_close(total_BT.sum(-1), score_B - 0.3 * sequence_kl(logprobs_BT, ref_BT, mask_BT))


@pytest.mark.parametrize("garbage", GARBAGE)
def test_padding_changes_nothing(garbage: float):
    rng = generator(2)
    mask_BT = ragged_mask(rng, 4, 6)
    logprobs_BT, ref_BT, score_B = normal(rng, 4, 6), normal(rng, 4, 6), normal(rng, 4)
    clean = token_rewards(score_B, logprobs_BT, ref_BT, mask_BT, kl_coef=0.3)
    wide = token_rewards(
        score_B,
        padded(poisoned(logprobs_BT, mask_BT, garbage), garbage),
        padded(poisoned(ref_BT, mask_BT, garbage), garbage),
        padded_mask(mask_BT),
        kl_coef=0.3,
    )
    assert torch.equal(wide.total_BT, padded(clean.total_BT, 0))
    assert torch.equal(wide.kl_penalty_BT, padded(clean.kl_penalty_BT, 0))


def test_missing_end_by_hand():
    score_B, ended_B = tensor(2.0, 3.0, -5.0), torch.tensor([True, False, False])
    assert missing_end(score_B, ended_B, "penalty", 1.0).tolist() == [2, 2, -6]
    assert missing_end(score_B, ended_B, "replace", 1.0).tolist() == [2, -1, -1]
    assert missing_end(score_B.float(), ended_B, "replace", 1.0).dtype == torch.float32


def test_missing_end_refuses_a_negative_penalty_and_an_unknown_mode():
    with pytest.raises(ValueError, match=r"penalty=-1\.0"):
        missing_end(tensor(1.0), torch.tensor([False]), "replace", -1.0)
    with pytest.raises(ValueError, match="mode='drop'"):
        missing_end(tensor(1.0), torch.tensor([False]), "drop", 1.0)  # type: ignore[arg-type]
