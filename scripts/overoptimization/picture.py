"""The picture: gold and learnt reward against d = sqrt(KL), the fits, and what more pairs do."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

import numpy as np

from scripts.overoptimization.measure import Curve, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#1f5f99", "#c2571a", "#2e7d4f", "#7b4fa3", "#8a6d00", "#5a5a5a")
ENSEMBLES = {"model": "one model", "min": "minimum of an ensemble", "mean_minus_std": "its mean − deviation"}


def draw(study: Study, path: Path) -> None:
    """Four panels, as SVG: reward models; best-of-n; PPO on one model; PPO on ensembles beside it."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "overoptimization"  # the same picture for the same figures
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(2, 2, figsize=(10.0, 7.5))
    (learners, best_of_n), (ppo, ensembles) = panels
    _learners(learners, study)
    groups = of_all_seeds(study.curves)
    _panel(
        best_of_n,
        "best-of-n",
        [(mine, ENSEMBLES[mine[0].reward]) for mine in groups if mine[0].form == "best-of-n"],
    )
    alone = [mine for mine in groups if mine[0].form == "rl" and mine[0].reward == "model"]
    _panel(ppo, "PPO on one reward model", [(mine, f"β = {mine[0].beta:g}") for mine in alone])
    shared = {mine[0].beta for mine in groups if mine[0].form == "rl" and mine[0].reward != "model"}
    beside = [mine for mine in groups if mine[0].form == "rl" and mine[0].beta in shared]
    _panel(
        ensembles,
        "PPO on ensembles",
        [(mine, f"{ENSEMBLES[mine[0].reward]}, β = {mine[0].beta:g}") for mine in beside],
    )
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def of_all_seeds(curves: Sequence[Curve]) -> list[list[Curve]]:
    """Curves that differ by the seed alone, together; in the order of the first of each."""
    groups: dict[tuple[str, str, float | None], list[Curve]] = {}
    for curve in curves:
        groups.setdefault((curve.form, curve.reward, curve.beta), []).append(curve)
    return list(groups.values())


def _learners(axes: "Axes", study: Study) -> None:
    sizes = sorted({one.pairs for one in study.learners})
    for one in study.learners:
        axes.plot(one.pairs, one.accuracy, "o", color=COLOURS[0], alpha=0.4, markersize=4)
    means = [mean(one.accuracy for one in study.learners if one.pairs == size) for size in sizes]
    axes.plot(sizes, means, color=COLOURS[0], linewidth=2)
    axes.set_xscale("log")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.set(xlabel="pairs", ylabel="pairs in gold's order", title="reward model")
    axes.grid(alpha=0.3)


def _panel(axes: "Axes", title: str, lines: Sequence[tuple[list[Curve], str]]) -> None:
    """Points of every seed, gold's fit as a line (mean of the seeds' coefficients), learnt reward dashed."""
    for number, (mine, name) in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        for curve in mine:
            d_K = [point.d for point in curve.points]
            axes.plot(d_K, [point.gold for point in curve.points], ".", color=colour, alpha=0.4, markersize=4)
            axes.plot(
                d_K, [point.reward for point in curve.points], "--", color=colour, alpha=0.4, linewidth=1
            )
        reach = np.linspace(0.0, max(point.d for curve in mine for point in curve.points), 200)
        fitted = np.mean([curve.fit(reach) for curve in mine], axis=0)
        axes.plot(reach, fitted, color=colour, linewidth=2, label=name)
    axes.axhline(0.0, color="#999999", linewidth=0.8)
    axes.set(xlabel="d = √KL", ylabel="gain, in deviations", title=f"{title}: gold (line), learnt (dashed)")
    axes.grid(alpha=0.3)
    if lines:
        axes.legend(fontsize=8)
