"""How good a reward model is on held-out pairs, beside a baseline that looks at length alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch

from rlhf.algos.calibration import Bin, calibration
from rlhf.algos.preference import pair_accuracy
from rlhf.algos.statistics import Interval, wilson
from rlhf.evaluation.groups import fields_of, members
from rlhf.records import Preference

Rule = Literal["longer", "shorter"]
BINS = 5


@dataclass(frozen=True)
class Group:
    """The pairs of one kind of prompt."""

    pairs: int
    accuracy: Interval
    truth: Interval | None


@dataclass(frozen=True)
class LengthBin:
    """Pairs whose chosen answer is between `low` and `high` characters longer than the rejected one."""

    low: float
    high: float
    pairs: int
    accuracy: Interval
    truth: Interval | None


@dataclass(frozen=True)
class MarginBin:
    """Pairs whose answers are `low` to `high` apart by gold; `labels` is the share of right labels."""

    low: float
    high: float
    pairs: int
    accuracy: Interval
    truth: Interval | None
    labels: float


@dataclass(frozen=True)
class RewardQuality:
    """Figures on held-out pairs; accuracies are shares of the pairs whose label decides, ties count half.

    `longer` is the accuracy of "the longer answer is better", `length_rule` that rule or its opposite,
    whichever did better on the training pairs, and `length` the accuracy of it. Where the truth is known
    (the embedded world), `label_agreement` is the share of labels that agree with it, which no model of such
    labels passes for long, and `truth` the model's accuracy against it.
    """

    pairs: int
    prompts: int
    accuracy: Interval
    longer: Interval
    length_rule: Rule
    length: Interval
    ece: float
    bins: tuple[Bin, ...]
    mean_margin: float
    truth: Interval | None
    label_agreement: float | None
    ceiling: float | None = None
    by_length_difference: tuple[LengthBin, ...] = ()
    by_group: Mapping[str, Mapping[str, Group]] = field(default_factory=dict[str, Mapping[str, Group]])
    by_gold_margin: tuple[MarginBin, ...] | None = None

    @property
    def summary(self) -> str:
        """One line for people."""
        parts = [
            f"accuracy {self.accuracy.estimate:.3f} [{self.accuracy.low:.3f}, {self.accuracy.high:.3f}]",
            f"{self.length_rule} wins {self.length.estimate:.3f}",
            f"calibration error {self.ece:.3f}",
        ]
        if self.truth:
            parts.append(f"against the truth {self.truth.estimate:.3f}")
        return ", ".join(parts) + f" on {self.pairs} held-out pairs"

    def as_json(self) -> dict[str, Any]:
        """Everything, the calibration table included, for `quality.json`."""
        return asdict(self)


def reward_quality(
    chosen_scores: Sequence[float],
    rejected_scores: Sequence[float],
    pairs: Sequence[Preference],
    *,
    length_rule: Rule = "longer",
) -> RewardQuality | None:
    """Quality of a model that gave these scores to the pairs' answers; None without a pair that decides.

    Intervals are Wilson's at 95 %, over prompts: pairs of one prompt are not independent.
    """
    decided = [i for i, pair in enumerate(pairs) if pair.probability != 0.5 and pair.weight > 0]
    if not decided:
        return None
    cases = _Cases([pairs[i] for i in decided], [chosen_scores[i] - rejected_scores[i] for i in decided])
    judged = cases.pairs
    longer = [float(len(pair.chosen) - len(pair.rejected)) for pair in judged]
    sign = 1.0 if length_rule == "longer" else -1.0
    table = calibration(cases.differences, probability_B=cases.labels, weight_B=cases.weights)
    agreement = cases.label_agreement
    return RewardQuality(
        pairs=len(judged),
        prompts=len({pair.prompt.key for pair in judged}),
        accuracy=cases.accuracy(),
        longer=replace(cases, differences=longer).accuracy(),
        length_rule=length_rule,
        length=replace(cases, differences=[sign * value for value in longer]).accuracy(),
        ece=table.ece,
        bins=table.bins,
        mean_margin=sum(w * d for w, d in zip(cases.weights, cases.differences, strict=True))
        / sum(cases.weights),
        truth=cases.truth(),
        label_agreement=agreement,
        ceiling=agreement,
        by_length_difference=tuple(
            LengthBin(low, high, len(part.pairs), part.accuracy(), part.truth())
            for low, high, part in cases.binned(longer)
        ),
        by_group={
            name: {
                value: Group(len(places), part.accuracy(), part.truth())
                for value, places in members(values).items()
                for part in (cases.at(places),)
            }
            for name, values in fields_of([pair.prompt for pair in judged]).items()
        },
        by_gold_margin=_by_margin(cases),
    )


@dataclass(frozen=True)
class _Cases:
    """Pairs that decide, and by how much the model prefers the answer that is called chosen."""

    pairs: list[Preference]
    differences: list[float]

    @property
    def labels(self) -> list[float]:
        return [pair.probability for pair in self.pairs]

    @property
    def weights(self) -> list[float]:
        return [pair.weight for pair in self.pairs]

    @property
    def right(self) -> list[float] | None:
        """1 where chosen is the better one in truth, else 0; None where that is not known of all."""
        truths = [pair.prompt.fields.get("clean") for pair in self.pairs]
        if not all(isinstance(value, bool) for value in truths):
            return None
        return [1.0 if value else 0.0 for value in truths]

    @property
    def label_agreement(self) -> float | None:
        right = self.right
        return None if right is None else _pair_rate([1.0] * len(right), right, self.weights)

    def accuracy(self) -> Interval:
        return _accuracy(self.differences, self.labels, self.weights, self.pairs)

    def truth(self) -> Interval | None:
        right = self.right
        return None if right is None else _accuracy(self.differences, right, self.weights, self.pairs)

    def at(self, places: Sequence[int]) -> "_Cases":
        return _Cases([self.pairs[i] for i in places], [self.differences[i] for i in places])

    def binned(self, values: Sequence[float]) -> Iterator[tuple[float, float, "_Cases"]]:
        """Fifths by a value of each pair, with the least and greatest in each; equal values stay together."""
        edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1]))
        bin_of = np.searchsorted(edges, values, side="left")
        for number in np.unique(bin_of):
            places = [int(place) for place in np.flatnonzero(bin_of == number)]
            inside = [values[place] for place in places]
            yield min(inside), max(inside), self.at(places)


def _by_margin(cases: _Cases) -> tuple[MarginBin, ...] | None:
    margins = [pair.prompt.fields.get("gold_margin") for pair in cases.pairs]
    if cases.right is None or not all(isinstance(margin, (int, float)) for margin in margins):
        return None
    apart = [abs(float(margin)) for margin in margins if margin is not None]
    return tuple(
        MarginBin(low, high, len(part.pairs), part.accuracy(), part.truth(), part.label_agreement or 0.0)
        for low, high, part in cases.binned(apart)
    )


def better_length_rule(pairs: Sequence[Preference]) -> Rule:
    """Which rule on length agrees with more of these pairs; "longer" where both do alike."""
    if not pairs:
        return "longer"
    longer = [float(len(pair.chosen) - len(pair.rejected)) for pair in pairs]
    rate = _pair_rate(longer, [pair.probability for pair in pairs], [pair.weight for pair in pairs])
    return "shorter" if rate < 0.5 else "longer"


def headlines(quality: Mapping[str, dict[str, Any] | None]) -> dict[str, float]:
    """The most telling figures of `as_json` by model, those of "model" first and without its name."""
    figures: dict[str, float] = {}
    for name, measured in quality.items():
        if measured is None:
            continue
        prefix = "" if name == "model" else f"{name}_"
        figures[f"{prefix}accuracy"] = measured["accuracy"]["estimate"]
        if name == "model":
            figures["accuracy_low"] = measured["accuracy"]["low"]
            figures["accuracy_high"] = measured["accuracy"]["high"]
            figures["length_accuracy"] = measured["length"]["estimate"]
            figures["ece"] = measured["ece"]
        if measured["truth"]:
            figures[f"{prefix}truth_accuracy"] = measured["truth"]["estimate"]
    return figures


def _accuracy(
    differences: Sequence[float],
    labels: Sequence[float],
    weights: Sequence[float],
    pairs: Sequence[Preference],
) -> Interval:
    prompts = len({pair.prompt.key for pair in pairs})
    return wilson(_pair_rate(differences, labels, weights) * prompts, prompts)


def _pair_rate(differences: Sequence[float], labels: Sequence[float], weights: Sequence[float]) -> float:
    """Share, by weight, of the pairs whose difference points to the side that the label names."""
    difference_B = torch.tensor(differences, dtype=torch.float64)
    return pair_accuracy(
        difference_B,
        torch.zeros_like(difference_B),
        probability_B=torch.tensor(labels, dtype=torch.float64),
        weight_B=torch.tensor(weights, dtype=torch.float64),
    ).rate
