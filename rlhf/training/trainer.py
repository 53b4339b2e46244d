"""Hugging Face's Trainer inside a run: whole states, exact resume, our figures, a clean end.

A state holds weights, optimiser, schedule, the best weights so far, and how far `metrics.jsonl` reached. The
order of the examples is laid out in advance (`ordering`), dropout is off and no random number is drawn while
training, so a resumed run on a CPU ends with the very same bits.
"""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import Trainer
from transformers.trainer_callback import PrinterCallback

from rlhf.errors import TrainingError
from rlhf.metrics import Progress
from rlhf.training.course import PROGRESS, Course, Pace, Saved

WEIGHTS, BEST, TRAINER_STATE = "weights.safetensors", "best.safetensors", "trainer_state.json"


class RunTrainer(Trainer, ABC):
    """Mixed in before a Trainer of any kind; that one says how to look at the validation part.

    `look()` returns figures named `validation/...`, among them `validation/loss`, or nothing where there is
    no validation part.
    """

    course: Course
    best_loss: float = math.inf
    best_step: int = 0

    def begin(self, course: Course) -> None:
        """Hands over the course; call once, before `run_course`."""
        self.course = course
        self._best: dict[str, Tensor] | None = None
        self._looks_without_gain = 0
        self.first_look: dict[str, float] = {}
        self._line: dict[str, float] = {}
        self._progress: Progress | None = None
        self.remove_callback(PrinterCallback)
        self.add_callback(Pace(course))

    def run_course(self, saved: Saved | None) -> None:
        """Trains to the end, from a saved state if one is given, and leaves the best weights in the model.

        Raises:
            KeyboardInterrupt: a stop was asked for; the state is saved.
            TrainingError: the loss is not a number, or memory ran out.
        """
        if saved is None:
            self._line |= self.look()
            self.first_look = dict(self._line)
            if self.course.first_step == 0:
                self._write_line()  # later, that step has its line already
            self._line = {}
        else:
            self._load_from_checkpoint(str(saved.folder))
        if saved is None or not saved.finished:
            start = saved.step - self.course.first_step if saved else 0
            with Progress(self.course.title, self.course.plan.steps, start=start) as self._progress:
                self._train(saved)
            if not self._finished:
                raise KeyboardInterrupt(self.course.stop.reason)
        if self._best is not None:
            self._put(self._best)

    def summary(self) -> dict[str, float]:
        """Final figures: the validation part before and at its best, and when that was."""
        if not math.isfinite(self.best_loss):
            return {"steps": self.state.global_step}
        return {
            "validation_loss": self.best_loss,
            "validation_loss_before": self.first_look["validation/loss"],
            "best_step": self.best_step,
            "steps": self.state.global_step,
        }

    @abstractmethod
    def look(self) -> dict[str, float]:
        """Figures on the validation part."""

    def _train(self, saved: Saved | None) -> None:
        try:
            self.train(resume_from_checkpoint=str(saved.folder) if saved else None)
        except torch.OutOfMemoryError as error:
            rows = self.args.per_device_train_batch_size
            raise TrainingError(
                f"the GPU's memory is too small for microbatches of {rows} examples; "
                f"set stage.microbatch_size={max(rows // 2, 1)}, or a smaller data.max_length"
            ) from error

    # What Trainer calls

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Takes the figures of a step; they are written with those of the validation part, as one line."""
        super().log(logs, start_time)
        self.state.log_history.clear()
        if "loss" not in logs:
            return  # Trainer's totals at the end, which start again when a run is resumed
        if not math.isfinite(logs["loss"]) or not math.isfinite(logs["grad_norm"]):
            raise TrainingError(
                f"loss {logs['loss']}, gradient norm {logs['grad_norm']} at step {self.state.global_step}: "
                f"training has come apart; lower stage.learning_rate (it was {self.args.learning_rate:g})"
            )
        self._line |= self.step_figures(logs)

    def step_figures(self, logs: Mapping[str, float]) -> dict[str, float]:
        """What of a step's figures is kept, by our names."""
        names = ("loss", "grad_norm", "learning_rate")
        return {f"train/{name}": logs[name] for name in names}

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Looks at the validation part; keeps the weights when they are the best so far."""
        figures = self.look()
        self._line |= figures
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, figures)
        loss = figures.get("validation/loss")
        if loss is None:
            return figures
        if loss < self.best_loss:
            self.best_loss, self.best_step, self._looks_without_gain = loss, self.state.global_step, 0
            if self.course.keep_best:
                self._best = {name: p.detach().cpu().clone() for name, p in self._trained().items()}
        else:
            self._looks_without_gain += 1
        if self._out_of_patience:
            self.control.should_training_stop = self.control.should_save = True
        return figures

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        super()._maybe_log_save_evaluate(*args, **kwargs)
        self._write_line()

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        self._write_line()
        step = self.course.first_step + self.state.global_step
        self.course.run.save_state(step, self._write_state)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        folder = Path(resume_from_checkpoint)
        self._put(load_file(folder / WEIGHTS))
        if (folder / BEST).exists():
            self._best = load_file(folder / BEST)
        progress = json.loads((folder / PROGRESS).read_bytes())
        self.best_loss, self.best_step = float(progress["best_loss"]), progress["best_step"]
        self._looks_without_gain = progress["looks_without_gain"]
        self.first_look = progress["first_look"]
        self.state.global_step = progress["step"]
        self.restore_counters(progress["counters"])

    # What a state holds

    def counters(self) -> dict[str, float]:
        """Running totals of a subclass, JSON."""
        return {}

    def restore_counters(self, counters: Mapping[str, float]) -> None:
        """Takes the running totals back."""

    def _write_state(self, folder: Path) -> None:
        save_file({name: p.detach().contiguous() for name, p in self._trained().items()}, folder / WEIGHTS)
        if self._best is not None:
            save_file(self._best, folder / BEST)
        self._save_optimizer_and_scheduler(str(folder))
        self.state.save_to_json(str(folder / TRAINER_STATE))
        progress = {
            "title": self.course.title,
            "step": self.state.global_step,
            "finished": self._finished,
            "metrics_position": self.course.log.position(),
            "best_loss": str(self.best_loss),
            "best_step": self.best_step,
            "looks_without_gain": self._looks_without_gain,
            "first_look": self.first_look,
            "counters": self.counters(),
            "carried": self.course.carried,
        }
        (folder / PROGRESS).write_text(json.dumps(progress))

    @property
    def _out_of_patience(self) -> bool:
        return self.course.patience is not None and self._looks_without_gain >= self.course.patience

    @property
    def _finished(self) -> bool:
        return self.state.global_step >= self.course.plan.steps or self._out_of_patience

    def _trained(self) -> dict[str, nn.Parameter]:
        model = cast(nn.Module, self.model)
        return {name: p for name, p in model.named_parameters() if p.requires_grad}

    def _put(self, weights: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self._trained().items():
                parameter.copy_(weights[name])

    def _write_line(self) -> None:
        if not self._line:
            return
        line = {self.course.prefix + name: value for name, value in self._line.items()}
        self.course.log.log(self.course.first_step + self.state.global_step, line)
        if self._progress:
            shown = {
                name: self._line[name] for name in ("train/loss", "validation/loss") if name in self._line
            }
            self._progress.update(self.state.global_step, shown)
        self._line = {}
