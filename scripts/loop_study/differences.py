"""Arms held against each other, seed by seed, and what is promised of them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from scipy.stats import t

from rlhf.algos.statistics import Interval
from scripts.loop_study.arms import BASE, ONCE
from scripts.loop_study.cells import Cell
from scripts.loop_study.labels import LabelCell

WANTED_RATIO, WANTED_DIFFERENCE = 1.4, 0.15
PROMISED_SEEDS = 5


@dataclass(frozen=True)
class Difference:
    """What an arm's gold is above another's with the same seeds, in deviations; `ratio` is of the means."""

    arm: str
    over: str
    seeds: int
    difference: Interval
    ratio: float


def of_seeds(values: Sequence[float], level: float = 0.95) -> Interval:
    """Mean over seeds and Student's interval; of one seed nothing is known beyond the value."""
    centre = mean(values)
    if len(values) < 2:
        return Interval(centre, -math.inf, math.inf)
    half = float(t.ppf(0.5 + level / 2, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return Interval(centre, centre - half, centre + half)


def difference(cells: Sequence[Cell], arm: str, over: str) -> Difference | None:
    """By the seeds that both have; None where there is none."""
    golds = {(one.arm, one.seed): one.gold for one in cells}
    seeds = sorted({one.seed for one in cells if {(arm, one.seed), (over, one.seed)} <= golds.keys()})
    if not seeds:
        return None
    mine, other = ([golds[name, seed] for seed in seeds] for name in (arm, over))
    gaps = [one - two for one, two in zip(mine, other, strict=True)]
    ratio = mean(mine) / mean(other) if mean(other) > 0 else math.inf
    return Difference(arm, over, len(seeds), of_seeds(gaps), ratio)


def label_gap(cells: Sequence[LabelCell], error: float, one: str, other: str) -> Interval | None:
    """How much more accurate reward models are by one way to spend judgements than by another."""
    found = {(f"{cell.raters} {cell.aggregate}", cell.seed): cell for cell in cells if cell.error == error}
    seeds = sorted({cell.seed for cell in cells if {(one, cell.seed), (other, cell.seed)} <= found.keys()})
    gaps = [found[one, seed].accuracy - found[other, seed].accuracy for seed in seeds]
    return of_seeds(gaps) if gaps else None


def shortfalls(cells: Sequence[Cell]) -> Iterator[str]:
    """What is promised of rounds against one shot, of five seeds; a line for each that is not kept."""
    found = difference(cells, BASE, ONCE)
    if found is None or found.seeds < PROMISED_SEEDS:
        return
    what = f"{BASE} over {ONCE}, {found.seeds} seeds"
    if found.ratio < WANTED_RATIO:
        yield f"{what}: {found.ratio:.2f} times the gold, promised are {WANTED_RATIO:g}"
    if found.difference.estimate < WANTED_DIFFERENCE:
        yield f"{what}: {found.difference.estimate:.3f} deviations, promised are {WANTED_DIFFERENCE:g}"
    if found.difference.low <= 0:
        yield f"{what}: the interval begins at {found.difference.low:.3f}"
