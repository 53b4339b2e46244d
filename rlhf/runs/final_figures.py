"""The final figures of a run, with their intervals where an evaluation gives them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from rlhf.errors import InputError
from rlhf.runs.folder import RunFolder

EVALUATION = "evaluation.json"


@dataclass(frozen=True)
class FinalFigure:
    """A number, and its 95 % interval where one is known."""

    value: float
    low: float | None = None
    high: float | None = None


def final_figures(run: RunFolder) -> dict[str, FinalFigure]:
    """By name, in the manifest's order; what only `evaluation.json` has comes after.

    `X_low` and `X_high` of the manifest are the interval of `X`, and no figures of their own.

    Raises:
        InputError: `evaluation.json` cannot be read.
    """
    metrics = dict(_flat(run.manifest.metrics)) if run.manifest else {}
    intervals = dict(_intervals(read_evaluation(run) or {}))
    figures: dict[str, FinalFigure] = {}
    for name, value in metrics.items():
        of = name.removesuffix("_low").removesuffix("_high")
        if of != name and f"{of}_low" in metrics and f"{of}_high" in metrics and of in metrics:
            continue
        bounds = (metrics.get(f"{name}_low"), metrics.get(f"{name}_high"))
        known = None if None in bounds else FinalFigure(value, *bounds)
        figures[name] = known or intervals.get(name) or FinalFigure(value)
    return figures | {name: figure for name, figure in intervals.items() if name not in figures}


def read_evaluation(run: RunFolder) -> Mapping[str, Any] | None:
    """What the evaluation found; None of a run that is no finished evaluation.

    Raises:
        InputError: its file is missing or damaged.
    """
    if run.manifest is None or run.manifest.kind != "evaluation":
        return None
    path = run.path / EVALUATION
    try:
        found = json.loads(path.read_text(encoding="utf-8", errors="surrogatepass"))
        if isinstance(found, dict):
            return cast("dict[str, Any]", found)
        reason = "it is no JSON object"
    except (OSError, ValueError) as error:
        reason = str(error)
    raise InputError(
        f"{path} cannot be read ({reason}).\nRestore it from a copy, or delete {run.path} and evaluate again."
    )


def _flat(metrics: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Numbers by dotted names; what is no number is left out."""
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            yield from _flat(cast("Mapping[str, Any]", value), f"{prefix}{name}.")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield f"{prefix}{name}", value


def _intervals(evaluation: Mapping[str, Any]) -> Iterator[tuple[str, FinalFigure]]:
    """The intervals of an evaluation under the names that its manifest has for them."""
    for judgement in evaluation.get("judgements") or ():
        name, overall = judgement["name"], judgement["overall"]
        for key in ("win_rate", "policy", "baseline", "difference"):
            yield from _interval(f"{name}_{key}", overall.get(key))
        yield from _interval(f"{name}_length_controlled", judgement.get("length_controlled"))
    for name, part in (evaluation.get("parts") or {}).items():
        for key in ("policy", "baseline", "difference"):
            yield from _interval(f"{name}_{key}", part.get(key))
    yield from _interval("kl_nats", evaluation.get("kl_nats"))
    for side, figures in (evaluation.get("figures") or {}).items():
        yield from _interval(f"{side}_length", figures.get("length_tokens"))
        yield from _interval(f"{side}_end_rate", figures.get("end_rate"))
    for contender in evaluation.get("contenders") or ():
        for judge, score in contender["scores"].items():
            yield from _interval(f"{contender['name']}_{judge}", score)
    yield from _interval("reward_model_accuracy", (evaluation.get("reward_model") or {}).get("accuracy"))


def _interval(name: str, value: Any) -> Iterator[tuple[str, FinalFigure]]:
    if isinstance(value, Mapping):
        found = cast("Mapping[str, Any]", value)
        yield name, FinalFigure(found["estimate"], found["low"], found["high"])
