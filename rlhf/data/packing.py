"""Rows of different lengths one after another, with no padding between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from rlhf.data.encoding import Encoded
from rlhf.data.rounding import TOKENS, rounded, rounded_places

FILLER = 0  # a token; nothing reads what becomes of it


@dataclass(frozen=True)
class Bucket:
    """Sequences of like length L, b of them, as places among the N tokens.

    index_bL: int64 [b * L]; places behind a sequence's end repeat its last token.
    padding_P: int64 [P], which of those places are behind an end.
    """

    rows: int
    length: int
    index_bL: Tensor
    padding_P: Tensor


@dataclass(frozen=True)
class Packing:
    """Where each of the packed sequences lies. `lengths` are in tokens, in order; their sum is N."""

    lengths: tuple[int, ...]
    device: torch.device

    @cached_property
    def ends(self) -> Tensor:
        """Where each sequence begins, and N: int32 [sequences + 1], as variable-length attention takes it."""
        ends = torch.tensor([0, *self.lengths]).cumsum(0)
        return ends.to(self.device, torch.int32)

    @cached_property
    def buckets(self) -> tuple[Bucket, ...]:
        """The sequences by length, rounded up: attention pads each to its bucket's, and no further."""
        starts = self.ends.tolist()
        order = sorted(range(len(self.lengths)), key=lambda row: -self.lengths[row])
        groups: list[list[int]] = []
        for row in order:
            if groups and rounded_places(self.lengths[groups[-1][0]]) == rounded_places(self.lengths[row]):
                groups[-1].append(row)
            else:
                groups.append([row])
        return tuple(self._bucket([(starts[row], self.lengths[row]) for row in group]) for group in groups)

    @cached_property
    def order_N(self) -> Tensor:
        """Where each token is among the places of all buckets, one bucket after another: int64 [N]."""
        order_N = torch.empty(sum(self.lengths), dtype=torch.long)
        begins = 0
        for bucket in self.buckets:
            places = torch.arange(begins, begins + len(bucket.index_bL))
            real = torch.ones(len(places), dtype=torch.bool)
            real[bucket.padding_P.cpu()] = False
            order_N[bucket.index_bL.cpu()[real]] = places[real]
            begins += len(places)
        return order_N.to(self.device)

    def _bucket(self, sequences: Sequence[tuple[int, int]]) -> Bucket:
        longest = rounded_places(max(length for _, length in sequences))
        place_L = torch.arange(longest)
        start_b1, length_b1 = torch.tensor(sequences).unsqueeze(2).unbind(1)
        index_bL = start_b1 + torch.minimum(place_L, length_b1 - 1)
        padding_P = (place_L >= length_b1).flatten().nonzero().squeeze(1)
        flat = index_bL.flatten()
        return Bucket(len(sequences), longest, flat.to(self.device), padding_P.to(self.device))


@dataclass(frozen=True)
class PackedBatch:
    """What `Batch` holds, packed. N tokens in all.

    ids_1N, positions_1N: int64 [1, N]; positions begin at 0 in each sequence.
    response_N: True where a token is the response's, its end token included.
    """

    ids_1N: Tensor
    positions_1N: Tensor
    response_N: Tensor
    packing: Packing

    def to(self, device: torch.device | str) -> "PackedBatch":
        """The same batch on a device."""
        packing = Packing(self.packing.lengths, torch.device(device))
        ids_1N, positions_1N = self.ids_1N.to(device), self.positions_1N.to(device)
        return PackedBatch(ids_1N, positions_1N, self.response_N.to(device), packing)

    @property
    def inputs(self) -> dict[str, Any]:
        """For the forward call of a transformer whose attention is `rlhf.models.attention`."""
        return {
            "input_ids": self.ids_1N,
            "position_ids": self.positions_1N,
            # four dimensions are taken as they are: a mask of N x N is never made
            "attention_mask": torch.ones(1, 1, 1, 1, dtype=torch.bool, device=self.ids_1N.device),
            "packing": self.packing,
        }

    @property
    def targets_N(self) -> Tensor:
        """The responses' tokens, flat, sequence after sequence."""
        return self.ids_1N[0][self.response_N]

    def before_response(self, x_1N: Tensor) -> Tensor:
        """What stands one position before each response token, flat: what the token was predicted from."""
        return x_1N[0, :-1][self.response_N[1:]]


def pack(rows: Sequence[Encoded]) -> PackedBatch:
    """One batch of at least one row, in order, each with a prompt of at least one token.

    Behind the rows stands a filler, a sequence of its own and all prompt, so that N is a round number.
    """
    if not rows:
        raise ValueError("no rows: a batch has at least one")
    taken = sum(len(row.ids) for row in rows)
    if missing := rounded(taken, TOKENS) - taken:
        rows = [*rows, Encoded([FILLER] * missing, missing)]
    lengths = tuple(len(row.ids) for row in rows)
    ids_1N = torch.tensor([[token for row in rows for token in row.ids]], dtype=torch.long)
    positions_1N = torch.cat([torch.arange(length) for length in lengths]).unsqueeze(0)
    prompt_N = torch.tensor([row.prompt_length for row in rows]).repeat_interleave(torch.tensor(lengths))
    return PackedBatch(ids_1N, positions_1N, positions_1N[0] >= prompt_N, Packing(lengths, ids_1N.device))


def plan_packs(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Splits rows into packs of at most `token_budget` tokens; a longer row gets one of its own.

    Returns indices into `lengths`, longest rows first, so that too large a budget shows at once.
    """
    packs: list[list[int]] = []
    held = 0
    for row in sorted(range(len(lengths)), key=lambda row: (-lengths[row], row)):
        if packs and held + lengths[row] <= token_budget:
            packs[-1].append(row)
            held += lengths[row]
        else:
            packs.append([row])
            held = lengths[row]
    return packs
