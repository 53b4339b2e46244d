"""Encoded rows of different lengths as right-padded batches, and which rows go together."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rlhf.data.encoding import Encoded

BUSY_TOKENS = 2048  # in a microbatch, padding included; more do not make a token cheaper


@dataclass(frozen=True)
class Batch:
    """Rows padded on the right to the longest.

    ids_BS: token ids, int64 [B, S]; padding holds the padding token.
    attention_BS: True where there is a token, bool [B, S].
    response_mask_BS: True where a token is the response's, its end token included, bool [B, S].
    """

    ids_BS: Tensor
    attention_BS: Tensor
    response_mask_BS: Tensor

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on a device."""
        return Batch(self.ids_BS.to(device), self.attention_BS.to(device), self.response_mask_BS.to(device))

    @property
    def inputs(self) -> dict[str, Tensor]:
        """For the forward call of a transformer."""
        return {"input_ids": self.ids_BS, "attention_mask": self.attention_BS.long()}

    @property
    def targets_N(self) -> Tensor:
        """The response's tokens, flat, row after row."""
        return self.ids_BS[self.response_mask_BS]

    def before_response(self, x_BS: Tensor) -> Tensor:
        """What stands one position before each response token, flat: what the token was predicted from."""
        return x_BS[:, :-1][self.response_mask_BS[:, 1:]]


def collate(rows: Sequence[Encoded], pad_id: int) -> Batch:
    """One batch of at least one row, in order."""
    if not rows:
        raise ValueError("no rows: a batch has at least one")
    width = max(len(row.ids) for row in rows)
    ids_BS = torch.tensor([row.ids + [pad_id] * (width - len(row.ids)) for row in rows], dtype=torch.long)
    position_S = torch.arange(width)
    length_B1 = torch.tensor([len(row.ids) for row in rows]).unsqueeze(1)
    prompt_B1 = torch.tensor([row.prompt_length for row in rows]).unsqueeze(1)
    attention_BS = position_S < length_B1
    return Batch(ids_BS, attention_BS, attention_BS & (position_S >= prompt_B1))


def plan_microbatches(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Splits rows into microbatches of like length whose padded size stays within `token_budget` tokens.

    Returns indices into `lengths`, longest rows first, so that too large a budget shows at once. A row longer
    than the budget gets a microbatch of its own; once one holds `BUSY_TOKENS`, a row that would be padded by
    a quarter begins the next.
    """
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    batches: list[list[int]] = []
    for row in order:
        longest, rows = (lengths[batches[-1][0]], len(batches[-1])) if batches else (0, 0)
        fits = (rows + 1) * longest <= token_budget
        busy = rows * longest >= BUSY_TOKENS and 4 * lengths[row] < 3 * longest
        if batches and fits and not busy:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches
