"""What an evaluation works with, from its inputs: policies, prompts, judges, and what a study left."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from platform import python_version
from typing import Any

from rlhf.config import Config, EvalStage
from rlhf.demo.tasks import WORLD
from rlhf.errors import DataError
from rlhf.evaluation.contenders import Study, Trained, read_study
from rlhf.evaluation.forgetting import kept_demonstrations
from rlhf.evaluation.inputs import judge_folder
from rlhf.evaluation.panel import Judge
from rlhf.evaluation.seen import ppo_run
from rlhf.evaluation.wording import SAYS, says_reward
from rlhf.records import Demonstration, Prompt
from rlhf.rewards import Reward, build_reward, needs_model, same_tokens
from rlhf.runs import Artifact
from rlhf.runs.provenance import git_revision, package_versions
from stages.datasets import load_demonstrations, load_prompts, source_of
from stages.judges import gold_reward, model_reward
from stages.policies import Speaker, load_speaker, name_of
from stages.reward_models import Scoring
from stages.shared import Session

ROWS_READ = 200  # rows of demonstrations for each that is wanted: a twentieth is held out, a tenth careful


@dataclass(frozen=True)
class Cast:
    """Who answers what, and who judges.

    `seen` are prompts that PPO trained on, `demonstrations` held-out ones (of `persona` alone where they say
    who speaks); either is empty where it is not known.
    """

    policy: Speaker
    baseline: Speaker
    prompts: list[Prompt]
    seen: list[Prompt]
    demonstrations: list[Demonstration]
    persona: str | None
    judges: tuple[Judge, ...]
    study: Study

    @property
    def same_tokens(self) -> bool:
        """Whether policy and baseline speak in the same tokens, so that there is a KL between them."""
        return same_tokens(self.policy.encoder, self.baseline.encoder)


def set_up(here: Session) -> Cast:
    """Loads what an evaluation needs; the judges' models wait until they are asked.

    Raises:
        DataError: no prompt was held out.
    """
    cfg, stage = here.cfg, eval_stage(here.cfg)
    policy = load_speaker(cfg, here.inputs["policy"], here.machine)
    baseline = load_speaker(cfg, here.inputs["baseline"], here.machine)
    parts = load_prompts(cfg, policy.encoder, stage.response_length)
    prompts = parts.test[: stage.num_prompts]
    if not prompts:
        raise DataError(
            f"no prompt was held out: data.test_fraction={cfg.data.test_fraction} of the prompts is none; "
            "raise it, or data.limit"
        )
    demonstrations, persona = held_out_demonstrations(cfg, policy)
    return Cast(
        policy,
        baseline,
        prompts,
        seen_prompts(here, policy, parts.train),
        demonstrations,
        persona,
        tuple(judges(here, policy, baseline, prompts)),
        read_study(here.inputs.get("study")),
    )


def seen_prompts(here: Session, policy: Speaker, train: Sequence[Prompt]) -> list[Prompt]:
    """At most `stage.num_prompts` that PPO took until the published checkpoint; none where unknown."""
    stage, run = eval_stage(here.cfg), ppo_run(here.inputs["policy"])
    if run is None or not run.same_data(here.cfg):
        return []
    if run.response_length != stage.response_length:
        train = load_prompts(here.cfg, policy.encoder, run.response_length).train
    return [train[place] for place in run.places(len(train), stage.num_prompts)]


def reads_demonstrations(cfg: Config) -> bool:
    """Whether there are demonstrations: the user's, or the embedded world's beside its prompts."""
    return source_of(cfg, "demonstrations") is not None or source_of(cfg, "prompts") is None


def held_out_demonstrations(cfg: Config, policy: Speaker) -> tuple[list[Demonstration], str | None]:
    """At most `stage.num_prompts` of the test part, and the persona whose they are where that is known.

    Of a large dataset only the beginning is read; which of its rows are held out does not depend on the rest.
    """
    if not reads_demonstrations(cfg):
        return [], None
    count = eval_stage(cfg).num_prompts
    few = min(cfg.data.limit or ROWS_READ * count, ROWS_READ * count)
    limited = cfg.model_copy(update={"data": cfg.data.model_copy(update={"limit": few})})
    return kept_demonstrations(load_demonstrations(limited, policy.encoder).test, count)


def judges(here: Session, policy: Speaker, baseline: Speaker, prompts: Sequence[Prompt]) -> Iterator[Judge]:
    """Who judges, those of most authority first."""
    cfg, inputs = here.cfg, here.inputs
    common = policy.encoder if same_tokens(policy.encoder, baseline.encoder) else None

    def reward_model(folder: str) -> Reward:
        return model_reward(here, folder, common)

    if all(prompt.fields.get("world") == WORLD for prompt in prompts):
        yield Judge("gold", SAYS["gold"], lambda: gold_reward(cfg))
    if folder := judge_folder(inputs):
        yield Judge("judge", SAYS["judge"], lambda: reward_model(folder))
    if "reward_model" in inputs or not needs_model(cfg.reward):
        yield Judge(
            "reward",
            says_reward(cfg.reward.kind),
            lambda: build_reward(cfg.reward, Scoring(here, common)),
        )


def made_by(artifact: Artifact) -> Trained:
    """A policy as a contender: how it was made, and in what time; SFT's is what all of them have spent."""
    manifest = artifact.manifest
    method = manifest.stage if manifest and manifest.stage in ("sft", "ppo") else "policy"
    seconds = manifest.seconds if manifest and method != "sft" else None
    return Trained(name_of(artifact), method, Path(artifact.model), None, seconds)


def environment(here: Session) -> dict[str, Any]:
    """Where and with what this was computed."""
    return {
        **here.machine.resolved,
        "python": python_version(),
        **package_versions(),
        "git": git_revision()[0],
    }


def eval_stage(cfg: Config) -> EvalStage:
    """The stage's options."""
    assert isinstance(cfg.stage, EvalStage)
    return cfg.stage
