import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
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

from rlhf.algos.gae import gae, whiten


def all_true(*shape: int) -> torch.Tensor:
    return torch.ones(*shape, dtype=torch.bool)


def test_rewards_alone_by_hand():
    result = gae(tensor([0.0, 1.0]), tensor([0.0, 0.0]), all_true(1, 2), gamma=0.9, lam=1.0)
    torch.testing.assert_close(result.advantages_BT, tensor([0.9, 1.0]))


def test_recursion_by_hand():
    rewards_BT = tensor([1.0, 2.0, 3.0], [1.0, 2.0, 99.0])
    values_BT = tensor([0.5, 1.0, 2.0], [0.5, 1.0, 99.0])
    mask_BT = torch.tensor([[True, True, True], [True, True, False]])
    result = gae(rewards_BT, values_BT, mask_BT, gamma=0.5, lam=0.5)
    # row 0: delta = 3 - 2 = 1;  2 + .5 * 2 - 1 = 2;  1 + .5 * 1 - .5 = 1
    #        A_2 = 1;  A_1 = 2 + .25 * 1 = 2.25;  A_0 = 1 + .25 * 2.25 = 1.5625
    # row 1: the value after token 1 is 0: delta = 2 - 1 = 1;  1 + .5 * 1 - .5 = 1
    #        A_1 = 1;  A_0 = 1 + .25 * 1 = 1.25
    torch.testing.assert_close(result.advantages_BT, tensor([1.5625, 2.25, 1.0], [1.25, 1.0, 0.0]))
    # return = A + V
    torch.testing.assert_close(result.returns_BT, tensor([2.0625, 3.25, 3.0], [1.75, 2.0, 0.0]))


def slow_advantages(rewards: list[float], values: list[float], gamma: float, lam: float) -> list[float]:
    """GAE eq. 16 as it is printed, the sum over l of (gamma lam)^l delta_{t+l}, for one response."""
    next_values = [*values[1:], 0.0]
    delta = [r + gamma * nv - v for r, v, nv in zip(rewards, values, next_values, strict=True)]
    return [
        sum((gamma * lam) ** step * delta[t + step] for step in range(len(delta) - t))
        for t in range(len(delta))
    ]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), gamma=st.floats(0, 1), lam=st.floats(0, 1))
def test_against_the_printed_sum(seed: int, gamma: float, lam: float):
    rng = generator(seed)
    mask_BT = ragged_mask(rng, 3, 6)
    rewards_BT, values_BT = normal(rng, 3, 6), normal(rng, 3, 6)
    result = gae(rewards_BT, values_BT, mask_BT, gamma=gamma, lam=lam)
    for b, length in enumerate(mask_BT.sum(-1).tolist()):
        values = values_BT[b, :length].tolist()
        expected = slow_advantages(rewards_BT[b, :length].tolist(), values, gamma, lam)
        returns = [a + v for a, v in zip(expected, values, strict=True)]
        assert result.advantages_BT[b, :length].tolist() == pytest.approx(expected, rel=1e-12, abs=1e-12)
        assert result.returns_BT[b, :length].tolist() == pytest.approx(returns, rel=1e-12, abs=1e-12)
        assert (result.advantages_BT[b, length:] == 0).all()
        assert (result.returns_BT[b, length:] == 0).all()


def test_lambda_0_is_the_one_step_error():
    rng = generator(1)
    rewards_BT, values_BT = normal(rng, 3, 5), normal(rng, 3, 5)
    next_values_BT = torch.cat([values_BT[:, 1:], torch.zeros(3, 1, dtype=torch.float64)], dim=1)
    result = gae(rewards_BT, values_BT, all_true(3, 5), gamma=0.9, lam=0.0)
    torch.testing.assert_close(result.advantages_BT, rewards_BT + 0.9 * next_values_BT - values_BT)


def test_lambda_1_is_monte_carlo_whatever_the_values():
    rng = generator(2)
    rewards_BT, mask_BT = normal(rng, 3, 5), ragged_mask(rng, 3, 5)
    result = gae(rewards_BT, normal(rng, 3, 5), mask_BT, gamma=0.9, lam=1.0)
    for b, length in enumerate(mask_BT.sum(-1).tolist()):
        for t in range(length):
            discounted = sum(0.9 ** (s - t) * rewards_BT[b, s].item() for s in range(t, length))
            assert result.returns_BT[b, t].item() == pytest.approx(discounted, rel=1e-12)


@pytest.mark.parametrize("garbage", GARBAGE)
def test_padding_changes_nothing(garbage: float):
    rng = generator(3)
    mask_BT = ragged_mask(rng, 4, 5)
    rewards_BT, values_BT = normal(rng, 4, 5), normal(rng, 4, 5)
    clean = gae(rewards_BT, values_BT, mask_BT, gamma=1.0, lam=0.95)
    wide = gae(
        padded(poisoned(rewards_BT, mask_BT, garbage), garbage),
        padded(poisoned(values_BT, mask_BT, garbage), garbage),
        padded_mask(mask_BT),
        gamma=1.0,
        lam=0.95,
    )
    assert torch.equal(wide.advantages_BT, padded(clean.advantages_BT, 0))
    assert torch.equal(wide.returns_BT, padded(clean.returns_BT, 0))


def test_rows_do_not_see_one_another():
    rng = generator(4)
    mask_BT, order = ragged_mask(rng, 4, 5), torch.tensor([2, 0, 3, 1])
    rewards_BT, values_BT = normal(rng, 4, 5), normal(rng, 4, 5)
    whole = gae(rewards_BT, values_BT, mask_BT, gamma=1.0, lam=0.95)
    permuted = gae(rewards_BT[order], values_BT[order], mask_BT[order], gamma=1.0, lam=0.95)
    assert torch.equal(permuted.advantages_BT, whole.advantages_BT[order])


