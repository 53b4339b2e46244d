"""`python -m rlhf.runs`: list, show and verify."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rlhf.runs import Experiment
from rlhf.runs.cli import main


@pytest.fixture
def lineage(experiment: Experiment, make, tmp_path: Path) -> Experiment:
    """sft-1 and rm-1 made ppo-1; sft-2 is unfinished."""
    data = tmp_path / "prefs.jsonl"
    data.write_text("{}\n")
    make("sft", "policy")
    policy = experiment.resolve("policy", stage="rm")
    make("rm", "reward_model", inputs={"policy": policy}, data_files=(data,), metrics={"accuracy": 0.71})
    judged = {"policy": policy, "reward_model": experiment.resolve("reward_model", stage="ppo")}
    make(
        "ppo", "policy", inputs=judged, metrics={"reward": 1.25, "kl": {"mean": 3.0}, "a": 1, "b": 2, "c": 3}
    )
    make("sft", "policy", finish=False)
    return experiment


def call(experiment: Experiment, *words: str) -> int:
    return main([*words, "--runs-dir", str(experiment.runs_dir)])


def flip_byte(path: Path) -> None:
    """Change one bit, and put size and time back as they were."""
    status, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_list(lineage: Experiment, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(lineage, "list") == 0
    lines = capsys.readouterr().out.splitlines()
    ppo = next(line for line in lines if line.startswith("demo/ppo-1"))
    assert "policy" in ppo
    assert "finished" in ppo
    assert "reward 1.25  kl.mean 3  a 1 +2 more" in ppo
    assert "unfinished" in next(line for line in lines if line.startswith("demo/sft-2"))
    assert "reward model" in next(line for line in lines if line.startswith("demo/rm-1"))


def test_list_as_json(lineage: Experiment, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(lineage, "list", "demo", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["run"], row["status"]) for row in rows] == [
        ("sft-1", "finished"),
        ("rm-1", "finished"),
        ("ppo-1", "finished"),
        ("sft-2", "unfinished"),
    ]
    assert rows[1]["metrics"] == {"accuracy": 0.71}


def test_a_refusal_is_short_and_says_so(
    lineage: Experiment, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = lineage.runs_dir / "数据.jsonl"
    file.write_text("{}")
    assert main(["list", "--runs-dir", str(file)]) == 2
    assert capsys.readouterr().err == (
        f"error: --runs-dir {file} is no folder; name the one that holds the experiments\n"
    )

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rlhf.runs.cli.verify", interrupted)
    assert main(["verify", "--runs-dir", str(lineage.runs_dir)]) == 130
    assert capsys.readouterr().err == ""


def test_what_a_launcher_wrote_is_no_experiment(
    lineage: Experiment, capsys: pytest.CaptureFixture[str]
) -> None:
    """`.sweep-NAME` beside the experiments, even with a whole run in it."""
    main(["list", "--json", "--runs-dir", str(lineage.runs_dir)])
    before = capsys.readouterr().out
    sweep = lineage.runs_dir / ".sweep-demo"
    shutil.copytree(lineage.path, sweep)
    (sweep / ".submitit" / "7").mkdir(parents=True)
    main(["list", "--json", "--runs-dir", str(lineage.runs_dir)])
    assert capsys.readouterr().out == before
    main(["verify", "--runs-dir", str(lineage.runs_dir)])
    assert "all as recorded" in capsys.readouterr().out


def test_show(lineage: Experiment, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(lineage, "show", "demo") == 0
    text = capsys.readouterr().out
    ppo = text[text.index("ppo-1  policy") :]
    assert "policy: demo/sft-1 (policy)" in ppo
    assert "reward model: demo/rm-1 (reward model)" in ppo
    assert "data.preferences: hh-rlhf" in ppo
    assert "metrics: reward 1.25" in ppo
    assert "prefs.jsonl (sha256 ca3d163bab05" in text
    assert "resume: python -m rlhf.run stage=sft name=demo" in text


def test_show_as_json(lineage: Experiment, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(lineage, "show", "--json") == 0
    entries = json.loads(capsys.readouterr().out)["demo"]
    assert entries[2]["inputs"]["reward_model"]["path"] == "demo/rm-1"
    assert len(entries[2]["inputs"]["reward_model"]["manifest_sha256"]) == 64


def test_nothing_there(experiment: Experiment, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(experiment, "list") == 0
    assert "holds no runs yet; begin with: python -m rlhf.run stage=sft name=demo" in capsys.readouterr().out
    for command in ("list", "show", "verify"):
        assert call(experiment, command, "absent") == 2
        assert "has no experiment 'absent'" in capsys.readouterr().err


def test_verify_finds_nothing_wrong(lineage: Experiment, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(lineage, "verify") == 0
    text = capsys.readouterr().out
    assert "3 finished runs, 9 files: all as recorded" in text
    assert "sft-2 is unfinished and was not checked" in text


def test_verify_finds_a_flipped_bit(lineage: Experiment, capsys: pytest.CaptureFixture[str]) -> None:
    flip_byte(lineage.path / "rm-1" / "model" / "model.safetensors")
    assert call(lineage, "verify", "demo") == 1
    text = capsys.readouterr().out
    assert f"WRONG: {lineage.path}/rm-1/model/model.safetensors has another content" in text
    assert "1 wrong" in text


def test_verify_finds_a_tampered_manifest_by_what_was_made_from_it(
    lineage: Experiment, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = lineage.path / "rm-1" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("0.71", "0.99"))
    assert call(lineage, "verify") == 1
    text = capsys.readouterr().out
    assert f"ppo-1: its reward_model {lineage.path}/rm-1 has another manifest.json" in text
    assert "1 wrong" in text


def test_verify_finds_what_was_added_taken_and_changed(
    lineage: Experiment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (lineage.path / "ppo-1" / "model" / "pytorch_model.bin").touch()
    (lineage.path / "ppo-1" / "config.yaml").unlink()
    (lineage.path / "sft-1" / "manifest.json").unlink()
    (tmp_path / "prefs.jsonl").write_text("{} ")
    assert call(lineage, "verify") == 1
    text = capsys.readouterr().out
    assert "pytorch_model.bin was added after the run was finished" in text
    assert "ppo-1/config.yaml is missing" in text
    assert "ppo-1: its policy" in text
    assert "has lost its manifest.json" in text
    assert "prefs.jsonl has another content than it was made from" in text


def test_verify_follows_the_lineage_into_other_experiments(
    lineage: Experiment, make, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Experiment(lineage.runs_dir, "实验二")
    policy = other.resolve("policy", "demo/ppo-1", stage="ppo")
    make("ppo", "policy", inputs={"policy": policy}, within=other)
    flip_byte(lineage.path / "sft-1" / "model" / "config.json")  # two generations back
    assert call(other, "verify", "实验二") == 1
    assert "demo/sft-1/model/config.json has another content" in capsys.readouterr().out


def test_what_is_not_here_is_noted(
    lineage: Experiment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prefs.jsonl").unlink()
    (lineage.path / "sft-1").rename(tmp_path / "sft-1")
    assert call(lineage, "verify") == 0
    text = capsys.readouterr().out
    assert "its policy" in text
    assert "its data file" in text
    assert text.count("is not here to be checked") == 3


def test_damage_shows_in_the_list(lineage: Experiment, capsys: pytest.CaptureFixture[str]) -> None:
    os.truncate(lineage.path / "rm-1" / "manifest.json", 10)
    assert call(lineage, "list") == 0
    assert "damaged" in capsys.readouterr().out
    assert call(lineage, "show") == 0
    shown = capsys.readouterr().out.replace("│", " ")  # a long path folds the line
    assert "cannot be read" in " ".join(shown.split())
    assert call(lineage, "verify") == 1


def test_the_command_is_fast_and_fits_a_narrow_terminal(lineage: Experiment) -> None:
    for number in range(60):  # many experiments
        name = f"实验-{number}"
        (lineage.runs_dir / name).symlink_to(lineage.path)
    command = [sys.executable, "-m", "rlhf.runs", "list", "--runs-dir", str(lineage.runs_dir)]
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert time.monotonic() - start < 10.0  # well under one second on an idle machine
    assert done.stdout.count("ppo-1") == 61
    narrow = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"COLUMNS": "40"}
    )
    assert max(map(len, narrow.stdout.splitlines())) <= 40


def test_imports_are_light() -> None:
    heavy = "('torch', 'rich', 'numpy')"
    code = f"import sys, rlhf.runs, rlhf.metrics; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
