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
from torch import Tensor

from rlhf.algos.ppo import (
    PolicyLoss,
    ValueLoss,
    explained_variance,
    policy_loss,
    truncated_importance_weights,
    value_loss,
)

LOG = math.log


def ratios_to_logprobs(*ratios: float) -> tuple[Tensor, Tensor]:
    old_BT = torch.full((1, len(ratios)), -1.0, dtype=torch.float64)
    return old_BT + tensor([LOG(r) for r in ratios]), old_BT


def test_policy_loss_by_hand():
    # clip 0.2; ratio and advantage of six tokens, and what each adds: max(-A r, -A clip(r))
    #   1.0,  2: -2                 0.5,  1: max(-0.5, -0.8) = -0.5
    #   1.5,  1: max(-1.5, -1.2) = -1.2, clipped
    #   1.5, -1: max(1.5, 1.2) = 1.5
    #   0.5, -1: max(0.5, 0.8) = 0.8, clipped
    #   1.1, -2: 2.2
    logprobs_BT, old_BT = ratios_to_logprobs(1.0, 0.5, 1.5, 1.5, 0.5, 1.1)
    advantages_BT = tensor([2.0, 1.0, 1.0, -1.0, -1.0, -2.0])
    mask_BT = torch.ones(1, 6, dtype=torch.bool)
    result = policy_loss(logprobs_BT, old_BT, advantages_BT, mask_BT, clip=0.2, num_tokens=10)
    assert result.loss.item() == pytest.approx(0.8 / 10)  # -2 - 0.5 - 1.2 + 1.5 + 0.8 + 2.2 = 0.8
    assert result.clip_fraction_sum.item() == 2
    assert result.ratio_sum.item() == pytest.approx(6.1)
    assert result.ratio_max.item() == pytest.approx(1.5)
    squares = 2 * LOG(0.5) ** 2 + 2 * LOG(1.5) ** 2 + LOG(1.1) ** 2
    assert result.approx_kl_sum.item() == pytest.approx(squares / 2)
    assert result.num_tokens.item() == 6


def test_policy_gradient_by_hand():
    # d(-A r)/dlogp = -A r where the clipped term does not rule, else 0
    logprobs_BT, old_BT = ratios_to_logprobs(1.0, 0.5, 1.5, 1.5, 0.5)
    logprobs_BT.requires_grad_()
    advantages_BT = tensor([2.0, 1.0, 1.0, -1.0, -1.0])
    mask_BT = torch.ones(1, 5, dtype=torch.bool)
    policy_loss(logprobs_BT, old_BT, advantages_BT, mask_BT, clip=0.2, num_tokens=1).loss.backward()
    torch.testing.assert_close(logprobs_BT.grad, tensor([-2.0, -0.5, 0.0, 1.5, 0.0]))


def test_first_step_gradient_is_the_policy_gradient():
    # at ratio 1 the gradient is -A per token: REINFORCE with a baseline
    rng = generator(0)
    mask_BT, old_BT, advantages_BT = ragged_mask(rng, 3, 4), normal(rng, 3, 4), normal(rng, 3, 4)
    logprobs_BT = old_BT.clone().requires_grad_()
    result = policy_loss(logprobs_BT, old_BT, advantages_BT, mask_BT, clip=0.2, num_tokens=1)
    result.loss.backward()
    torch.testing.assert_close(logprobs_BT.grad, torch.where(mask_BT, -advantages_BT, 0))
    assert result.clip_fraction_sum.item() == result.approx_kl_sum.item() == 0
    assert result.ratio_sum.item() == mask_BT.sum().item()


def test_weights_multiply_each_token():
    logprobs_BT, old_BT = ratios_to_logprobs(1.0, 1.1)
    mask_BT = torch.ones(1, 2, dtype=torch.bool)
    result = policy_loss(
        logprobs_BT,
        old_BT,
        tensor([2.0, -1.0]),
        mask_BT,
        clip=0.2,
        num_tokens=1,
        weights_BT=tensor([0.5, 2.0]),
    )
    assert result.loss.item() == pytest.approx(0.5 * -2 + 2 * 1.1)


def slow_policy_loss(
    logprobs: Tensor, old: Tensor, advantages: Tensor, weights: Tensor, mask: Tensor, clip: float, n: int
) -> float:
    """Minus the objective of PPO eq. 7, token by token."""
    objective = 0.0
    for b in range(mask.shape[0]):
        for t in range(mask.shape[1]):
            if not mask[b, t]:
                continue
            ratio = math.exp(logprobs[b, t].item()) / math.exp(old[b, t].item())
            bounded = min(max(ratio, 1 - clip), 1 + clip)
            a = advantages[b, t].item()
            objective += weights[b, t].item() * min(ratio * a, bounded * a)
    return -objective / n


