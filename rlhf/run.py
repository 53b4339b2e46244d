"""The command line: Hydra composes, pydantic validates, a stage runs.

`python -m rlhf.run stage=sft|rm|ppo|eval|study|sample|all|loop key=value ...`. Nothing heavy is imported
before a stage starts, so help and errors answer at once. Hydra only composes: the jobs run outside of it, one
after the other, so that it writes no files and prints nothing; unless a sweep names one of its launchers.
"""

import importlib
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlhf.command import Command, explain_composition, parse, sweep_name
from rlhf.config import Config, validate
from rlhf.errors import EXIT_CODE, ConfigError, RlhfError
from rlhf.help import help_page
from rlhf.runs import check_name, disk_errors

MAX_ERROR_LINES = 10
_NO_STAGE = (
    "no stage is named; add stage=sft, rm, ppo, eval, study, sample, all or loop "
    "(`--help` says what each does)"
)


@dataclass(frozen=True)
class _Job:
    """What Hydra composed for one job, or why that cannot be resolved, and the overrides that made it."""

    container: Mapping[str, Any]
    problem: str
    overrides: tuple[str, ...]


_composed: list[_Job] = []  # Hydra's main returns nothing
_OUTCOMES = "outcomes"  # of launched jobs, a file each, empty where all went well
_SWEPT = "RLHF_SWEPT"  # the keys that the sweep varies, where a launcher has started this process for a job


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code: 0 done, 2 refused or failed, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or {"-h", "--help", "stage=help"} & set(words):
        print(help_page())
        return 0
    if words == ["--version"]:
        print(f"rlhf {version('rlhf')}")
        return 0
    want_traceback = "traceback=true" in (word.lower().lstrip("+") for word in words)
    try:
        command = parse(words)
        jobs = _compose(command)
        if command.mode == "sweep":
            return _sweep(command, jobs, want_traceback)
        for job in jobs:
            cfg = _validated(job)
            want_traceback = want_traceback or cfg.traceback
            if command.mode == "show":
                print(OmegaConf.to_yaml(OmegaConf.create(cfg.model_dump(mode="json"))), end="")
            else:
                run_stage(cfg)
    except KeyboardInterrupt as stop:
        return _interrupted(str(stop))
    except RlhfError as error:
        _print_error(error, want_traceback)
        return EXIT_CODE
    return 0


def run_stage(cfg: Config) -> None:
    """Imports the stage's module, heavy as it is, and runs it."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with disk_errors(cfg.runs_dir):
        importlib.import_module(f"stages.{cfg.stage.kind}").run(cfg)


def _compose(command: Command) -> list[_Job]:
    """The jobs of a command as Hydra composes them; none where it was only asked to show something.

    Raises:
        ConfigError: Hydra or OmegaConf refuses.
    """
    _composed.clear()
    with tempfile.TemporaryDirectory(prefix="rlhf-") as folder:  # for the multirun.yaml of a sweep
        elsewhere = [f"hydra.sweep.dir='{folder}'"] if command.mode == "sweep" else []
        _hand_to_hydra([*command.words, *elsewhere])
    return list(_composed)


def _hand_to_hydra(words: Sequence[str]) -> None:
    os.environ["HYDRA_FULL_ERROR"] = "1"  # its errors come through, to be printed short
    before = sys.argv
    sys.argv = [before[0], *words]
    try:
        _collect()
    except Exception as error:
        raise ConfigError(explain_composition(error)) from error
    finally:
        sys.argv = before


@hydra.main(version_base=None, config_path="pkg://configs", config_name="config")
def _collect(composed: DictConfig) -> None:
    container, problem = None, ""
    try:
        container = OmegaConf.to_container(composed, resolve=True)
    except OmegaConfBaseException as error:  # raised here, Hydra would print it in its own way
        problem = explain_composition(error)
    named = {str(key): value for key, value in container.items()} if isinstance(container, dict) else {}
    overrides = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
    job = _Job(named, problem, tuple(str(word) for word in overrides or ()))
    swept = os.environ.get(_SWEPT)
    if swept is None:
        _composed.append(job)
    else:
        _run_launched(job, [key for key in swept.split(",") if key], Path(HydraConfig.get().sweep.dir))


def _validated(job: _Job, **changed: str) -> Config:
    """The configuration of a job; ConfigError says what is wrong with it."""
    if job.problem:
        raise ConfigError(job.problem)
    if job.container.get("stage", {}).get("kind") == "help":
        raise ConfigError(_NO_STAGE)
    cfg = validate({**job.container, **changed})
    check_name(cfg.name)
    _check_writable(cfg.runs_dir)
    return cfg


def _check_writable(runs_dir: str) -> None:
    """ConfigError where runs cannot be written, as far as one can tell before any is."""
    place = Path(runs_dir)
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK):
        reason = "may not be written" if place.is_dir() else "is no folder"
        raise ConfigError(f"runs_dir={runs_dir}: {place} {reason}; name another folder, as in runs_dir=runs")


def _sweep(command: Command, jobs: Sequence[_Job], want_traceback: bool) -> int:
    """Runs the jobs one after the other, each in an experiment of its own; a failing one stops no other.

    All are validated before the first starts, so that a slip in the last is seen now and not in hours.
    """
    ready: list[Config] = []
    failed: list[str] = []
    for job in jobs:
        name = sweep_name(_base_name(job), command.swept, job.overrides)
        try:
            ready.append(_validated(job, name=name))
        except RlhfError as error:
            failed.append(name)
            _print_error(error, want_traceback, job=name)
    if command.launcher:
        failed = failed or _launch(command, ready, _base_name(jobs[0]))  # a slip in one: none is started
        ready = []
    for number, cfg in enumerate(ready, start=1):
        print(f"sweep: job {number} of {len(ready)}, name={cfg.name}", file=sys.stderr)
        try:
            run_stage(cfg)
        except RlhfError as error:
            failed.append(cfg.name)
            _print_error(error, want_traceback or cfg.traceback, job=cfg.name)
        except Exception:
            failed.append(cfg.name)
            traceback.print_exc()
    if not failed:
        return 0
    print(f"sweep: {len(failed)} of {len(jobs)} jobs failed: {', '.join(failed)}", file=sys.stderr)
    return EXIT_CODE


def _base_name(job: _Job) -> str:
    """Of the sweep's experiments."""
    return str(job.container.get("name", Config.model_fields["name"].default))


