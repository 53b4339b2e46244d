"""A run of PPO that is killed, stopped or out of time goes on as if nothing had happened."""

import os
import random
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ppo_runs import ITERATIONS, assert_same, small, start_command, words_of
from stage_runs import keeping_states, kill_after, newest, run_stage, start

from rlhf.run import main

GOES_ON = "the same command goes on from the last saved state"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ppo")


@pytest.fixture(scope="module")
def whole(folder: Path, tiny_model: Path) -> Path:
    """The run that nothing disturbed."""
    return run_stage("ppo", folder / "whole", small(folder, tiny_model))


def kill_often(runs_dir: Path, options: Mapping[str, Any], kills: int, seed: int) -> int:
    """Kills (-9) so often, each time a random while further on; returns how often it was still alive."""
    rng = random.Random(seed)
    lines, done = 0, 0
    for _ in range(kills):
        process = start("ppo", runs_dir, options)
        done += kill_after(process, runs_dir, "ppo", lines, rng.random() * 0.15)
        process.join()
        lines = min(lines + rng.randint(0, 2), ITERATIONS)
    process = start("ppo", runs_dir, options)
    process.join()
    assert process.exitcode == 0
    return done


def test_killed_once(tmp_path: Path, folder: Path, whole: Path, tiny_model: Path) -> None:
    options = small(folder, tiny_model)
    process = start("ppo", tmp_path, options)
    assert kill_after(process, tmp_path, "ppo", lines=4, more_s=0.02)
    assert not (newest(tmp_path, "ppo") / "manifest.json").exists()
    process = start("ppo", tmp_path, options)
    process.join()
    assert process.exitcode == 0
    assert [path.name for path in (tmp_path / "t").iterdir() if path.is_dir()] == ["ppo-1"]
    assert_same(newest(tmp_path, "ppo"), whole)


@pytest.mark.slow
@pytest.mark.parametrize("adapter", ["none", "lora"])
@pytest.mark.parametrize("save_every", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_killed_ten_times(
    tmp_path: Path, folder: Path, tiny_model: Path, adapter: str, save_every: int, seed: int
) -> None:
    options = small(folder, tiny_model, model__adapter=adapter, stage__save_every=save_every)
    process = start("ppo", tmp_path / "whole", options)
    process.join()
    assert kill_often(tmp_path / "killed", options, 10, seed) >= 8
    assert_same(newest(tmp_path / "killed", "ppo"), newest(tmp_path / "whole", "ppo"))


def test_sigterm_saves_and_says_how_to_go_on(
    tmp_path: Path, folder: Path, whole: Path, tiny_model: Path
) -> None:
    options = small(folder, tiny_model, stage__save_every=100)  # so that only the signal saves
    process = start_command(tmp_path, options, tmp_path / "said")
    while process.is_alive() and lines_of(tmp_path) < 3:
        process.join(0.005)
    os.kill(process.pid, signal.SIGTERM)
    process.join()
    assert process.exitcode == 130
    assert (tmp_path / "said").read_text().endswith(f"stopped: SIGTERM; {GOES_ON}\n")
    run = newest(tmp_path, "ppo")
    (state,) = (run / "state").glob("step-*")
    assert int(state.name.rpartition("-")[2]) == lines_of(tmp_path) - 1
    assert not (run / "manifest.json").exists()
    process = start_command(tmp_path, options, tmp_path / "said")
    process.join()
    assert process.exitcode == 0
    assert "goes on after iteration" in (tmp_path / "said").read_text()
    assert_same(run, whole)


def lines_of(runs_dir: Path) -> int:
    files = list((runs_dir / "t").glob("ppo-*/metrics.jsonl"))
    return files[0].read_bytes().count(b"\n") if files else 0


def test_out_of_hours_again_and_again(
    tmp_path: Path, folder: Path, whole: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = words_of(tmp_path, small(folder, tiny_model, stage__save_every=100, stage__max_hours=1e-9))
    for iteration in range(1, ITERATIONS):
        assert main(words) == 130
        assert f"stage.max_hours is reached; {GOES_ON}" in capfd.readouterr().err
        assert lines_of(tmp_path) == iteration + 1
    with keeping_states():
        assert main(words) == 0
    assert_same(newest(tmp_path, "ppo"), whole)


def test_a_finished_run_is_reported_and_left_as_it_is(
    folder: Path, whole: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    assert run_stage("ppo", folder / "whole", small(folder, tiny_model)) == whole
    assert "is finished already" in "".join(capfd.readouterr())
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before
