"""What a run writes is whole or absent: after a kill, after damage, on a full disk."""

import errno
import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rlhf.errors import RunError
from rlhf.runs import Experiment, Run, disk_errors, write_atomic


def open_run(experiment: Experiment) -> Run:
    return experiment.open("ppo", identity="k", config={})


def elsewhere(experiment: Experiment, body: str) -> "subprocess.CompletedProcess[str]":
    """Run some lines in another process, with `run` open there."""
    head = f"""
import os, resource
from pathlib import Path
from rlhf.errors import RunError
from rlhf.runs import Experiment
run = Experiment({str(experiment.runs_dir)!r}, "demo").open("ppo", identity="k", config={{}})
"""
    code = head + textwrap.dedent(body)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def number(value: int):
    return lambda folder: (folder / "counters.txt").write_text(str(value))


def saved(run: Run) -> tuple[int, str]:
    state = run.latest_state()
    assert state is not None
    return state[0], (state[1] / "counters.txt").read_text()


def test_the_last_states_are_kept(experiment: Experiment) -> None:
    with open_run(experiment) as run:
        assert run.latest_state() is None
        for step in (5, 10, 100):
            run.save_state(step, number(step))
        assert saved(run) == (100, "100")
        assert sorted(p.name for p in (run.path / "state").iterdir()) == ["step-10", "step-100"]
        run.save_state(101, number(101), keep=1)
        assert [p.name for p in (run.path / "state").iterdir()] == ["step-101"]


def test_a_state_may_be_saved_again(experiment: Experiment) -> None:
    with open_run(experiment) as run:
        run.save_state(5, number(1))
        run.save_state(5, number(2))
        assert saved(run) == (5, "2")


def test_a_kill_in_the_middle_of_saving(experiment: Experiment) -> None:
    killed = elsewhere(
        experiment,
        """
        run.save_state(1, lambda folder: (folder / "counters.txt").write_text("1"))
        def write(folder):
            (folder / "counters.txt").write_text("half")
            os._exit(9)
        run.save_state(2, write)
        """,
    )
    assert killed.returncode == 9
    state = experiment.path / "ppo-1" / "state"
    assert sorted(p.name for p in state.iterdir()) == [".step-2.tmp", "step-1"]
    with open_run(experiment) as run:
        assert saved(run) == (1, "1")
        assert [p.name for p in state.iterdir()] == ["step-1"]


@pytest.mark.parametrize("damage", ["truncated", "truncated large", "other", "missing", "no list"])
def test_a_damaged_state_is_passed_over(
    experiment: Experiment, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    if damage == "truncated large":  # too large to be hashed: the size tells
        monkeypatch.setattr("rlhf.runs.state._HASHED_UP_TO", 1)
    with open_run(experiment) as run:
        run.save_state(1, number(1111))
        run.save_state(2, number(2222))
        file = run.path / "state" / "step-2" / "counters.txt"
        if damage.startswith("truncated"):
            os.truncate(file, 2)
        elif damage == "other":
            file.write_text("2223")
        elif damage == "missing":
            file.unlink()
        else:
            os.truncate(file.with_name("contents.json"), 5)
        with caplog.at_level(logging.WARNING):
            assert saved(run) == (1, "1111")
        assert "step-2 is damaged" in caplog.text
        run.save_state(2, number(3333))  # the run goes on from step 1 and gets there again
        assert saved(run) == (2, "3333")


def test_states_left_behind_go(experiment: Experiment) -> None:
    with open_run(experiment) as run:
        run.save_state(10, number(10))
        run.save_state(20, number(20))
        os.truncate(run.path / "state" / "step-20" / "counters.txt", 1)
        run.save_state(15, number(15))  # went on from 10
        assert sorted(p.name for p in (run.path / "state").iterdir()) == ["step-10", "step-15"]


def test_a_finished_run_keeps_no_state(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_run(experiment) as run:
        run.save_state(1, number(1))
        with pytest.raises(RunError, match="its states are what it resumes from"):
            run.drop_states()
        with monkeypatch.context() as killed:  # between the manifest and the removal
            killed.setattr(Run, "drop_states", lambda _: None)
            run.finish("policy", metrics={}, resolved={})
    state = run.path / "state"
    assert state.is_dir()
    with open_run(experiment) as again:
        assert again.finished
        assert not state.exists()


def test_a_kill_in_the_middle_of_publishing(experiment: Experiment) -> None:
    killed = elsewhere(
        experiment,
        """
        run.publish("model", lambda folder: (folder / "w.bin").write_text("old"))
        def write(folder):
            (folder / "w.bin").write_text("ne")
            os._exit(9)
        run.publish("model", write)
        """,
    )
    assert killed.returncode == 9
    with open_run(experiment) as run:
        assert (run.path / "model" / "w.bin").read_text() == "old"
        assert not list(run.path.glob(".model*"))
        run.publish("model", lambda folder: (folder / "w.bin").write_text("new"))
        assert (run.path / "model" / "w.bin").read_text() == "new"


def test_a_kill_between_the_two_renames_of_publishing(experiment: Experiment) -> None:
    with open_run(experiment) as run:
        run.publish("model", lambda folder: (folder / "w.bin").write_text("old"))
    os.rename(run.path / "model", run.path / ".model.old")
    with open_run(experiment) as run:
        assert (run.path / "model" / "w.bin").read_text() == "old"


def test_a_writer_that_fails_leaves_what_was_there(experiment: Experiment) -> None:
    def fail(folder: Path) -> None:
        (folder / "w.bin").write_text("ne")
        raise KeyboardInterrupt

    def fail_rows():
        yield {"a": 1}
        raise ZeroDivisionError

    with open_run(experiment) as run:
        run.publish("model", lambda folder: (folder / "w.bin").write_text("old"))
        run.write_jsonl("samples.jsonl", [{"a": 0}])
        with pytest.raises(KeyboardInterrupt):
            run.publish("model", fail)
        with pytest.raises(ZeroDivisionError):
            run.write_jsonl("samples.jsonl", fail_rows())
        with pytest.raises(ValueError, match="nothing was written"):
            run.publish("adapter", lambda folder: None)
        assert (run.path / "model" / "w.bin").read_text() == "old"
        assert (run.path / "samples.jsonl").read_text() == '{"a": 0}\n'
        assert not list(run.path.glob(".*"))


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "state", "manifest.json", ".x", "a/.b", "", "run.lock"])
def test_names_that_are_not_for_stages(experiment: Experiment, name: str) -> None:
    with open_run(experiment) as run, pytest.raises(ValueError, match="is no name for a file of a run"):
        run.write_text(name, "x")