@pytest.mark.parametrize("seed", range(10))
def test_policy_loss_against_a_loop(seed: int):
    rng = generator(seed)
    mask_BT = ragged_mask(rng, 4, 5)
    logprobs_BT, old_BT = normal(rng, 4, 5, scale=0.5), normal(rng, 4, 5, scale=0.5)
    advantages_BT, weights_BT = normal(rng, 4, 5), normal(rng, 4, 5).abs()
    result = policy_loss(
        logprobs_BT, old_BT, advantages_BT, mask_BT, clip=0.2, num_tokens=13, weights_BT=weights_BT
    )
    expected = slow_policy_loss(logprobs_BT, old_BT, advantages_BT, weights_BT, mask_BT, 0.2, 13)
    assert result.loss.item() == pytest.approx(expected, rel=1e-12)


def test_huge_ratios_stay_finite():
    logprobs_BT = torch.tensor([[0.0, 0.0, -500.0, -500.0, 0.0]], requires_grad=True)
    old_BT = torch.tensor([[-500.0, -500.0, 0.0, 0.0, -500.0]])
    advantages_BT = torch.tensor([[1.0, -1.0, 1.0, -1.0, 0.0]])
    mask_BT = torch.ones(1, 5, dtype=torch.bool)
    result = policy_loss(logprobs_BT, old_BT, advantages_BT, mask_BT, clip=0.2, num_tokens=5)
    result.loss.backward()
    assert result.loss.isfinite()
    assert logprobs_BT.grad is not None
    assert logprobs_BT.grad.isfinite().all()


def test_value_loss_by_hand():
    # clip 0.5; value, old value, return, and what each adds: 0.5 max((V - R)^2, (V^clip - R)^2)
    #   1, 1, 3: 0.5 * 4 = 2
    #   3, 1, 4: V^clip 1.5: 0.5 * max(1, 6.25) = 3.125, clipped
    #   3, 1, 0: V^clip 1.5: 0.5 * max(9, 2.25) = 4.5
    values_BT = tensor([1.0, 3.0, 3.0]).requires_grad_()
    mask_BT = torch.ones(1, 3, dtype=torch.bool)
    result = value_loss(
        values_BT, tensor([1.0, 1.0, 1.0]), tensor([3.0, 4.0, 0.0]), mask_BT, clip=0.5, num_tokens=4
    )
    result.loss.backward()
    assert result.loss.item() == pytest.approx(9.625 / 4)
    assert result.clip_fraction_sum.item() == 1
    assert result.squared_error_sum.item() == pytest.approx(4 + 1 + 9)
    assert result.value_sum.item() == pytest.approx(7)
    assert result.num_tokens.item() == 3
    # gradient (V - R) / 4 where the clipped term does not rule
    torch.testing.assert_close(values_BT.grad, tensor([-0.5, 0.0, 0.75]))


@pytest.mark.parametrize("seed", range(10))
def test_value_loss_against_a_loop(seed: int):
    rng = generator(seed)
    mask_BT = ragged_mask(rng, 4, 5)
    values_BT, old_BT, returns_BT = normal(rng, 4, 5), normal(rng, 4, 5), normal(rng, 4, 5)
    total = 0.0
    for b in range(4):
        for t in range(5):
            if mask_BT[b, t]:
                v, o, r = values_BT[b, t].item(), old_BT[b, t].item(), returns_BT[b, t].item()
                bounded = o + min(max(v - o, -0.2), 0.2)
                total += 0.5 * max((v - r) ** 2, (bounded - r) ** 2)
    result = value_loss(values_BT, old_BT, returns_BT, mask_BT, clip=0.2, num_tokens=13)
    assert result.loss.item() == pytest.approx(total / 13, rel=1e-12)


def test_an_infinite_value_clip_is_the_plain_square():
    rng = generator(3)
    mask_BT, values_BT, returns_BT = ragged_mask(rng, 4, 5), normal(rng, 4, 5), normal(rng, 4, 5)
    result = value_loss(values_BT, normal(rng, 4, 5), returns_BT, mask_BT, clip=math.inf, num_tokens=1)
    torch.testing.assert_close(result.loss, 0.5 * ((values_BT - returns_BT)[mask_BT] ** 2).sum())
    assert result.clip_fraction_sum.item() == 0


def test_rounding_is_not_counted_as_clipping():
    rng = generator(4)
    old_BT = normal(rng, 50, 50).float()
    values_BT = old_BT + 0.1 * normal(rng, 50, 50).tanh().float()
    mask_BT = torch.ones(50, 50, dtype=torch.bool)
    result = value_loss(values_BT, old_BT, normal(rng, 50, 50).float(), mask_BT, clip=0.2, num_tokens=2500)
    assert result.clip_fraction_sum.item() == 0


