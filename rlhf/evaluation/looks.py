"""What PPO's run says of its training: curves, looks at held-out prompts, single episodes."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rlhf.algos.statistics import Interval, bootstrap_mean
from rlhf.evaluation.doubts import Draws
from rlhf.metrics import read_metrics
from rlhf.records import Message, Prompt
from rlhf.rewards import Reward, Scored, Scores
from rlhf.runs import Artifact
from rlhf.training.profile import PREFIX

CURVES = (
    "score", "kl", "entropy", "length", "end_rate", "distinct_responses", "explained_variance",
    "eval/score", "eval/validation_score", "eval/kl", "kl_coef", "clip_fraction", "policy_loss",
    "value_loss", "grad_norm", "learning_rate",
)  # fmt: skip
EPISODES = 24
"""Episodes in the report at most: those of the first look, the chosen one and the last."""


@dataclass(frozen=True)
class Look:
    """The policy on held-out prompts at one moment of its training; `reward` is what it was trained on.

    `gold` and `right` (gold's part) are None where the truth is not known; `validation` is the score of the
    model that chooses the checkpoint, `chosen` whether this is the published one.
    """

    step: int
    episodes: int
    kl: float
    reward: float
    validation: float
    gold: float | None
    right: float | None
    length: float
    entropy: float
    end_rate: float
    chosen: bool


@dataclass(frozen=True)
class Decline:
    """From the look that was best by gold (by the validation model, where there is no gold) to the last one.

    `change` is that of the best's own score, `reward_change` that of the reward trained on, means over the
    held-out prompts.
    """

    by: str
    best: int
    last: int
    change: Interval
    reward_change: Interval


@dataclass(frozen=True)
class Training:
    """Looks in order, figures by name as (step, value), the way from the best look to the last.

    `profile` holds medians over the iterations: seconds of each part, and how the machine was used.
    """

    looks: tuple[Look, ...]
    curves: Mapping[str, list[tuple[int, float]]]
    decline: Decline | None
    profile: Mapping[str, float] = field(default_factory=dict[str, float])


def training_of(policy: Artifact, gold: Reward | None, draws: Draws) -> Training | None:
    """What the policy's run recorded; None where it is no run of PPO, or recorded nothing.

    `gold` scores the answers of each look where the prompts are of a world whose truth is known.
    """
    if policy.manifest is None or policy.manifest.stage != "ppo":
        return None
    lines = read_metrics(Path(policy.path) / "metrics.jsonl")
    if not lines:
        return None
    chosen = int(policy.manifest.metrics.get("iteration", -1))
    rows = read_rows(Path(policy.path) / "looks.jsonl")
    by_step: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        by_step.setdefault(int(row["step"]), []).append(row)
    scores = {step: gold([_scored(row) for row in by_step[step]]) for step in by_step} if gold else {}
    looks = tuple(
        _look(line, scores.get(int(line["step"])), chosen=int(line["step"]) == chosen)
        for line in lines
        if "eval/score" in line
    )
    curves = {
        name: points
        for name in CURVES
        if (points := [(int(line["step"]), line[name]) for line in lines if _is_number(line.get(name))])
    }
    values = {
        step: scores[step].total.double().tolist()
        if step in scores
        else [float(row["validation_score"]) for row in rows]
        for step, rows in by_step.items()
    }
    rewards = {step: [float(row["score"]) for row in rows] for step, rows in by_step.items()}
    way = decline("gold" if scores else "validation", values, rewards, draws)
    return Training(looks, curves, way, profile_of(lines))


def profile_of(lines: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The median of each figure of the iterations' profiles; none where they have none."""
    names = [name for name in lines[-1] if name.startswith(PREFIX)]
    return {
        name.removeprefix(PREFIX): median(values)
        for name in names
        if (values := [line[name] for line in lines if _is_number(line.get(name))])
    }


def decline(
    by: str, values: Mapping[int, Sequence[float]], rewards: Mapping[int, Sequence[float]], draws: Draws
) -> Decline | None:
    """The way from the best look to the last; None where the last is the best, or there is no look.

    Both map a look's step to scores prompt by prompt. Intervals are of paired differences; that the best look
    was picked by its own mean makes `change` a little too steep.
    """
    if not values:
        return None
    best = max(values, key=lambda step: (sum(values[step]) / len(values[step]), step))
    last = max(values)
    if best == last:
        return None

    def change(of: Mapping[int, Sequence[float]]) -> Interval:
        moved = [now - was for now, was in zip(of[last], of[best], strict=True)]
        return bootstrap_mean(moved, seed=draws.seed, n=draws.resamples)

    return Decline(by, best, last, change(values), change(rewards))


def episodes_of(policy: Artifact, training: Training | None) -> list[dict[str, Any]]:
    """Episodes of the first, the chosen and the last look, as PPO's run wrote them."""
    rows = read_rows(Path(policy.path) / "episodes.jsonl")
    steps = sorted({int(row["step"]) for row in rows})
    if not steps:
        return []
    chosen = [look.step for look in training.looks if look.chosen] if training else []
    wanted = {steps[0], steps[-1], *chosen}
    return [row for row in rows if int(row["step"]) in wanted][:EPISODES]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a JSONL file; none where there is no file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", errors="surrogatepass") as file:
        return [json.loads(line) for line in file if line.strip()]


def prompt_of(row: Mapping[str, Any]) -> Prompt:
    """The prompt of a row as `answer_row` wrote it."""
    content = row["prompt"]
    if not isinstance(content, str):
        content = tuple(Message(turn["role"], turn["content"]) for turn in content)
    return Prompt(content, row.get("fields") or {})


def _look(line: Mapping[str, Any], gold: Scores | None, *, chosen: bool) -> Look:
    right = gold.parts.get("right") if gold else None
    return Look(
        step=int(line["step"]),
        episodes=int(line.get("episodes", 0)),
        kl=line["eval/kl"],
        reward=line["eval/score"],
        validation=line["eval/validation_score"],
        gold=float(gold.total.double().mean()) if gold else None,
        right=float(right.double().mean()) if right is not None else None,
        length=line["eval/length"],
        entropy=line["eval/entropy"],
        end_rate=line["eval/end_rate"],
        chosen=chosen,
    )


def _scored(row: Mapping[str, Any]) -> Scored:
    """For a judge who reads text alone: the tokens are not kept."""
    return Scored(prompt_of(row), str(row["response"]), (), (), str(row["finish"]))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
