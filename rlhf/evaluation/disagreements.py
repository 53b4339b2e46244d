"""Where the reward and a judge see a pair of answers most differently: the places to read first."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rlhf.evaluation.answers import Answer
from rlhf.evaluation.panel import Verdicts

SHOWN = 8


def disagreements(
    policy: Sequence[Answer], baseline: Sequence[Answer], verdicts: Verdicts, judge: str, reward: str
) -> list[dict[str, Any]]:
    """The pairs on which reward and judge differ most, at most `SHOWN`, the worst first.

    Scores of different judges have scales of their own: what is compared are the differences between the two
    answers, each divided by its deviation over the prompts. Only pairs of which the two say different things
    count: their differences have unequal signs.
    """
    by_reward, by_judge = (_gains(verdicts, name) for name in (reward, judge))
    apart = np.abs(_scaled(by_reward) - _scaled(by_judge))
    apart[np.sign(by_reward) == np.sign(by_judge)] = 0.0
    worst = [int(place) for place in np.argsort(-apart, kind="stable")[:SHOWN] if apart[place] > 0]
    return [
        _row(policy[place], baseline[place], _scores(verdicts, (judge, reward), place)) for place in worst
    ]


def _gains(verdicts: Verdicts, name: str) -> Any:
    marks = verdicts[name]
    return np.asarray(marks["policy"].total) - np.asarray(marks["baseline"].total)


def _scaled(gains: Any) -> Any:
    spread = float(gains.std())
    return gains / spread if spread > 0 else gains


def _scores(verdicts: Verdicts, names: Sequence[str], place: int) -> Mapping[str, list[float]]:
    return {
        name: [verdicts[name]["policy"].total[place], verdicts[name]["baseline"].total[place]]
        for name in names
    }


def _row(policy: Answer, baseline: Answer, scores: Mapping[str, list[float]]) -> dict[str, Any]:
    return {
        "prompt": policy.prompt.text,
        "fields": dict(policy.prompt.fields),
        "policy": policy.text,
        "baseline": baseline.text,
        "scores": dict(scores),
    }
