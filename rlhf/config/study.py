"""What `stage=study` is told."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from rlhf.config.base import Auto, Count, Positive, Section

Piece = Literal["dpo", "best-of-n", "reward-curve", "demonstration-curve"]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class StudyStage(Section):
    """What else the same SFT policy, reward model and pairs give, and what more data would bring."""

    kind: Literal["study"] = "study"
    pieces: tuple[Piece, ...] = Field(
        default=("dpo", "best-of-n", "reward-curve", "demonstration-curve"),
        min_length=1,
        description="what is done, in this order",
    )
    fractions: tuple[Share, ...] = Field(
        default=(0.125, 0.25, 0.5),
        min_length=1,
        description="of the data, for both curves; the whole is what the rm and sft runs had",
    )
    dpo_beta: Positive = Field(default=0.1, description="what DPO pays for a nat away from the SFT policy")
    dpo_learning_rate: Positive | Auto = Field(
        default="auto", description="auto: from the number of parameters"
    )
    dpo_epochs: Count = Field(default=1, description="passes over the pairs")
    dpo_batch_size: Count = Field(default=32, description="pairs in an optimiser step")
    best_of: Annotated[int, Field(ge=2)] = Field(
        default=16, description="answers a prompt, of which the best is learnt"
    )
    best_of_prompts: Count = Field(default=1024, description="training prompts that are answered so often")
    num_prompts: Count = Field(
        default=256, description="held-out prompts that the policies of the demonstration curve answer"
    )
    response_length: Count = Field(default=48, description="tokens a response may have")
    temperature: Positive = 0.7
    bootstrap: Count = Field(default=2000, description="resamples of an interval")
    max_steps: Count | None = Field(
        default=None, description="optimiser steps of each training; none: as its epochs, or its run, say"
    )
    max_hours: Positive | None = Field(default=None, description="save and end cleanly after so many hours")
    save_every: Count = Field(default=50, description="steps between saved states")

    @field_validator("fractions")
    @classmethod
    def _rise(cls, fractions: tuple[float, ...]) -> tuple[float, ...]:
        if list(fractions) == sorted(set(fractions)):
            return fractions
        raise ValueError("must rise, each once, as in [0.125,0.25,0.5]")

    @field_validator("pieces")
    @classmethod
    def _once(cls, pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
        if len(set(pieces)) == len(pieces):
            return pieces
        raise ValueError("names a piece twice; name each once")
