"""A weighted sum of named rewards."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from rlhf.rewards.base import Reward, Scored, Scores


class WeightedReward:
    """total = sum of weight * part. `Scores.parts` holds each part before its weight, under its name; what a
    part is itself made of (several rules) stands under `name.rule`."""

    def __init__(self, parts: Mapping[str, tuple[float, Reward]]) -> None:
        """`parts` holds weight and reward by name; at least one."""
        self._parts = dict(parts)

    def __call__(self, batch: Sequence[Scored]) -> Scores:
        """Scores of the batch."""
        total_B = torch.zeros(len(batch))
        kept: dict[str, Tensor] = {}
        for name, (weight, reward) in self._parts.items():
            scores = reward(batch)
            total_B += weight * scores.total
            kept[name] = scores.total
            if len(scores.parts) > 1:
                kept |= {f"{name}.{inner}": part_B for inner, part_B in scores.parts.items()}
        return Scores(total_B, kept)
