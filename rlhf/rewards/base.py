"""What a reward is: a batch of answered prompts goes in, a score for each comes out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from rlhf.records import Prompt


@dataclass(frozen=True)
class Scored:
    """One answered prompt, as text and as the tokens that were sampled.

    `response_ids` holds the end token where the policy gave one (`finish` is "eos"), and lacks it where the
    response ran to the limit ("length").
    """

    prompt: Prompt
    response: str
    prompt_ids: tuple[int, ...]
    response_ids: tuple[int, ...]
    finish: str


@dataclass(frozen=True)
class Scores:
    """Scores of a batch of B: `total` [B], float32 on the CPU, and what it is made of by name, [B] each."""

    total: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict[str, Tensor])


class Reward(Protocol):
    """Scores a batch; the score of a row depends on that row alone."""

    def __call__(self, batch: Sequence[Scored]) -> Scores:
        """Scores in the order of the batch. An empty batch gives empty tensors."""
        ...
