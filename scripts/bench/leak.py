"""Whether memory or time grow over many iterations: a line through them, and its slope with an interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scipy import stats

from scripts.bench.jobs import Report

HOUR_S = 3600.0


@dataclass(frozen=True)
class Growth:
    """Share of the mean that a figure grows by in an hour's worth of iterations, with a 95 % interval."""

    share: float
    low: float
    high: float
    mean: float


def growth(values: Sequence[float], iteration_s: float) -> Growth:
    """Least squares of values on the number of the iteration; `iteration_s` is an iteration's time.

    Raises:
        ValueError: fewer than three values have no interval.
    """
    if len(values) < 3:
        raise ValueError(f"{len(values)} iterations are too few for a slope; three at least")
    line: Any = stats.linregress(range(len(values)), values)
    mean = math.fsum(values) / len(values)
    scale = HOUR_S / iteration_s / mean
    margin = float(stats.t.ppf(0.975, len(values) - 2)) * float(line.stderr)
    slope = float(line.slope)
    return Growth(slope * scale, (slope - margin) * scale, (slope + margin) * scale, mean)


def growths(report: Report) -> dict[str, Growth]:
    """Of resident memory, and of the time that a response token takes (lengths vary, work follows them)."""
    laps = [sum(lap.values()) for lap in report.seconds[report.warmup :]]
    tokens = [sum(r for _, r in rows) for rows in report.episodes[report.warmup :]]
    iteration_s = math.fsum(laps) / len(laps)
    return {
        "memory, bytes": growth([float(held) for held in report.rss[report.warmup :]], iteration_s),
        "time, s a token": growth([s / n for s, n in zip(laps, tokens, strict=True)], iteration_s),
    }
