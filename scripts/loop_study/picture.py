"""The picture: gold by judgements, differences between arms, and what raters who err leave to learn."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

import numpy as np

from scripts.loop_study.arms import ARMS, BASE
from scripts.loop_study.cells import Cell
from scripts.loop_study.differences import difference, of_seeds
from scripts.loop_study.labels import HOW, LabelCell

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#1f5f99", "#c2571a", "#2e7d4f", "#7b4fa3", "#8a6d00", "#5a5a5a")


def draw(cells: Sequence[Cell], labels: Sequence[LabelCell], path: Path) -> None:
    """Three panels, as SVG; one is empty where its cells are not there."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "loop"  # the same picture for the same figures
    from matplotlib import pyplot

    figure, (course, gaps, erring) = pyplot.subplots(1, 3, figsize=(13.0, 4.2))
    _course(course, cells)
    _gaps(gaps, cells)
    _erring(erring, labels)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _course(axes: "Axes", cells: Sequence[Cell]) -> None:
    """Candidates' gold by judgements: a thin line a seed, a thick one their mean."""
    for number, name in enumerate(dict.fromkeys(one.arm for one in cells)):
        mine = [one for one in cells if one.arm == name]
        colour = COLOURS[number % len(COLOURS)]
        lines = [([r.judgements for r in one.rounds], [r.candidate for r in one.rounds]) for one in mine]
        for asked, gold in lines:
            axes.plot(asked, gold, "o-", color=colour, alpha=0.25, markersize=3, linewidth=0.8)
        longest = max(len(asked) for asked, _ in lines)
        whole = [line for line in lines if len(line[0]) == longest]
        middle = [
            [mean(values) for values in zip(*(line[part] for line in whole), strict=True)] for part in (0, 1)
        ]
        axes.plot(*middle, "o-", color=colour, linewidth=2, label=name)
    axes.axhline(0.0, color="#999999", linewidth=0.8)
    axes.set(xlabel="judgements", ylabel="gold, in deviations", title="candidates, round by round")
    axes.grid(alpha=0.3)
    if cells:
        axes.legend(fontsize=8)


def _gaps(axes: "Axes", cells: Sequence[Cell]) -> None:
    """Every arm's gold over the base's, with its interval."""
    names = dict.fromkeys(arm.name for part in ARMS.values() for arm in part if arm.name != BASE)
    found = [gap for name in names if (gap := difference(cells, name, BASE))]
    for place, gap in enumerate(found):
        own = gap.difference
        if np.isfinite(own.high):
            axes.plot([own.low, own.high], [place, place], color=COLOURS[0], linewidth=2)
        axes.plot(own.estimate, place, "o", color=COLOURS[0])
    axes.axvline(0.0, color="#999999", linewidth=0.8)
    axes.set_yticks(range(len(found)), [gap.arm for gap in found])
    axes.set(xlabel=f"gold over “{BASE}”, in deviations", title="arms, 95 % over seeds")
    axes.grid(alpha=0.3)


def _erring(axes: "Axes", labels: Sequence[LabelCell]) -> None:
    """Accuracy of reward models by the raters' mean error."""
    errors = sorted({one.error for one in labels})
    for number, (raters, aggregate) in enumerate(HOW):
        points = [
            of_seeds([one.accuracy for one in mine])
            for error in errors
            if (mine := [c for c in labels if (c.error, c.raters, c.aggregate) == (error, raters, aggregate)])
        ]
        if len(points) == len(errors) and points:
            half = [point.high - point.estimate if np.isfinite(point.high) else 0.0 for point in points]
            axes.errorbar(
                errors,
                [point.estimate for point in points],
                half,
                color=COLOURS[number],
                marker="o",
                label=f"{raters} a pair, {aggregate.replace('_', '–')}",
            )
    axes.set(xlabel="mean error of a rater", ylabel="accuracy", title="reward model by raters who err")
    axes.grid(alpha=0.3)
    if labels:
        axes.legend(fontsize=8)
