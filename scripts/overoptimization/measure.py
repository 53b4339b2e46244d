"""From run folders to curves of gold and learnt reward, in deviations of the reference policy's answers.

Shapes: P prompts of the pool, N answers to each, K reward models.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rlhf.config import KlConfig, objective
from rlhf.evaluation.best_of_n import best_of_curve, expected_best
from rlhf.metrics import read_metrics
from rlhf.models.loading import context_length, load_tokenizer
from rlhf.models.reward_model import load_reward_model
from rlhf.records import Prompt
from rlhf.rewards import ModelReward, Scored
from rlhf.rewards.ensemble import combined, member_folders
from rlhf.rewards.model import reward_encoder
from rlhf.training.held_out import is_better
from scripts.overoptimization.fits import Fit, Floats, Form, fit
from scripts.overoptimization.runs import REWARDS, Commands, PpoRun, SeedRuns
from scripts.overoptimization.world import END_ID, gold, read_rows, token_ids

Row = Mapping[str, Any]
KL = KlConfig()
RULE_N = 16  # what the policy picked by the rule is held against


@dataclass(frozen=True)
class Point:
    """How far from the reference, and what was gained over it, in its answers' deviations."""

    kl_nats: float
    gold: float
    reward: float

    @property
    def d(self) -> float:
        """sqrt(KL); an estimate of KL below 0 counts as 0."""
        return max(self.kl_nats, 0.0) ** 0.5


@dataclass(frozen=True)
class Curve:
    """Best-of-n, or the looks of a PPO run with `beta`; `fit` is gold's."""

    form: Form
    reward: str  # of REWARDS
    beta: float | None
    seed: int
    points: tuple[Point, ...]
    fit: Fit


@dataclass(frozen=True)
class Learner:
    """A reward model: the share of the pool's pairs in gold's order, and the gold of its best-of-16."""

    pairs: int
    seed: int
    accuracy: float
    best_of_16: float


@dataclass(frozen=True)
class Picked:
    """The policy that the rule picks among the looks of all PPO runs on one reward model."""

    seed: int
    beta: float
    iteration: int
    kl_nats: float
    gold: float  # of fresh answers to the pool's prompts
    best_of_16: float  # on the same prompts


@dataclass(frozen=True)
class Study:
    """All that is measured; everything that is a gain is in deviations of the reference's answers."""

    learners: tuple[Learner, ...]
    curves: tuple[Curve, ...]
    picked: tuple[Picked, ...]

    def __add__(self, other: "Study") -> "Study":
        """Both, as of several seeds."""
        return Study(self.learners + other.learners, self.curves + other.curves, self.picked + other.picked)


@dataclass(frozen=True)
class Scale:
    """Mean and deviation of the reference's answers."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: Floats) -> "Scale":
        """Of values of any shape."""
        return cls(float(values.mean()), float(values.std()))

    def gained(self, value: float) -> float:
        """In deviations above the mean."""
        return (value - self.mean) / self.deviation


def measure(commands: Commands, runs: SeedRuns) -> Study:
    """All that one seed's runs come to; samples from the policy that the rule picks."""
    seed, rows = commands.seed, read_rows(runs.pool / "samples.jsonl")
    answers, shape = as_scored(rows), (-1, commands.size.pool_answers)
    gold_PN = golds(rows).reshape(shape)
    gold_scale = Scale.of(gold_PN)
    scores_KPN = np.stack(
        [scores(Path(folder), answers).reshape(shape) for folder in ensemble_folders(runs.maximised)]
    )
    by_reward = {reward: combine(scores_KPN, reward) for reward in REWARDS}
    curves = [
        best_of_n(reward, reward_PN, gold_PN, commands.size.largest_n, seed)
        for reward, reward_PN in by_reward.items()
    ]
    curves += [ppo_curve(run, gold_scale, Scale.of(by_reward[run.reward]), seed) for run in runs.ppo]
    learners = [
        learner(pairs, scores(folder / "model", answers).reshape(shape), gold_PN, seed)
        for pairs, folder in runs.reward_models.items()
    ]
    best = pick([run for run in runs.ppo if run.reward == "model"])
    size = commands.size
    spoken = commands.sample(
        "picked", best.run.folder, "pool_prompts", size.pool_prompts, size.picked_answers
    )
    picked = Picked(
        seed,
        best.run.beta,
        best.iteration,
        best.figures["eval/kl"],
        gold_scale.gained(float(golds(read_rows(spoken / "samples.jsonl")).mean())),
        gold_scale.gained(float(expected_best(by_reward["model"], gold_PN, RULE_N).mean())),
    )
    return Study(tuple(learners), tuple(curves), (picked,))


def best_of_n(reward: str, reward_PN: Floats, gold_PN: Floats, largest: int, seed: int) -> Curve:
    """The curve of best-of-n, n = 1, 2, 4, ... up to `largest`, from a pool of N answers to each prompt."""
    gold_scale, reward_scale = Scale.of(gold_PN), Scale.of(reward_PN)
    found = best_of_curve(reward_PN, {"gold": gold_PN, "reward": reward_PN}, largest=largest)
    points = tuple(
        Point(one.kl_nats, gold_scale.gained(one.scores["gold"]), reward_scale.gained(one.scores["reward"]))
        for one in found
    )
    return _curve("best-of-n", reward, None, seed, points)


