"""The evaluation as a table for the terminal."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from rlhf.metrics import duration
from rlhf.runs import Manifest


def print_summary(folder: Path, manifest: Manifest, console: Console | None = None) -> None:
    """Prints what a finished evaluation found, in a dozen lines on stdout, and where its report lies."""
    out = console or Console()
    evaluation = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    table = Table(title=f"{evaluation['policy']} against {evaluation['baseline']}", title_justify="left")
    table.add_column("")
    table.add_column("result", justify="right")
    table.add_column("95 % interval", justify="right")
    for row in rows(evaluation, manifest):
        table.add_row(*row)
    out.print(table)
    for warning in evaluation["warnings"]:
        out.print(f"note: {warning}", markup=False, highlight=False)
    out.print(f"report: {folder / 'report.html'}", markup=False, highlight=False, soft_wrap=True)


def rows(evaluation: Mapping[str, Any], manifest: Manifest) -> Iterator[tuple[str, str, str]]:
    """Name, figure and interval of each line."""
    policy, baseline = evaluation["policy"], evaluation["baseline"]
    for judgement in evaluation["judgements"]:
        name, overall = judgement["name"], judgement["overall"]
        rate = overall["win_rate"]
        yield f"{name}: win rate of {policy}", f"{rate['estimate']:.1%}", _range(rate, ".1%")
        for side, who in (("policy", policy), ("baseline", baseline)):
            yield (
                f"{name}: mean score of {who}",
                f"{overall[side]['estimate']:.3f}",
                _range(overall[side], ".3f"),
            )
    if evaluation["kl_nats"]:
        kl = evaluation["kl_nats"]
        yield f"KL from {baseline}, nats", f"{kl['estimate']:.2f}", _range(kl, ".2f")
    for side, who in (("policy", policy), ("baseline", baseline)):
        length = evaluation[f"{side}_figures"]["length_tokens"]
        yield f"tokens an answer, {who}", f"{length['estimate']:.1f}", _range(length, ".1f")
    if quality := evaluation["reward_quality"]:
        rule = f"the {quality['length_rule']} answer"
        for name, accuracy in (("reward model", quality["accuracy"]), (rule, quality["length"])):
            yield f"{name}: right on held-out pairs", f"{accuracy['estimate']:.1%}", _range(accuracy, ".1%")
    seconds = {step["path"].rpartition("/")[2]: step["seconds"] for step in evaluation["lineage"]}
    for name, spent in (seconds | {f"{manifest.stage}-{manifest.number}": manifest.seconds}).items():
        if spent is not None:
            yield f"time of {name}", duration(spent), ""


def _range(interval: Mapping[str, float], style: str) -> str:
    return f"{interval['low']:{style}} to {interval['high']:{style}}"
