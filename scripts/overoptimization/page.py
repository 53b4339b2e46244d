"""What was found, as Markdown and JSON: a table of reward models, one of curves, one of policies picked."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from scripts.bench.page import setting_lines
from scripts.measuring.setting import Setting
from scripts.overoptimization.measure import RULE_N, Curve, Study
from scripts.overoptimization.picture import draw, of_all_seeds

NAME = "overoptimization"
REWARD_NAMES = {
    "model": "one model",
    "min": "ensemble, minimum",
    "mean_minus_std": "ensemble, mean − deviation",
}


def write_down(folder: Path, setting: Setting, command: str, study: Study) -> None:
    """overoptimization.json for programs, .svg and .md for people."""
    folder.mkdir(parents=True, exist_ok=True)
    part = {"setting": asdict(setting), "versions": setting.packages, "command": command}
    record = {"part": NAME, **part, **asdict(study)}
    (folder / f"{NAME}.json").write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    draw(study, folder / f"{NAME}.svg")
    page = [
        "# Measured: over-optimisation",
        "",
        "`make overoptimization` repeats it.",
        "",
        *setting_lines(part),
        "",
        "Prompts of 8 topics, answers of 16 out of 32 symbols, a model of 0.1M parameters. Gold labels pairs "
        "of the SFT policy's answers without error. The reward models of PPO learn from `--policy-pairs` of "
        "them, the one that picks a checkpoint from as many others. Best-of-n is the unbiased estimate from "
        "a pool of answers, at log n − (n − 1)/n nats; a PPO run gives a point at each of its looks.",
        "",
        "Gold and learnt reward are gains over the SFT policy, in deviations of its answers; KL in nats, "
        "d = √KL. Mean over seeds, with the least and greatest where they differ.",
        "",
        f"![Gold and learnt reward against the distance from the reference]({NAME}.svg)",
        "",
        *tables(study),
    ]
    (folder / f"{NAME}.md").write_text("\n".join(page) + "\n", "utf-8")


def tables(study: Study) -> list[str]:
    """The three tables in Markdown."""
    return [
        "## Reward models",
        "",
        f"Share of pairs of unseen answers in gold's order, and what best-of-{RULE_N} by each comes to.",
        "",
        *_table(("pairs", "accuracy", f"gold of best-of-{RULE_N}"), _learner_rows(study)),
        "",
        "## Curves",
        "",
        "Gold is fitted by d (α − β d) for best-of-n, by d (α − β log d) for PPO; this β is the fit's, that "
        "of PPO's name the KL coefficient. R² is the least of the seeds.",
        "",
        *_table(
            ("", "gold at its peak", "KL there", "gold at the end", "learnt reward", "KL", "α", "β", "R²"),
            _curve_rows(study),
        ),
        "",
        "## The policy that the rule picks",
        "",
        "The checkpoint that is best by the validation model less the price of its KL (`kl.price`), among "
        "the looks of all PPO runs on one model; "
        f"gold of fresh answers to the prompts of best-of-{RULE_N}.",
        "",
        *_table(
            ("seed", "kl.coef", "iteration", "KL", "gold", f"gold of best-of-{RULE_N}"), _picked_rows(study)
        ),
    ]


def curve_name(curve: Curve) -> str:
    """What a row of the table and a line of the picture is called."""
    how = "best-of-n" if curve.beta is None else f"PPO, β {curve.beta:g}"
    return f"{how}, {REWARD_NAMES[curve.reward]}"


def _learner_rows(study: Study) -> Iterator[tuple[str, ...]]:
    for pairs in dict.fromkeys(one.pairs for one in study.learners):
        mine = [one for one in study.learners if one.pairs == pairs]
        yield (
            str(pairs),
            _spread([one.accuracy for one in mine]),
            _spread([one.best_of_16 for one in mine]),
        )


def _curve_rows(study: Study) -> Iterator[tuple[str, ...]]:
    for mine in of_all_seeds(study.curves):
        peaks = [max(curve.points, key=lambda point: point.gold) for curve in mine]
        ends = [curve.points[-1] for curve in mine]
        yield (
            curve_name(mine[0]),
            _spread([point.gold for point in peaks]),
            _spread([point.kl_nats for point in peaks]),
            _spread([point.gold for point in ends]),
            _spread([point.reward for point in ends]),
            _spread([point.kl_nats for point in ends]),
            _spread([curve.fit.alpha for curve in mine]),
            _spread([curve.fit.beta for curve in mine]),
            f"{min(curve.fit.r2 for curve in mine):.4f}",
        )


def _picked_rows(study: Study) -> Iterator[tuple[str, ...]]:
    for one in study.picked:
        yield (
            str(one.seed),
            f"{one.beta:g}",
            str(one.iteration),
            f"{one.kl_nats:.2f}",
            f"{one.gold:.3f}",
            f"{one.best_of_16:.3f}",
        )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for row in (head, ("---", *("---:",) * (len(head) - 1)), *rows):
        yield "| " + " | ".join(row) + " |"


def _spread(values: Sequence[float]) -> str:
    mean = sum(values) / len(values)
    if len(values) == 1:
        return f"{mean:.3f}"
    return f"{mean:.3f} ({min(values):.3f} to {max(values):.3f})"