LIMIT = "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"


@pytest.mark.parametrize(
    ("write", "leftover"),
    [
        ("run.save_state(2, lambda folder: (folder / 'big').write_bytes(b'x' * 2_000_000))", "state/step-2"),
        ("run.publish('model', lambda folder: (folder / 'big').write_bytes(b'x' * 2_000_000))", "model"),
        ("run.write_text('report.md', 'x' * 2_000_000)", "report.md"),
        ("run.write_jsonl('samples.jsonl', ({'n': 'x' * 1000} for _ in range(2000)))", "samples.jsonl"),
        (
            "import torch\n"
            "run.publish('model', lambda folder: torch.save(torch.zeros(500_000), folder / 'w.pt'))",
            "model",
        ),
        (
            "import torch; from safetensors.torch import save_file\n"
            "w = {'w': torch.zeros(500_000)}\n"
            "run.publish('model', lambda folder: save_file(w, folder / 'w.safetensors'))",
            "model",
        ),
    ],
)
def test_a_full_disk(experiment: Experiment, write: str, leftover: str) -> None:
    state = "run.save_state(1, lambda folder: (folder / 'counters.txt').write_text('1'))\n"
    body = textwrap.dedent(write).replace("\n", "\n    ")
    full = elsewhere(
        experiment, f"{state}{LIMIT}try:\n    {body}\nexcept RunError as error:\n    print(error)\n"
    )
    assert "disk full while writing" in full.stdout, full.stderr
    assert leftover in full.stdout
    assert "then run the same command again; nothing finished was lost" in full.stdout
    run_folder = experiment.path / "ppo-1"
    assert not (run_folder / leftover).exists()
    assert not [path for path in run_folder.rglob(".*")]
    with open_run(experiment) as run:
        assert saved(run) == (1, "1")


def test_a_full_disk_while_finishing_leaves_the_run_unfinished(experiment: Experiment) -> None:
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
    many = "metrics={str(n): n for n in range(5000)}"
    full = elsewhere(
        experiment,
        f"""
        {limit}
        try:
            run.finish("policy", {many}, resolved={{}})
        except RunError as error:
            print(error)
        """,
    )
    assert "disk full" in full.stdout, full.stderr
    with open_run(experiment) as run:
        assert run.resumed
        assert not run.finished


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_disk_errors_translates_what_means_full(tmp_path: Path, number: int) -> None:
    with pytest.raises(RunError, match=r"disk full while writing .*state.* free there"):
        fail_as_a_library_does(tmp_path / "state", number)


def fail_as_a_library_does(path: Path, number: int) -> None:
    with disk_errors(path):
        try:
            raise OSError(number, "no")
        except OSError as error:
            raise RuntimeError("a library's own words") from error


@pytest.mark.parametrize(
    "words",
    [
        "I/O error: quota (os error 122)",
        "PytorchStreamWriter failed writing file data/1",
        "unexpected pos 64 vs 0",
    ],
)
def test_disk_errors_knows_the_words_of_libraries(tmp_path: Path, words: str) -> None:
    with pytest.raises(RunError, match="disk full"), disk_errors(tmp_path):
        raise RuntimeError(words)


def test_disk_errors_says_how_much_is_needed(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"Free 1\.5 GB, then"), disk_errors(tmp_path, needs=1_500_000_000):
        raise OSError(errno.ENOSPC, "no")


def test_disk_errors_leaves_other_errors_alone(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), disk_errors(tmp_path):
        raise PermissionError(errno.EACCES, "no")
    with pytest.raises(RuntimeError, match="os error 13"), disk_errors(tmp_path):
        raise RuntimeError("Permission denied (os error 13)")


def test_a_full_disk_on_resuming_lets_go_of_the_run(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no")

    open_run(experiment).close()
    with monkeypatch.context() as patch:
        patch.setattr("rlhf.runs.experiment.write_atomic", full)
        with pytest.raises(RunError, match="disk full") as caught:
            open_run(experiment)
    assert caught  # its traceback still refers to the lock
    with open_run(experiment) as run:
        assert run.resumed


def test_write_atomic_replaces(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", b"1")
    write_atomic(tmp_path / "a", (b"2" for _ in range(3)))
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a", b"222")]
