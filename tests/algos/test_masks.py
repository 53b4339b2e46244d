import pytest
import torch
from ragged_samples import generator, normal, ragged_mask, tensor

from rlhf.algos.masks import (
    ended,
    first_end_mask,
    last_token_mask,
    length_mask,
    lengths,
    masked_max,
    masked_mean,
    masked_sum,
    masked_var,
    moments,
)

NAN = float("nan")
X_BT = tensor([1.0, 2.0, NAN], [6.0, NAN, NAN])
MASK_BT = torch.tensor([[True, True, False], [True, False, False]])
NOTHING_BT = torch.zeros(2, 3, dtype=torch.bool)


def test_reductions_by_hand():
    assert masked_sum(X_BT, MASK_BT).item() == 9  # 1 + 2 + 6
    assert masked_sum(X_BT, MASK_BT, dim=-1).tolist() == [3, 6]
    assert masked_mean(X_BT, MASK_BT).item() == 3  # 9 / 3
    assert masked_mean(X_BT, MASK_BT, dim=-1).tolist() == [1.5, 6]
    assert masked_mean(X_BT, MASK_BT, dim=0).tolist() == [3.5, 2, 0]  # the last column has nothing
    assert masked_var(X_BT, MASK_BT).item() == pytest.approx(14 / 3)  # (4 + 1 + 9) / 3
    assert masked_max(-X_BT, MASK_BT, empty=0).item() == -1


def test_reductions_of_nothing():
    assert masked_sum(X_BT, NOTHING_BT).item() == 0
    assert masked_mean(X_BT, NOTHING_BT).item() == 0
    assert masked_var(X_BT, NOTHING_BT).item() == 0
    assert masked_max(X_BT, NOTHING_BT, empty=7).item() == 7
    m = moments(X_BT, NOTHING_BT)
    assert (m.count.item(), m.mean.item(), m.var.item()) == (0, 0, 0)


def test_gradient_of_a_mean_is_one_over_count_and_zero_where_masked():
    x_BT = X_BT.clone().requires_grad_()
    masked_mean(x_BT, MASK_BT).backward()
    assert x_BT.grad is not None
    torch.testing.assert_close(x_BT.grad, tensor([1 / 3, 1 / 3, 0], [1 / 3, 0, 0]))


def test_variance_does_not_cancel_where_the_mean_is_large():
    # float32 spacing at 1e6 is 1/16; sum(x^2) - mean^2 in float32 loses all of a variance of 2/3
    x_BT = torch.tensor([[1e6 - 1, 1e6, 1e6 + 1]], dtype=torch.float32)
    var = masked_var(x_BT, torch.ones(1, 3, dtype=torch.bool))
    assert var.item() == pytest.approx(2 / 3, rel=1e-6)
    # and in float64, where 1e10 squared leaves steps of 16384 to the difference of squares
    far = moments(x_BT.double() - 1e6 + 1e10, torch.ones(1, 3, dtype=torch.bool))
    assert far.var.item() == pytest.approx(2 / 3, rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_dtype_is_kept(dtype: torch.dtype):
    x_BT = X_BT.to(dtype)
    assert masked_sum(x_BT, MASK_BT).dtype == dtype
    assert masked_mean(x_BT, MASK_BT).dtype == dtype
    assert masked_var(x_BT, MASK_BT).dtype == dtype
    assert masked_max(x_BT, MASK_BT, empty=0).dtype == dtype


def test_first_end_mask_by_hand():
    ids_BT = torch.tensor([[5, 2, 7, 2], [5, 6, 7, 8], [3, 5, 5, 5], [5, 5, 5, 2]])
    mask_BT = first_end_mask(ids_BT, {2, 3})
    assert mask_BT.int().tolist() == [[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 1, 1]]
    assert lengths(mask_BT).tolist() == [2, 4, 1, 4]
    assert ended(ids_BT, mask_BT, {2, 3}).tolist() == [True, False, True, True]
    assert last_token_mask(mask_BT).int().tolist() == [[0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 1]]


def test_first_end_mask_of_padded_rows_stops_at_the_length():
    # the padding (id 9) is no end token; row 1 has an end token only beyond its length
    ids_BT = torch.tensor([[5, 6, 9, 9], [5, 6, 7, 2]])
    mask_BT = first_end_mask(ids_BT, {2}, lengths_B=torch.tensor([2, 3]))
    assert mask_BT.int().tolist() == [[1, 1, 0, 0], [1, 1, 1, 0]]
    assert ended(ids_BT, mask_BT, {2}).tolist() == [False, False]


def test_first_end_mask_without_end_tokens_counts_everything():
    assert first_end_mask(torch.tensor([[1, 2]]), set()).tolist() == [[True, True]]


@pytest.mark.parametrize("seed", range(20))
def test_first_end_mask_against_a_loop(seed: int):
    rng = generator(seed)
    ids_BT = torch.randint(0, 6, (5, 7), generator=rng)
    stop_ids = {0, 4}
    expected: list[list[bool]] = []
    for row in ids_BT.tolist():
        seen, flags = False, []
        for token in row:
            flags.append(not seen)
            seen = seen or token in stop_ids
        expected.append(flags)
    assert first_end_mask(ids_BT, stop_ids).tolist() == expected


def test_last_token_of_a_row_with_a_hole():
    assert last_token_mask(torch.tensor([[True, False, True, False]])).int().tolist() == [[0, 0, 1, 0]]


def test_masks_of_rows_without_tokens():
    assert not last_token_mask(NOTHING_BT).any()
    assert not ended(torch.full((2, 3), 2), NOTHING_BT, {2}).any()
    assert length_mask(torch.tensor([0, 2]), 3).int().tolist() == [[0, 0, 0], [1, 1, 0]]


@pytest.mark.parametrize("seed", range(5))
def test_moments_against_a_loop(seed: int):
    rng = generator(seed)
    mask_BT = ragged_mask(rng, 4, 6)
    x_BT = normal(rng, 4, 6)
    kept = [x_BT[b, t].item() for b in range(4) for t in range(6) if mask_BT[b, t]]
    mean = sum(kept) / len(kept)
    m = moments(x_BT, mask_BT)
    assert m.count.item() == len(kept)
    assert m.mean.item() == pytest.approx(mean, rel=1e-12)
    assert m.var.item() == pytest.approx(sum((x - mean) ** 2 for x in kept) / len(kept), rel=1e-12)
