"""Every way of improving the same SFT policy: PPO, best-of-n, and what `stage=study` trained."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlhf.algos.statistics import Interval, bootstrap_mean
from rlhf.errors import InputError
from rlhf.evaluation.answers import Answer
from rlhf.evaluation.doubts import Draws
from rlhf.evaluation.panel import Marks
from rlhf.evaluation.win_rate import outcomes
from rlhf.runs import Artifact, Experiment
from rlhf.runs.artifact import from_run

STUDY = "study.json"


@dataclass(frozen=True)
class Contender:
    """How one of them did on the prompts of the evaluation.

    `scores` are mean scores by judge, `win_rates` against the baseline, `right` gold's part of that name.
    `kl_bound_nats` is what bounds the distance of best-of-n; `seconds` those of its training.
    """

    name: str
    method: str
    n: int | None
    scores: Mapping[str, Interval]
    win_rates: Mapping[str, Interval]
    right: Interval | None
    kl_nats: Interval | None
    kl_bound_nats: float | None
    length_tokens: float
    seconds: float | None


@dataclass(frozen=True)
class Trained:
    """A policy that a study left: a plain model folder."""

    name: str
    method: str
    folder: Path
    n: int | None
    seconds: float | None


@dataclass(frozen=True)
class Study:
    """What a finished `stage=study` found: its policies, and the learning curves of its `study.json`."""

    policies: tuple[Trained, ...]
    learning: dict[str, Any] | None


def find_study(experiment: Experiment, baseline: Artifact, reward_model: Artifact | None) -> Artifact | None:
    """The newest finished study of the experiment on this SFT policy and this reward model; None without."""
    if reward_model is None:
        return None
    wanted = {"policy": baseline.fingerprint, "reward_model": reward_model.fingerprint}
    for run in reversed(experiment.runs()):
        if run.stage != "study" or run.manifest is None or run.problem:
            continue
        taken = {role: record.fingerprint for role, record in run.manifest.inputs.items()}
        if all(taken.get(role) == fingerprint for role, fingerprint in wanted.items()):
            return from_run("study", run.path, run.manifest)
    return None


def read_study(study: Artifact | None) -> Study:
    """What a study left; nothing where there is none.

    Raises:
        InputError: the study's file cannot be read.
    """
    if study is None:
        return Study((), None)
    path = Path(study.path) / STUDY
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        policies = tuple(
            Trained(one["name"], one["method"], path.parent / one["folder"], one.get("n"), one.get("seconds"))
            for one in found["policies"]
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} cannot be read ({type(error).__name__}: {error}); delete {path.parent} and run "
            "stage=study again"
        ) from None
    return Study(policies, found.get("learning"))


def contender(
    name: str,
    method: str,
    answers: Sequence[Answer],
    marks: Mapping[str, Marks],
    baseline: Mapping[str, Marks],
    draws: Draws,
    *,
    kl: Interval | None = None,
    n: int | None = None,
    kl_bound_nats: float | None = None,
    seconds: float | None = None,
) -> Contender:
    """One of them from its answers and marks by judge; `baseline` are the marks of the SFT policy's."""

    def mean(values: Sequence[float]) -> Interval:
        return bootstrap_mean(values, seed=draws.seed, n=draws.resamples)

    right = marks["gold"].parts.get("right") if "gold" in marks else None
    return Contender(
        name=name,
        method=method,
        n=n,
        scores={judge: mean(given.total) for judge, given in marks.items()},
        win_rates={
            judge: mean(outcomes(given.total, baseline[judge].total)) for judge, given in marks.items()
        },
        right=mean(right) if right else None,
        kl_nats=kl,
        kl_bound_nats=kl_bound_nats,
        length_tokens=sum(len(answer.response_ids) for answer in answers) / len(answers),
        seconds=seconds,
    )
