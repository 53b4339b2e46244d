"""How long judgements take, and how many each rater gives a day."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from feedback_ui.service.current import Said


@dataclass(frozen=True)
class Times:
    """Active seconds for a judgement: the middle one, and those that a tenth stays below and above.

    `num` judgements have a known time.
    """

    num: int
    p10_s: float
    median_s: float
    p90_s: float


@dataclass(frozen=True)
class Pace:
    """`times` of all judgements, None where no time is known; the same by rater; counts by day and rater.

    Raters are those of `names`; days are ISO dates in UTC, in order, without the days on which nothing was
    judged.
    """

    times: Times | None
    by_rater: Mapping[str, Times]
    by_day: Mapping[str, Mapping[str, int]]


def pace(judged: Sequence[Said], names: Mapping[str, str]) -> Pace:
    """Of judgements that count; `names` has a name for each pseudonym."""
    seconds: dict[str, list[float]] = {}
    days: dict[str, Counter[str]] = {}
    for one in judged:
        rater = names[one.rater]
        if one.active_s is not None:
            seconds.setdefault(rater, []).append(one.active_s)
        days.setdefault(one.created.date().isoformat(), Counter())[rater] += 1
    return Pace(
        times=_times([value for own in seconds.values() for value in own]),
        by_rater={rater: found for rater in sorted(seconds) if (found := _times(seconds[rater]))},
        by_day={day: dict(sorted(days[day].items())) for day in sorted(days)},
    )


def _times(seconds: Sequence[float]) -> Times | None:
    if not seconds:
        return None
    p10_s, median_s, p90_s = (float(bound) for bound in np.quantile(seconds, [0.1, 0.5, 0.9]))
    return Times(len(seconds), p10_s, median_s, p90_s)
