"""The command line as a person meets it: quick, short and clear when refused, nothing left behind."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from rlhf import run
from rlhf.command import parse, sweep_name
from rlhf.config import Config, PpoStage
from rlhf.errors import ConfigError, RunError

MAX_CPU_S = 3.0  # well under one second on an idle machine
MAX_LINES = 10


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str
    cpu_s: float
    wall_s: float
    left: list[str]
    modules: set[str]


@pytest.fixture
def command(tmp_path: Path):
    """Runs `python -m rlhf.run` in an empty folder; what it said, what it took, what it left."""
    listing = tmp_path / "modules"
    empty = tmp_path / "empty"
    empty.mkdir()
    # like `python -m rlhf.run`, and at the end the names of all modules that were imported
    code = (
        "import atexit, runpy, sys\n"
        f"atexit.register(lambda: open({str(listing)!r}, 'w').write(' '.join(sys.modules)))\n"
        "runpy.run_module('rlhf.run', run_name='__main__', alter_sys=True)\n"
    )

    def call(*words: str) -> Result:
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        environment = {**os.environ, "PYTHONWARNINGS": "error:::rlhf"}
        done = subprocess.run(
            [sys.executable, "-c", code, *words], cwd=empty, env=environment, capture_output=True, text=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        left = sorted(path.name for path in empty.iterdir())
        modules = set(listing.read_text().split())
        return Result(
            done.returncode, done.stdout, done.stderr, cpu_s, time.monotonic() - began, left, modules
        )

    return call


REFUSED: dict[str, tuple[Sequence[str], str]] = {
    "unknown key": (["stage=sft", "stage.epoch=3"], "did you mean stage.epochs"),
    "key of another stage": (["stage=sft", "stage.total_episodes=9"], "belongs to stage=ppo"),
    "key of a stage inside all": (["stage=all", "stage.epochs=1"], "stage.sft.epochs"),
    "wrong value": (["stage=sft", "seed=many"], "seed=many"),
    "empty value": (["stage=sft", "stage.epochs="], "stage.epochs= has no value"),
    "batch sizes that contradict": (["stage=ppo", "stage.minibatch_size=48"], "try 32 or 64"),
    "unknown stage": (["stage=foo"], "all, eval, help, loop, ppo, rm, sample, sft"),
    "unknown stage, Chinese": (["stage=训练"], "stage=训练"),
    "unknown option of a group": (["stage=ppo", "kl=adaptiv"], "did you mean kl=adaptive?"),
    "a model given as a group": (["stage=sft", "model=/data/mine"], "model.path="),
    "no stage": (["name=x"], "no stage is named"),
    "reward without its path": (["stage=ppo", "reward=custom"], "reward.path"),
    "quote left open": (["stage=sft", 'name="mine'], 'name="mine'),
    "bracket left open": (["stage=sft", "trackers=[wandb"], "trackers=[wandb"),
    "no key": (["=5"], "=5"),
    "no value": (["stage"], "key=value"),
    "a flag for a key": (["--seed", "1"], "without dashes, as in seed="),
    "a flag without its value": (["--cfg"], "--cfg job"),
    "Hydra's own": (["stage=sft", "hydra.run.dir=elsewhere"], "runs_dir"),
    "a list without -m": (["stage=sft", "seed=0,1"], "add -m"),
    "an unfit name": (["stage=sft", "name=a/b"], "a/b"),
    "an empty reference": (["stage=sft", "name=${nothing}"], "nothing"),
    "an unknown stage in a sweep": (["-m", "stage=sft,foo"], "stage=foo"),
    "runs in a file": (["stage=sft", "runs_dir=/dev/null/runs"], "/dev/null is no folder"),
    "one data set of two": (["stage=all", "data.preferences=x.jsonl"], "data.demonstrations"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_is_short_clear_and_quick(command, case: str):
    words, says = REFUSED[case]
    result = command(*words)
    print(f"{result.cpu_s:.2f} s of CPU, {result.wall_s:.2f} s on the clock")
    assert result.code == 2
    assert result.out == ""
    assert says in result.err
    assert result.err.startswith("error: ")
    assert len(result.err.splitlines()) <= MAX_LINES
    assert "Traceback" not in result.err
    assert "torch" not in result.modules
    assert result.cpu_s < MAX_CPU_S
    assert result.left == []


@pytest.mark.parametrize("words", [[], ["--help"], ["stage=help"], ["stage=sft", "-h"]])
def test_help_lists_stages_examples_and_keys_at_once(command, words: list[str]):
    result = command(*words)
    print(f"{result.cpu_s:.2f} s of CPU, {result.wall_s:.2f} s on the clock")
    assert (result.code, result.err, result.left) == (0, "", [])
    for expected in (
        "stage=all",
        "kl=fixed|adaptive|annealed",
        f"total_episodes={PpoStage().total_episodes}",
        "reward.path=my_reward.py:score",
        "objective=pairwise",
        "offload_frozen=auto",
        "std_coef=",
        "python -m rlhf.serve",
    ):
        assert expected in result.out
    assert "torch" not in result.modules
    assert result.cpu_s < MAX_CPU_S


def test_many_slips_are_reported_together_within_ten_lines(command):
    result = command("stage=sft", *(f"option_{number}=1" for number in range(20)))
    assert result.code == 2
    assert len(result.err.splitlines()) <= MAX_LINES
    assert "option_0=1" in result.err
    assert "12 more" in result.err


def test_a_traceback_when_it_is_asked_for(command):
    result = command("stage=sft", "seed=many", "traceback=true")
    assert result.code == 2
    assert "Traceback" in result.err


def test_the_configuration_can_be_shown_with_every_default(command):
    result = command("stage=ppo", "name=我的", "kl.target=5", "--cfg", "job")
    assert (result.code, result.err, result.left) == (0, "", [])
    for line in ("name: 我的", "  target: 5.0", f"  total_episodes: {PpoStage().total_episodes}"):
        assert line in result.out.splitlines()


@pytest.mark.parametrize("words", [["--info", "plugins"], ["--cfg", "all", "stage=sft"], ["--hydra-help"]])
def test_what_hydra_shows_still_shows(command, words: list[str]):
    result = command(*words)
    assert (result.code, result.left) == (0, [])
    assert result.out


def test_a_sweep_of_refused_jobs_names_each_and_leaves_nothing(command):
    result = command("-m", "stage=sft", "seed=一,二")
    assert result.code == 2
    assert "demo-seed-一" in result.err
    assert "demo-seed-二" in result.err
    assert "2 of 2 jobs failed" in result.err
    assert "Traceback" not in result.err
    assert result.left == []


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """The configurations whose stage was started, and no stage run."""
    configurations: list[Config] = []
    monkeypatch.setattr(run, "run_stage", configurations.append)
    return configurations


TYPED = {
    "name=实验一": ("name", "实验一"),
    "name=007": ("name", "007"),
    "name=true": ("name", "true"),
    "data.demonstrations=数据/示范 (1).jsonl": ("data.demonstrations", "数据/示范 (1).jsonl"),
    "data.demonstrations=a=b.jsonl": ("data.demonstrations", "a=b.jsonl"),
    "data.demonstrations=it's.jsonl": ("data.demonstrations", "it's.jsonl"),
    "data.demonstrations='quoted, by hand'": ("data.demonstrations", "quoted, by hand"),
    "data.demonstrations=null": ("data.demonstrations", None),
    "data.separator=,": ("data.separator", ","),
    "data.separator=<|endoftext|>": ("data.separator", "<|endoftext|>"),
    "data.separator=\\": ("data.separator", "\\"),
    "model.lora_targets=q_proj,v_proj": ("model.lora_targets", "q_proj,v_proj"),
    "model.path=C:\\models\\mine": ("model.path", "C:\\models\\mine"),
    "stage.learning_rate=1e-5": ("stage.learning_rate", 1e-5),
    "trackers=[tensorboard,wandb]": ("trackers", ("tensorboard", "wandb")),
    "+seed=3": ("seed", 3),
    "name=x-${kl.kind}": ("name", "x-fixed"),
}


@pytest.mark.parametrize("word", TYPED)
def test_a_value_arrives_as_it_was_typed(started: list[Config], word: str):
    assert run.main(["stage=sft", word]) == 0
    key, expected = TYPED[word]
    value: object = started[0]
    for part in key.split("."):
        value = getattr(value, part)
    assert value == expected


def test_home_is_found_where_the_shell_leaves_it(started: list[Config], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert run.main(["stage=sft", "data.demonstrations=~/我的/demos.jsonl"]) == 0
    assert started[0].data.demonstrations == "/home/someone/我的/demos.jsonl"


def test_each_job_of_a_sweep_has_an_experiment_of_its_own(started: list[Config]):
    assert run.main(["-m", "stage=sft,rm", "seed=0,1", "name=mine"]) == 0
    assert [(cfg.name, cfg.stage.kind, cfg.seed) for cfg in started] == [
        ("mine-stage-sft-seed-0", "sft", 0),
        ("mine-stage-sft-seed-1", "sft", 1),
        ("mine-stage-rm-seed-0", "rm", 0),
        ("mine-stage-rm-seed-1", "rm", 1),
    ]


def test_without_a_name_a_sweep_begins_with_demo(started: list[Config]):
    assert run.main(["-m", "stage=ppo", "kl=adaptive", "kl.target=3,6"]) == 0
    assert [cfg.name for cfg in started] == ["demo-target-3", "demo-target-6"]
    assert [cfg.kl.target for cfg in started] == [3.0, 6.0]


def test_null_can_be_swept_beside_text(started: list[Config]):
    assert run.main(["-m", "stage=sft", "data.demonstrations=null,a.jsonl"]) == 0
    assert [cfg.data.demonstrations for cfg in started] == [None, "a.jsonl"]
    assert [cfg.name for cfg in started] == ["demo-demonstrations-null", "demo-demonstrations-a.jsonl"]


def test_swept_names_are_the_names(started: list[Config]):
    assert run.main(["-m", "stage=sft", "name=甲,乙"]) == 0
    assert [cfg.name for cfg in started] == ["甲", "乙"]


@pytest.mark.parametrize("fault", [RunError("the disk is full"), ZeroDivisionError("a bug")])
def test_a_failing_job_stops_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fault: Exception
):
    finished: list[str] = []

    def fail_once(cfg: Config) -> None:
        if cfg.seed == 1:
            raise fault
        finished.append(cfg.name)

    monkeypatch.setattr(run, "run_stage", fail_once)
    assert run.main(["-m", "stage=sft", "seed=0,1,2"]) == 2
    assert finished == ["demo-seed-0", "demo-seed-2"]
    assert "1 of 3 jobs failed: demo-seed-1" in capsys.readouterr().err


def test_a_slip_in_one_job_is_told_before_the_first_starts(
    started: list[Config], capsys: pytest.CaptureFixture[str]
):
    assert run.main(["-m", "stage=ppo", "stage.minibatch_size=48,32"]) == 2
    assert [cfg.name for cfg in started] == ["demo-minibatch_size-32"]
    error = capsys.readouterr().err
    assert error.index("error: demo-minibatch_size-48") < error.index("sweep: job 1 of 1")


def test_a_launchers_words_go_to_hydra_in_a_sweep_alone():
    words = ["-m", "stage=sft", "seed=0,1", "hydra/launcher=submitit_local", "hydra.launcher.timeout_min=9"]
    command = parse(words)
    assert command.launcher == tuple(words[3:])
    assert command.words == ("-m", "stage=sft", "++seed=0,1")
    for refused, said in (
        (["stage=sft", "hydra/launcher=submitit_slurm"], "Hydra's own settings are fixed"),
        (["-m", "stage=sft", "hydra.run.dir=here"], "Hydra's own settings are fixed"),
        (["-m", "stage=sft", "hydra.launcher.timeout_min=9"], "no launcher is named"),
    ):
        with pytest.raises(ConfigError, match=said):
            parse(refused)


def test_a_slip_in_one_job_keeps_all_from_a_launcher(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(run, "_launch", lambda *_: pytest.fail("jobs were started"))
    words = ["-m", "stage=ppo", "stage.minibatch_size=48,32", "hydra/launcher=submitit_local"]
    assert run.main(words) == 2
    assert "error: demo-minibatch_size-48" in capsys.readouterr().err


def test_submitit_runs_each_job_in_a_process_of_its_own(tmp_path: Path):
    """The real launcher on this machine: one job is done, the other fails, and each says so."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    words = ["-m", "stage=sft", "preset=smoke", "seed=3", "data.limit=80", "trackers=[]"]
    words += [f"data.demonstrations=null,{tmp_path}/none.jsonl", f"runs_dir={tmp_path}/runs"]
    words += ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5"]
    done = subprocess.run([sys.executable, "-m", "rlhf.run", *words], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "1 of 2 jobs failed: demo-demonstrations-" in done.stderr
    assert f"{tmp_path}/none.jsonl" in done.stderr
    runs = tmp_path / "runs"
    assert (runs / "demo-demonstrations-null" / "sft-1" / "model" / "config.json").is_file()
    logs = list((runs / ".sweep-demo" / ".submitit").glob("*/*_log.err"))
    assert len(logs) == 2
    assert any("SFT" in log.read_text() for log in logs)


def test_an_interrupt_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def interrupt(cfg: Config) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "run_stage", interrupt)
    assert run.main(["stage=sft"]) == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_sweep_names_are_fit_for_folders_and_differ():
    long = [f"data.prompts='{'长' * 90}{end}.jsonl'" for end in "ab"]
    paths = ["data.prompts=a/b.jsonl", "data.prompts=a-b.jsonl", *long]
    names = [sweep_name("demo", ["data.prompts"], [path]) for path in paths]
    assert len(set(names)) == 4
    assert all("/" not in name and len(name) <= 80 for name in names)


def test_flags_for_showing_and_for_running_do_not_mix():
    with pytest.raises(ConfigError, match="one of them"):
        parse(["-m", "--cfg", "job", "stage=sft"])
