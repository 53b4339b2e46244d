"""The evaluation as one HTML page: no network, no script, light and dark, readable on a phone."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rlhf.evaluation.answers import Answer, answer_row
from rlhf.evaluation.charts import interval_chart, line_chart, reliability_chart
from rlhf.evaluation.reward_quality import RewardQuality
from rlhf.evaluation.summary import Evaluation, headline, warnings
from rlhf.metrics import duration

CURVES = (
    ("score", "Score of the reward, mean of a batch"),
    ("eval/validation_score", "Score of the validation model, on held-out prompts"),
    ("kl", "KL from the reference, nats a response"),
    ("entropy", "Entropy, nats a token"),
    ("length", "Length of a response, tokens"),
    ("end_rate", "Share of responses that end by themselves"),
    ("distinct_responses", "Share of different responses"),
    ("explained_variance", "Variance that the critic explains"),
)
_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class SideBySide:
    """The two answers to one prompt, with each judge's scores (policy's, baseline's)."""

    policy: Answer
    baseline: Answer
    scores: Mapping[str, tuple[float, float]]

    def as_json(self) -> dict[str, Any]:
        """A line of `samples.jsonl`."""
        row = answer_row(self.policy)
        sides = {"policy": self.policy, "baseline": self.baseline}
        return {key: row[key] for key in ("prompt", "key", "fields", "seed")} | {
            name: {
                "response": side.text,
                "tokens": len(side.response_ids),
                "finish": side.finish,
                "scores": {judge: pair[index] for judge, pair in self.scores.items()},
            }
            for index, (name, side) in enumerate(sides.items())
        }


def render_report(
    evaluation: Evaluation, samples: Sequence[SideBySide], curves: Sequence[Mapping[str, Any]]
) -> str:
    """The whole page. `curves` are the lines of the policy's `metrics.jsonl`; `samples` are shown as given.

    Everything that a model or a dataset wrote is escaped: what is seen is what was written.
    """
    environment = Environment(
        loader=PackageLoader("rlhf.evaluation", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": duration,
        "percent": _percent,
        "number": _number,
        "written": _written,
    }
    return environment.get_template("report.html.j2").render(
        evaluation=evaluation,
        headline=headline(evaluation),
        warnings=list(warnings(evaluation)),
        win_chart=_win_chart(evaluation),
        curves=[chart for key, title in CURVES if (chart := _curve(curves, key, title))],
        calibration=_calibration(evaluation.reward_quality),
        samples=samples,
    )


def _win_chart(evaluation: Evaluation) -> Markup:
    rows = [(judgement.name, judgement.overall.win_rate) for judgement in evaluation.judgements]
    return interval_chart("Win rate by judge, with 95 % intervals", rows, 0.5)


def _curve(lines: Sequence[Mapping[str, Any]], key: str, title: str) -> tuple[str, Markup] | None:
    points = [(float(line["step"]), float(line[key])) for line in lines if key in line and "step" in line]
    chart = line_chart(title, points)
    return (title, chart) if chart else None


def _calibration(quality: RewardQuality | None) -> Markup:
    pairs = [(one.predicted, one.observed) for one in quality.bins] if quality else []
    return reliability_chart("Confidence of the reward model against how often it is right", pairs)


def _written(text: str) -> str:
    """The text as it is; control characters and lone surrogates, which no page can hold, are spelled out."""
    return _HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
