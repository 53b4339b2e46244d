"""A study's inputs, held to the data that their runs had: what was held out there is held out here."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from rlhf.config import Config, StudyStage, validate
from rlhf.data.sources import local_files
from rlhf.errors import ConfigError, InputError
from rlhf.runs import Artifact, hash_data_files
from stages.datasets import source_of
from stages.reward_models import named_inputs
from stages.shared import experiment_of

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
            others = ",".join(other for other in pieces if other != piece) or "dpo,best-of-n"
            raise InputError(
                f"stage.pieces: {piece} repeats the training of stage={maker} on less data, and "
                f"{artifact.path} is no run of it; name one by inputs.{artifact.role}, or leave it out: "
                f"stage.pieces=[{others}]"
            )
    if "demonstration-curve" in pieces:
        check_same_data(cfg, policy, "demonstrations")
    if "preferences" in datasets_of(pieces) and reward_model.manifest:
        check_same_data(cfg, reward_model, "preferences")
    return {"policy": policy, "reward_model": reward_model} | named_inputs(cfg)


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


def _same_content(artifact: Artifact, mine: str, theirs: str) -> bool:
    """Whether a source is the one that the run read: the same name, or files of the same content."""
    assert artifact.manifest is not None
    hashes = set(hash_data_files(local_files(mine)).values())
    known = set(artifact.manifest.data_files.values())
    return hashes <= known if hashes else mine == theirs


def _typed(value: object) -> str:
    return "null" if value is None else str(value)
