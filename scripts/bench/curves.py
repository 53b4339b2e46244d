"""Learning curves of two trainers on one task: score against episodes, a line a seed and the mean."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from scripts.bench.contenders import BATCH_SIZE, SAYS

COLOURS = ("#c2571a", "#1f5f99")
LAST = 4  # the last quarter of the iterations is what a curve has reached


@dataclass(frozen=True)
class Comparison:
    """What the curves reach, mean over seeds of their last quarter, and how sure the difference is."""

    reached: Mapping[str, float]
    difference: float  # second minus first
    standard_error: float

    @property
    def below(self) -> bool:
        """Whether the second is below the first by more than two standard errors."""
        return self.difference < -2.0 * self.standard_error


def compare(curves: Mapping[str, Sequence[Sequence[float]]]) -> Comparison:
    """Two contenders' curves, a list of scores for each seed; at least two seeds of equal length."""
    ends = {
        name: [mean(curve[-max(1, len(curve) // LAST) :]) for curve in mine] for name, mine in curves.items()
    }
    first, second = ends.values()
    error = math.sqrt(stdev(first) ** 2 / len(first) + stdev(second) ** 2 / len(second))
    return Comparison({name: mean(found) for name, found in ends.items()}, mean(second) - mean(first), error)


def draw(curves: Mapping[str, Sequence[Sequence[float]]], path: Path) -> None:
    """The picture, as SVG."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "bench"  # the same picture for the same curves
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.0, 4.0))
    for colour, (name, mine) in zip(COLOURS, curves.items(), strict=True):
        episodes = [BATCH_SIZE * (number + 1) for number in range(len(mine[0]))]
        for curve in mine:
            axes.plot(episodes, curve, color=colour, alpha=0.25, linewidth=1)
        middle = [mean(scores) for scores in zip(*mine, strict=True)]
        axes.plot(
            episodes, middle, color=colour, linewidth=2, label=f"{SAYS[name]}, mean of {len(mine)} seeds"
        )
    axes.set_xlabel("episodes")
    axes.set_ylabel("score of the reward model")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
