"""From values to places: axes with round ticks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """Maps values between `low` and `high` to pixels between `start` and `end`, evenly or by logarithm."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = (math.log(v) if self.logarithmic else v for v in (self.low, self.high, value))
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self, about: int = 4) -> list[float]:
        """Round numbers within an even axis, at most two more than asked for."""
        raw = (self.high - self.low) / about
        power = 10 ** math.floor(math.log10(raw))
        step = next(power * times for times in (1, 2, 2.5, 5, 10) if power * times >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def spanning(values: Sequence[float], start: float, end: float, air: float = 0.06) -> Axis:
    """An axis that holds all values with some air; a constant stands in the middle."""
    low, high = min(values), max(values)
    room = air * (high - low) or 0.1 * abs(high) or 0.5
    return Axis(low - room, high + room, start, end)
