"""Small runs of `stage=ppo`, in this process or in one of their own, and what must be equal of two."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from stage_runs import PROCESSES, keeping_states, metric_lines

PROCESSES.set_forkserver_preload(["stages.sft", "stages.rm", "stages.ppo"])
ITERATIONS = 6
SMALL = {
    "data__validation_fraction": 0.2,
    "stage__total_episodes": 8 * ITERATIONS,
    "stage__batch_size": 8,
    "stage__minibatch_size": 4,
    "stage__epochs": 2,
    "stage__response_length": 6,
    "stage__learning_rate": 1e-2,
    "stage__eval_every": 2,
    "stage__eval_prompts": 4,
    "stage__save_every": 1,
    "kl__kind": "adaptive",
    "kl__target": 0.5,
    "kl__horizon": 64,
    "reward": {"kind": "rules", "per_word": 1.0},
}


def small(folder: Path, policy: Path, **more: Any) -> dict[str, Any]:
    """Options of a run of a few seconds: a policy's folder and a file of prompts, no reward model."""
    return {"inputs__policy": str(policy), "data__prompts": str(write_prompts(folder)), **SMALL, **more}


def write_prompts(folder: Path, count: int = 40) -> Path:
    """A file of prompts, different lengths among them."""
    file = folder / "prompts.jsonl"
    rows = [{"prompt": f"Say {'the word ' * (n % 4)}number {n}."} for n in range(count)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def words_of(runs_dir: Path, options: Mapping[str, Any]) -> list[str]:
    """The same as a command line."""
    words = ["stage=ppo", "name=t", f"runs_dir={runs_dir}", "threads=1", "device=cpu", "trackers=[]"]
    options = {"precision": "fp32", **options}
    for key, value in options.items():
        if isinstance(value, Mapping):
            words += [f"{key}={value['kind']}"]
            words += [f"{key}.{name}={inner}" for name, inner in value.items() if name != "kind"]
        elif key.endswith("__kind"):
            words.append(f"{key.removesuffix('__kind')}={value}")
        else:
            words.append(f"{key.replace('__', '.')}={value}")
    return words


def start_command(runs_dir: Path, options: Mapping[str, Any], said: Path) -> Any:
    """`python -m rlhf.run ...` in a process of its own, what it says on stderr in a file."""
    process = PROCESSES.Process(target=_command, args=(words_of(runs_dir, options), said))
    process.start()
    return process


def _command(words: list[str], said: Path) -> None:
    from rlhf.run import main

    with said.open("w") as file, keeping_states():
        os.dup2(file.fileno(), 2)
        sys.exit(main(words))


def assert_same(one: Path, other: Path) -> None:
    """Weights, optimiser, progress, samples and figures of two runs are equal to the last bit."""
    lines = metric_lines(one)
    assert [line["step"] for line in lines] == list(range(ITERATIONS + 1))
    assert lines == metric_lines(other)
    for name in (
        "samples.jsonl",
        "looks.jsonl",
        "episodes.jsonl",
        "warnings.json",
        "model/model.safetensors",
        "model/config.json",
    ):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    mine, yours = (last_state(run) for run in (one, other))
    assert mine["progress"] == yours["progress"]
    assert str(mine["optimizer"]["param_groups"]) == str(yours["optimizer"]["param_groups"])
    assert mine["weights"].keys() == yours["weights"].keys()
    assert all(torch.equal(value, yours["weights"][name]) for name, value in mine["weights"].items())
    moments = mine["optimizer"]["state"]
    assert moments.keys() == yours["optimizer"]["state"].keys()
    assert moments
    for number, kept in moments.items():
        assert float(kept["step"]) > 0
        for name, value in kept.items():
            assert torch.equal(value, yours["optimizer"]["state"][number][name]), name


def last_state(run: Path) -> dict[str, Any]:
    """What the newest state of a run holds."""
    newest = max((run / "state").glob("step-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    return torch.load(newest / "state.pt")


def model_of(run: Path) -> dict[str, torch.Tensor]:
    """The weights that were published."""
    return load_file(run / "model" / "model.safetensors")
