"""An evaluation as a value: what `evaluation.json` holds. Its sentences are in `wording` and `cautions`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rlhf.algos.statistics import Interval
from rlhf.evaluation.best_of_n import BestOf
from rlhf.evaluation.contenders import Contender
from rlhf.evaluation.doubts import Doubts
from rlhf.evaluation.figures import Figures
from rlhf.evaluation.lineage import Step
from rlhf.evaluation.looks import Training
from rlhf.evaluation.probes import Probe
from rlhf.evaluation.reward_quality import RewardQuality
from rlhf.evaluation.win_rate import Comparison
from rlhf.evaluation.wording import Missing, Text, Warning, headline

VERSION = 2


@dataclass(frozen=True)
class Judgement:
    """One judge's comparison: `name` is "gold", "judge", "endpoint" or "reward", `says` that in words.

    `groups` holds the same by a way of grouping the prompts and its value: {"family": {"sums": ...}};
    `length_controlled` is the win rate at equal length, None where a judge knows no lengths.
    """

    name: str
    says: Text
    overall: Comparison
    length_controlled: Interval | None = None
    groups: Mapping[str, Mapping[str, Comparison]] = field(
        default_factory=dict[str, Mapping[str, Comparison]]
    )


@dataclass(frozen=True)
class Part:
    """One part of gold's score: means of the policy and the baseline, and the difference."""

    policy: Interval
    baseline: Interval
    difference: Interval


@dataclass(frozen=True)
class Evaluation:
    """A policy against a baseline on held-out prompts; the fields are the keys of `evaluation.json`.

    `judgements` stand in the order of their authority: gold, then judges, then the reward trained on. What
    cannot be known is None or empty, and `missing` says so. `endpoint` tells how far the judge of that name
    can be trusted: agreement between both orders, verdicts that could not be read.
    """

    experiment: str
    policy: str
    baseline: str
    prompts: int
    seed: int
    temperature: float
    response_length: int
    command: str
    configuration: str
    environment: Mapping[str, Any]
    judgements: tuple[Judgement, ...]
    parts: Mapping[str, Part] | None
    figures: Mapping[str, Figures]
    kl_nats: Interval | None
    kl_budget_nats: float
    contenders: tuple[Contender, ...]
    best_of_n: tuple[BestOf, ...]
    training: Training | None
    doubts: Doubts
    reward_model: RewardQuality | None
    probes: tuple[Probe, ...]
    disagreements: tuple[Mapping[str, Any], ...]
    learning: Mapping[str, Any] | None
    samples: tuple[Mapping[str, Any], ...]
    episodes: tuple[Mapping[str, Any], ...]
    lineage: tuple[Step, ...]
    warnings: tuple[Warning, ...] = ()
    missing: tuple[Missing, ...] = ()
    endpoint: Mapping[str, Any] | None = None

    @property
    def headline(self) -> Text:
        """The answer in a line."""
        first = self.judgements[0] if self.judgements else None
        judged = (first.says, first.overall) if first else None
        return headline(self.policy, self.baseline, judged, self.kl_nats)

    def judged_by(self, name: str) -> Judgement | None:
        """The judgement of one judge, or None where it gave none."""
        return next((judgement for judgement in self.judgements if judgement.name == name), None)

    def as_json(self) -> dict[str, Any]:
        """Plain values under the keys of the file, the line that sums up among them."""
        return {"version": VERSION, "headline": asdict(self.headline), **asdict(self)}

    def metrics(self) -> dict[str, Any]:
        """The headline figures, for the manifest."""
        figures: dict[str, Any] = {}
        for judgement in self.judgements:
            overall, name = judgement.overall, judgement.name
            figures[f"{name}_win_rate"] = overall.win_rate.estimate
            figures[f"{name}_win_rate_low"] = overall.win_rate.low
            figures[f"{name}_win_rate_high"] = overall.win_rate.high
            figures[f"{name}_policy"] = overall.policy.estimate
            figures[f"{name}_baseline"] = overall.baseline.estimate
            if judgement.length_controlled:
                figures[f"{name}_length_controlled"] = judgement.length_controlled.estimate
        for name, part in (self.parts or {}).items():
            figures[f"{name}_policy"], figures[f"{name}_baseline"] = (
                part.policy.estimate,
                part.baseline.estimate,
            )
        for one in self.contenders[2:]:
            figures |= {f"{one.name}_{judge}": score.estimate for judge, score in one.scores.items()}
        if self.kl_nats:
            figures["kl_nats"] = self.kl_nats.estimate
        for name, figure in self.figures.items():
            figures[f"{name}_length"] = figure.length_tokens.estimate
            figures[f"{name}_end_rate"] = figure.end_rate.estimate
            figures[f"{name}_distinct_2"] = figure.distinct_2
        return figures | {"prompts": self.prompts}
