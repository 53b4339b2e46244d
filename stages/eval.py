"""A policy against its SFT parent on prompts that no training saw.

Both answer the same prompts with the same seeds, and so do the other ways of improving that parent: best-of-n
and what `stage=study` trained. The judges: gold (in the embedded world), a reward model that neither trained
the policy nor picked its checkpoint, a model behind an endpoint where one is named, and the reward itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rlhf.config import Config
from rlhf.evaluation import measures
from rlhf.evaluation.answers import Answer
from rlhf.evaluation.cautions import cautions, gaps
from rlhf.evaluation.doubts import Draws
from rlhf.evaluation.figures import figures, sequence_kl_nats
from rlhf.evaluation.forgetting import Losses, losses
from rlhf.evaluation.inputs import find_inputs, saved_quality, training_warnings
from rlhf.evaluation.lineage import lineage
from rlhf.evaluation.looks import episodes_of, training_of
from rlhf.evaluation.measures import Findings
from rlhf.evaluation.outside import Outside, ask_outside, check_judge, rubric_files
from rlhf.evaluation.panel import mark
from rlhf.evaluation.probes import CHANGES, PROBED, Changed, change
from rlhf.evaluation.report import render_report
from rlhf.evaluation.summary import Evaluation
from rlhf.evaluation.table import print_summary
from rlhf.records import Prompt
from rlhf.rewards import reward_files, same_tokens
from rlhf.runs import Manifest
from rlhf.runs.artifact import from_model_folder
from rlhf.runs.plain import plain
from rlhf.training.seeds import sub_seed
from stages.eval_setup import (
    Cast,
    environment,
    eval_stage,
    made_by,
    reads_demonstrations,
    set_up,
)
from stages.judges import gold_reward
from stages.policies import Speaker, load_speaker, sampling_of
from stages.reward_models import named_inputs
from stages.shared import Session, experiment_of, session


@dataclass(frozen=True)
class Answers:
    """Everybody's answers by who gave them (see `Findings`), and what is known of them without a judge."""

    sets: Mapping[str, Sequence[Answer]]
    kl_nats: Mapping[str, Sequence[float]]
    probes: Mapping[str, Changed]
    losses: tuple[Losses, Losses] | None


def run(cfg: Config) -> Manifest:
    """Evaluates the newest policy, or inputs.policy; returns the manifest of the evaluation.

    Raises:
        InputError: there is no policy, or nothing to compare it with.
        DataError: no prompt was held out.
    """
    inputs = find_inputs(cfg.inputs, experiment_of(cfg)) | named_inputs(cfg)
    data = ("prompts", "demonstrations") if reads_demonstrations(cfg) else ("prompts",)
    files = (*reward_files(cfg.reward), *rubric_files(eval_stage(cfg).judge))
    with session(cfg, inputs, data, files) as here:
        manifest = here.run.manifest or evaluate(here)
        print_summary(here.run.path, manifest)
        return manifest


def evaluate(here: Session) -> Manifest:
    """Samples, judges, measures, writes, and finishes the run."""
    check_judge(eval_stage(here.cfg).judge)
    cast = set_up(here)
    found = judge(here, cast, ask(here, cast))
    heard = ask_outside(eval_stage(here.cfg).judge, found.sets, here.run.path, found.draws)
    evaluation = conclude(here, cast, found, heard)
    write(here, evaluation, found, heard)
    here.log.close()
    return here.run.finish(
        "evaluation", metrics=evaluation.metrics(), resolved=here.resolved, seed=here.cfg.seed
    )


