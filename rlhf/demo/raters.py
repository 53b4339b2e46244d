"""Simulated raters: they prefer what gold prefers, err as people do, and have a slight liking for length.

A rater picks the first of two answers with probability

    sigmoid(gain * (gold difference) + length_liking * (length difference in units, at most LENGTH_CAP))

so near ties are often mistaken, and a longer answer gets something for nothing: a reward model that learns
from such labels can be hacked by length, as real ones can. The constants are set so that about 78 % of the
labels that `world.preferences` makes agree with gold.
"""

from dataclasses import dataclass
from math import tanh
from random import Random

from rlhf.config.world import RaterConfig
from rlhf.demo.wording import units

LENGTH_CAP = 20
_DEFAULT = RaterConfig()


@dataclass(frozen=True)
class Rater:
    """`gain` in nats for each point of gold, `length_liking` in nats for each word or Chinese character."""

    gain: float = _DEFAULT.gain
    length_liking: float = _DEFAULT.length_liking

    def probability(self, gold_difference: float, length_difference: int) -> float:
        """How probably the first answer is picked; differences are first minus second."""
        capped = max(-LENGTH_CAP, min(LENGTH_CAP, length_difference))
        utility = self.gain * gold_difference + self.length_liking * capped
        return 0.5 * (1.0 + tanh(utility / 2))  # the sigmoid, without overflow

    def prefers_first(self, first: str, second: str, gold_difference: float, rng: Random) -> bool:
        """One judgement."""
        length_difference = len(units(first)) - len(units(second))
        return rng.random() < self.probability(gold_difference, length_difference)
