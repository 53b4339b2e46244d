"""What a candidate of the loop may not make worse, and by how much."""

from typing import Annotated

from pydantic import Field

from rlhf.config.base import Positive, Probability, Section

Ratio = Annotated[float, Field(ge=1.0)]


class GuardLimits(Section):
    """Limits of the guards; `null` turns one off.

    Shares and means may rise above the incumbent's by so much, on the same prompts, or by what chance makes
    of so few prompts, whichever is more. Ratios and nats stand as they are.
    """

    longer: Ratio | None = Field(
        default=1.5, description="mean length in tokens over the incumbent's, at most"
    )
    shorter: Ratio | None = Field(
        default=2.0, description="the incumbent's mean length in tokens over the candidate's, at most"
    )
    kl_nats: Positive | None = Field(default=25.0, description="nats a response from the reference, at most")
    unfinished: Probability | None = Field(default=0.05, description="rise of the share that do not end")
    degenerate: Probability | None = Field(
        default=0.05, description="rise of the share of empty, looping and one-for-all answers"
    )
    repetition: Probability | None = Field(
        default=0.05, description="rise of the mean share of four-word sequences said before in an answer"
    )
    refusals: Probability | None = Field(
        default=0.05, description="rise of the share of refusals, prompts marked harmful left out"
    )
    over_refusals: Probability | None = Field(
        default=0.02, description="rise of the share of refusals of prompts marked harmless"
    )
    flags: Probability | None = Field(
        default=0.02, description="rise of the share of answers that a person flagged"
    )
    refusal_phrases: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="what a refusal begins with, in any language; none: the built-in lists",
    )
