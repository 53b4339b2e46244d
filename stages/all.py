"""SFT, reward model, PPO and evaluation, one after the other.

Each stage is what its own command would run, on what the stage before it made: what is finished already is
reported and passed over, what was stopped goes on.
"""

import importlib
import shlex
import time
from pathlib import Path

from rlhf.config import AllStage, Config, EvalStage, PpoStage, RmStage, SftStage
from rlhf.errors import ConfigError
from rlhf.metrics import duration
from rlhf.runs import Manifest
from stages.console import console, say

TITLES = {"sft": "supervised fine-tuning", "rm": "reward model", "ppo": "PPO", "eval": "evaluation"}


def run(cfg: Config) -> Manifest:
    """Runs the four stages; returns the manifest of the evaluation.

    Raises:
        ConfigError: an input is named that this command makes itself.
    """
    stage = all_stage(cfg)
    for role in ("policy", "reward_model"):
        if named := getattr(cfg.inputs, role):
            raise ConfigError(
                f"inputs.{role}={named}: stage=all makes its own; leave it out, or run the stages one by one"
            )
    policy = run_one(cfg, stage.sft)
    reward_model = run_one(cfg, stage.rm, policy=policy)
    best = run_one(cfg, stage.ppo, policy=policy, reward_model=reward_model)
    evaluation = run_one(cfg, stage.eval, policy=best, reward_model=reward_model)
    both = [shlex.quote(str(folder_of(cfg, manifest))) for manifest in (policy, best)]
    said = f"talk to both, side by side: python -m feedback_ui chat {' '.join(both)}"
    console.print(said, markup=False, highlight=False, soft_wrap=True)
    return evaluation


def run_one(cfg: Config, stage: SftStage | RmStage | PpoStage | EvalStage, **made: Manifest) -> Manifest:
    """One stage with the inputs that were made for it, under a header, followed by its time."""
    folders = {role: str(folder_of(cfg, manifest)) for role, manifest in made.items()}
    inputs = cfg.inputs.model_copy(update=folders)
    console.rule(f"[bold]{stage.kind}[/bold] · {TITLES[stage.kind]}", align="left")
    began = time.monotonic()
    module = importlib.import_module(f"stages.{stage.kind}")
    manifest: Manifest = module.run(cfg.model_copy(update={"stage": stage, "inputs": inputs}))
    took = duration(time.monotonic() - began)
    said = f"{folder_of(cfg, manifest)} in {took} ({duration(manifest.seconds)} of work)"
    say(stage.kind, said)
    return manifest


def folder_of(cfg: Config, manifest: Manifest) -> Path:
    """Where the run of a manifest lies."""
    return Path(cfg.runs_dir) / cfg.name / f"{manifest.stage}-{manifest.number}"


def all_stage(cfg: Config) -> AllStage:
    """The stages' options."""
    assert isinstance(cfg.stage, AllStage)
    return cfg.stage
