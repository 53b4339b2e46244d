"""A policy against its SFT parent on prompts that no training saw.

Both answer the same prompts with the same seeds. The pairs are judged by gold where the prompts come from the
embedded world, by a judge (a reward model that neither trained the policy nor picked its checkpoint), and by
the reward of the configuration. What comes out is `evaluation.json`, `samples.jsonl` and `report.html`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from rlhf.algos.statistics import Interval, bootstrap_mean
from rlhf.config import Config, EvalStage
from rlhf.demo.gold import gold
from rlhf.demo.tasks import WORLD
from rlhf.errors import DataError
from rlhf.evaluation.answers import Answer, score_answers
from rlhf.evaluation.figures import figures, sequence_kl_nats
from rlhf.evaluation.inputs import find_inputs, judge_folder, saved_quality, training_warnings
from rlhf.evaluation.lineage import lineage
from rlhf.evaluation.report import SideBySide, render_report
from rlhf.evaluation.summary import Evaluation, Judgement
from rlhf.evaluation.table import print_summary
from rlhf.evaluation.win_rate import compare, compare_by
from rlhf.metrics import read_metrics
from rlhf.models.loading import load_tokenizer
from rlhf.models.reward_model import load_reward_model
from rlhf.rewards import (
    ModelReward,
    Reward,
    Scored,
    Scores,
    build_reward,
    needs_model,
    reward_files,
    same_tokens,
)
from rlhf.runs import Manifest
from stages.policies import Speaker, load_speaker, sampling_of
from stages.shared import Session, encoder_for, experiment_of, load_prompts, session

GROUPED_BY = ("family", "language")


class Answers(NamedTuple):
    """Of both sides to the same prompts."""

    policy: list[Answer]
    baseline: list[Answer]


class Judged(NamedTuple):
    """A judgement with the scores behind it, the policy's and the baseline's."""

    judgement: Judgement
    scores: list[list[float]]


def run(cfg: Config) -> Manifest:
    """Evaluates the newest policy, or inputs.policy; returns the manifest of the evaluation.

    Raises:
        InputError: there is no policy, or nothing to compare it with.
        DataError: no prompt was held out.
    """
    inputs = find_inputs(cfg.inputs, experiment_of(cfg))
    with session(cfg, inputs, ("prompts",), reward_files(cfg.reward)) as here:
        manifest = here.run.manifest or evaluate(here)
        print_summary(here.run.path, manifest)
        return manifest


def evaluate(here: Session) -> Manifest:
    """Samples, judges, measures, writes, and finishes the run."""
    cfg = here.cfg
    policy = load_speaker(cfg, here.inputs["policy"], here.machine)
    baseline = load_speaker(cfg, here.inputs["baseline"], here.machine)
    answers = sample_both(here, policy, baseline)
    judged = [
        judge(here, name, says, reward, answers) for name, says, reward in judges(here, policy, answers)
    ]
    evaluation = measure(here, policy, baseline, answers, tuple(one.judgement for one in judged))
    write(here, evaluation, answers, judged)
    here.log.close()
    return here.run.finish(
        "evaluation", metrics=evaluation.metrics(), resolved=here.machine.resolved, seed=cfg.seed
    )


def sample_both(here: Session, policy: Speaker, baseline: Speaker) -> Answers:
    """Answers of both to the held-out prompts, with the same seeds."""
    stage, cfg = eval_stage(here.cfg), here.cfg
    prompts = load_prompts(cfg, policy.encoder, stage.response_length).test[: stage.num_prompts]
    if not prompts:
        raise DataError(
            f"no prompt was held out: data.test_fraction={cfg.data.test_fraction} of the prompts is none; "
            "raise it, or data.limit"
        )
    both = [
        speaker.answers(prompts, sampling_of(cfg, stage, speaker), seed=cfg.seed)
        for speaker in (policy, baseline)
    ]
    return Answers(*both)


def judges(here: Session, policy: Speaker, answers: Answers) -> Iterator[tuple[str, str, Reward]]:
    """Who judges: name, what it is in words, and the scores it gives; those of most authority first."""
    cfg, inputs = here.cfg, here.inputs

    def reward_model(folder: str) -> Reward:
        remote_code = cfg.model.trust_remote_code
        model = load_reward_model(folder, dtype=here.machine.dtype, trust_remote_code=remote_code)
        encoder = encoder_for(cfg, model, load_tokenizer(folder, trust_remote_code=remote_code))
        on_device = model.to(here.machine.device)  # pyright: ignore[reportArgumentType]
        return ModelReward(on_device, encoder, policy_encoder=policy.encoder)

    if all(answer.prompt.fields.get("world") == WORLD for answer in answers.policy):
        yield "gold", "the gold rater of the embedded world", gold_reward
    if folder := judge_folder(inputs):
        yield "judge", "a judge trained on other pairs", reward_model(folder)
    if "reward_model" in inputs or not needs_model(cfg.reward):
        reward = build_reward(cfg.reward, lambda: reward_model(inputs["reward_model"].model))
        yield "reward", f"the reward itself (reward={cfg.reward.kind})", reward


def judge(here: Session, name: str, says: str, reward: Reward, answers: Answers) -> Judged:
    """Scores both sides and compares them, over all prompts and by family and language."""
    here.say(f"scores by {name}")
    scores = score_answers(reward, answers.policy, answers.baseline)
    drawn = {"seed": here.cfg.seed, "resamples": eval_stage(here.cfg).bootstrap}
    groups = {
        field: compare_by([str(answer.prompt.fields[field]) for answer in answers.policy], *scores, **drawn)
        for field in GROUPED_BY
        if all(field in answer.prompt.fields for answer in answers.policy)
    }
    return Judged(Judgement(name, says, compare(*scores, **drawn), groups), scores)


def measure(
    here: Session, policy: Speaker, baseline: Speaker, answers: Answers, judgements: tuple[Judgement, ...]
) -> Evaluation:
    """Everything that the evaluation says, the distance between the two among it."""
    stage, cfg = eval_stage(here.cfg), here.cfg
    notes = training_warnings(here.inputs["policy"])
    kl: Interval | None = None
    if same_tokens(policy.encoder, baseline.encoder):
        both = policy.model, baseline.model
        nats = sequence_kl_nats(
            *both, answers.policy, temperature=stage.temperature, pad_id=policy.encoder.pad_id
        )
        kl = bootstrap_mean(nats, seed=cfg.seed, n=stage.bootstrap)
    else:
        notes.append("The two have different tokens or templates: there is no KL between them.")
    if judge_folder(here.inputs) is None:
        notes.append("There is no judge apart from the reward: run stage=rm, or name one by inputs.judge.")
    return Evaluation(
        experiment=cfg.name,
        policy=policy.name,
        baseline=baseline.name,
        prompts=len(answers.policy),
        seed=cfg.seed,
        temperature=stage.temperature,
        response_length=stage.response_length,
        judgements=judgements,
        policy_figures=figures(answers.policy, seed=cfg.seed, resamples=stage.bootstrap),
        baseline_figures=figures(answers.baseline, seed=cfg.seed, resamples=stage.bootstrap),
        kl_nats=kl,
        kl_budget_nats=cfg.kl.budget,
        reward_quality=saved_quality(here.inputs),
        lineage=tuple(lineage(here.inputs, Path(cfg.runs_dir))),
        notes=tuple(notes),
    )


def write(here: Session, evaluation: Evaluation, answers: Answers, judged: Sequence[Judged]) -> None:
    """`evaluation.json`, `samples.jsonl` with every pair, and the report."""
    pairs = [
        SideBySide(mine, other, {one.judgement.name: (one.scores[0][i], one.scores[1][i]) for one in judged})
        for i, (mine, other) in enumerate(zip(*answers, strict=True))
    ]
    curves = read_metrics(Path(here.inputs["policy"].path) / "metrics.jsonl")
    shown = pairs[: eval_stage(here.cfg).show]
    here.run.write_json("evaluation.json", evaluation.as_json())
    here.run.write_jsonl("samples.jsonl", (pair.as_json() for pair in pairs))
    here.run.write_text("report.html", render_report(evaluation, shown, curves))


def gold_reward(batch: Sequence[Scored]) -> Scores:
    """What the embedded world's own rater gives."""
    scores = [gold(scored.prompt, scored.response).total for scored in batch]
    return Scores(torch.tensor(scores, dtype=torch.float32))


def eval_stage(cfg: Config) -> EvalStage:
    """The stage's options."""
    assert isinstance(cfg.stage, EvalStage)
    return cfg.stage
