"""Is the candidate better than the incumbent? An exact test of the win rate, and guards."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, gammaln

from rlhf.online.guards import broken_words
from rlhf.runs.loop_record import Guard

LEVEL = 0.025  # one-sided: an equal candidate is promoted at most this often
GRID = 1680  # outcomes are counted in 1680ths: means of up to eight judgements with ties are exact

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class WinRate:
    """The share of prompts that the candidate wins, ties half, and its bounds, each at `level`.

    `wins`, `ties` and `losses` count prompts; one with several judgements goes by their mean.
    """

    estimate: float
    low: float
    high: float
    prompts: int
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class Decision:
    """Whether a candidate is promoted, and why, in English and Chinese."""

    promoted: bool
    win_rate: WinRate
    guards: Mapping[str, Guard]
    why: str
    why_zh: str


def decide(
    outcomes_N: Sequence[float],
    guards: Mapping[str, Guard],
    *,
    prompts: Sequence[str] | None = None,
    level: float = LEVEL,
) -> Decision:
    """Promotes where the lower bound of the win rate is above 0.5 and no guard is broken.

    `outcomes_N` and `prompts` are as in `win_rate`, `guards` as `guards.measure` gives them.

    Raises ValueError as `win_rate` does.
    """
    rate = win_rate(outcomes_N, prompts=prompts, level=level)
    broken = {name: guard for name, guard in guards.items() if not guard.ok}
    better = rate.low > 0.5
    why, why_zh = _reasons(rate, broken, level)
    return Decision(better and not broken, rate, dict(guards), why, why_zh)


def win_rate(
    outcomes_N: Sequence[float], *, prompts: Sequence[str] | None = None, level: float = LEVEL
) -> WinRate:
    """The win rate of outcomes between 0 (the incumbent is better), 0.5 (a tie) and 1.

    What is independent is a prompt: outcomes of one prompt (several raters, several answers), told by equal
    keys in `prompts`, are averaged first. Without keys each outcome is a prompt of its own.

    Test and bounds are exact for any number of prompts, given how far each prompt leans (|outcome - 1/2|),
    leaving open only which way. The chance that prompt i, of lean a_i, goes to the candidate is
    logistic(lambda a_i); at lambda = 0, where the two are equal, all patterns of signs are equally likely, as
    in Fisher's randomisation test. The lower bound is the win rate at the lambda where what was seen or more
    has the probability `level`:

        low = 1/2 + sum_i a_i (2 logistic(lambda a_i) - 1) / N

    Where all leans are equal, as with one judgement a prompt, this is Clopper & Pearson's bound (1934) of the
    share of wins among prompts that are no ties, and the decision the exact sign test. The share of ties is
    taken as it was.

    Raises ValueError where there is no outcome, one is no number in [0, 1], or keys are not as many.
    """
    means_P = _prompt_means(outcomes_N, prompts)
    return WinRate(
        estimate=math.fsum(means_P) / len(means_P),
        low=_lower_bound(means_P, level),
        high=1.0 - _lower_bound(1.0 - means_P, level),
        prompts=len(means_P),
        wins=int((means_P > 0.5).sum()),
        ties=int((means_P == 0.5).sum()),
        losses=int((means_P < 0.5).sum()),
    )


def _prompt_means(outcomes_N: Sequence[float], prompts: Sequence[str] | None) -> Floats:
    wrong = [outcome for outcome in outcomes_N if not 0 <= outcome <= 1]
    if wrong or not len(outcomes_N):
        raise ValueError(
            f"an outcome is {wrong[0]}; 0, 0.5 and 1 are usual, or what lies between"
            if wrong
            else "a win rate needs at least one outcome"
        )
    if prompts is None:
        return np.asarray(outcomes_N, dtype=np.float64)
    by_prompt: dict[str, list[float]] = {}
    for prompt, outcome in zip(prompts, outcomes_N, strict=True):
        by_prompt.setdefault(prompt, []).append(outcome)
    return np.array([math.fsum(values) / len(values) for values in by_prompt.values()])


def _lower_bound(means_P: Floats, level: float) -> float:
    """The bound of `win_rate`; outcomes finer than the grid are rounded down."""
    leans_P = np.floor(means_P * GRID + 1e-6).astype(np.int64) - GRID // 2
    sizes, counts = np.unique(np.abs(leans_P[leans_P != 0]), return_counts=True)
    if not len(sizes):
        return 0.5
    unit = int(np.gcd.reduce(sizes))
    sizes_K, counts_K = sizes // unit, counts.astype(np.int64)
    won = int(leans_P[leans_P > 0].sum()) // unit
    if won == 0:
        return 0.5 - float(sizes_K @ counts_K) * unit / GRID / len(means_P)
    slope = _slope(sizes_K, counts_K, won, level)
    lean = float((counts_K * sizes_K * (2 * expit(slope * sizes_K) - 1)).sum())
    return 0.5 + lean * unit / GRID / len(means_P)


def _slope(sizes_K: Ints, counts_K: Ints, won: int, level: float) -> float:
    """The lambda at which leans that add up to `won` or more have the probability `level`."""
    log_patterns_T = np.zeros(1)
    for size, count in zip(sizes_K.tolist(), counts_K.tolist(), strict=True):
        log_patterns_T = _add(log_patterns_T, size, count)
    totals_T = np.arange(len(log_patterns_T), dtype=np.float64)

    def excess(slope: float) -> float:
        tilted_T = log_patterns_T + slope * totals_T
        return _log_sum(tilted_T[won:]) - _log_sum(tilted_T) - math.log(level)

    low, high = -1.0, 1.0
    while excess(low) > 0:
        low *= 2
    while excess(high) < 0:
        high *= 2
    return cast(float, brentq(excess, low, high, xtol=1e-13))


def _log_sum(logs: Floats) -> float:
    top = float(logs.max())
    return top + math.log(float(np.exp(logs - top).sum()))


def _add(log_patterns_T: Floats, size: int, count: int) -> Floats:
    """Logarithms of the numbers of patterns by their total, with `count` more prompts of one size."""
    result = np.full(len(log_patterns_T) + size * count, -np.inf)
    won_J = np.arange(count + 1)
    ways_J = gammaln(count + 1) - gammaln(won_J + 1) - gammaln(count - won_J + 1)
    if len(log_patterns_T) == 1:
        result[::size] = log_patterns_T[0] + ways_J
        return result
    for won, ways in zip(won_J.tolist(), ways_J.tolist(), strict=True):
        part = result[won * size : won * size + len(log_patterns_T)]
        np.logaddexp(part, log_patterns_T + ways, out=part)
    return result


def _reasons(rate: WinRate, broken: Mapping[str, Guard], level: float) -> tuple[str, str]:
    sure = f"{100 * (1 - level):g}%"
    seen = (
        f"It wins {rate.estimate:.1%} of {rate.prompts} prompts "
        f"({rate.wins} won, {rate.ties} tied, {rate.losses} lost)"
    )
    seen_zh = (
        f"在 {rate.prompts} 个提示上胜率为 {rate.estimate:.1%}"
        f"（胜 {rate.wins}，平 {rate.ties}，负 {rate.losses}）"
    )
    if rate.low > 0.5:
        test = f"{seen}: more than half, for the lower bound at {sure} is {rate.low:.1%}"
        test_zh = f"{seen_zh}：超过一半，{sure}置信下界为 {rate.low:.1%}"
    else:
        test = f"{seen}: that may be chance, for the lower bound at {sure} is {rate.low:.1%}, not above 50%"
        test_zh = f"{seen_zh}：可能出于偶然，{sure}置信下界为 {rate.low:.1%}，未超过 50%"
    if rate.estimate < 0.5:
        test, test_zh = f"{seen}: fewer than half", f"{seen_zh}：不到一半"
    if not broken:
        end, end_zh = ("; no guard is broken", "；各项护栏均未突破") if rate.low > 0.5 else ("", "")
        return f"{test}{end}.", f"{test_zh}{end_zh}。"
    words = [broken_words(name, guard) for name, guard in broken.items()]
    return (
        f"{test}. Guards broken: {'; '.join(one.en for one in words)}.",
        f"{test_zh}。突破护栏：{'；'.join(one.zh for one in words)}。",
    )
