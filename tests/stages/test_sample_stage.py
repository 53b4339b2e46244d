"""Samples to be rated: rows that say who spoke, and that come out the same again."""

import json
from pathlib import Path

import pytest
from made_runs import config, make_policy

import stages.sample
from rlhf.errors import DataError
from rlhf.runs import Manifest

STAGE = {"kind": "sample", "num_prompts": 3, "answers": 2, "response_length": 6}


def rows_of(folder: Path, manifest: Manifest) -> list[dict[str, object]]:
    path = folder / "made" / f"sample-{manifest.number}" / "samples.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs")
    make_policy(path, "sft", seed=0)
    make_policy(path, "ppo", seed=1, parent="sft-1")
    return path


def test_every_policy_answers_every_prompt(folder: Path) -> None:
    manifest = stages.sample.run(config(folder, STAGE | {"policies": ["sft-1"]}))
    rows = rows_of(folder, manifest)
    assert manifest.kind == "samples"
    assert manifest.metrics["answers"] == len(rows) == 12
    assert [row["key"] for row in rows] == sorted(row["key"] for row in rows)  # those of a prompt together
    for start in range(0, 12, 4):
        runs = [Path(row["policy"]["run"]).name for row in rows[start : start + 4]]
        assert runs == ["ppo-1", "ppo-1", "sft-1", "sft-1"]
        assert len({row["seed"] for row in rows[start : start + 4]}) == 2  # the same two for both policies
    row = rows[0]
    assert row["prompt"][0]["role"] == "user"
    assert row["sampling"] == {"temperature": 0.7, "top_k": 0, "top_p": 1.0, "max_tokens": 6, "seed": 0}
    assert row["fields"]["world"] == "embedded"
    assert len(row["policy"]["fingerprint"]) == 64
    assert row["tokens"] == 6
    assert row["finish"] == "length"
    assert manifest.inputs.keys() == {"policy", "policy_2"}


def test_the_same_command_reports_the_finished_run_and_another_draws_anew(folder: Path) -> None:
    file = folder / "questions.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"Question {n}?"}) + "\n" for n in range(3)))
    data = {"prompts": str(file), "validation_fraction": 0.0, "test_fraction": 0.0}
    once = stages.sample.run(config(folder, STAGE, data=data))
    again = stages.sample.run(config(folder, STAGE, data=data))
    other = stages.sample.run(config(folder, STAGE, data=data, seed=1))
    assert again == once
    assert other.number != once.number
    first, second = rows_of(folder, once), rows_of(folder, other)
    assert [row["key"] for row in first] == [row["key"] for row in second]  # all three prompts
    assert {row["seed"] for row in first}.isdisjoint(row["seed"] for row in second)


def test_an_empty_part_is_refused(folder: Path) -> None:
    data = {"limit": 5, "validation_fraction": 0.0, "test_fraction": 0.0}
    with pytest.raises(DataError, match=r"part=test holds no prompt"):
        stages.sample.run(config(folder, STAGE | {"part": "test"}, data=data))