class Batch:
    """Random inputs of both losses; `parts` cuts rows and trims each part to its longest response."""

    def __init__(self, seed: int, rows: int = 6, columns: int = 7) -> None:
        rng = generator(seed)
        self.mask = ragged_mask(rng, rows, columns)
        self.trained = normal(rng, rows, columns, scale=0.5)  # log-probabilities or values
        self.old = self.trained + normal(rng, rows, columns, scale=0.3)
        self.target = normal(rng, rows, columns)  # advantages or returns
        self.weights = normal(rng, rows, columns).abs()

    def policy(self, x: Tensor, rows: list[int], width: int, num_tokens: int) -> PolicyLoss:
        old, target, mask, weights = (
            y[rows, :width] for y in (self.old, self.target, self.mask, self.weights)
        )
        return policy_loss(
            x[rows, :width], old, target, mask, clip=0.2, num_tokens=num_tokens, weights_BT=weights
        )

    def value(self, x: Tensor, rows: list[int], width: int, num_tokens: int) -> ValueLoss:
        old, target, mask = (y[rows, :width] for y in (self.old, self.target, self.mask))
        return value_loss(x[rows, :width], old, target, mask, clip=0.2, num_tokens=num_tokens)


def sums(result: PolicyLoss | ValueLoss) -> dict[str, float]:
    return {k: v.item() for k, v in vars(result).items() if k.endswith("_sum") or k in ("loss", "num_tokens")}


@pytest.mark.parametrize("split", [[[0, 1, 2], [3, 4, 5]], [[5], [3, 1], [0, 2, 4]], [[i] for i in range(6)]])
@pytest.mark.parametrize("which", ["policy", "value"])
@pytest.mark.parametrize("seed", range(3))
def test_the_split_into_microbatches_changes_nothing(seed: int, which: str, split: list[list[int]]):
    batch = Batch(seed)
    loss_of = getattr(batch, which)
    num_tokens = int(batch.mask.sum())
    whole_x = batch.trained.clone().requires_grad_()
    whole = loss_of(whole_x, list(range(6)), 7, num_tokens)
    whole.loss.backward()

    parts_x = batch.trained.clone().requires_grad_()
    added: dict[str, float] = {}
    for rows in split:
        part = loss_of(parts_x, rows, int(batch.mask[rows].sum(-1).max()), num_tokens)
        part.loss.backward()
        for key, value in sums(part).items():
            added[key] = added.get(key, 0) + value
    assert added == pytest.approx(sums(whole), rel=1e-10)
    torch.testing.assert_close(parts_x.grad, whole_x.grad, rtol=1e-10, atol=0)


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("which", ["policy", "value"])
def test_padding_changes_neither_results_nor_gradients(which: str, garbage: float):
    batch, wide = Batch(1), Batch(1)
    wide.mask = padded_mask(batch.mask)
    for name in ("trained", "old", "target", "weights"):
        setattr(wide, name, padded(poisoned(getattr(batch, name), batch.mask, garbage), garbage))
    rows, order = list(range(6)), [3, 5, 0, 1, 4, 2]
    clean_x, wide_x = batch.trained.clone().requires_grad_(), wide.trained.clone().requires_grad_()
    clean = getattr(batch, which)(clean_x, rows, 7, 20)
    other = getattr(wide, which)(wide_x, order, 9, 20)
    clean.loss.backward()
    other.loss.backward()
    assert {k: v.item() for k, v in vars(other).items()} == pytest.approx(
        {k: v.item() for k, v in vars(clean).items()}, rel=1e-12
    )
    torch.testing.assert_close(wide_x.grad, padded(clean_x.grad, 0), rtol=1e-12, atol=0)


@pytest.mark.parametrize("which", ["policy", "value"])
def test_only_the_trained_tensor_gets_a_gradient(which: str):
    batch = Batch(2)
    for x in (batch.old, batch.target, batch.weights):
        x.requires_grad_()
    result = getattr(batch, which)(batch.trained.requires_grad_(), list(range(6)), 7, 20)
    result.loss.backward()
    assert batch.old.grad is batch.target.grad is batch.weights.grad is None
    assert not any(v.requires_grad for k, v in vars(result).items() if k != "loss")


@pytest.mark.parametrize("which", ["policy", "value"])
def test_a_microbatch_without_tokens_adds_zero(which: str):
    batch = Batch(3)
    batch.mask = torch.zeros_like(batch.mask)
    x = poisoned(batch.trained, batch.mask, math.nan).requires_grad_()
    result = getattr(batch, which)(x, list(range(6)), 7, 20)
    result.loss.backward()
    assert all(v.item() == 0 for v in vars(result).values())
    assert (x.grad == 0).all()


