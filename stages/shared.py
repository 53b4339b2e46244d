"""What the stages share: the session around a run, and the base model."""

import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rlhf.config import Config
from rlhf.data.encoding import Encoder, make_encoder
from rlhf.data.feedback import open_snapshot
from rlhf.data.sources import local_files
from rlhf.demo.base_model import base_folder
from rlhf.errors import ConfigError
from rlhf.metrics import JoinedLog, MetricsLog
from rlhf.models.loading import context_length, load_policy, load_tokenizer
from rlhf.runs import Artifact, Experiment, JoinedRun, Opened, Run, identity, opened
from rlhf.training.machine import Machine, set_up_machine
from rlhf.training.processes import Processes, join
from rlhf.training.trackers import TrackedRun, make_trackers
from stages.console import console, say
from stages.datasets import source_of

MAX_LENGTH_AUTO = 1024
READ_BY = {
    "rm": ("world",),
    "ppo": ("reward", "kl", "rollout"),
    "eval": ("reward", "kl", "rollout", "world"),
    "sample": ("rollout",),
    "study": ("reward", "rollout", "world"),
}
"""Sections of the configuration that only some stages read."""
SHARED_WORK = ("ppo",)
"""Stages that several processes can work on."""


@dataclass(frozen=True)
class Session:
    """An open run and what a stage needs to work in it."""

    cfg: Config
    run: Run
    inputs: Mapping[str, Artifact]
    machine: Machine
    log: MetricsLog
    processes: Processes = field(default_factory=Processes)

    @property
    def resolved(self) -> dict[str, Any]:
        """For the manifest: what `auto` became on the machine, and which snapshot of feedback was read."""
        feedback = self.cfg.data.feedback
        return self.machine.resolved | ({"feedback": open_snapshot(feedback).recorded} if feedback else {})

    @property
    def console_of_bar(self) -> Console | None:
        """Where progress goes: as ever in the main process, nowhere in the others."""
        return None if self.processes.is_main else console

    def say(self, text: str) -> None:
        """A line on the console, marked with the stage."""
        say(self.cfg.stage.kind, text)


@contextmanager
def session(
    cfg: Config, inputs: Mapping[str, Artifact], data: tuple[str, ...], more_files: tuple[Path, ...] = ()
) -> Generator[Session]:
    """Opens (or resumes, or finds finished) the run of this command; says which.

    `data` names the datasets that the stage reads ("demonstrations", "preferences", "prompts"); `more_files`
    are other files that decide the result. Of several processes that a launcher started, the main one opens
    the run and writes; the others join it.

    Raises:
        ConfigError: several processes, and the stage is not for them.
        RunError: another command works on the run, or another of its processes has ended.
    """
    processes = _meet(cfg)
    console.quiet = not processes.is_main  # one speaks
    experiment = experiment_of(cfg)
    config = cfg.model_dump(mode="json")
    sources = [source for name in data if (source := source_of(cfg, name))]
    files = [file for source in sources for file in local_files(source)]
    files += more_files
    key = identity(deciding(config, data), inputs, files)
    for artifact in inputs.values():
        say(cfg.stage.kind, f"{artifact.role} is {artifact.path}")

    def open_run() -> Run:
        return experiment.open(cfg.stage.kind, identity=key, config=config, inputs=inputs, data_files=files)

    with processes.ending_together(), _entered(processes, open_run) as run:
        state = "is finished already" if run.finished else "goes on" if run.resumed else "starts"
        say(cfg.stage.kind, f"{run.path} {state}")
        machine = set_up_machine(cfg)
        if run.finished:
            log = MetricsLog(run.metrics_path) if processes.is_main else JoinedLog(run.metrics_path)
            yield Session(cfg, run, inputs, machine, log, processes)
            return
        saved = run.latest_state()
        first_step = None if not run.resumed else saved[0] + 1 if saved else 0
        tracked = TrackedRun(run.trackers_path, cfg.name, run.path.name, config, first_step)
        log = (
            MetricsLog(run.metrics_path, make_trackers(cfg.trackers, tracked))
            if processes.is_main
            else JoinedLog(run.metrics_path)
        )
        try:
            yield Session(cfg, run, inputs, machine, log, processes)
        finally:
            log.close()


def _meet(cfg: Config) -> Processes:
    """The processes that share the work; ConfigError for a stage that is made by one."""
    count, kind = int(os.environ.get("WORLD_SIZE", "1")), cfg.stage.kind
    if count == 1:
        return Processes()
    if kind not in SHARED_WORK:
        raise ConfigError(
            f"stage={kind} works in one process, and {count} were started; run it by itself, as in "
            f"`python -m rlhf.run stage={kind}`, and {' and '.join(SHARED_WORK)} alone under a launcher"
        )
    return join(set_up_machine(cfg).device)


def _entered(processes: Processes, open_run: Callable[[], Run]) -> Run:
    """The run, which the main process opens and the others join."""
    mine: list[Run] = []

    def open_here() -> Opened:
        mine.append(open_run())
        return opened(mine[0])

    told = processes.from_main(open_here)
    return mine[0] if mine else JoinedRun(told)


def experiment_of(cfg: Config) -> Experiment:
    """The experiment that the command names."""
    return Experiment(Path(cfg.runs_dir), cfg.name)


def deciding(config: dict[str, Any], data: tuple[str, ...]) -> dict[str, Any]:
    """What of the configuration decides this stage's result: another KL coefficient needs no new SFT.

    Inputs count by what they are, not by how the command names them.
    """
    kind = config["stage"]["kind"]
    unread = {"inputs", "reward", "kl", "rollout", "world"} - set(READ_BY.get(kind, ()))
    used = {key: value for key, value in config.items() if key not in unread}
    other = {"feedback"}  # its files count, not where they lie
    if "prompts" not in data:  # which default to the others
        other |= {"demonstrations", "preferences", "prompts", "scores"} - set(data)
    used["data"] = {key: value for key, value in config["data"].items() if key not in other}
    return used


def load_base(cfg: Config, machine: Machine) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, str]:
    """The model that SFT starts from, its tokenizer, and how the manifest names it."""
    path = base_of(cfg)
    model = load_policy(path, trust_remote_code=cfg.model.trust_remote_code)
    return model, load_tokenizer(path, trust_remote_code=cfg.model.trust_remote_code), path


def base_of(cfg: Config) -> str:
    """`model.path`, or where the embedded base model lies."""
    return cfg.model.path or str(base_folder())


def encoder_for(cfg: Config, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Encoder:
    """The one encoder of this configuration, its length limited by the model's context."""
    wanted = cfg.data.max_length
    length = min(context_length(model), MAX_LENGTH_AUTO if wanted == "auto" else wanted)
    stop_ids = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    return make_encoder(tokenizer, length, template=cfg.data.template, stop_ids=stop_ids)
