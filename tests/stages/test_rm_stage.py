"""The reward-model stage: three models on disjoint prompts, shifted, plain to read, measured."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from stage_runs import metric_lines, run_stage
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from rlhf.config import RmStage
from rlhf.data.encoding import make_encoder
from rlhf.demo import world
from rlhf.demo.families import Family, Spec
from rlhf.demo.tasks import is_training, task_of
from rlhf.errors import DataError, InputError, ModelError
from rlhf.models.loading import weights_sha256
from rlhf.models.reward_model import load_reward_model, sequence_scores
from rlhf.records import Prompt
from stages.rm_lessons import pairs_by_model

SMALL = {
    "data__limit": 120,
    "stage__batch_size": 8,
    "stage__max_steps": 5,
    "stage__eval_every": 5,
    "stage__learning_rate": 0.003,
}
MODELS = ("model", "validation_model", "judge_model")


def manifest(run: Path) -> dict[str, Any]:
    return json.loads((run / "manifest.json").read_text())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    return run_stage("rm", tmp_path_factory.mktemp("rm"), SMALL | {"inputs__policy": str(tiny_model)})


def demonstration_rows(tiny_model: Path) -> list[list[int]]:
    encoder = make_encoder(AutoTokenizer.from_pretrained(tiny_model), 256)
    records = world.demonstrations(120, 0)
    trained = [record for record in records if is_training(*asked(record.prompt))]
    return [encoder.encode(record.prompt, record.completion).ids for record in trained]


def asked(prompt: Prompt) -> tuple[Family, Spec]:
    task = task_of(prompt)
    return task.family, task.spec


def test_three_models_learn_from_prompts_of_their_own() -> None:
    pairs = world.preferences(400, 0)
    parts = pairs_by_model(RmStage(validation_share=0.2, judge_share=0.3), pairs)
    assert list(parts) == list(MODELS)
    keys = [{pair.prompt.key for pair in part} for part in parts.values()]
    assert sum(map(len, keys)) == len(set.union(*keys))
    assert [len(part) / 400 for part in parts.values()] == pytest.approx([0.5, 0.2, 0.3], abs=0.07)
    assert list(pairs_by_model(RmStage(validation_share=0, judge_share=0.1), pairs)) == [
        "model",
        "judge_model",
    ]
    with pytest.raises(DataError, match="validation_share=0"):
        pairs_by_model(RmStage(), pairs[:1])


def test_demonstrations_score_zero_on_average(run: Path, tiny_model: Path) -> None:
    assert "demonstrations" in manifest(run)["resolved"]["shifted_by"]
    for name in MODELS:
        model = load_reward_model(str(run / name))
        assert model.config.reward_shift != 0
        scores = [
            sequence_scores(model, torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.bool)).item()
            for ids in demonstration_rows(tiny_model)
        ]
        assert abs(sum(scores) / len(scores)) < 1e-5  # of the training part, as the shift is made from it


def test_anything_that_reads_hugging_face_folders_reads_the_same_scores(run: Path, tiny_model: Path) -> None:
    """Padded on the right, pooled by transformers at the last token that is not padding."""
    plain = AutoModelForSequenceClassification.from_pretrained(run / "model").eval()
    ours, rows = load_reward_model(str(run / "model")), demonstration_rows(tiny_model)[:16]
    width, pad = max(map(len, rows)), plain.config.pad_token_id
    ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows])
    mask = torch.tensor([[True] * len(row) + [False] * (width - len(row)) for row in rows])
    with torch.no_grad():
        theirs = plain(input_ids=ids, attention_mask=mask).logits.squeeze(1) - plain.config.reward_shift
        torch.testing.assert_close(theirs, sequence_scores(ours, ids, mask), atol=1e-5, rtol=1e-5)
    assert ours.config.num_labels == 1


def test_every_step_of_every_model_has_one_line(run: Path) -> None:
    lines = metric_lines(run)
    assert [line["step"] for line in lines] == list(range(16))
    assert [f"{name}/train/loss" in lines[14] for name in MODELS] == [False, False, True]
    assert ["train/loss" in line for line in lines[1:]] == [True] * 5 + [False] * 10


def test_quality_stands_beside_a_baseline(run: Path) -> None:
    quality = json.loads((run / "quality.json").read_text())
    assert list(quality) == list(MODELS)
    for measured in quality.values():
        assert measured["accuracy"]["low"] <= measured["accuracy"]["estimate"] <= measured["accuracy"]["high"]
        assert measured["longer"]["estimate"] in (
            pytest.approx(measured["length"]["estimate"]),
            pytest.approx(1 - measured["length"]["estimate"]),
        )
        assert sum(bin["weight"] for bin in measured["bins"]) == measured["pairs"]
        assert 0.5 < measured["label_agreement"] <= 1
    metrics = manifest(run)["metrics"]
    assert metrics["accuracy"] == quality["model"]["accuracy"]["estimate"]
    assert metrics["judge_model_accuracy"] == quality["judge_model"]["accuracy"]["estimate"]


def test_lora_names_the_policy_as_its_base(tmp_path: Path, tiny_model: Path) -> None:
    options = SMALL | {"inputs__policy": str(tiny_model), "model__adapter": "lora"}
    run = run_stage("rm", tmp_path, options | {"stage__validation_share": 0.0, "stage__judge_share": 0.0})
    assert not (run / "judge_model").exists()
    base = json.loads((run / "adapter" / "base.json").read_text())
    assert base == {"base": str(tiny_model), "sha256": weights_sha256(tiny_model)}
    from peft import PeftModel

    merged = load_reward_model(str(run / "model"))
    bare = AutoModelForSequenceClassification.from_pretrained(
        tiny_model, num_labels=1, pad_token_id=merged.config.pad_token_id
    )
    adapted = PeftModel.from_pretrained(bare, str(run / "adapter")).eval()
    ids = torch.tensor([demonstration_rows(tiny_model)[0]])
    raw = merged(ids).logits
    torch.testing.assert_close(adapted(ids).logits, raw, atol=1e-4, rtol=1e-4)


def test_mistakes_are_named(tmp_path: Path, run: Path) -> None:
    with pytest.raises(InputError, match="stage=sft"):
        run_stage("rm", tmp_path, SMALL)
    with pytest.raises((InputError, ModelError), match="reward"):
        run_stage("rm", tmp_path, SMALL | {"inputs__policy": str(run / "model")})


def test_real_preferences(tmp_path: Path, shared_data: Path) -> None:
    """hh-rlhf on a pretrained model; without demonstrations the chosen answers are shifted to 0."""
    source = shared_data / "hh-rlhf" / "helpful-base.test.jsonl.gz"
    with gzip.open(source, "rt") as lines:
        (tmp_path / "pairs.jsonl").write_text(
            "".join(line for line, _ in zip(lines, range(300), strict=False))
        )
    run = run_stage(
        "rm",
        tmp_path,
        SMALL
        | {
            "data__test_fraction": 0.2,
            "data__max_length": 256,
            "stage__max_steps": 2,
            "stage__learning_rate": 2e-4,
            "inputs__policy": str(shared_data / "stories260K"),
            "data__preferences": str(tmp_path / "pairs.jsonl"),
        },
    )
    assert "chosen answers" in manifest(run)["resolved"]["shifted_by"]
    assert json.loads((run / "quality.json").read_text())["model"]["label_agreement"] is None
    assert 0.2 < manifest(run)["metrics"]["accuracy"] < 0.9


def test_half_precision_stays_near(tmp_path: Path, tiny_model: Path, run: Path) -> None:
    half = run_stage("rm", tmp_path, SMALL | {"inputs__policy": str(tiny_model), "precision": "bf16"})
    near, full = ([line["train/loss"] for line in metric_lines(folder)[1:6]] for folder in (half, run))
    assert near == pytest.approx(full, abs=0.05)
    assert near != full
