"""Encoded rows of different lengths as one right-padded batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rlhf.data.encoding import Encoded


@dataclass(frozen=True)
class Batch:
    """Rows padded on the right to the longest.

    ids_BT: token ids, int64 [B, T]; padding holds the padding token.
    attention_BT: True where there is a token, bool [B, T].
    response_mask_BT: True where a token is the response's, its end token included, bool [B, T].
    """

    ids_BT: Tensor
    attention_BT: Tensor
    response_mask_BT: Tensor

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on a device."""
        return Batch(self.ids_BT.to(device), self.attention_BT.to(device), self.response_mask_BT.to(device))


def collate(rows: Sequence[Encoded], pad_id: int) -> Batch:
    """One batch of at least one row, in order."""
    if not rows:
        raise ValueError("no rows: a batch has at least one")
    width = max(len(row.ids) for row in rows)
    ids_BT = torch.tensor([row.ids + [pad_id] * (width - len(row.ids)) for row in rows], dtype=torch.long)
    position_T = torch.arange(width)
    length_B1 = torch.tensor([len(row.ids) for row in rows]).unsqueeze(1)
    prompt_B1 = torch.tensor([row.prompt_length for row in rows]).unsqueeze(1)
    attention_BT = position_T < length_B1
    return Batch(ids_BT, attention_BT, attention_BT & (position_T >= prompt_B1))
