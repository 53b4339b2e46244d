"""Trackers: TensorBoard by default; W&B, Trackio and MLflow by option, each imported when it is asked for.

A run that resumes logs some steps again. TensorBoard is told to forget them (`purge_step`); the services
cannot forget, so there the steps they already have are passed over.
"""

import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlhf.errors import ConfigError
from rlhf.metrics import Tracker
from rlhf.runs.disk import write_atomic

NAMES = ("tensorboard", "wandb", "trackio", "mlflow")


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker needs to know of a run."""

    folder: Path
    """Where it may write (`Run.trackers_path`)."""
    experiment: str
    name: str
    """Of the run within the experiment, such as `ppo-1`."""
    config: Mapping[str, Any]
    first_step: int | None
    """The first step that is going to be logged again where the run resumes; None for a new run."""


def make_trackers(names: Sequence[str], run: TrackedRun) -> list[Tracker]:
    """Start the trackers that are named.

    Raises:
        ConfigError: a name is unknown, or its package is not installed (names the extra that brings it).
    """
    makers = {"tensorboard": TensorBoard, "wandb": Wandb, "trackio": Trackio, "mlflow": Mlflow}
    unknown = [name for name in names if name not in makers]
    if unknown:
        raise ConfigError(f"trackers={unknown[0]!r} is unknown; choose from {', '.join(NAMES)}")
    modules = {name: _module(name) for name in names}
    run.folder.mkdir(parents=True, exist_ok=True)
    return [makers[name](modules[name], run) for name in names]


class TensorBoard:
    """Event files in the run's tracker folder: `tensorboard --logdir runs` shows them."""

    def __init__(self, module: Any, run: TrackedRun) -> None:
        """Open the event file; steps from `first_step` on that an earlier process wrote are forgotten."""
        self._writer = module.SummaryWriter(log_dir=str(run.folder), purge_step=run.first_step)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """One scalar a figure."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def text(self, step: int, tag: str, rows: Sequence[Mapping[str, str]]) -> None:
        """A Markdown table in the text tab."""
        self._writer.add_text(tag, _markdown(rows), step)

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()


class _Service:
    """What services share: one run over there for one run here, and no step twice."""

    name = ""

    def __init__(self, module: Any, run: TrackedRun) -> None:
        self._module = module
        self._run = run
        self._memory = run.folder / f"{self.name}.json"
        known = json.loads(self._memory.read_bytes()) if self._memory.is_file() else {}
        self.service_id: str | None = known.get("id")
        self._already = known.get("step", -1) if run.first_step is not None else -1

    def _is_new(self, step: int) -> bool:
        if step <= self._already:
            return False
        self._remember(step)
        return True

    def _begun_as(self, service_id: str) -> None:
        self.service_id = service_id
        self._remember(self._already)

    def _remember(self, step: int) -> None:
        write_atomic(self._memory, json.dumps({"id": self.service_id, "step": step}).encode())


class Wandb(_Service):
    """Weights & Biases; a resumed run goes on in the run it had there."""

    name = "wandb"

    def __init__(self, module: Any, run: TrackedRun) -> None:
        """Begin a run there, or go on with it."""
        super().__init__(module, run)
        self._there = module.init(
            project=run.experiment,
            name=run.name,
            id=self.service_id,
            resume="allow" if self.service_id else None,
            dir=str(run.folder),
            config=dict(run.config),
        )
        self._begun_as(self._there.id)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """All figures of a step at once."""
        if self._is_new(step):
            self._there.log(dict(values), step=step)

    def text(self, step: int, tag: str, rows: Sequence[Mapping[str, str]]) -> None:
        """A table."""
        if rows and step > self._already:
            columns = list(rows[0])
            data = [[row.get(column, "") for column in columns] for row in rows]
            self._there.log({tag: self._module.Table(columns=columns, data=data)}, step=step)

    def close(self) -> None:
        """Finish uploading."""
        self._there.finish()


class Trackio(_Service):
    """Trackio, the local-first tracker; a resumed run goes on under its name."""

    name = "trackio"

    def __init__(self, module: Any, run: TrackedRun) -> None:
        """Begin a run, or go on with the one of this name."""
        super().__init__(module, run)
        there = module.init(
            project=run.experiment,
            name=self.service_id or run.name,
            resume="allow" if self.service_id else "never",
            config=dict(run.config),
        )
        self._begun_as(there.name)  # another one where the name was taken

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """All figures of a step at once."""
        if self._is_new(step):
            self._module.log(dict(values), step=step)

    def text(self, step: int, tag: str, rows: Sequence[Mapping[str, str]]) -> None:
        """Passed over: texts are in the run's own files."""

    def close(self) -> None:
        """Write out what is still held back."""
        self._module.finish()


class Mlflow(_Service):
    """MLflow; where it writes is MLflow's own setting (MLFLOW_TRACKING_URI)."""

    name = "mlflow"
    _params_at_once = 100  # the service's own limit

    def __init__(self, module: Any, run: TrackedRun) -> None:
        """Begin a run there, or go on with it."""
        super().__init__(module, run)
        module.set_experiment(run.experiment)
        there = module.start_run(run_id=self.service_id, run_name=None if self.service_id else run.name)
        if self.service_id is None:
            params = list(_flat(run.config).items())
            for first in range(0, len(params), self._params_at_once):
                module.log_params(dict(params[first : first + self._params_at_once]))
        self._begun_as(there.info.run_id)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """All figures of a step at once."""
        if self._is_new(step):
            self._module.log_metrics(dict(values), step=step)

    def text(self, step: int, tag: str, rows: Sequence[Mapping[str, str]]) -> None:
        """A Markdown file among the artifacts."""
        if step > self._already:
            self._module.log_text(_markdown(rows), f"{tag}/{step}.md")

    def close(self) -> None:
        """End the run there."""
        self._module.end_run()


def _module(name: str) -> Any:
    path = "torch.utils.tensorboard" if name == "tensorboard" else name
    try:
        return importlib.import_module(path)
    except ImportError as error:
        package = "tensorboard" if name == "tensorboard" else f'"rlhf[{name}]"'
        raise ConfigError(
            f"trackers={name} needs a package that is not installed ({error}).\n"
            f"Install it: pip install {package}; or leave it out: trackers=[tensorboard], or trackers=[]"
        ) from None


def _markdown(rows: Sequence[Mapping[str, str]]) -> str:
    """A table in Markdown; line breaks and bars inside a cell are kept from breaking it."""
    if not rows:
        return ""
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns)]
    lines += [[_cell(row.get(column, "")) for column in columns] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", "<br>")


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in config.items():
        inner = _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
        flat |= inner
    return flat
