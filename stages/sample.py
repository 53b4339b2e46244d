"""Several answers a prompt from one or more policies, as rows that can be rated.

Each policy answers every prompt `stage.answers` times. A row says who spoke, with which seed, and how it was
drawn, so that a preference given on it later can be traced. A run that was stopped starts again from nothing:
the same seeds give the same answers.
"""

import random
from collections.abc import Iterator, Mapping
from typing import Any

from rlhf.config import Config, SampleStage
from rlhf.errors import DataError
from rlhf.evaluation.answers import answer_row
from rlhf.records import Prompt
from rlhf.runs import Artifact, Experiment, Manifest
from stages.datasets import load_prompts
from stages.policies import Speaker, load_speaker, sampling_of
from stages.shared import Session, experiment_of, session


def run(cfg: Config) -> Manifest:
    """Samples `samples.jsonl`; returns the manifest of the samples."""
    stage = sample_stage(cfg)
    policies = policies_of(cfg, experiment_of(cfg))
    with session(cfg, policies, ("prompts",)) as here:
        if here.run.manifest:
            return here.run.manifest
        rows: list[dict[str, Any]] = []
        for artifact in policies.values():
            speaker = load_speaker(cfg, artifact, here.machine)
            prompts = chosen_prompts(here, speaker)
            rows += rows_of(here, speaker, prompts)
        rows.sort(key=lambda row: row["key"])  # the answers to one prompt together, whoever gave them
        path = here.run.write_jsonl("samples.jsonl", rows)
        here.say(f"{len(rows)} answers to {len({row['key'] for row in rows})} prompts in {path}")
        here.log.close()
        return here.run.finish(
            "samples",
            metrics={
                "answers": len(rows),
                "prompts": len({row["key"] for row in rows}),
                "policies": len(policies),
                "mean_tokens": sum(row["tokens"] for row in rows) / len(rows),
                "end_rate": sum(row["finish"] == "eos" for row in rows) / len(rows),
                "answers_a_prompt": stage.answers * len(policies),
            },
            resolved=here.resolved,
            seed=cfg.seed,
        )


def policies_of(cfg: Config, experiment: Experiment) -> Mapping[str, Artifact]:
    """inputs.policy, or the newest policy; then those of stage.policies, as policy_2, policy_3 ..."""
    policies = {"policy": experiment.resolve("policy", cfg.inputs.policy, stage="sample")}
    for number, named in enumerate(sample_stage(cfg).policies, start=2):
        policies[f"policy_{number}"] = experiment.resolve("policy", named, stage="sample")
    return policies


def chosen_prompts(here: Session, speaker: Speaker) -> list[Prompt]:
    """`stage.num_prompts` prompts of `stage.part`, drawn by the seed.

    Raises DataError where the part is empty.
    """
    stage = sample_stage(here.cfg)
    parts = load_prompts(here.cfg, speaker.encoder, stage.response_length)
    prompts = {"train": parts.train, "validation": parts.validation, "test": parts.test}[stage.part]
    if not prompts:
        raise DataError(
            f"stage.part={stage.part} holds no prompt; take stage.part=train, or raise "
            f"data.{stage.part}_fraction or data.limit"
        )
    order = sorted(prompts, key=lambda prompt: prompt.key)
    return random.Random(f"{here.cfg.seed}/sample").sample(order, min(stage.num_prompts, len(order)))


def rows_of(here: Session, speaker: Speaker, prompts: list[Prompt]) -> Iterator[dict[str, Any]]:
    """A row for each answer of one policy."""
    stage, cfg = sample_stage(here.cfg), here.cfg
    sampling = sampling_of(cfg, stage, speaker)
    policy = {"run": speaker.artifact.path, "fingerprint": speaker.artifact.fingerprint}
    drawn = {
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_new_tokens,
        "seed": cfg.seed,
    }
    for answer in speaker.answers(prompts, sampling, seed=cfg.seed, per_prompt=stage.answers):
        yield answer_row(answer) | {"policy": policy, "sampling": drawn}


def sample_stage(cfg: Config) -> SampleStage:
    """The stage's options."""
    assert isinstance(cfg.stage, SampleStage)
    return cfg.stage