@pytest.mark.parametrize("which", ["policy", "value"])
def test_dtype_is_kept_and_the_count_may_be_a_tensor(which: str):
    batch = Batch(4)
    batch.trained, batch.old, batch.target = batch.trained.float(), batch.old.float(), batch.target.float()
    batch.weights = batch.weights.float()
    result = getattr(batch, which)(batch.trained, [0, 1], 7, torch.tensor(20))
    assert result.loss.dtype == torch.float32
    assert result.loss.item() == pytest.approx(
        getattr(batch, which)(batch.trained, [0, 1], 7, 20).loss.item()
    )


def test_a_count_of_zero_is_refused():
    with pytest.raises(ValueError, match="num_tokens=0"):
        Batch(0).policy(torch.zeros(6, 7), [0], 7, 0)


def test_explained_variance_by_hand():
    returns_BT, mask_BT = tensor([1.0, 2.0, 6.0]), torch.ones(1, 3, dtype=torch.bool)
    # Var(R) = (4 + 1 + 9) / 3; residuals 1, 0, 2: mean 1, Var = 2/3; 1 - 2/14
    values_BT = tensor([0.0, 2.0, 4.0])
    assert explained_variance(values_BT, returns_BT, mask_BT).item() == pytest.approx(12 / 14)
    assert explained_variance(returns_BT + 5, returns_BT, mask_BT).item() == 1
    assert explained_variance(torch.zeros(1, 3), returns_BT, mask_BT).item() == 0
    assert explained_variance(-returns_BT, returns_BT, mask_BT).item() == pytest.approx(-3)
    assert explained_variance(values_BT, torch.ones(1, 3), mask_BT).item() == 0


def test_explained_variance_does_not_see_padding():
    rng = generator(5)
    mask_BT, values_BT, returns_BT = ragged_mask(rng, 4, 5), normal(rng, 4, 5), normal(rng, 4, 5)
    clean = explained_variance(values_BT, returns_BT, mask_BT)
    wide = explained_variance(
        poisoned(values_BT, mask_BT, math.nan), poisoned(returns_BT, mask_BT, math.inf), mask_BT
    )
    assert wide.item() == clean.item()
    kept_v, kept_r = values_BT[mask_BT], returns_BT[mask_BT]
    expected = 1 - (kept_r - kept_v).var(unbiased=False) / kept_r.var(unbiased=False)
    assert clean.item() == pytest.approx(expected.item(), rel=1e-12)


def test_explained_variance_on_two_ranks_is_that_of_the_whole():
    rng = generator(7)
    mask_BT, values_BT, returns_BT = ragged_mask(rng, 6, 5), normal(rng, 6, 5), normal(rng, 6, 5)

    def rank(rows: slice):
        return lambda reduce: explained_variance(values_BT[rows], returns_BT[rows], mask_BT[rows], reduce)

    whole = explained_variance(values_BT, returns_BT, mask_BT).item()
    for part in on_ranks([rank(slice(0, 2)), rank(slice(2, 6))]):
        assert part.item() == pytest.approx(whole, rel=1e-12)


def test_truncated_importance_weights_by_hand():
    trainer_BT = tensor([LOG(0.2), LOG(0.6), LOG(0.5), math.nan]).requires_grad_()
    engine_BT = tensor([LOG(0.4), LOG(0.2), LOG(0.5), math.nan])
    mask_BT = torch.tensor([[True, True, True, False]])
    weights_BT = truncated_importance_weights(trainer_BT, engine_BT, mask_BT, cap=2.0)
    # 0.2 / 0.4;  0.6 / 0.2 = 3, cut to 2;  1;  masked
    torch.testing.assert_close(weights_BT, tensor([0.5, 2.0, 1.0, 0.0]))
    assert not weights_BT.requires_grad
    with pytest.raises(ValueError, match="cap=0"):
        truncated_importance_weights(trainer_BT, engine_BT, mask_BT, cap=0)


def test_truncated_weights_make_an_engine_s_samples_the_trainer_s():
    # enumerated: sum over tokens of engine(a) * w(a) * f(a) is the trainer's expectation while no
    # weight is cut, and falls short of it by what is cut
    rng = generator(6)
    trainer, engine = normal(rng, 6).log_softmax(0)[None], normal(rng, 6).log_softmax(0)[None]
    f, mask = normal(rng, 6).abs()[None], torch.ones(1, 6, dtype=torch.bool)
    exact = (trainer.exp() * f).sum().item()

    def estimate(cap: float) -> float:
        return (engine.exp() * truncated_importance_weights(trainer, engine, mask, cap) * f).sum().item()

    assert estimate(1e6) == pytest.approx(exact, rel=1e-12)
    assert estimate(1.0) < exact - 1e-3
    assert math.isfinite(estimate(1e-3))
