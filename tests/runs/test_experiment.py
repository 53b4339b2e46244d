"""Opening runs: numbers, resuming, finished ones, and two processes at once."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml

from rlhf.errors import ConfigError, InputError, ModelError, RunError
from rlhf.runs import Experiment, Run, hash_data_files, identity, read_manifest

HOLDER = """
    import sys, time
    from rlhf.runs import Experiment
    run = Experiment(sys.argv[1], "demo").open("sft", identity=sys.argv[2], config={"seed": 1})
    print(run.path.name, flush=True)
    time.sleep(float(sys.argv[3]))
"""


def hold(runs_dir: Path, key: str, seconds: float = 60.0) -> subprocess.Popen[str]:
    """Another process that opens a run and sits on it."""
    command = [sys.executable, "-c", textwrap.dedent(HOLDER), str(runs_dir), key, str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


@pytest.mark.parametrize("name", ["demo", "对齐实验-1", "a.b_c-d", "_x", "7"])
def test_good_names(tmp_path: Path, name: str) -> None:
    assert Experiment(tmp_path, name).path == tmp_path / name


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "-x", "a b", "a\0b", "x" * 81, "a\\b"])
def test_bad_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot name an experiment"):
        Experiment(tmp_path, name)


def test_nothing_is_made_before_a_run_is_opened(experiment: Experiment) -> None:
    assert experiment.runs() == []
    assert not experiment.runs_dir.exists()


def test_a_run_from_first_to_last(experiment: Experiment, tmp_path: Path) -> None:
    data = tmp_path / "数据.jsonl"
    data.write_text("{}\n")
    config = {
        "name": "demo",
        "seed": 7,
        "stage": {"learning_rate": 1e-5},
        "data": {"prompts": Path("数据.jsonl")},
    }
    key = identity(config, {}, [data])
    with experiment.open("sft", identity=key, config=config, data_files=[data], command="make it") as run:
        assert (run.path.name, run.number, run.finished, run.resumed) == ("sft-1", 1, False, False)
        assert json.loads((run.path / "open.json").read_text())["identity"] == key
        run.publish("model", lambda folder: (folder / "w.bin").write_bytes(b"abc"))
        run.save_state(1, lambda folder: (folder / "s").write_text("s"))
        run.write_json("report.json", {"worst": float("nan")})
        (run.trackers_path).mkdir()
        (run.trackers_path / "events").write_text("e")
        assert not (run.path / "manifest.json").exists()
        manifest = run.finish(
            "policy", metrics={"loss": 0.1, "gap": float("inf")}, resolved={"threads": 2}, seed=7
        )
    assert read_manifest(run.path) == manifest
    assert set(manifest.files) == {"config.yaml", "model/w.bin", "report.json"}
    assert manifest.files["model/w.bin"].size == 3
    assert manifest.data_files == hash_data_files([data])
    assert manifest.metrics == {"loss": 0.1, "gap": "Infinity"}
    assert (manifest.kind, manifest.stage, manifest.number, manifest.seed) == ("policy", "sft", 1, 7)
    assert {"rlhf", "torch", "transformers"} <= set(manifest.packages)
    assert yaml.safe_load((run.path / "config.yaml").read_text())["stage"]["learning_rate"] == 1e-5
    assert json.loads((run.path / "report.json").read_text()) == {"worst": "NaN"}
    assert sorted(p.name for p in run.path.iterdir()) == [
        "config.yaml", "manifest.json", "model", "open.json", "report.json", "run.lock", "trackers",
    ]  # fmt: skip


def fail(run: Run, error: Exception, *kept: str) -> None:
    """The run writes something, and then the stage fails."""
    with run:
        for name in kept:
            (run.path / name).parent.mkdir(parents=True, exist_ok=True)
            (run.path / name).write_text("1\n")
        raise error


def test_a_run_that_is_refused_at_once_leaves_no_folder(experiment: Experiment) -> None:
    run = experiment.open("sft", identity="k", config={})
    run.metrics_path.touch()
    with pytest.raises(ModelError):
        fail(run, ModelError("no such model"), "trackers/events")
    assert experiment.runs() == []
    assert not run.path.exists()
    with experiment.open("sft", identity="k", config={}) as again:  # no lock is left either
        assert (again.number, again.resumed) == (1, False)


@pytest.mark.parametrize("kept", ["metrics.jsonl", "verdicts.jsonl", "state/step-1/a", "model/w"])
def test_what_was_computed_before_an_error_stays(experiment: Experiment, kept: str) -> None:
    run = experiment.open("sft", identity="k", config={})
    with pytest.raises(ModelError):
        fail(run, ModelError("out of luck"), kept)
    assert (run.path / kept).read_text() == "1\n"


def test_a_resumed_run_and_an_unforeseen_error_keep_the_folder(experiment: Experiment) -> None:
    with pytest.raises(ZeroDivisionError):
        fail(experiment.open("sft", identity="k", config={}), ZeroDivisionError())
    run = experiment.open("sft", identity="k", config={})
    assert run.resumed
    with pytest.raises(ModelError):
        fail(run, ModelError("gone since"))
    assert [run.status for run in experiment.runs()] == ["unfinished"]


def test_same_identity_resumes_then_reports(experiment: Experiment) -> None:
    with experiment.open("sft", identity="k", config={"seed": 1}) as run:
        path = run.path
    with experiment.open("sft", identity="k", config={"seed": 1, "device": "cuda"}) as run:
        assert (run.path, run.resumed, run.finished) == (path, True, False)
        assert yaml.safe_load((path / "config.yaml").read_text())["device"] == "cuda"
        run.finish("policy", metrics={}, resolved={})
    before = {p.name: p.stat().st_mtime_ns for p in path.iterdir()}
    with experiment.open("sft", identity="k", config={"seed": 1}) as run:
        assert (run.path, run.finished, run.resumed) == (path, True, False)
        assert run.manifest is not None
        for write in (
            lambda: run.write_text("a.txt", ""),
            lambda: run.publish("model", lambda folder: (folder / "x").touch()),
            lambda: run.save_state(1, lambda folder: (folder / "x").touch()),
            lambda: run.finish("policy", metrics={}, resolved={}),
        ):
            with pytest.raises(RunError, match="finished run is never written again"):
                write()
    assert {p.name: p.stat().st_mtime_ns for p in path.iterdir()} == before


def test_another_identity_takes_the_next_number_of_its_stage(experiment: Experiment) -> None:
    for key, stage, name in [
        ("a", "sft", "sft-1"),
        ("b", "sft", "sft-2"),
        ("c", "rm", "rm-1"),
        ("a", "rm", "rm-2"),
    ]:
        with experiment.open(stage, identity=key, config={}) as run:
            assert run.path.name == name


def test_numbers_are_not_reused_over_foreign_folders(experiment: Experiment) -> None:
    (experiment.path / "sft-4").mkdir(parents=True)
    with experiment.open("sft", identity="a", config={}) as run:
        assert run.path.name == "sft-5"


def test_a_finished_run_that_changed_is_not_reported_as_whole(experiment: Experiment) -> None:
    with experiment.open("sft", identity="k", config={}) as run:
        run.publish("model", lambda folder: (folder / "w.bin").write_bytes(b"abc"))
        run.finish("policy", metrics={}, resolved={})
    (run.path / "model" / "w.bin").unlink()
    with pytest.raises(InputError, match=r"w\.bin is missing(.|\n)*delete .*sft-1 to make the run again"):
        experiment.open("sft", identity="k", config={})


def test_two_at_once_get_different_numbers(experiment: Experiment) -> None:
    others = [hold(experiment.runs_dir, key) for key in "abcdef"]
    try:
        assert sorted(first_line(other) for other in others) == [f"sft-{n}" for n in range(1, 7)]
    finally:
        for other in others:
            end(other)


def test_the_same_command_twice_at_once_is_told_who_is_at_it(experiment: Experiment) -> None:
    other = hold(experiment.runs_dir, "k")
    try:
        assert first_line(other) == "sft-1"
        with pytest.raises(
            RunError, match=rf"sft-1 is being worked on.*pid {other.pid} on .* since 20"
        ) as caught:
            experiment.open("sft", identity="k", config={})
        assert "Wait until it ends, or stop it" in str(caught.value)
        assert [run.status for run in experiment.runs()] == ["running"]
        with experiment.open("sft", identity="another", config={}) as run:
            assert run.path.name == "sft-2"
    finally:
        end(other)


def test_a_killed_holder_lets_go(experiment: Experiment) -> None:
    other = hold(experiment.runs_dir, "k")
    assert first_line(other) == "sft-1"
    other.send_signal(signal.SIGKILL)
    other.communicate()
    with experiment.open("sft", identity="k", config={}) as run:
        assert run.resumed


def test_a_forked_worker_does_not_keep_the_lock(experiment: Experiment) -> None:
    run = experiment.open("sft", identity="k", config={})
    worker = os.fork()
    if worker == 0:
        signal.pause()
        os._exit(0)
    try:
        run.close()
        with experiment.open("sft", identity="k", config={}) as again:
            assert again.resumed
    finally:
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)


def test_a_kill_during_creation_confuses_nobody(experiment: Experiment) -> None:
    code = """
        import os, sys
        from rlhf.runs import Experiment, experiment
        experiment.sync_tree = lambda folder: os._exit(9)   # just before the folder gets its number
        Experiment(sys.argv[1], "demo").open("sft", identity="k", config={"seed": 1})
    """
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(experiment.runs_dir)], check=False
    )
    assert killed.returncode == 9
    assert any(path.name.startswith(".new-") for path in experiment.path.iterdir())
    with experiment.open("sft", identity="k", config={}) as run:
        assert (run.path.name, run.resumed) == ("sft-1", False)
    assert sorted(path.name for path in experiment.path.iterdir()) == [".lock", "sft-1"]


def test_seconds_add_up_over_resumes(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 130.0, 500.0, 505.0])
    monkeypatch.setattr("rlhf.runs.run.time.monotonic", lambda: next(clock))
    with experiment.open("sft", identity="k", config={}):
        pass  # opened at 100, closed at 130
    with experiment.open("sft", identity="k", config={}) as run:
        manifest = run.finish("policy", metrics={}, resolved={})  # opened at 500, finished at 505
    assert manifest.seconds == 35.0
    assert not (run.path / "seconds.json").exists()


def test_a_moved_experiment_stays_usable(experiment: Experiment, tmp_path: Path) -> None:
    with experiment.open("sft", identity="k", config={}) as run:
        run.publish("model", lambda folder: (folder / "w.bin").write_bytes(b"abc"))
        run.finish("policy", metrics={}, resolved={})
    shutil.copytree(experiment.path, tmp_path / "other" / "demo", copy_function=shutil.copy)
    assert Experiment(tmp_path / "other", "demo").open("sft", identity="k", config={}).finished


def test_a_runs_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(RunError, match="runs_dir=FOLDER"):
        Experiment(tmp_path / "runs", "demo").open("sft", identity="k", config={})
