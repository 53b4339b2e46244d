"""What every section of the configuration shares."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Auto = Literal["auto"]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]
NonNegative = Annotated[float, Field(ge=0.0)]
Tracker = Literal["tensorboard", "wandb", "trackio", "mlflow"]


class Section(BaseModel):
    """A part of the configuration: frozen, and nothing unknown in it."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


def divisors_near(number: int, wanted: int) -> str:
    """The two divisors of `number` that lie nearest to `wanted`, to suggest in an error."""
    divisors = [d for d in range(1, number + 1) if number % d == 0]
    nearest = sorted(sorted(divisors, key=lambda d: abs(d - wanted))[:2])
    return " or ".join(str(d) for d in nearest)
