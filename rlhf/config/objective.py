"""Reward, KL and rollout: what PPO maximises, and on what samples."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from rlhf.config.base import Count, NonNegative, Positive, Section


class ModelReward(Section):
    """The score of the reward model."""

    kind: Literal["model"] = "model"


class CustomReward(Section):
    """A plain function `f(prompt, response, **row) -> float`."""

    kind: Literal["custom"] = "custom"
    path: str = Field(description="package.module:function, or file.py:function")

    @field_validator("path")
    @classmethod
    def _names_a_function(cls, path: str) -> str:
        if path.rpartition(":")[0] and path.rpartition(":")[2].isidentifier():
            return path
        raise ValueError("must read package.module:function or file.py:function")


class WantedPattern(Section):
    """A regular expression and what it is worth to find it."""

    pattern: str
    score: float = 1.0


class RulesReward(Section):
    """A sum of simple rules on the text of the response."""

    kind: Literal["rules"] = "rules"
    per_word: float = Field(default=0.0, description="for each word (Chinese: character) of the response")
    target_words: Count | None = Field(default=None, description="the length at which nothing is taken off")
    off_target: NonNegative = Field(
        default=0.05, description="taken off for each word away from target_words"
    )
    repetition: NonNegative = Field(
        default=0.0, description="taken off, times the share of repeated word triples"
    )
    wanted: dict[str, WantedPattern] = Field(
        default={}, description="by a name of yours: {pattern: regular expression, score: when it is found}"
    )


class WeightedPart(Section):
    """One term of a weighted sum."""

    weight: float = 1.0
    reward: Annotated[ModelReward | CustomReward | RulesReward, Field(discriminator="kind")]


class WeightedReward(Section):
    """A weighted sum of named rewards."""

    kind: Literal["weighted"] = "weighted"
    parts: dict[str, WeightedPart] = Field(min_length=1)


Reward = Annotated[ModelReward | CustomReward | RulesReward | WeightedReward, Field(discriminator="kind")]


class KlConfig(Section):
    """What it costs the policy to move away from the reference."""

    kind: Literal["fixed", "adaptive"] = "fixed"
    coef: NonNegative = Field(default=0.05, description="beta, in score per nat; where adaptive starts")
    target: Positive = Field(default=6.0, description="nats a response that adaptive steers to")
    horizon: Count = Field(default=10000, description="episodes over which adaptive corrects a full error")
    budget: Positive = Field(default=25.0, description="nats within which the best checkpoint is looked for")


class RolloutConfig(Section):
    """How responses are sampled."""

    kind: Literal["hf"] = "hf"
    batch_size: Count = Field(default=128, description="sequences decoded together")
    top_k: int = Field(default=0, ge=0, description="0: off")
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = Field(default=1.0, description="1: off")
