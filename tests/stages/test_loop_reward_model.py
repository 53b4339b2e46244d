"""A reward model that goes on from an earlier one's weights (`stage=rm inputs.reward_model=...`)."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_models import small_scorer
from stage_runs import run_stage

from rlhf.demo.tokenizer import tokenizer
from rlhf.errors import InputError

SMALL = {
    "data__limit": 80,
    "stage__batch_size": 8,
    "stage__max_steps": 2,
    "stage__eval_every": 2,
    "stage__learning_rate": 1e-2,
}
MODELS = ("model", "validation_model", "judge_model")


def weights(run: Path, name: str) -> dict[str, torch.Tensor]:
    return load_file(run / name / "model.safetensors")


def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    return max(float((one[key] - other[key]).abs().max()) for key in one)


def test_each_model_goes_on_as_what_it_was(tmp_path: Path, tiny_model: Path) -> None:
    """With a step so small that nothing moves, what comes out is what went in; anew it is something else."""
    options = SMALL | {"inputs__policy": str(tiny_model)}
    first = run_stage("rm", tmp_path, options)
    still = options | {"stage__learning_rate": 1e-12}
    continued = run_stage("rm", tmp_path, still | {"inputs__reward_model": "rm-1"})
    anew = run_stage("rm", tmp_path, still)
    assert [run.name for run in (first, continued, anew)] == ["rm-1", "rm-2", "rm-3"]
    for name in MODELS:
        assert distance(weights(first, name), weights(continued, name)) < 1e-9
        assert distance(weights(first, name), weights(anew, name)) > 1e-3
    inputs = json.loads((continued / "manifest.json").read_text())["inputs"]
    assert inputs["reward_model"]["path"] == "t/rm-1"
    assert "reward_model" not in json.loads((anew / "manifest.json").read_text())["inputs"]


def test_a_model_that_the_earlier_run_lacks_begins_anew(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = SMALL | {"inputs__policy": str(tiny_model), "stage__validation_share": 0.0}
    run_stage("rm", tmp_path, options)
    again = run_stage(
        "rm", tmp_path, {**options, "stage__validation_share": 0.2, "inputs__reward_model": "rm-1"}
    )
    assert (again / "validation_model").is_dir()
    assert "rm-1 holds no validation_model/: that one begins anew" in capsys.readouterr().err


def test_other_tokens_cannot_go_on(tmp_path: Path, tiny_model: Path) -> None:
    words = tokenizer()
    words.add_tokens(["<one-more>"])
    other = tmp_path / "other"
    small_scorer(words).save_pretrained(other)
    words.save_pretrained(other)
    with pytest.raises(InputError, match=r"reads other tokens than .*leave it out to begin anew"):
        run_stage(
            "rm", tmp_path, SMALL | {"inputs__policy": str(tiny_model), "inputs__reward_model": str(other)}
        )
