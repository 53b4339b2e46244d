"""Runs of stages on a tiny model, in processes of their own that may be killed."""

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from safetensors.torch import load_file

from rlhf.runs import Run
from rlhf.training.profile import PREFIX

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["stages.sft", "stages.rm"])


def run_stage(stage: str, runs_dir: Path, options: Mapping[str, Any]) -> Path:
    """Runs a stage in this process and returns its run folder. Options are dotted with `__`."""
    import importlib

    from rlhf.config import validate

    with keeping_states():
        importlib.import_module(f"stages.{stage}").run(validate(composed(stage, runs_dir, options)))
    return newest(runs_dir, stage)


@contextmanager
def keeping_states() -> Generator[None]:
    """While entered, a run that finishes keeps its last states, for tests that compare them."""
    with patch.object(Run, "drop_states"):
        yield


def composed(stage: str, runs_dir: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as Hydra would compose it."""
    config: dict[str, Any] = {
        "name": "t",
        "runs_dir": str(runs_dir),
        "threads": 1,
        "device": "cpu",
        "precision": "fp32",
        "trackers": [],
        "stage": {"kind": stage},
    }
    for key, value in options.items():
        section, _, name = key.rpartition("__")
        (config.setdefault(section, {}) if section else config)[name] = value
    return config


def newest(runs_dir: Path, stage: str) -> Path:
    """The run folder of a stage with the highest number."""
    return max((runs_dir / "t").glob(f"{stage}-*"), key=lambda path: int(path.name.rpartition("-")[2]))


def start(stage: str, runs_dir: Path, options: Mapping[str, Any]) -> Any:
    """Starts a stage in a process of its own."""
    process = PROCESSES.Process(target=run_stage, args=(stage, runs_dir, dict(options)))
    process.start()
    return process


def kill_after(process: Any, runs_dir: Path, stage: str, lines: int, more_s: float) -> bool:
    """Kills (-9) once `metrics.jsonl` has so many lines, and a little later; False if it was done before."""
    while process.is_alive():
        files = list((runs_dir / "t").glob(f"{stage}-*/metrics.jsonl"))
        if files and files[0].read_bytes().count(b"\n") >= lines:
            time.sleep(more_s)
            if process.is_alive():
                os.kill(process.pid, signal.SIGKILL)
                process.join()
                return True
        time.sleep(0.002)
    return False


def metric_lines(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without the time of day, or taken."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [
        {key: value for key, value in line.items() if key != "time" and not key.startswith(PREFIX)}
        for line in lines
    ]


def assert_same_runs(one: Path, other: Path) -> None:
    """Weights, optimiser and figures of two runs are equal to the last bit."""
    assert metric_lines(one) == metric_lines(other)
    models = sorted(path.relative_to(one) for path in one.glob("*/model.safetensors"))
    assert models
    for model in models:
        assert (one / model).read_bytes() == (other / model).read_bytes(), model
    (state,) = {path.name for path in (one / "state").glob("step-*")} & {last_state(other).name}
    assert state == last_state(one).name
    for name in ("weights.safetensors", "best.safetensors"):
        if (one / "state" / state / name).exists():
            mine, yours = (load_file(run / "state" / state / name) for run in (one, other))
            assert all(torch.equal(mine[key], yours[key]) for key in mine)
    mine, yours = (torch.load(run / "state" / state / "optimizer.pt") for run in (one, other))
    assert str(mine["param_groups"]) == str(yours["param_groups"])
    for number, moments in mine["state"].items():
        assert all(torch.equal(moments[key], yours["state"][number][key]) for key in moments)


def last_state(run: Path) -> Path:
    """The newest state of a run."""
    return max((run / "state").glob("step-*"), key=lambda path: int(path.name.rpartition("-")[2]))