def test_columns_that_do_not_count_are_stepped_over():
    # tokens 0 and 2 count: the same as the response of these two
    mask_BT = torch.tensor([[True, False, True]])
    holed = gae(tensor([1.0, 50.0, 2.0]), tensor([0.5, 60.0, 1.0]), mask_BT, gamma=0.9, lam=0.8)
    dense = gae(tensor([1.0, 2.0]), tensor([0.5, 1.0]), all_true(1, 2), gamma=0.9, lam=0.8)
    torch.testing.assert_close(holed.advantages_BT[:, [0, 2]], dense.advantages_BT)
    assert holed.advantages_BT[0, 1] == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_is_kept_and_no_gradient_flows(dtype: torch.dtype):
    values_BT = torch.ones(1, 2, dtype=dtype, requires_grad=True)
    result = gae(torch.ones(1, 2, dtype=dtype), values_BT, all_true(1, 2), gamma=1.0, lam=0.95)
    assert result.advantages_BT.dtype == result.returns_BT.dtype == dtype
    assert not result.returns_BT.requires_grad


def test_no_columns_and_no_tokens():
    assert gae(
        torch.zeros(2, 0), torch.zeros(2, 0), all_true(2, 0), gamma=1.0, lam=0.95
    ).returns_BT.shape == (2, 0)
    nothing = gae(torch.ones(2, 3), torch.ones(2, 3), ~all_true(2, 3), gamma=1.0, lam=0.95)
    assert (nothing.advantages_BT == 0).all()


def test_whiten_by_hand():
    # 1, 3, 8 count: mean 4, squared deviations 9 + 1 + 16 = 26, variance 26/3
    x_BT, mask_BT = tensor([1.0, 3.0], [8.0, 99.0]), torch.tensor([[True, True], [True, False]])
    scale = (26 / 3) ** -0.5
    torch.testing.assert_close(whiten(x_BT, mask_BT), tensor([-3 * scale, -scale], [4 * scale, 0.0]))
    kept = whiten(x_BT, mask_BT, shift_mean=False)
    torch.testing.assert_close(kept, tensor([4 - 3 * scale, 4 - scale], [4 + 4 * scale, 0.0]))


@pytest.mark.parametrize("shift_mean", [True, False])
def test_whitening_on_two_ranks_is_whitening_of_the_whole(shift_mean: bool):
    rng = generator(5)
    mask_BT, x_BT = ragged_mask(rng, 6, 7), normal(rng, 6, 7, scale=3) + 100
    whole_BT = whiten(x_BT, mask_BT, shift_mean=shift_mean)
    parts = on_ranks(
        [
            lambda reduce: whiten(x_BT[:2], mask_BT[:2], shift_mean=shift_mean, reduce=reduce),
            lambda reduce: whiten(x_BT[2:], mask_BT[2:], shift_mean=shift_mean, reduce=reduce),
        ]
    )
    torch.testing.assert_close(torch.cat(parts), whole_BT, rtol=1e-12, atol=1e-12)
    alone_BT = whiten(x_BT[:2], mask_BT[:2], shift_mean=shift_mean)
    assert not torch.allclose(alone_BT, whole_BT[:2], rtol=1e-3)


def test_a_rank_without_tokens_takes_part():
    rng = generator(6)
    x_BT, mask_BT = normal(rng, 4, 3), ragged_mask(rng, 4, 3)
    nothing_BT = torch.zeros_like(mask_BT)
    parts = on_ranks(
        [
            lambda reduce: whiten(x_BT, mask_BT, reduce=reduce),
            lambda reduce: whiten(x_BT, nothing_BT, reduce=reduce),
        ]
    )
    torch.testing.assert_close(parts[0], whiten(x_BT, mask_BT), rtol=1e-12, atol=1e-12)
    assert (parts[1] == 0).all()


def test_whiten_properties():
    rng = generator(7)
    mask_BT, x_BT = ragged_mask(rng, 6, 7), normal(rng, 6, 7, scale=5) - 30
    white = whiten(x_BT, mask_BT)[mask_BT]
    assert white.mean().item() == pytest.approx(0, abs=1e-12)
    assert white.var(unbiased=False).item() == pytest.approx(1, rel=1e-6)
    assert whiten(x_BT, mask_BT, shift_mean=False)[mask_BT].mean().item() == pytest.approx(
        x_BT[mask_BT].mean().item(), rel=1e-12
    )
    assert whiten(x_BT.float(), mask_BT).dtype == torch.float32


def test_whiten_of_equal_values_and_of_none_is_zero():
    assert (whiten(torch.full((2, 3), 0.1), all_true(2, 3)).abs() < 1e-6).all()
    assert (whiten(torch.full((2, 3), float("nan")), ~all_true(2, 3)) == 0).all()


@pytest.mark.parametrize("garbage", GARBAGE)
def test_whiten_does_not_see_padding(garbage: float):
    rng = generator(8)
    mask_BT, x_BT = ragged_mask(rng, 4, 5), normal(rng, 4, 5)
    wide = whiten(padded(poisoned(x_BT, mask_BT, garbage), garbage), padded_mask(mask_BT))
    torch.testing.assert_close(wide, padded(whiten(x_BT, mask_BT), 0), rtol=1e-12, atol=1e-12)
