"""What a study starts from: the runs of sft and rm, how they were told to train, and the bench to work on."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from rlhf.config import Config, RmStage, SftStage, StudyStage, validate
from rlhf.data.encoding import Encoder
from rlhf.data.sources import local_files
from rlhf.errors import ConfigError, DataError, InputError
from rlhf.models.loading import load_policy, load_tokenizer, save_plain
from rlhf.records import Demonstration, Preference, Prompt
from rlhf.runs import Artifact, hash_data_files
from rlhf.training.course import Course, Saved, latest_saved
from rlhf.training.machine import Stop
from rlhf.training.ordering import Plan
from rlhf.training.trainer import RunTrainer
from stages.rm import pairs_by_model
from stages.shared import (
    Parts,
    Session,
    encoder_for,
    experiment_of,
    load_demonstrations,
    load_preferences,
    load_prompts,
    source_of,
)

PIECES_JSON = "pieces.json"
DATASETS = {
    "dpo": {"preferences"},
    "best-of-n": {"prompts"},
    "reward-curve": {"preferences"},
    "demonstration-curve": {"demonstrations", "prompts"},
}
MUST_AGREE = ("limit", "max_length", "template", "separator", "validation_fraction", "test_fraction")


def study_stage(cfg: Config) -> StudyStage:
    """The stage's options."""
    assert isinstance(cfg.stage, StudyStage)
    return cfg.stage


def datasets_of(pieces: Sequence[str]) -> tuple[str, ...]:
    """The datasets that these pieces read."""
    return tuple(sorted(set[str]().union(*(DATASETS[piece] for piece in pieces))))


def find_inputs(cfg: Config) -> dict[str, Artifact]:
    """The SFT policy and the reward model, of the data that this command names.

    Raises:
        InputError: one is missing, was trained on other data than is named here, or is a plain folder where
            its training is to be repeated on less.
    """
    experiment, pieces = experiment_of(cfg), study_stage(cfg).pieces
    policy = experiment.resolve("policy", cfg.inputs.policy, stage="study")
    reward_model = experiment.resolve("reward_model", cfg.inputs.reward_model, stage="study")
    for piece, artifact, maker in (
        ("demonstration-curve", policy, "sft"),
        ("reward-curve", reward_model, "rm"),
    ):
        if piece in pieces and (artifact.manifest is None or artifact.manifest.stage != maker):
            others = ",".join(other for other in pieces if other != piece)
            raise InputError(
                f"stage.pieces: {piece} repeats the training of stage={maker} on less data, and "
                f"{artifact.path} is no run of it; name one by inputs.{artifact.role}, or leave it out: "
                f"stage.pieces=[{others}]"
            )
    if "demonstration-curve" in pieces:
        check_same_data(cfg, policy, "demonstrations")
    if "preferences" in datasets_of(pieces) and reward_model.manifest:
        check_same_data(cfg, reward_model, "preferences")
    return {"policy": policy, "reward_model": reward_model}


def check_same_data(cfg: Config, artifact: Artifact, dataset: str) -> None:
    """Holds the run to the data that this command names, or its held-out part would be another.

    Raises:
        InputError: the two differ; names keys and values.
    """
    before = recorded(artifact)
    pairs = {f"data.{key}": (getattr(before.data, key), getattr(cfg.data, key)) for key in MUST_AGREE}
    mine, theirs = source_of(cfg, dataset), source_of(before, dataset)
    if mine is None and theirs is None:
        pairs["seed"] = (before.seed, cfg.seed)  # of the embedded world
    elif mine is None or theirs is None or not _same_content(artifact, mine, theirs):
        pairs[f"data.{dataset}"] = (theirs, f"{mine} (its content has changed)" if mine == theirs else mine)
    differing = {key: both for key, both in pairs.items() if both[0] != both[1]}
    if differing:
        was = " ".join(f"{key}={_typed(value)}" for key, (value, _) in differing.items())
        now = " ".join(f"{key}={_typed(value)}" for key, (_, value) in differing.items())
        raise InputError(
            f"{artifact.path} was made with {was}, and this command says {now}.\n"
            "Give the same, so that what was held out there is held out here, or name another run: "
            f"inputs.{artifact.role}=..."
        )


def recorded(artifact: Artifact) -> Config:
    """The configuration of the run that made an input.

    Raises:
        InputError: it is not one that this version reads.
    """
    path = Path(artifact.path) / "config.yaml"
    try:
        return validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ConfigError) as error:
        raise InputError(f"{path} is not a configuration that this version reads: {error}") from None


