"""Small loops of two rounds on a tiny policy, with simulated raters who go by gold."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stage_runs import composed

from rlhf.config import validate
from rlhf.runs import Manifest
from rlhf.runs.loop_record import LoopRecord, read_loop_record

SMALL: dict[str, Any] = {
    "data": {"limit": 120, "validation_fraction": 0.2, "test_fraction": 0.2},
    "stage__rounds": 2,
    "stage__budget": 12,
    "stage__prompts": 16,
    "stage__raters_per_item": 2,
    "stage__evaluation_share": 0.34,
    "stage__rm": {"max_steps": 2, "batch_size": 4, "validation_share": 0.0, "judge_share": 0.0},
    "stage__ppo": {
        "total_episodes": 8,
        "batch_size": 8,
        "minibatch_size": 8,
        "epochs": 1,
        "response_length": 6,
        "eval_prompts": 4,
        "learning_rate": 1e-2,
        "save_every": 1,
    },
    "stage__eval": {
        "num_prompts": 8, "response_length": 6, "best_of": 0, "bootstrap": 50, "show": 2, "temperature": 1.0
    },
}  # fmt: skip

STREAM: dict[str, Any] = {
    "stage__mode": "streaming",
    "stage__rounds": 2,
    "stage__budget": 12,
    "stage__step_judgements": 6,
    "stage__replay": 4,
    "stage__queue": 8,
    "stage__rm": {
        "max_steps": 2, "batch_size": 4, "learning_rate": 1e-2, "validation_share": 0.0, "judge_share": 0.0
    },
}  # fmt: skip
"""The same as a stream: a round of one step, and one of two."""


def run_loop(runs_dir: Path, policy: Path, **options: Any) -> Manifest | None:
    """Runs `stage=loop` in this process; options are dotted with `__`."""
    import stages.loop

    return stages.loop.run(validate(configured(runs_dir, policy, options)))


def configured(runs_dir: Path, policy: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration as Hydra would compose it."""
    return composed("loop", runs_dir, {"inputs__policy": str(policy), **SMALL, **options})


def record_of(runs_dir: Path, number: int = 1) -> LoopRecord:
    """The record of a loop."""
    record = read_loop_record(runs_dir / "t" / f"loop-{number}")
    assert record is not None
    return record


def weights_of(runs_dir: Path) -> dict[str, bytes]:
    """Every model that the experiment made, by run and folder."""
    found = sorted((runs_dir / "t").glob("*/*/model.safetensors"))
    assert found
    return {str(path.relative_to(runs_dir / "t")): path.read_bytes() for path in found}
