"""What an evaluation takes: the policy, what it is compared with, and who judges."""

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter

from rlhf.config import InputsConfig
from rlhf.errors import InputError
from rlhf.evaluation.contenders import find_study
from rlhf.evaluation.lineage import parent
from rlhf.evaluation.reward_quality import RewardQuality
from rlhf.runs import Artifact, Experiment

JUDGE = "judge_model"
"""The folder of an `rm` run with the reward model that neither trains a policy nor picks its checkpoint."""


def find_inputs(inputs: InputsConfig, experiment: Experiment) -> dict[str, Artifact]:
    """policy and baseline always; reward_model, judge and a study of both where there are any, by role.

    Raises:
        InputError: no policy, nothing to compare it with, or a named input that is not fit.
    """
    policy = experiment.resolve("policy", inputs.policy, stage="eval")
    found = {"policy": policy, "baseline": find_baseline(inputs, experiment, policy)}
    reward_model = experiment.resolve("reward_model", inputs.reward_model, stage="eval", required=False)
    if reward_model:
        found["reward_model"] = reward_model
    if inputs.judge:
        found["judge"] = experiment.resolve("judge", inputs.judge, stage="eval")
    if study := find_study(experiment, found["baseline"], reward_model):
        found["study"] = study
    return found


def find_baseline(inputs: InputsConfig, experiment: Experiment, policy: Artifact) -> Artifact:
    """The one that is named, else the SFT policy that this one came from; of an SFT policy, its base model.

    A policy without a manifest is compared with the newest SFT policy of the experiment.

    Raises:
        InputError: none of these is there.
    """
    if inputs.baseline or policy.manifest is None:
        return experiment.resolve("baseline", inputs.baseline, stage="eval")
    origin = policy
    while origin.manifest and origin.manifest.stage != "sft":
        named = parent(origin.manifest, "policy", experiment.runs_dir)
        if named is None:
            raise InputError(
                f"{origin.path} does not say which policy it came from; name what to compare it with: "
                "inputs.baseline=FOLDER"
            )
        origin = experiment.resolve("baseline", named, stage="eval")
    if origin is not policy:
        return origin
    base = policy.manifest.base_model
    if base is None:
        raise InputError(
            f"{policy.path} does not say which base model it came from; name what to compare it with: "
            "inputs.baseline=FOLDER"
        )
    return experiment.resolve("baseline", base, stage="eval")


def judge_folder(inputs: Mapping[str, Artifact]) -> str | None:
    """The judge's model folder: of the one that is named, else of the reward model's run; None without any.

    Of a run of `rm` the judge is `judge_model/`, never the model that PPO was trained against.
    """
    if "judge" not in inputs and "reward_model" not in inputs:
        return None
    artifact = inputs.get("judge") or inputs["reward_model"]
    own = Path(artifact.path) / JUDGE
    if own.is_dir():
        return str(own)
    return artifact.model if "judge" in inputs else None


def training_warnings(policy: Artifact) -> dict[str, str]:
    """What the policy's own training warned of (`warnings.json`), by name."""
    path = Path(policy.path) / "warnings.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def saved_quality(inputs: Mapping[str, Artifact]) -> RewardQuality | None:
    """What the run of the reward model says of its quality on held-out pairs, in `quality.json`."""
    path = Path(inputs["reward_model"].path) / "quality.json" if "reward_model" in inputs else None
    if path is None or not path.is_file():
        return None
    of_models = json.loads(path.read_text(encoding="utf-8"))
    return TypeAdapter(RewardQuality | None).validate_python(of_models["model"])