def ask(here: Session, cast: Cast) -> Answers:
    """Everybody answers the held-out prompts; then best-of-n's pool, prompts of the training, and probes."""
    cfg, stage, policy, baseline = here.cfg, eval_stage(here.cfg), cast.policy, cast.baseline

    def said(
        speaker: Speaker, prompts: Sequence[Prompt], seed: int = cfg.seed, count: int = 1
    ) -> list[Answer]:
        sampling = sampling_of(cfg, stage, speaker)
        return speaker.answers(prompts, sampling, seed=seed, per_prompt=count) if prompts else []

    sets = {
        "policy": said(policy, cast.prompts),
        "baseline": said(baseline, cast.prompts),
        "itself": said(baseline, cast.prompts, sub_seed(cfg.seed, "itself")),
        "seen/policy": said(policy, cast.seen),
        "seen/baseline": said(baseline, cast.seen),
    }
    if stage.best_of > 1:
        sets["pool"] = said(baseline, cast.prompts, sub_seed(cfg.seed, "best of n"), stage.best_of)
    kl_nats = {"policy": distance(here, policy, baseline, sets["policy"])} if cast.same_tokens else {}
    for trained in cast.study.policies:
        artifact = from_model_folder("policy", trained.folder, ("policy",))
        speaker, name = load_speaker(cfg, artifact, here.machine), f"trained/{trained.name}"
        sets[name] = said(speaker, cast.prompts)
        if same_tokens(speaker.encoder, baseline.encoder):
            kl_nats[name] = distance(here, speaker, baseline, sets[name])

    probes = {name: change(name, sets["baseline"][:PROBED], baseline.encoder) for name in CHANGES}
    sets |= {f"probe/{name}": changed.answers for name, changed in probes.items()}
    forgotten = None
    if cast.demonstrations:
        mine, other = (losses(one.model, one.encoder, cast.demonstrations) for one in (policy, baseline))
        forgotten = mine, other
    return Answers(sets, kl_nats, probes, forgotten)


def distance(here: Session, speaker: Speaker, baseline: Speaker, answers: Sequence[Answer]) -> list[float]:
    """How far each answer is from what the baseline would say, in nats at the sampling temperature."""
    both, heat = (speaker.model, baseline.model), eval_stage(here.cfg).temperature
    return sequence_kl_nats(*both, answers, temperature=heat, pad_id=speaker.encoder.pad_id)


def judge(here: Session, cast: Cast, answers: Answers) -> Findings:
    """Every judge marks every answer, one judge after the other."""
    verdicts: dict[str, Any] = {}
    for one in cast.judges:
        here.say(f"scores by {one.name}")
        verdicts[one.name] = mark(one.load(), answers.sets)
    stage = eval_stage(here.cfg)
    return Findings(
        sets=answers.sets,
        pool_size=stage.best_of,
        says={one.name: one.says for one in cast.judges},
        verdicts=verdicts,
        kl_nats=answers.kl_nats,
        probes=answers.probes,
        losses=answers.losses,
        losses_by=cast.persona,
        trained=cast.study.policies,
        draws=Draws(here.cfg.seed, stage.bootstrap),
    )


def conclude(here: Session, cast: Cast, found: Findings, heard: Outside) -> Evaluation:
    """Everything that the evaluation says, its warnings and gaps last."""
    stage, cfg, policy = eval_stage(here.cfg), here.cfg, here.inputs["policy"]
    judged = measures.judgements(found)
    training = training_of(policy, gold_reward(here.cfg) if "gold" in found.verdicts else None, found.draws)
    rows = list(heard.scored(measures.sample_rows(found)))[: stage.show]
    evaluation = Evaluation(
        experiment=cfg.name,
        policy=cast.policy.name,
        baseline=cast.baseline.name,
        prompts=len(cast.prompts),
        seed=cfg.seed,
        temperature=stage.temperature,
        response_length=stage.response_length,
        command=here.run.opening.command,
        configuration=(here.run.path / "config.yaml").read_text(encoding="utf-8"),
        environment=environment(here),
        judgements=heard.among(judged),
        parts=measures.gold_parts(found),
        figures={name: figures(found.sets[name], **found.draws.named) for name in ("policy", "baseline")},
        kl_nats=found.kl,
        kl_budget_nats=cfg.kl.budget,
        contenders=heard.of(measures.contenders(found, made_by(policy), made_by(here.inputs["baseline"]))),
        best_of_n=measures.best_of_n(found),
        training=training,
        doubts=measures.doubts(found, judged),
        reward_model=saved_quality(here.inputs),
        probes=measures.probes(found),
        disagreements=measures.worst_disagreements(found),
        learning=cast.study.learning,
        samples=tuple(rows),
        episodes=tuple(episodes_of(policy, training)),
        lineage=tuple(lineage(here.inputs, Path(cfg.runs_dir))),
        endpoint=heard.facts(),
    )
    return replace(
        evaluation,
        warnings=(*cautions(evaluation, training_warnings(policy)), *heard.warnings()),
        missing=tuple(gaps(evaluation)),
    )


def write(here: Session, evaluation: Evaluation, found: Findings, heard: Outside) -> None:
    """`evaluation.json`, `samples.jsonl` with every pair, and the report."""
    saved = plain(evaluation.as_json())
    here.run.write_json("evaluation.json", saved)
    here.run.write_jsonl("samples.jsonl", heard.scored(measures.sample_rows(found)))
    here.run.write_text("report.html", render_report(saved))
