"""Demonstrations beside PPO's minibatches (PTX, Ouyang et al. 2022, eq. 2)."""

from collections.abc import Sequence
from dataclasses import dataclass

from rlhf.data.encoding import Encoded, Encoder
from rlhf.records import Demonstration
from rlhf.training.prompt_order import prompt_order


@dataclass(frozen=True)
class PretrainingMix:
    """Encoded demonstrations, and in which order minibatches take them: by `seed` and position alone."""

    rows: Sequence[Encoded]
    seed: int

    def minibatches(self, iteration: int, count: int, size: int) -> list[list[Encoded]]:
        """The `size` demonstrations of each of the `count` minibatches of an iteration, counted from 1.

        Every pass over the demonstrations is a permutation of its own, whatever the iterations it spans.
        """
        first = (iteration - 1) * count * size
        order = prompt_order(self.seed, len(self.rows), range(first, first + count * size))
        return [
            [self.rows[place] for place in order[start : start + size]]
            for start in range(0, count * size, size)
        ]


def encode_demonstrations(demonstrations: Sequence[Demonstration], encoder: Encoder) -> list[Encoded]:
    """Prompt, answer and end token of each, as SFT sees them."""
    return [encoder.encode(shown.prompt, shown.completion) for shown in demonstrations]
