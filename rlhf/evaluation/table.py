"""The evaluation as a screenful for the terminal; everything else stands in the report."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from rlhf.metrics import duration
from rlhf.runs import Manifest

Row = tuple[str, str, str]
"""Name, figure, and its 95 % interval or what else belongs to it."""


def print_summary(folder: Path, manifest: Manifest, console: Console | None = None) -> None:
    """Prints what a finished evaluation found, from its `evaluation.json`, and where its report lies."""
    out = console or Console()
    evaluation = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    out.print(evaluation["headline"]["en"], markup=False, highlight=False)
    table = Table("", "result", "95 % interval", header_style="dim")
    table.columns[1].justify = "right"
    for number, part in enumerate(parts(evaluation, manifest)):
        if number and part:
            table.add_section()
        for row in part:
            table.add_row(*row)
    out.print(table)
    for warning in evaluation["warnings"]:
        out.print(
            f"warning: {warning['text']['en']} {warning['remedy']['en']}", markup=False, highlight=False
        )
    for missing in evaluation["missing"]:
        out.print(f"missing: {missing['text']['en']}", markup=False, highlight=False)
    out.print(f"report: {folder / 'report.html'}", markup=False, highlight=False, soft_wrap=True)


def parts(evaluation: Mapping[str, Any], manifest: Manifest) -> list[list[Row]]:
    """The lines: who wins, at what distance, the other ways, the reward model, the times."""
    return [
        list(_wins(evaluation)),
        list(_contenders(evaluation)),
        list(_reward_model(evaluation["reward_model"])),
        [_times(evaluation, manifest)],
    ]


def _wins(evaluation: Mapping[str, Any]) -> Iterator[Row]:
    for judgement in evaluation["judgements"]:
        rate = judgement["overall"]["win_rate"]
        yield f"win rate by {judgement['name']}", _percent(rate), _range(rate, ".1%")
        controlled = judgement["length_controlled"]
        if controlled and judgement is evaluation["judgements"][0]:
            yield "the same, length-controlled", _percent(controlled), _range(controlled, ".1%")
    if evaluation["parts"]:
        right = evaluation["parts"]["right"]
        change = f"{right['baseline']['estimate']:.1%} -> {right['policy']['estimate']:.1%}"
        yield "right, before -> after", change, _range(right["difference"], "+.1%")
    if kl := evaluation["kl_nats"]:
        budget = evaluation["kl_budget_nats"]
        yield (
            f"KL from {evaluation['baseline']}, nats",
            f"{kl['estimate']:.2f}",
            (f"{_range(kl, '.2f')} (budget {budget:g})"),
        )
    lengths = (evaluation["figures"][side]["length_tokens"]["estimate"] for side in ("baseline", "policy"))
    yield "tokens an answer, before -> after", " -> ".join(f"{length:.1f}" for length in lengths), ""


def _contenders(evaluation: Mapping[str, Any]) -> Iterator[Row]:
    """Each way of improving the same policy: its win rate against the baseline by the first judge."""
    if not evaluation["judgements"]:
        return
    judge = evaluation["judgements"][0]["name"]
    for row in evaluation["contenders"]:
        rate, score = row["win_rates"].get(judge), row["scores"].get(judge)
        if rate and score and row["name"] not in (evaluation["policy"], evaluation["baseline"]):
            beside = f"{_range(rate, '.1%')}, mean {judge} {score['estimate']:.3f}"
            yield f"{row['name']} instead, by {judge}", _percent(rate), beside


def _reward_model(quality: Mapping[str, Any] | None) -> Iterator[Row]:
    if not quality:
        return
    accuracy, length = quality["accuracy"], quality["length"]
    yield "reward model right, held-out pairs", _percent(accuracy), _range(accuracy, ".1%")
    yield f"the {quality['length_rule']} answer right", _percent(length), _range(length, ".1%")
    if quality["ceiling"] is not None:
        yield "ceiling that rater noise sets", f"{quality['ceiling']:.1%}", ""


def _times(evaluation: Mapping[str, Any], manifest: Manifest) -> Row:
    """What each run took, those that came before first, in one line, and all of them together."""
    seconds = {step["path"].rpartition("/")[2]: step["seconds"] for step in evaluation["lineage"]}
    spent = {name: one for name, one in seconds.items() if one is not None}
    spent[f"{manifest.stage}-{manifest.number}"] = manifest.seconds
    each = ", ".join(f"{name} {duration(one)}" for name, one in spent.items())
    return "time", duration(sum(spent.values())), each


def _percent(interval: Mapping[str, float]) -> str:
    return f"{interval['estimate']:.1%}"


def _range(interval: Mapping[str, float], style: str) -> str:
    return f"{interval['low']:{style}} to {interval['high']:{style}}"