def ppo_curve(run: PpoRun, gold_scale: Scale, reward_scale: Scale, seed: int) -> Curve:
    """The looks of a PPO run, from the answers that it kept.

    Gains are over its own first look, at the reference: the same prompts and the same draws.
    """
    lines = read_metrics(run.folder / "metrics.jsonl")
    kl_nats = {int(line["step"]): line["eval/kl"] for line in lines if "eval/kl" in line}
    by_step: dict[int, list[Row]] = {}
    for row in read_rows(run.folder / "looks.jsonl"):
        by_step.setdefault(int(row["step"]), []).append(row)
    means = {
        step: (float(golds(rows).mean()), float(np.mean([row["score"] for row in rows])))
        for step, rows in sorted(by_step.items())
    }
    gold_first, reward_first = means[0]
    points = tuple(
        Point(
            kl_nats[step],
            (gold_mean - gold_first) / gold_scale.deviation,
            (reward_mean - reward_first) / reward_scale.deviation,
        )
        for step, (gold_mean, reward_mean) in means.items()
    )
    return _curve("rl", run.reward, run.beta, seed, points)


def learner(pairs: int, reward_PN: Floats, gold_PN: Floats, seed: int) -> Learner:
    """How good a reward model is on the pool, by pairs of neighbouring answers that gold tells apart."""
    truth = gold_PN[:, ::2] - gold_PN[:, 1::2]
    guess = reward_PN[:, ::2] - reward_PN[:, 1::2]
    apart = truth != 0
    right = np.where(guess == 0, 0.5, np.sign(guess) == np.sign(truth))
    best = float(expected_best(reward_PN, gold_PN, RULE_N).mean())
    return Learner(pairs, seed, float(right[apart].mean()), Scale.of(gold_PN).gained(best))


@dataclass(frozen=True)
class Choice:
    """A checkpoint, with the figures that the rule saw."""

    run: PpoRun
    iteration: int
    figures: dict[str, float]
    first: dict[str, float]  # those of the policy as it came


def pick(runs: Sequence[PpoRun]) -> Choice:
    """The best checkpoint of several PPO runs by the product's rule, which does not see gold.

    Within a run it is the one that was published as `model/`.
    """
    best: Choice | None = None
    for candidate in _published(runs):
        price = KL.price * candidate.first["eval/validation_deviation"]
        best_figures = best.figures if best else {}
        if is_better(candidate.figures, best_figures, kl_budget=KL.budget, kl_price=price):
            best = candidate
    if best is None:
        raise ValueError("there is no PPO run on one reward model to pick from")
    return best


def _published(runs: Sequence[PpoRun]) -> Iterator[Choice]:
    for run in runs:
        manifest = json.loads((run.folder / "manifest.json").read_text(encoding="utf-8"))
        iteration = int(manifest["metrics"]["iteration"])
        lines = read_metrics(run.folder / "metrics.jsonl")
        figures, first = ([line for line in lines if line["step"] == step] for step in (iteration, 0))
        yield Choice(run, iteration, *figures, *first)


def combine(scores_KPN: Floats, reward: str) -> Floats:
    """The scores [P, N] that a reward of REWARDS makes of its models'; `model` is the first of them."""
    if reward == "model":
        return scores_KPN[0]
    cfg = objective.EnsembleReward.model_validate({"combine": reward})
    return combined(torch.from_numpy(scores_KPN), cfg.combine, cfg.std_coef).numpy()


def ensemble_folders(run: Path) -> list[str]:
    """The model folders of an ensemble, the one that PPO maximises alone first."""
    return member_folders(str(run), str(run / "model"))


def scores(folder: Path, answers: Sequence[Scored]) -> Floats:
    """What a reward model gives to answers, shown their tokens as PPO shows them."""
    model = load_reward_model(str(folder))
    encoder = reward_encoder(load_tokenizer(str(folder)), context_length(model), "auto")
    return ModelReward(model, encoder, policy_encoder=encoder)(answers).total.double().numpy()


def as_scored(rows: Sequence[Row]) -> list[Scored]:
    """Rows of `stage=sample`, with their tokens: of this world a symbol each, and the end."""
    return [
        Scored(
            Prompt(row["prompt"]),
            row["response"],
            token_ids(row["prompt"]),
            (*token_ids(row["response"]), *((END_ID,) if row["finish"] == "eos" else ())),
            row["finish"],
        )
        for row in rows
    ]


def golds(rows: Sequence[Row]) -> Floats:
    """The gold of answers."""
    return np.array([gold(row["prompt"], row["response"]) for row in rows])


def _curve(form: Form, reward: str, beta: float | None, seed: int, points: tuple[Point, ...]) -> Curve:
    found = fit(form, [point.d for point in points], [point.gold for point in points])
    return Curve(form, reward, beta, seed, points, found)
