"""Two processes make the run that one makes, write each file once, and end together."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from ppo_processes import SHARDING, start_two
from ppo_runs import ITERATIONS, last_state, model_of, small, words_of
from stage_runs import metric_lines, newest, run_stage

STRATEGIES = {"ddp": {}, "fsdp2": SHARDING}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ppo")


@pytest.fixture(scope="module")
def alone(folder: Path, tiny_model: Path) -> Path:
    """The run of one process."""
    return run_stage("ppo", folder / "alone", small(folder, tiny_model))


def ended(processes: list[Any]) -> list[int]:
    """Exit codes; a process that waits for ever fails the test."""
    for process in processes:
        process.join(900)
    assert not any(process.is_alive() for process in processes)
    return [process.exitcode for process in processes]


def assert_close(one: Path, other: Path) -> None:
    """Figures, weights and moments are the same within 1e-4, and so are the names of the files."""
    lines, expected = metric_lines(one), metric_lines(other)
    assert [line["step"] for line in lines] == list(range(ITERATIONS + 1))
    for line, wanted in zip(lines, expected, strict=True):
        assert line == pytest.approx(wanted, rel=1e-4, abs=1e-4)
    names = [sorted(str(path.relative_to(run)) for path in run.rglob("*")) for run in (one, other)]
    assert names[0] == names[1]
    mine, wanted = model_of(one), model_of(other)
    assert mine.keys() == wanted.keys()
    assert all(torch.allclose(mine[name], wanted[name], atol=1e-4) for name in wanted)
    states = [last_state(run) for run in (one, other)]
    for name, value in states[1]["weights"].items():
        assert torch.allclose(states[0]["weights"][name], value, atol=1e-4), name
    for number, moments in states[1]["optimizer"]["state"].items():
        for name, value in moments.items():
            assert torch.allclose(states[0]["optimizer"]["state"][number][name], value, atol=1e-4), name


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_another_number_of_processes_goes_on_after_one_died(
    tmp_path: Path, folder: Path, alone: Path, tiny_model: Path, strategy: str
) -> None:
    words = words_of(tmp_path, small(folder, tiny_model))
    processes = start_two(words, tmp_path / "said", STRATEGIES[strategy])
    while all(process.is_alive() for process in processes) and lines_of(tmp_path) < 3:
        processes[0].join(0.01)
    os.kill(processes[1].pid, signal.SIGKILL)
    assert ended(processes) == [2, -signal.SIGKILL]
    said = (tmp_path / "said.0").read_text()
    assert "another process of this run has ended" in said
    assert "Traceback" not in said
    assert 0 < lines_of(tmp_path) <= ITERATIONS

    assert ended(start_two(words, tmp_path / "again", {})) == [0, 0]
    assert "goes on after iteration" in (tmp_path / "again.0").read_text()
    assert (tmp_path / "again.1").read_text() == ""
    assert [path.name for path in (tmp_path / "t").iterdir() if path.is_dir()] == ["ppo-1"]
    assert_close(newest(tmp_path, "ppo"), alone)


def lines_of(runs_dir: Path) -> int:
    files = list((runs_dir / "t").glob("ppo-*/metrics.jsonl"))
    return files[0].read_bytes().count(b"\n") if files else 0


@pytest.mark.slow
def test_sharded_goes_on_from_one_process(
    tmp_path: Path, folder: Path, alone: Path, tiny_model: Path
) -> None:
    options = small(folder, tiny_model, stage__max_hours=1e-9)
    with pytest.raises(KeyboardInterrupt):
        run_stage("ppo", tmp_path, options)
    words = words_of(tmp_path, small(folder, tiny_model))
    assert ended(start_two(words, tmp_path / "said", SHARDING)) == [0, 0]
    assert "goes on after iteration 1" in (tmp_path / "said.0").read_text()
    assert_close(newest(tmp_path, "ppo"), alone)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"stage__minibatch_size": 1}, "stage.minibatch_size=1 cannot be shared by 2 processes"),
        ({"model__adapter": "lora"}, "take configs/accelerate/ddp.yaml"),
    ],
)
def test_what_cannot_be_shared_is_refused_by_all(
    tmp_path: Path, folder: Path, tiny_model: Path, changed: dict[str, Any], says: str
) -> None:
    words = words_of(tmp_path, small(folder, tiny_model, **changed))
    assert ended(start_two(words, tmp_path / "said", SHARDING)) == [2, 2]
    assert says in (tmp_path / "said.0").read_text()
    assert (tmp_path / "said.1").read_text().startswith("process 1: error: ")


def test_other_stages_refuse(tmp_path: Path) -> None:
    words = ["stage=sft", "name=t", f"runs_dir={tmp_path}", "device=cpu"]
    assert ended(start_two(words, tmp_path / "said")) == [2, 2]
    assert "stage=sft works in one process, and 2 were started" in (tmp_path / "said.0").read_text()
