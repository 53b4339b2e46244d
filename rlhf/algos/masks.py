"""Masks, True where a token counts, and the reductions that go through them.

Masked positions may hold anything. They are replaced by `torch.where` before any arithmetic, never
multiplied away: 0 * nan is nan, and so is the gradient of an exponential that overflowed.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import torch
from torch import Tensor

Reduce = Callable[[Tensor], Tensor]
"""Sums a small float64 tensor elementwise over all processes (an all-reduce)."""


def masked(x: Tensor, mask: Tensor, fill: float = 0) -> Tensor:
    """x where the mask is True, `fill` elsewhere; no gradient reaches what was filled."""
    return torch.where(mask, x, fill)


def masked_sum(x: Tensor, mask: Tensor, dim: int | None = None) -> Tensor:
    """Sum over what counts; 0 where nothing does."""
    kept = masked(x, mask)
    return kept.sum() if dim is None else kept.sum(dim)


def masked_mean(x: Tensor, mask: Tensor, dim: int | None = None) -> Tensor:
    """Mean over what counts; 0 where nothing does."""
    count = mask.sum() if dim is None else mask.sum(dim)
    return masked_sum(x, mask, dim) / count.clamp(min=1)


def masked_var(x: Tensor, mask: Tensor) -> Tensor:
    """Population variance (divided by the count) over what counts; 0 where nothing does."""
    return moments(x, mask).var.to(x.dtype)


def masked_max(x: Tensor, mask: Tensor, empty: float) -> Tensor:
    """Largest value that counts; `empty` where nothing does."""
    largest = masked(x, mask, -torch.inf).max()
    return torch.where(mask.any(), largest, empty)


@dataclass(frozen=True)
class Moments:
    """Count, mean and population variance, float64 scalars."""

    count: Tensor
    mean: Tensor
    var: Tensor


def moments(x: Tensor, mask: Tensor, reduce: Reduce | None = None) -> Moments:
    """Moments over what counts, on all processes where `reduce` sums over them.

    Two passes, the mean first and then the squared deviations from it: sum(x^2) - mean^2 would
    cancel where the mean is large. Sums are float64, so that the split over processes shows only in
    the last digits. `reduce` is called exactly twice, also by a process that holds no token, so
    that none waits for another.
    """
    add = reduce or _alone
    kept = masked(x, mask).double()
    count, total = add(torch.stack([mask.sum().double(), kept.sum()])).unbind()
    mean = total / count.clamp(min=1)
    squared_deviations = masked((kept - mean) ** 2, mask).sum()
    (var_sum,) = add(squared_deviations[None]).unbind()
    return Moments(count=count, mean=mean, var=var_sum / count.clamp(min=1))


def lengths(mask_BT: Tensor) -> Tensor:
    """Number of tokens that count in each row, int64 [B]."""
    return mask_BT.sum(-1)


def length_mask(lengths_B: Tensor, width: int) -> Tensor:
    """Mask [B, width], True in the first `lengths_B` columns of each row."""
    return torch.arange(width, device=lengths_B.device)[None, :] < lengths_B[:, None]


def first_end_mask(
    response_ids_BT: Tensor, stop_ids: Collection[int], lengths_B: Tensor | None = None
) -> Tensor:
    """True up to and including the first end token; all True up to the length in a row without one.

    `lengths_B` gives the ragged lengths of rows that are already padded; without it each row is
    taken to be full.
    """
    is_end_BT = is_stop(response_ids_BT, stop_ids)
    ends_before_BT = is_end_BT.cumsum(-1) - is_end_BT.long()
    mask_BT = ends_before_BT == 0
    if lengths_B is None:
        return mask_BT
    return mask_BT & length_mask(lengths_B, response_ids_BT.shape[-1])


def last_token_mask(mask_BT: Tensor) -> Tensor:
    """True at the last token that counts of each row; nowhere in a row that has none."""
    counted_from_here_BT = mask_BT.long().flip(-1).cumsum(-1).flip(-1)
    return mask_BT & (counted_from_here_BT == 1)


def ended(response_ids_BT: Tensor, mask_BT: Tensor, stop_ids: Collection[int]) -> Tensor:
    """True for the rows [B] whose last token that counts is an end token."""
    return (last_token_mask(mask_BT) & is_stop(response_ids_BT, stop_ids)).any(-1)


def is_stop(ids: Tensor, stop_ids: Collection[int]) -> Tensor:
    """True where an id is one of the end tokens."""
    return torch.isin(ids, torch.tensor(sorted(stop_ids), dtype=ids.dtype, device=ids.device))


def _alone(x: Tensor) -> Tensor:
    return x
