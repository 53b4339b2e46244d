"""What people get wrong: a clear error of at most ten lines, exit code 2, and nothing half-written."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, LlamaConfig, LlamaForCausalLM
from transformers import PreTrainedTokenizerFast as Fast

from rlhf.run import main

SMALL = (
    "preset=smoke",
    "threads=1",
    "trackers=[]",
    "device=cpu",
    "stage.max_steps=1",
    "data.limit=300",
)
DEMONSTRATIONS = [{"prompt": f"Say {n}.", "completion": f"It is {n}."} for n in range(40)]


class Command:
    """Runs commands in this process, in a runs folder of its own."""

    def __init__(self, folder: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.runs = folder / "runs"
        self.model = model
        self._capsys = capsys

    def run(self, *words: str, stage: str = "sft", model: Path | None = None) -> tuple[int, str]:
        """Exit code and what was said on stderr."""
        self._capsys.readouterr()
        own = [f"model.path={model or self.model}"] if stage == "sft" else []
        small = SMALL if stage in ("sft", "rm") else SMALL[:4]
        code = main([f"stage={stage}", f"runs_dir={self.runs}", *small, *own, *words])
        return code, self._capsys.readouterr().err

    def refused(self, *words: str, stage: str = "sft", model: Path | None = None) -> str:
        """The error of a command that is refused: short, without traceback, and without a finished run."""
        before = self.finished()
        code, said = self.run(*words, stage=stage, model=model)
        assert code == 2, said
        error = said[said.index("error: ") :]
        assert len(error.strip().splitlines()) <= 10, error
        assert "Traceback" not in said
        assert self.finished() == before
        return error

    def finished(self) -> list[Path]:
        """Manifests that are there."""
        return sorted(self.runs.glob("*/*/manifest.json"))

    def write(self, name: str, rows: list[dict[str, object]]) -> Path:
        """A JSONL file of the rows."""
        path = self.folder / name
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        return path


@pytest.fixture
def command(tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path, tiny_model, capsys)


def test_a_dataset_with_a_missing_column_names_it(command: Command):
    rows = command.write("rows.jsonl", [{"prompt": "a", "answer": "b"}] * 3)
    error = command.refused(f"data.demonstrations={rows}")
    assert "answer" in error
    assert "completion" in error


def test_a_dataset_without_a_usable_row_says_why(command: Command):
    rows = command.write(
        "rows.jsonl", [{"prompt": "a", "completion": ""}, {"prompt": "b", "completion": None}]
    )
    error = command.refused(f"data.demonstrations={rows}")
    assert "empty" in error
    assert "rows.jsonl:1" in error


def test_a_broken_line_is_counted_and_the_rest_is_used(command: Command):
    rows = command.write("rows.jsonl", list(DEMONSTRATIONS))
    lines = rows.read_text().splitlines()
    lines[6] = '{"prompt": "broken'
    rows.write_text("\n".join(lines) + "\n")
    code, said = command.run(f"data.demonstrations={rows}")
    assert code == 0, said
    assert f"{rows.name}:7" in said
    assert "39 kept" in said


def test_a_dataset_that_is_not_there(command: Command):
    assert "nowhere.jsonl" in command.refused(f"data.demonstrations={command.folder}/nowhere.jsonl")


def test_a_model_folder_without_weights(command: Command):
    empty = command.folder / "empty"
    shutil.copytree(command.model, empty)
    (empty / "model.safetensors").unlink()
    error = command.refused(model=empty)
    assert str(empty) in error
    assert "safetensors" in error


def test_a_tokenizer_with_nothing_to_pad_with(command: Command, tmp_path: Path):
    folder = tmp_path / "no-pad"
    words = Fast.from_pretrained(command.model)
    words.pad_token = None
    plain = json.loads(words.backend_tokenizer.to_str())
    end = words.eos_token
    plain["added_tokens"] = [token for token in plain["added_tokens"] if token["content"] == end]
    (tmp_path / "plain.json").write_text(json.dumps(plain))
    bare = Fast(tokenizer_file=str(tmp_path / "plain.json"), eos_token=end)
    bare.save_pretrained(folder)
    LlamaForCausalLM(LlamaConfig.from_pretrained(command.model)).save_pretrained(folder)
    error = command.refused(model=folder)
    assert "pad" in error


def test_a_reward_model_is_no_policy(command: Command):
    folder = command.folder / "rm"
    torch.manual_seed(0)
    classifier = AutoModelForSequenceClassification.from_pretrained(command.model, num_labels=1)
    classifier.save_pretrained(folder)
    Fast.from_pretrained(command.model).save_pretrained(folder)
    error = command.refused(f"inputs.policy={folder}", stage="rm")
    assert "policy" in error
    assert "SequenceClassification" in error or "reward model" in error
    assert "policy" in command.refused(model=folder)


def test_no_prior_stage_says_which_command_makes_it(command: Command):
    assert "stage=sft" in command.refused(stage="rm")
    assert "stage=sft" in command.refused(stage="ppo")
    assert not list(command.runs.glob("*/*-1"))
    code, said = command.run()
    assert code == 0, said
    assert "stage=rm" in command.refused(stage="ppo")


def test_an_unfinished_run_or_a_changed_file_is_no_input(command: Command):
    code, said = command.run()
    assert code == 0, said
    run = command.runs / "demo" / "sft-1"
    weights = run / "model" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    error = command.refused(stage="rm")
    assert "model.safetensors" in error
    assert "verify" in error
    weights.write_bytes(whole)
    (run / "manifest.json").unlink()
    error = command.refused(f"inputs.policy={run}", stage="rm")
    assert "unfinished" in error
    assert "stage=sft" in error


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs RLIMIT_FSIZE")
def test_a_full_disk_ends_clearly_and_the_same_command_goes_on(command: Command):
    """The limit on a file's size stands in for the disk: the weights do not fit, small files do."""
    words = ["stage=sft", f"runs_dir={command.runs}", *SMALL, f"model.path={command.model}"]
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)); "
        "from rlhf.run import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, *words],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 2, done.stderr
    error = done.stderr[done.stderr.index("error: ") :]
    assert "disk" in error
    assert len(error.strip().splitlines()) <= 10
    assert "Traceback" not in done.stderr
    assert not command.finished()
    code, said = command.run()
    assert code == 0, said
    assert "goes on" in said
    assert len(command.finished()) == 1
