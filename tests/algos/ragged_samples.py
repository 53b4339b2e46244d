"""Random ragged batches in float64, and what may stand where nothing counts."""

from collections.abc import Callable

import torch
from torch import Tensor

GARBAGE = (float("nan"), float("inf"), float("-inf"), 1e300)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ragged_mask(rng: torch.Generator, rows: int, columns: int) -> Tensor:
    """Right-padded mask with lengths from 1 to `columns`, the longest of them present."""
    lengths_B = torch.randint(1, columns + 1, (rows,), generator=rng)
    lengths_B[0] = columns
    return torch.arange(columns)[None, :] < lengths_B[:, None]


def normal(rng: torch.Generator, *shape: int, scale: float = 1.0) -> Tensor:
    return torch.randn(*shape, generator=rng, dtype=torch.float64) * scale


def poisoned(x_BT: Tensor, mask_BT: Tensor, garbage: float) -> Tensor:
    return torch.where(mask_BT, x_BT, garbage)


def padded(x_BT: Tensor, fill: float) -> Tensor:
    """The same rows with two more columns."""
    return torch.cat([x_BT, x_BT.new_full((x_BT.shape[0], 2), fill)], dim=1)


def padded_mask(mask_BT: Tensor) -> Tensor:
    return torch.cat([mask_BT, torch.zeros(mask_BT.shape[0], 2, dtype=torch.bool)], dim=1)


def tensor(*values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


class _Waiting(Exception):  # noqa: N818
    """A rank has reached a reduction whose answer is not known yet."""


def on_ranks(ranks: list[Callable[[Callable[[Tensor], Tensor]], Tensor]]) -> list[Tensor]:
    """What each rank's function of a reducer returns, with an all-reduce played in lockstep.

    Each round runs every rank up to the next reduction, answering the earlier ones with the sums
    that the rounds before found.
    """
    sums: list[Tensor] = []
    while True:
        asked: list[Tensor] = []
        done: list[Tensor] = []
        for rank in ranks:
            try:
                done.append(rank(_answering(sums, asked)))
            except _Waiting:
                continue
        if len(done) == len(ranks):
            return done
        assert not done, "the ranks differ in their number of reductions: a deadlock"
        sums.append(torch.stack(asked).sum(0))


def _answering(sums: list[Tensor], asked: list[Tensor]) -> Callable[[Tensor], Tensor]:
    answers = iter(list(sums))

    def reduce(part: Tensor) -> Tensor:
        answer = next(answers, None)
        if answer is None:
            asked.append(part)
            raise _Waiting
        return answer

    return reduce
