"""How often a candidate of a stated win rate is promoted: exactly, by what `decide` says of each count."""

from functools import cache

import numpy as np
from scipy.stats import binom

from rlhf.online.promotion import decide


def promoted_share(prompts: int, win_rate: float, ties: float) -> float:
    """The probability that the candidate is promoted; one judgement a prompt, no guard.

    A prompt is a tie with the probability `ties`; else it is won with the probability that makes the win
    rate, ties half, what is asked for.

    Raises ValueError where no such probability exists.
    """
    won = 0.5 + (win_rate - 0.5) / (1.0 - ties) if ties < 1 else 0.5
    if not 0 <= won <= 1:
        raise ValueError(f"with ties={ties} the win rate cannot be {win_rate}")
    told_D = np.arange(prompts + 1)
    chance_D = binom.pmf(told_D, prompts, 1.0 - ties)
    likely = chance_D > 1e-12
    promoted_D = np.array([binom.sf(least_wins(int(told)) - 1, told, won) for told in told_D[likely]])
    return float(chance_D[likely] @ promoted_D)


@cache
def least_wins(told: int) -> int:
    """How many of `told` prompts that are no ties must be won; told + 1 where even all are too few."""
    low, high = 0, told + 1
    while low < high:
        middle = (low + high) // 2
        if middle <= told and not decide([1.0] * middle + [0.0] * (told - middle) or [0.5], {}).promoted:
            low = middle + 1
        else:
            high = middle
    return low
