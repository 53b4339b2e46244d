"""Finished runs made in a moment, to test the stages that start from them."""

import json
from collections.abc import Callable
from pathlib import Path

from small_models import small_llama
from transformers import AutoModelForSequenceClassification

from rlhf.config import Config, validate
from rlhf.demo.base_model import base_folder
from rlhf.demo.tokenizer import tokenizer
from rlhf.models.loading import save_plain
from rlhf.runs import Artifact, Experiment

PROMPTS = 200
BASE = str(base_folder())


def config(folder: Path, stage: dict[str, object], **more: object) -> Config:
    """A small configuration on the embedded world."""
    small = {"data": {"limit": PROMPTS, "test_fraction": 0.1}, "trackers": [], "threads": 1, "device": "cpu"}
    return validate({"name": "made", "runs_dir": str(folder), "stage": stage, **small, **more})


def make_policy(
    folder: Path, stage: str, *, seed: int, parent: str | None = None, base: str | None = BASE
) -> str:
    """A policy with random weights, as `stage` would leave it; returns where it lies."""
    experiment = Experiment(folder, "made")
    inputs = {"policy": experiment.resolve("policy", parent, stage=stage)} if parent else {}
    return _make(
        experiment,
        stage,
        "policy",
        inputs,
        {"model": lambda target: save_plain(small_llama(seed), tokenizer(), target)},
        base,
    )


def make_reward_models(folder: Path, policy: str) -> str:
    """A run of `rm`: the model, its validation model and its judge, with random heads, and their quality."""
    experiment = Experiment(folder, "made")

    def save(target: Path) -> None:
        model = AutoModelForSequenceClassification.from_pretrained(
            f"{policy}/model", num_labels=1, pad_token_id=tokenizer().pad_token_id
        )
        save_plain(model, tokenizer(), target)

    share = {"estimate": 0.7, "low": 0.6, "high": 0.8}
    quality = {
        "pairs": 10, "prompts": 9, "accuracy": share, "longer": share, "length_rule": "longer",
        "length": {"estimate": 0.55, "low": 0.5, "high": 0.6}, "ece": 0.1, "mean_margin": 0.3,
        "bins": [{"low": 0.5, "high": 0.55, "weight": 10, "predicted": 0.52, "observed": 0.7}],
        "truth": None, "label_agreement": None,
    }  # fmt: skip
    inputs = {"policy": experiment.resolve("policy", policy, stage="rm")}
    names = ("model", "validation_model", "judge_model")
    return _make(
        experiment,
        "rm",
        "reward_model",
        inputs,
        dict.fromkeys(names, save),
        None,
        {"quality.json": {"model": quality}},
    )


def _make(
    experiment: Experiment,
    stage: str,
    kind: str,
    inputs: dict[str, Artifact],
    folders: dict[str, Callable[[Path], None]],
    base: str | None,
    files: dict[str, object] | None = None,
) -> str:
    number = len(experiment.runs())
    with experiment.open(stage, identity=f"made-{number}", config={}, inputs=inputs) as run:
        for name, write in folders.items():
            run.publish(name, write)
        for name, value in (files or {}).items():
            run.write_json(name, json.loads(json.dumps(value)))
        run.finish(kind, metrics={}, resolved={}, base_model=base)  # type: ignore[arg-type]
        return str(run.path)
