"""What an expert asks of a win rate: is it length, the grader, noise, memory; what did it forget and cost?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from rlhf.algos.statistics import Interval
from rlhf.evaluation.panel import Marks
from rlhf.evaluation.win_rate import Comparison, compare, outcomes


@dataclass(frozen=True)
class Draws:
    """How intervals are drawn."""

    seed: int
    resamples: int

    @property
    def named(self) -> Mapping[str, int]:
        """As `compare` and its like take them."""
        return {"seed": self.seed, "resamples": self.resamples}


@dataclass(frozen=True)
class SameLength:
    """The prompts on which both answers have the same number of tokens."""

    prompts: int
    win_rate: Interval


@dataclass(frozen=True)
class Length:
    """Is it length? Win rates by one judge: plain, at equal length by a fit, and where lengths are equal."""

    judge: str
    win_rate: Interval
    length_controlled: Interval
    same_length: SameLength | None
    policy_tokens: float
    baseline_tokens: float


@dataclass(frozen=True)
class OwnGrader:
    """Is it the reward model grading itself? Win rates by what was trained on, and by the others."""

    reward: Interval | None
    judge: Interval | None
    gold: Interval | None


@dataclass(frozen=True)
class Noise:
    """Is it noise? `itself` is the baseline against itself with other random numbers."""

    judge: str
    win_rate: Interval
    itself: Interval
    p_value: float


@dataclass(frozen=True)
class Memory:
    """Is it memory? Prompts that PPO trained on against held-out ones; `difference` is of the win rates."""

    judge: str
    seen: Comparison
    held_out: Comparison
    difference: Interval


@dataclass(frozen=True)
class Worse:
    """A group of prompts in which the score fell."""

    field: str
    value: str
    difference: Interval


@dataclass(frozen=True)
class Forgetting:
    """Did it forget? Losses in nats a token on held-out demonstrations, and the groups that got worse.

    The losses are None where there are no demonstrations; `by` says whose they are where that is known.
    """

    policy_loss: Interval | None
    baseline_loss: Interval | None
    demonstrations: int
    by: str | None
    worse: tuple[Worse, ...]


@dataclass(frozen=True)
class Cost:
    """What did it cost? `gain` is the rise of the mean score by the first judge."""

    kl_nats: Interval
    per_token: float
    gain: Interval | None
    gain_per_sqrt_nat: float | None


@dataclass(frozen=True)
class Doubts:
    """The six, each None where it cannot be answered."""

    length: Length | None
    own_grader: OwnGrader | None
    noise: Noise | None
    memory: Memory | None
    forgetting: Forgetting | None
    cost: Cost | None


def sign_test(wins: int, losses: int) -> float:
    """The two-sided probability of so uneven a split if both sides were equally likely; ties do not count."""
    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def length_doubt(
    judge: str,
    overall: Comparison,
    controlled: Interval,
    marks: tuple[Marks, Marks],
    tokens: tuple[Sequence[int], Sequence[int]],
    draws: Draws,
) -> Length:
    """`marks` and `tokens` are the policy's and the baseline's, prompt by prompt."""
    same = [place for place, (mine, other) in enumerate(zip(*tokens, strict=True)) if mine == other]
    equal = compare(marks[0].at(same).total, marks[1].at(same).total, **draws.named) if same else None
    return Length(
        judge=judge,
        win_rate=overall.win_rate,
        length_controlled=controlled,
        same_length=SameLength(len(same), equal.win_rate) if equal else None,
        policy_tokens=sum(tokens[0]) / len(tokens[0]),
        baseline_tokens=sum(tokens[1]) / len(tokens[1]),
    )


def noise_doubt(judge: str, overall: Comparison, itself: tuple[Marks, Marks], draws: Draws) -> Noise:
    """`itself` are the marks of two sets of the baseline's own answers."""
    even = compare(itself[0].total, itself[1].total, **draws.named)
    return Noise(judge, overall.win_rate, even.win_rate, sign_test(overall.wins, overall.losses))


def memory_doubt(
    judge: str, seen: tuple[Marks, Marks], held_out: tuple[Marks, Marks], draws: Draws
) -> Memory:
    """Marks of policy and baseline on prompts of the training and on held-out ones."""
    rates = [outcomes(mine.total, other.total) for mine, other in (seen, held_out)]
    return Memory(
        judge,
        compare(seen[0].total, seen[1].total, **draws.named),
        compare(held_out[0].total, held_out[1].total, **draws.named),
        difference_of_means(rates[0], rates[1], draws),
    )


def cost_doubt(kl: Interval, tokens: Sequence[int], gain: Interval | None) -> Cost:
    """The distance in nats a response and a token, and what a nat bought.

    Gao et al. 2023 find that what is gained grows with the root of the distance at first.
    """
    mean_tokens = sum(tokens) / len(tokens)
    rooted = gain.estimate / math.sqrt(kl.estimate) if gain and kl.estimate > 0 else None
    return Cost(kl, kl.estimate / mean_tokens if mean_tokens else 0.0, gain, rooted)


def worse_groups(groups: Mapping[str, Mapping[str, Comparison]]) -> tuple[Worse, ...]:
    """The groups whose mean score fell with confidence: the whole interval is below 0."""
    return tuple(
        Worse(field, value, comparison.difference)
        for field, by_value in groups.items()
        for value, comparison in by_value.items()
        if comparison.difference.high < 0
    )


def difference_of_means(x: Sequence[float], y: Sequence[float], draws: Draws) -> Interval:
    """mean(x) - mean(y) of two independent samples, with a percentile bootstrap of both."""
    rng = np.random.default_rng(draws.seed)
    means = [
        np.array([values[rng.integers(values.size, size=values.size)].mean() for _ in range(draws.resamples)])
        for values in (np.asarray(x, np.float64), np.asarray(y, np.float64))
    ]
    low, high = np.quantile(means[0] - means[1], [0.025, 0.975])
    return Interval(float(np.mean(x) - np.mean(y)), float(low), float(high))


def ratio_interval(tops: Sequence[float], bottoms: Sequence[float], draws: Draws) -> Interval:
    """sum(tops) / sum(bottoms), such as a loss a token over texts, with a bootstrap over the texts."""
    top, bottom = np.asarray(tops, np.float64), np.asarray(bottoms, np.float64)
    rng = np.random.default_rng(draws.seed)
    ratios: list[float] = []
    for _ in range(draws.resamples):
        drawn = rng.integers(top.size, size=top.size)
        ratios.append(float(top[drawn].sum() / bottom[drawn].sum()))
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Interval(float(top.sum() / bottom.sum()), float(low), float(high))
