"""An evaluation as a value: what `evaluation.json` holds, what it says in a sentence, what it warns of."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rlhf.algos.statistics import Interval
from rlhf.evaluation.figures import Figures
from rlhf.evaluation.lineage import Step
from rlhf.evaluation.reward_quality import RewardQuality
from rlhf.evaluation.win_rate import Comparison

FEW_PROMPTS = 100
END_RATE_FALL = 0.1
LENGTH_GROWTH = 1.5
VARIETY_FALL = 0.6


@dataclass(frozen=True)
class Judgement:
    """One judge's comparison: `name` is "gold", "judge" or "reward", `says` what that is in words.

    `groups` holds the same by a field of the prompts and its value: {"family": {"sums": ...}}.
    """

    name: str
    says: str
    overall: Comparison
    groups: Mapping[str, Mapping[str, Comparison]] = field(
        default_factory=dict[str, Mapping[str, Comparison]]
    )


@dataclass(frozen=True)
class Evaluation:
    """A policy against a baseline on held-out prompts.

    `judgements` stand in the order of their authority: gold, then the judge, then the reward trained on.
    `kl_nats` is None where the two have different tokens; `reward_quality` is the reward model's own
    quality on held-out pairs.
    """

    experiment: str
    policy: str
    baseline: str
    prompts: int
    seed: int
    temperature: float
    response_length: int
    judgements: tuple[Judgement, ...]
    policy_figures: Figures
    baseline_figures: Figures
    kl_nats: Interval | None
    kl_budget_nats: float
    reward_quality: RewardQuality | None
    lineage: tuple[Step, ...]
    notes: tuple[str, ...] = ()

    def judged_by(self, name: str) -> Comparison | None:
        """The comparison of one judge, or None where it gave none."""
        return next((judgement.overall for judgement in self.judgements if judgement.name == name), None)

    def as_json(self) -> dict[str, Any]:
        """Plain values, the sentence and the warnings among them."""
        return {"headline": headline(self), "warnings": list(warnings(self)), **asdict(self)}

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
        if self.kl_nats:
            figures["kl_nats"] = self.kl_nats.estimate
        for name, figure in (("policy", self.policy_figures), ("baseline", self.baseline_figures)):
            figures[f"{name}_length"] = figure.length_tokens.estimate
            figures[f"{name}_end_rate"] = figure.end_rate.estimate
            figures[f"{name}_distinct_2"] = figure.distinct_2
        return figures | {"prompts": self.prompts}


def headline(evaluation: Evaluation) -> str:
    """The result in a sentence, by the judge of most authority."""
    kl = evaluation.kl_nats
    distance = f", {kl.estimate:.1f} nats away from it" if kl else ""
    if not evaluation.judgements:
        return f"{evaluation.policy} and {evaluation.baseline} answered; nobody judged them{distance}."
    first = evaluation.judgements[0]
    rate = first.overall.win_rate
    verb = "beats" if rate.low > 0.5 else "loses to" if rate.high < 0.5 else "cannot be told from"
    return (
        f"{evaluation.policy} {verb} {evaluation.baseline}: it wins {rate.estimate:.1%} of "
        f"{first.overall.prompts} held-out prompts by {first.says} "
        f"(95 % interval {rate.low:.1%} to {rate.high:.1%}){distance}."
    )


def warnings(evaluation: Evaluation) -> Iterator[str]:
    """What a reader must know before believing the headline."""
    yield from evaluation.notes
    if evaluation.prompts < FEW_PROMPTS:
        yield f"Only {evaluation.prompts} prompts: intervals are wide. Raise stage.num_prompts or data.limit."
    quality = evaluation.reward_quality
    if quality and quality.accuracy.low <= quality.length.estimate:
        yield (
            f"The reward model is right on {quality.accuracy.estimate:.1%} of held-out pairs, and taking "
            f"the {quality.length_rule} answer on {quality.length.estimate:.1%}: it may know little beyond "
            "length. More or cleaner preferences help."
        )
    yield from _hacking(evaluation)
    yield from _degenerate(evaluation)
    kl = evaluation.kl_nats
    if kl and kl.estimate > evaluation.kl_budget_nats:
        yield (
            f"The policy is {kl.estimate:.1f} nats from the baseline, beyond kl.budget="
            f"{evaluation.kl_budget_nats:g}: a reward model is rarely right so far from its data."
        )


def _hacking(evaluation: Evaluation) -> Iterator[str]:
    """The reward rises and what it stands for does not."""
    reward = evaluation.judged_by("reward")
    for name in ("gold", "judge"):
        other = evaluation.judged_by(name)
        if reward and other and reward.difference.low > 0 and other.difference.estimate < 0:
            yield (
                f"Over-optimisation: the reward rose by {reward.difference.estimate:.3g} while the mean "
                f"score by {name} fell by {-other.difference.estimate:.3g}. Raise kl.coef, or train for less."
            )


def _degenerate(evaluation: Evaluation) -> Iterator[str]:
    """The tell-tales of a policy that has broken down."""
    now, before = evaluation.policy_figures, evaluation.baseline_figures
    if now.end_rate.estimate < before.end_rate.estimate - END_RATE_FALL:
        yield (
            f"Only {now.end_rate.estimate:.0%} of the policy's answers end by themselves; "
            f"the baseline's: {before.end_rate.estimate:.0%}."
        )
    if now.length_tokens.estimate > LENGTH_GROWTH * before.length_tokens.estimate:
        yield (
            f"Answers grew from {before.length_tokens.estimate:.1f} tokens to "
            f"{now.length_tokens.estimate:.1f}: look whether the reward pays for length."
        )
    if now.length_tokens.estimate <= 1.5:
        yield "The policy ends at once: most answers are the end token alone."
    if now.distinct_2 < VARIETY_FALL * before.distinct_2:
        yield (
            f"Variety fell: distinct-2 is {now.distinct_2:.2f}, the baseline's {before.distinct_2:.2f}. "
            "The answers may be much the same everywhere."
        )
