"""Two policies on the same prompts, judged pair by pair."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rlhf.algos.statistics import Interval, bootstrap_mean
from rlhf.errors import TrainingError


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
    if any(mine != mine or other != other for mine, other in pairs):
        raise TrainingError("a score is not a number, so that no winner can be told")
    outcomes = [0.5 * ((mine > other) - (mine < other) + 1) for mine, other in pairs]

    def mean(values: Sequence[float]) -> Interval:
        return bootstrap_mean(values, seed=seed, n=resamples)

    return Comparison(
        prompts=len(pairs),
        wins=outcomes.count(1.0),
        ties=outcomes.count(0.5),
        losses=outcomes.count(0.0),
        win_rate=mean(outcomes),
        policy=mean(policy_scores),
        baseline=mean(baseline_scores),
        difference=mean([mine - other for mine, other in pairs]),
    )


def compare_by(
    groups: Sequence[str],
    policy_scores: Sequence[float],
    baseline_scores: Sequence[float],
    *,
    seed: int,
    resamples: int,
) -> Mapping[str, Comparison]:
    """The same for each group of prompts, by name; `groups` runs parallel to the scores."""
    members: dict[str, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    return {
        group: compare(
            [policy_scores[index] for index in members[group]],
            [baseline_scores[index] for index in members[group]],
            seed=seed,
            resamples=resamples,
        )
        for group in sorted(members)
    }
