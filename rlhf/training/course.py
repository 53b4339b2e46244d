"""The course of a training: what its stage tells it, the state it resumes from, and Trainer's arguments."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from rlhf.config import TrainerStage
from rlhf.metrics import MetricsLog
from rlhf.runs import Run
from rlhf.training.machine import Machine, Stop
from rlhf.training.ordering import Plan

PROGRESS = "progress.json"  # of a state: written by `RunTrainer`


@dataclass
class Course:
    """What a training is told by its stage: how long it is, when to look, to save and to stop.

    `carried` is whatever else a resumed run must still know (figures taken before training, models that are
    done); it goes into every state.
    """

    run: Run
    log: MetricsLog
    stop: Stop
    title: str
    plan: Plan
    save_every: int
    patience: int | None = None
    keep_best: bool = False
    prefix: str = ""  # of the figures' names
    first_step: int = 0  # steps that the run took before this training
    carried: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Saved:
    """A state on the disk."""

    folder: Path
    step: int
    title: str
    finished: bool
    carried: dict[str, Any]


def latest_saved(run: Run, log: MetricsLog) -> Saved | None:
    """The state to resume from, if there is one; `metrics.jsonl` is cut back to it."""
    latest = run.latest_state()
    if latest is None:
        log.rewind(0)
        return None
    progress = json.loads((latest[1] / PROGRESS).read_bytes())
    log.rewind(progress["metrics_position"])
    return Saved(latest[1], latest[0], progress["title"], progress["finished"], progress["carried"])


class Pace(TrainerCallback):
    """Says at each step whether to look, to save and to stop."""

    def __init__(self, course: Course) -> None:
        """A callback for one trainer."""
        self.course = course

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        course, step = self.course, state.global_step
        last, stopping = step >= course.plan.steps, course.stop.reason is not None
        control.should_log = True
        control.should_evaluate = step % course.plan.eval_every == 0 or last
        control.should_save = step % course.save_every == 0 or last or stopping
        control.should_training_stop = last or stopping


def common_arguments(course: Course, stage: TrainerStage, machine: Machine, *, seed: int) -> dict[str, Any]:
    """Arguments that silence Trainer and leave pace, order and saving to us."""
    plan = course.plan
    return {
        "output_dir": str(course.run.path / "state"),
        "max_steps": plan.steps,
        "per_device_train_batch_size": plan.microbatch_size,
        "gradient_accumulation_steps": plan.accumulation,
        "learning_rate": plan.learning_rate,
        "lr_scheduler_type": "linear",
        "warmup_steps": math.ceil(stage.warmup * plan.steps),
        "weight_decay": stage.weight_decay,
        "max_grad_norm": stage.max_grad_norm,
        "bf16": machine.dtype == torch.bfloat16,
        "use_cpu": machine.device.type == "cpu",
        "seed": seed,
        "train_sampling_strategy": "sequential",
        "logging_strategy": "no",
        "eval_strategy": "no",
        "save_strategy": "no",
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "report_to": "none",
        "remove_unused_columns": False,
        "dataloader_pin_memory": False,
    }


def one_gpu(arguments: TrainingArguments) -> TrainingArguments:
    """The same arguments with one GPU a process: of several, Trainer would use all by threads."""
    setattr(arguments, "_n_gpu", min(arguments.n_gpu, 1))  # noqa: B010
    return arguments
