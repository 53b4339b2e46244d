"""A weighted sum of named rewards."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from rlhf.records import Prompt
from rlhf.rewards.base import (
    Reward,
    Scored,
    Scores,
    check_prompts,
    named_parts,
    observe,
    part_of,
    restore,
    state_of,
)


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
            kept |= named_parts(name, scores)
        return Scores(total_B, kept)

    def check(self, prompts: Sequence[Prompt]) -> None:
        """Each part looks at the rows. Raises as they do."""
        for _, reward in self._parts.values():
            check_prompts(reward, prompts)

    def observe(self, scores: Scores) -> None:
        """Each part takes note of what it gave itself."""
        for name, (_, reward) in self._parts.items():
            observe(reward, part_of(name, scores))

    def state_dict(self) -> dict[str, Any]:
        """The state of each part, by name."""
        return {name: state_of(reward) for name, (_, reward) in self._parts.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state_dict` gave."""
        for name, (_, reward) in self._parts.items():
            restore(reward, state[name])
