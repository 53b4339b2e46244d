import math

import pytest
import torch
from ragged_samples import generator, normal, tensor

from rlhf.algos.logprobs import token_logprobs


def test_logprobs_by_hand():
    # softmax of [0, log 3] is [1/4, 3/4]; at temperature 1/2 the odds are squared: [1/10, 9/10]
    logits_BTV = tensor([[0.0, math.log(3)]] * 2)
    ids_BT = torch.tensor([[0, 1]])
    torch.testing.assert_close(
        token_logprobs(logits_BTV, ids_BT, 1.0), tensor([math.log(1 / 4), math.log(3 / 4)])
    )
    torch.testing.assert_close(
        token_logprobs(logits_BTV, ids_BT, 0.5), tensor([math.log(0.1), math.log(0.9)])
    )


@pytest.mark.parametrize("seed", range(5))
def test_against_a_loop(seed: int):
    rng = generator(seed)
    logits_BTV, temperature = normal(rng, 2, 3, 5, scale=3), 0.7
    ids_BT = torch.randint(0, 5, (2, 3), generator=rng)
    for b in range(2):
        for t in range(3):
            weights = [math.exp(z / temperature) for z in logits_BTV[b, t].tolist()]
            probabilities = [w / sum(weights) for w in weights]
            logprob = math.log(probabilities[ids_BT[b, t]])
            assert token_logprobs(logits_BTV, ids_BT, temperature)[b, t].item() == pytest.approx(logprob)


def test_packed_tokens_give_the_same_as_rows():
    rng = generator(0)
    logits_BTV, ids_BT = normal(rng, 2, 3, 5), torch.randint(0, 5, (2, 3), generator=rng)
    torch.testing.assert_close(
        token_logprobs(logits_BTV.flatten(0, 1), ids_BT.flatten(), 0.7).view(2, 3),
        token_logprobs(logits_BTV, ids_BT, 0.7),
    )


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_is_lifted(half: torch.dtype):
    logits_BTV = normal(generator(0), 2, 3, 50).to(half)
    ids_BT = torch.zeros(2, 3, dtype=torch.long)
    logprobs_BT = token_logprobs(logits_BTV, ids_BT, 0.7)
    assert logprobs_BT.dtype == torch.float32
    exact_BT = token_logprobs(logits_BTV.double(), ids_BT, 0.7)
    torch.testing.assert_close(logprobs_BT.double(), exact_BT, rtol=1e-6, atol=1e-6)


def test_far_logits_lose_nothing():
    # logits 8192 higher are the same distribution; float32 holds 8192 + k/512 exactly
    near_BTV = torch.tensor([[[0.0, 0.5, -1.25]]])
    ids_BT = torch.tensor([[2]])
    far = token_logprobs(near_BTV + 8192, ids_BT, 1.0)
    torch.testing.assert_close(far, token_logprobs(near_BTV, ids_BT, 1.0), rtol=1e-6, atol=0)
    assert token_logprobs(torch.tensor([[[1e4, -1e4]]]), torch.tensor([[1]]), 1.0).item() == -2e4


def test_gradients_are_onehot_minus_softmax_and_finite_with_ruled_out_tokens():
    logits_BTV = tensor([[0.0, math.log(3), -math.inf]]).requires_grad_()
    token_logprobs(logits_BTV, torch.tensor([[0]]), 1.0).sum().backward()
    assert logits_BTV.grad is not None
    torch.testing.assert_close(logits_BTV.grad, tensor([[0.75, -0.75, 0.0]]))


def test_logits_that_are_not_numbers_stay_visible():
    assert token_logprobs(tensor([[math.nan, 1.0]]), torch.tensor([[1]]), 1.0).isnan().all()


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_temperature_must_be_positive(temperature: float):
    with pytest.raises(ValueError, match="temperature"):
        token_logprobs(torch.zeros(1, 1, 2), torch.zeros(1, 1, dtype=torch.long), temperature)