@dataclass(frozen=True)
class Bench:
    """What the pieces of a study have in common; `done` is what is known of each one that is finished."""

    here: Session
    stage: StudyStage
    encoder: Encoder
    saved: Saved | None
    stop: Stop
    done: dict[str, Any]

    @property
    def policy(self) -> Artifact:
        """The SFT policy."""
        return self.here.inputs["policy"]

    @cached_property
    def sft_run(self) -> Config | None:
        """How SFT was told to train; None for a plain model folder."""
        return self._of_stage(self.policy, SftStage)

    @cached_property
    def rm_run(self) -> Config | None:
        """How the reward model was told to train; None for a plain model folder."""
        return self._of_stage(self.here.inputs["reward_model"], RmStage)

    @cached_property
    def preferences(self) -> Parts[Preference]:
        """All pairs, split as every stage splits them."""
        return load_preferences(self.here.cfg, self.encoder)

    @cached_property
    def demonstrations(self) -> Parts[Demonstration]:
        """All demonstrations, split likewise."""
        return load_demonstrations(self.here.cfg, self.encoder)

    @cached_property
    def prompts(self) -> Parts[Prompt]:
        """All prompts that leave room for a response, split likewise."""
        return load_prompts(self.here.cfg, self.encoder, self.stage.response_length)

    @cached_property
    def held_out_prompts(self) -> list[Prompt]:
        """`stage.num_prompts` prompts that no training sees. Raises DataError where there is none."""
        prompts = self.prompts.test[: self.stage.num_prompts]
        if not prompts:
            raise DataError("no prompt was held out; raise data.test_fraction, or data.limit")
        return prompts

    @cached_property
    def reward_pairs(self) -> list[Preference]:
        """The pairs that the reward model was trained on; of a plain folder's, all that are for training."""
        options = self.rm_run.stage if self.rm_run else RmStage(validation_share=0.0, judge_share=0.0)
        assert isinstance(options, RmStage)
        return pairs_by_model(options, self.preferences.train)["model"]

    def course(
        self, title: str, plan: Plan, *, keep_best: bool = False, patience: int | None = None
    ) -> Course:
        """A training's course; one that was stopped counts its time from when it began."""
        run = self.here.run
        began_s = self.saved.carried["began_s"] if self.saved and self.saved.title == title else run.seconds
        return Course(
            run=run,
            log=self.here.log,
            stop=self.stop,
            title=title,
            prefix=f"{title}/",
            plan=plan,
            save_every=self.stage.save_every,
            patience=patience,
            keep_best=keep_best,
            first_step=sum(known["steps"] for known in self.done.values()),
            carried={"began_s": began_s},
        )

    def train(self, trainer: RunTrainer) -> dict[str, Any]:
        """Trains to the end, from where it was stopped; steps, seconds and what `auto` became."""
        course = trainer.course
        with self.stop.listening():
            trainer.run_course(self.saved if self.saved and self.saved.title == course.title else None)
        return {
            "steps": trainer.state.global_step,
            "seconds": round(self.here.run.seconds - course.carried["began_s"], 3),
            "resolved": course.plan.resolved,
        }

    def finish(self, name: str, known: dict[str, Any]) -> None:
        """Notes what is known of a piece, so that it is not made again."""
        self.done[name] = known
        self.here.run.write_json(PIECES_JSON, self.done)

    def publish(self, name: str, model: Any) -> None:
        """Writes a policy, merged and plain."""
        self.here.run.publish(
            name,
            lambda folder: save_plain(model, self.encoder.tokenizer, folder, stop_ids=self.encoder.stop_ids),
        )

    @staticmethod
    def _of_stage(artifact: Artifact, stage: type[SftStage] | type[RmStage]) -> Config | None:
        cfg = recorded(artifact) if artifact.manifest else None
        return cfg if cfg and isinstance(cfg.stage, stage) else None


def set_up(here: Session) -> Bench:
    """The bench of a run, new or taken up where it was."""
    cfg, policy = here.cfg, here.inputs["policy"]
    stage, remote_code = study_stage(cfg), cfg.model.trust_remote_code
    model = load_policy(policy.model, trust_remote_code=remote_code)
    encoder = encoder_for(cfg, model, load_tokenizer(policy.model, trust_remote_code=remote_code))
    notes = here.run.path / PIECES_JSON
    done = json.loads(notes.read_text(encoding="utf-8")) if notes.is_file() else {}
    return Bench(here, stage, encoder, latest_saved(here.run, here.log), Stop(stage.max_hours), done)


def _same_content(artifact: Artifact, mine: str, theirs: str) -> bool:
    """Whether a source is the one that the run read: the same name, or files of the same content."""
    assert artifact.manifest is not None
    hashes = set(hash_data_files(local_files(mine)).values())
    known = set(artifact.manifest.data_files.values())
    return hashes <= known if hashes else mine == theirs


def _typed(value: object) -> str:
    return "null" if value is None else str(value)
