"""kill -9 at any moment of a loop, and the same command again: it ends as if nothing had happened."""

import os
import random
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from loop_runs import STREAM, record_of, run_loop, weights_of
from stage_runs import PROCESSES

from stages.loop_setup import read_lines

PROCESSES.set_forkserver_preload(["stages.sft", "stages.rm", "stages.ppo", "stages.eval", "stages.loop"])


def in_a_process(runs_dir: Path, policy: Path, options: Mapping[str, Any]) -> Any:
    process = PROCESSES.Process(target=run_loop, args=(runs_dir, policy), kwargs=dict(options))
    process.start()
    return process


def files_in(runs_dir: Path) -> int:
    """How far it is: nearly every step leaves a file."""
    return sum(len(names) for _, _, names in os.walk(runs_dir))


def kill_often(
    runs_dir: Path, policy: Path, options: Mapping[str, Any], kills: int, files: int, seed: int
) -> int:
    """Runs a loop to its end through so many kills, each a random way further; how many there were."""
    rng, done = random.Random(seed), 0
    for _ in range(kills):
        target = files_in(runs_dir) + rng.randint(1, max(2 * files // kills, 2))
        process = in_a_process(runs_dir, policy, options)
        while process.is_alive() and files_in(runs_dir) < target:
            time.sleep(0.002)
        time.sleep(rng.random() * 0.3)
        if not process.is_alive():
            break
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        done += 1
    process = in_a_process(runs_dir, policy, options)
    process.join()
    assert process.exitcode == 0
    return done


@pytest.mark.slow
@pytest.mark.parametrize(("kills", "seed"), [(4, 0), (10, 1), (10, 2)])
def test_the_end_is_the_undisturbed_one(tmp_path: Path, tiny_model: Path, kills: int, seed: int) -> None:
    assert whole_and_killed(tmp_path, tiny_model, {"stage__ask_people": 4}, kills, seed) == {
        f"round-{number}/{name}" for number in (1, 2) for name in (*LINES, "judging_judgements.jsonl")
    }


@pytest.mark.slow
@pytest.mark.parametrize(("kills", "seed"), [(6, 3), (14, 4)])
def test_the_end_of_a_stream_is_the_undisturbed_one(
    tmp_path: Path, tiny_model: Path, kills: int, seed: int
) -> None:
    options = {**STREAM, "stage__ask_people": 4, "stage__queue": 12}
    files = whole_and_killed(tmp_path, tiny_model, options, kills, seed)
    assert {f"round-2/step-{number}/{name}" for number in (2, 3) for name in LINES} < files


LINES = ("items.jsonl", "judgements.jsonl", "preferences.jsonl")


def whole_and_killed(
    folder: Path, policy: Path, options: Mapping[str, Any], kills: int, seed: int
) -> set[str]:
    """Runs a loop undisturbed and through kills, and compares; the files of lines that both left."""
    options = {**options, "seed": seed}
    process = in_a_process(folder / "whole", policy, options)
    process.join()
    assert process.exitcode == 0
    files = files_in(folder / "whole")
    assert kill_often(folder / "killed", policy, options, kills, files, seed) > 1
    mine, whole = record_of(folder / "killed"), record_of(folder / "whole")
    assert mine.without_times() == whole.without_times()
    assert weights_of(folder / "killed") == weights_of(folder / "whole")
    one, other = (lines_of(folder / which / "t" / "loop-1") for which in ("killed", "whole"))
    assert one == other
    return set(one)


def lines_of(loop: Path) -> dict[str, list[dict[str, Any]]]:
    """What a loop wrote in lines, but for the snapshots, whose ids are the store's."""
    found = loop.glob("round-*/**/*.jsonl")
    return {
        str(path.relative_to(loop)): read_lines(path)
        for path in found
        if "snapshot" not in str(path.relative_to(loop)) and "judgements-" not in str(path.parent.name)
    }