def _launch(command: Command, ready: Sequence[Config], base: str) -> list[str]:
    """Has Hydra's launcher run the jobs and waits for them; returns the names of those that failed.

    What the launcher writes, its logs among it, goes to `.sweep-NAME` beside the experiments.
    """
    folder = (Path(ready[0].runs_dir) / f".sweep-{base}").resolve()
    shutil.rmtree(folder / _OUTCOMES, ignore_errors=True)
    print(f"sweep: {len(ready)} jobs for {command.launcher[0]}; its logs: {folder}", file=sys.stderr)
    elsewhere = [f"hydra.sweep.dir='{folder}'", f"+hydra.job.env_set.{_SWEPT}='{','.join(command.swept)}'"]
    _hand_to_hydra([*command.words, *command.launcher, *elsewhere])
    failed: list[str] = []
    for cfg in ready:
        outcome = folder / _OUTCOMES / cfg.name
        said = outcome.read_text(encoding="utf-8") if outcome.is_file() else "the job ended without a word"
        if said:
            failed.append(cfg.name)
            print(f"error: {cfg.name}: {said}", file=sys.stderr)
    return failed


def _run_launched(job: _Job, swept: Sequence[str], folder: Path) -> None:
    """One job of a sweep, in the process that a launcher started for it; leaves a word on how it ended."""
    name = sweep_name(_base_name(job), swept, job.overrides)
    said = ""
    try:
        run_stage(_validated(job, name=name))
    except RlhfError as error:
        said = str(error)
        _print_error(error, want_traceback=False, job=name)
    except KeyboardInterrupt as stop:
        said = f"stopped: {stop or 'interrupted'}; the same command goes on from the last saved state"
    outcome = folder / _OUTCOMES / name
    outcome.parent.mkdir(parents=True, exist_ok=True)
    outcome.write_text(said, encoding="utf-8")


def _interrupted(reason: str) -> int:
    if os.environ.get("RANK", "0") == "0":  # of several processes, one says it for all
        print(
            f"stopped: {reason or 'interrupted'}; the same command goes on from the last saved state",
            file=sys.stderr,
        )
    return 130


def _print_error(error: Exception, want_traceback: bool, job: str = "") -> None:
    if want_traceback:
        traceback.print_exception(error)
        return
    lines = [line for line in str(error).splitlines() if line.strip()]
    shown = lines[: MAX_ERROR_LINES - 1] + (["..."] if len(lines) >= MAX_ERROR_LINES else [])
    rank = int(os.environ.get("RANK", "0"))  # of several processes, the main one is 0
    who = f"process {rank}: " if rank else ""
    print(f"{who}error: {job}: " if job else f"{who}error: ", end="", file=sys.stderr)
    print("\n  ".join(shown), file=sys.stderr)


if __name__ == "__main__":
    from rlhf import run  # a launcher's jobs find what they need by this name, not as __main__

    sys.exit(run.main())
