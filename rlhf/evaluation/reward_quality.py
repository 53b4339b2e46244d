"""How good a reward model is on held-out pairs, beside a baseline that looks at length alone."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch

from rlhf.algos.calibration import Bin, calibration
from rlhf.algos.preference import pair_accuracy
from rlhf.algos.statistics import Interval, wilson
from rlhf.records import Preference

Rule = Literal["longer", "shorter"]


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
    differences = [chosen_scores[i] - rejected_scores[i] for i in decided]
    judged = [pairs[i] for i in decided]
    longer = [float(len(pair.chosen) - len(pair.rejected)) for pair in judged]
    sign = 1.0 if length_rule == "longer" else -1.0
    labels = [pair.probability for pair in judged]
    weights = [pair.weight for pair in judged]
    table = calibration(differences, probability_B=labels, weight_B=weights)
    truths = [pair.prompt.fields.get("clean") for pair in judged]
    truth = agreement = None
    if all(isinstance(value, bool) for value in truths):
        right = [1.0 if value else 0.0 for value in truths]
        truth = _accuracy(differences, right, weights, judged)
        agreement = _accuracy([1.0] * len(judged), right, weights, judged).estimate
    return RewardQuality(
        pairs=len(judged),
        prompts=len({pair.prompt.key for pair in judged}),
        accuracy=_accuracy(differences, labels, weights, judged),
        longer=_accuracy(longer, labels, weights, judged),
        length_rule=length_rule,
        length=_accuracy([sign * value for value in longer], labels, weights, judged),
        ece=table.ece,
        bins=table.bins,
        mean_margin=sum(w * d for w, d in zip(weights, differences, strict=True)) / sum(weights),
        truth=truth,
        label_agreement=agreement,
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
