"""The course of a small training, in a folder that is no run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForSequenceClassification

from rlhf.config.stages import TrainerStage
from rlhf.metrics import MetricsLog
from rlhf.training.course import Course, common_arguments
from rlhf.training.machine import Machine, Stop
from rlhf.training.ordering import make_plan

GOOD, BAD, PAD = 7, 8, 0


class Folder:
    """As much of a run as a course needs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save_state(self, step: int, write: Any) -> None:
        """Keeps nothing."""


@dataclass(frozen=True)
class Small:
    """A course, and the arguments of a trainer on it."""

    course: Course
    arguments: dict[str, Any]


def small_course(
    folder: Path,
    kind: type[TrainerStage],
    lengths: Sequence[int],
    *,
    microbatch_size: int | None,
    max_steps: int,
    rate: float,
) -> Small:
    """All examples in each step, on the CPU in float32; one look at the end."""
    stage = kind(
        batch_size=len(lengths),
        microbatch_size=microbatch_size or len(lengths),
        max_steps=max_steps,
        eval_every=max_steps,
        warmup=0,
    )
    folder.mkdir(exist_ok=True)
    course = Course(
        run=Folder(folder),  # type: ignore[arg-type]
        log=MetricsLog(folder / "metrics.jsonl"),
        stop=Stop(None),
        title="small",
        plan=make_plan(stage, lengths, learning_rate=rate, seed=0, on_gpu=False),
        save_every=max_steps,
    )
    machine = Machine(torch.device("cpu"), torch.float32, 1)
    return Small(course, common_arguments(course, stage, machine, seed=0))


def number_scorer() -> LlamaForSequenceClassification:
    """A reward model over 16 numbers, always the same."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=16,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_labels=1,
        pad_token_id=PAD,
    )
    return LlamaForSequenceClassification(config)
