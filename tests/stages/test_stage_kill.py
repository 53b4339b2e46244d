"""kill -9 at any moment, and the same command again: the run ends as if nothing had happened."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from stage_runs import assert_same_runs, kill_after, metric_lines, newest, start

SFT = {
    "data__limit": 60,
    "stage__batch_size": 8,
    "stage__max_steps": 14,
    "stage__eval_every": 2,
    "stage__save_every": 2,
    "stage__patience": 2,
    "stage__learning_rate": 3.0,  # so high that an early look stays the best one and patience ends the run
}
RM = {
    "data__limit": 80,
    "stage__batch_size": 8,
    "stage__max_steps": 5,
    "stage__eval_every": 2,
    "stage__save_every": 2,
}


def kill_often(stage: str, runs_dir: Path, options: Mapping[str, Any], kills: int, seed: int) -> int:
    """Runs a stage to its end through so many kills at random moments; returns how many there were."""
    rng = random.Random(seed)
    total, lines = 7 if stage == "sft" else 16, 0
    done = 0
    for _ in range(kills):
        lines = min(lines + rng.randint(0, 2 * total // (kills + 1)), total)
        process = start(stage, runs_dir, options)
        if not kill_after(process, runs_dir, stage, lines, rng.random() * 0.05):
            break
        done += 1
    process = start(stage, runs_dir, options)
    process.join()
    assert process.exitcode == 0
    return done


def undisturbed(stage: str, runs_dir: Path, options: Mapping[str, Any]) -> Path:
    """The same, left alone."""
    process = start(stage, runs_dir, options)
    process.join()
    assert process.exitcode == 0
    return newest(runs_dir, stage)


MORE = [pytest.param("none", 6, seed, marks=pytest.mark.slow) for seed in range(1, 6)] + [
    pytest.param("lora", 6, seed, marks=pytest.mark.slow) for seed in range(6, 9)
]


@pytest.mark.parametrize(("adapter", "kills", "seed"), [("none", 2, 0), *MORE])
def test_sft(tmp_path: Path, tiny_model: Path, kills: int, seed: int, adapter: str) -> None:
    options = SFT | {"model__path": str(tiny_model), "model__adapter": adapter}
    expected = undisturbed("sft", tmp_path / "whole", options)
    assert kill_often("sft", tmp_path / "killed", options, kills, seed) > 0
    assert adapter == "lora" or metric_lines(expected)[-1]["step"] < SFT["stage__max_steps"]  # by patience
    assert_same_runs(newest(tmp_path / "killed", "sft"), expected)


@pytest.mark.parametrize(("adapter", "kills", "seed"), [("lora", 3, 0), *MORE])
def test_rm(tmp_path: Path, tiny_model: Path, kills: int, seed: int, adapter: str) -> None:
    options = RM | {"inputs__policy": str(tiny_model), "model__adapter": adapter}
    expected = undisturbed("rm", tmp_path / "whole", options)
    assert kill_often("rm", tmp_path / "killed", options, kills, seed) > 0
    assert_same_runs(newest(tmp_path / "killed", "rm"), expected)
