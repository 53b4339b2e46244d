"""Two policies on the same prompts, judged pair by pair."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rlhf.algos.statistics import Interval, bootstrap_mean
from rlhf.errors import TrainingError
from rlhf.evaluation.groups import members


@dataclass(frozen=True)
class Comparison:
    """How a policy did against a baseline by one judge's scores, with bootstrap intervals over prompts.

    `win_rate` counts a tie as half a win; `policy`, `baseline` and `difference` are mean scores.
    """

    prompts: int
    wins: int
    ties: int
    losses: int
    win_rate: Interval
    policy: Interval
    baseline: Interval
    difference: Interval


def compare(
    policy_scores: Sequence[float], baseline_scores: Sequence[float], *, seed: int, resamples: int
) -> Comparison:
    """Compares scores prompt by prompt; the two lists are of the same prompts in the same order.

    Raises TrainingError where a score is not a number, ValueError where there is no prompt.
    """
    pairs = list(zip(policy_scores, baseline_scores, strict=True))
    won = outcomes(policy_scores, baseline_scores)

    def mean(values: Sequence[float]) -> Interval:
        return bootstrap_mean(values, seed=seed, n=resamples)

    return Comparison(
        prompts=len(pairs),
        wins=won.count(1.0),
        ties=won.count(0.5),
        losses=won.count(0.0),
        win_rate=mean(won),
        policy=mean(policy_scores),
        baseline=mean(baseline_scores),
        difference=mean([mine - other for mine, other in pairs]),
    )


def outcomes(policy_scores: Sequence[float], baseline_scores: Sequence[float]) -> list[float]:
    """For each prompt 1 where the policy's score is higher, 0.5 where both are equal, else 0.

    Raises TrainingError where a score is not a number.
    """
    pairs = list(zip(policy_scores, baseline_scores, strict=True))
    if any(mine != mine or other != other for mine, other in pairs):
        raise TrainingError("a score is not a number, so that no winner can be told")
    return [0.5 * ((mine > other) - (mine < other) + 1) for mine, other in pairs]


def compare_by(
    groups: Sequence[str],
    policy_scores: Sequence[float],
    baseline_scores: Sequence[float],
    *,
    seed: int,
    resamples: int,
) -> Mapping[str, Comparison]:
    """The same for each group of prompts, by name; `groups` runs parallel to the scores."""
    return {
        group: compare(
            [policy_scores[place] for place in places],
            [baseline_scores[place] for place in places],
            seed=seed,
            resamples=resamples,
        )
        for group, places in members(groups).items()
    }
