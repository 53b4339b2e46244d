"""The embedded world: what its gold rater values, and how its simulated raters judge."""

from pydantic import Field, model_validator

from rlhf.config.base import NonNegative, Positive, Section

_TOLERANCE = 1e-6


class GoldWeights(Section):
    """What each part of an answer is worth to the gold rater; they sum to 1."""

    right: NonNegative = Field(default=0.5, description="it is the right answer")
    kept: NonNegative = Field(default=0.15, description="it has the form asked for")
    courteous: NonNegative = Field(default=0.15, description="it is courteous exactly once")
    brief: NonNegative = Field(default=0.1, description="it is no longer than it has to be")
    fresh: NonNegative = Field(default=0.1, description="it repeats nothing")

    @model_validator(mode="after")
    def _sum_to_one(self) -> "GoldWeights":
        weights = self.model_dump()
        total = sum(weights.values())
        if abs(total - 1.0) > _TOLERANCE:
            said = ", ".join(f"{name}={value:g}" for name, value in weights.items())
            raise ValueError(
                f"right: the weights ({said}) sum to {total:g}, not to 1; change another as well"
            )
        return self


class RaterConfig(Section):
    """How the simulated raters judge two answers."""

    gain: Positive = Field(
        default=4.0, description="nats for each point of gold: the higher, the fewer errors"
    )
    length_liking: float = Field(default=0.03, description="nats for each word that an answer is longer")


class WorldConfig(Section):
    """The embedded world."""

    gold: GoldWeights = GoldWeights()
    rater: RaterConfig = RaterConfig()
