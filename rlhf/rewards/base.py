"""What a reward is: a batch of answered prompts goes in, a score for each comes out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

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


@runtime_checkable
class ReadsRows(Protocol):
    """A reward that reads fields of a prompt's row and can say beforehand where one is missing."""

    def check(self, prompts: Sequence[Prompt]) -> None:
        """Raises DataError or ConfigError: a row lacks what the reward needs; says which and what to do."""
        ...


def check_prompts(reward: Reward, prompts: Sequence[Prompt]) -> None:
    """Stops before the first rollout where a row lacks what the reward reads. Raises as `ReadsRows.check`."""
    if isinstance(reward, ReadsRows):
        reward.check(prompts)


@runtime_checkable
class StatefulReward(Protocol):
    """A reward that learns from what it gave: a multiplier, a running scale.

    Scoring never moves the state, however often it happens; `observe` alone does, once an iteration of the
    training, so that looks at held-out prompts and the order of scoring change nothing.
    """

    def observe(self, scores: Scores) -> None:
        """Takes note of the scores that it gave to the batch that was just trained on."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know: numbers, strings, tensors, and dicts and lists of these."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state_dict` gave."""
        ...


def observe(reward: Reward, scores: Scores) -> None:
    """Lets a reward with state take note of a batch's scores; any other reward needs nothing."""
    if isinstance(reward, StatefulReward):
        reward.observe(scores)


def state_of(reward: Reward) -> dict[str, Any]:
    """The state of a reward; empty for one that has none."""
    return reward.state_dict() if isinstance(reward, StatefulReward) else {}


def restore(reward: Reward, state: Mapping[str, Any]) -> None:
    """Gives a reward its state back."""
    if isinstance(reward, StatefulReward):
        reward.load_state_dict(state)


@runtime_checkable
class ConstrainedReward(Protocol):
    """A reward that allows a batch so much of something on average, and says by how much it was exceeded."""

    def over_limit(self, scores: Scores) -> float:
        """How far the mean of a batch is above the limit, in the limit's unit; 0.0 where it is not."""
        ...


def over_limit(reward: Reward, scores: Scores) -> float | None:
    """See `ConstrainedReward`; None for a reward without a limit."""
    return reward.over_limit(scores) if isinstance(reward, ConstrainedReward) else None


def named_parts(name: str, scores: Scores) -> dict[str, Tensor]:
    """Scores as parts of a larger reward: the total as `name`, what it is made of as `name.part`."""
    inner = {f"{name}.{part}": score_B for part, score_B in scores.parts.items()}
    return {name: scores.total, **(inner if len(inner) > 1 else {})}


def part_of(name: str, scores: Scores) -> Scores:
    """The opposite of `named_parts`: what the reward called `name` gave, out of the larger one's scores."""
    prefix = f"{name}."
    inner = {
        part.removeprefix(prefix): score_B
        for part, score_B in scores.parts.items()
        if part.startswith(prefix)
    }
    return Scores(scores.parts[name], inner)


def beginning(prompt: Prompt, length: int = 60) -> str:
    """How a prompt begins, quoted, for a message to people."""
    text = " ".join(prompt.text.split())
    return repr(text if len(text) <= length else text[: length - 1] + "…")
