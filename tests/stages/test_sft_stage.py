"""The SFT stage: what it trains on, which weights it keeps, what it leaves behind."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from stage_runs import metric_lines, run_stage
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from rlhf.errors import DataError, ModelError, TrainingError
from rlhf.models.loading import weights_sha256
from rlhf.training.machine import Stop

SMALL = {
    "data__limit": 60,
    "data__validation_fraction": 0.2,
    "stage__batch_size": 8,
    "stage__max_steps": 6,
    "stage__eval_every": 2,
    "stage__learning_rate": 0.01,
}


def manifest(run: Path) -> dict[str, Any]:
    return json.loads((run / "manifest.json").read_text())


def column(run: Path, name: str) -> list[float]:
    return [line[name] for line in metric_lines(run) if name in line]


def test_the_loss_falls_and_the_model_is_a_plain_folder(tmp_path: Path, tiny_model: Path) -> None:
    run = run_stage("sft", tmp_path, SMALL | {"model__path": str(tiny_model), "stage__max_steps": 20})
    metrics = manifest(run)["metrics"]
    assert metrics["validation_loss"] < metrics["validation_loss_before"] - 0.1
    assert metrics["test_loss"] < metrics["validation_loss_before"]
    assert [line["step"] for line in metric_lines(run)] == list(range(21))
    tokenizer = AutoTokenizer.from_pretrained(run / "model")
    assert tokenizer.chat_template
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert GenerationConfig.from_pretrained(run / "model").eos_token_id == [tokenizer.eos_token_id]
    AutoModelForCausalLM.from_pretrained(run / "model")


def test_other_weights_under_the_same_name_are_another_run(tmp_path: Path, tiny_model: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_model, base)
    options = SMALL | {"model__path": str(base), "stage__max_steps": 1}
    first = run_stage("sft", tmp_path, options)
    assert run_stage("sft", tmp_path, options) == first
    weights = load_file(base / "model.safetensors")
    save_file(
        {name: 2 * value for name, value in weights.items()}, base / "model.safetensors", {"format": "pt"}
    )
    second = run_stage("sft", tmp_path, options)
    assert second != first
    assert (
        manifest(first)["inputs"]["base"]["fingerprint"] != manifest(second)["inputs"]["base"]["fingerprint"]
    )


def test_only_the_answer_is_learnt(tmp_path: Path, tiny_model: Path) -> None:
    """The first loss is the mean over answer tokens, worked out from the model itself."""
    rows = [
        ("One and two?", "three"),
        ("Say it again, please, and slowly!", "no"),
        ("Why?", "because it is so"),
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"prompt": p, "completion": c}) + "\n" for p, c in rows))
    options = {"model__path": str(tiny_model), "data__demonstrations": str(file), "stage__max_steps": 1}
    run = run_stage(
        "sft",
        tmp_path,
        options | {"stage__batch_size": 3, "data__validation_fraction": 0.0, "data__test_fraction": 0.0},
    )
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(tiny_model),
        AutoTokenizer.from_pretrained(tiny_model),
    )
    losses: list[float] = []
    for prompt, answer in rows:
        before = tokenizer(prompt).input_ids
        ids = [*before, *tokenizer(answer).input_ids, tokenizer.eos_token_id]
        with torch.no_grad():
            logprobs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        losses += [-float(logprobs[at - 1, ids[at]]) for at in range(len(before), len(ids))]
    assert column(run, "train/loss")[0] == pytest.approx(sum(losses) / len(losses), abs=1e-4)


def test_the_split_into_microbatches_changes_nothing(tmp_path: Path, tiny_model: Path) -> None:
    runs = [
        run_stage("sft", tmp_path, SMALL | {"model__path": str(tiny_model), "stage__microbatch_size": size})
        for size in (8, 2, 1)
    ]
    for run in runs[1:]:
        assert column(run, "train/loss") == pytest.approx(column(runs[0], "train/loss"), abs=2e-4)
        assert column(run, "train/tokens") == column(runs[0], "train/tokens")


def test_packing_changes_nothing_but_the_batches(tmp_path: Path, tiny_model: Path) -> None:
    """Packed rows do not see one another: before training the loss over all rows is the same."""
    options = SMALL | {"model__path": str(tiny_model), "stage__batch_size": 60, "stage__max_steps": 1}
    padded = run_stage("sft", tmp_path, options | {"stage__packing": False})
    packed = run_stage("sft", tmp_path, options | {"stage__packing": True})
    assert manifest(packed)["resolved"]["packing"]
    assert not manifest(padded)["resolved"]["packing"]
    assert column(packed, "validation/loss")[0] == pytest.approx(
        column(padded, "validation/loss")[0], abs=1e-5
    )
    assert abs(column(packed, "train/loss")[0] - column(padded, "train/loss")[0]) < 0.05


def test_the_best_weights_are_kept_and_patience_ends_the_run(tmp_path: Path, tiny_model: Path) -> None:
    """A learning rate far too high: the validation loss rises, the run ends early, the first best is kept."""
    options = SMALL | {"stage__learning_rate": 0.5, "stage__max_steps": 40, "stage__patience": 2}
    run = run_stage("sft", tmp_path, options | {"model__path": str(tiny_model), "stage__eval_every": 1})
    looks = column(run, "validation/loss")[1:]
    best = min(range(len(looks)), key=lambda at: looks[at])
    assert len(looks) == best + 1 + 2 < 40
    assert manifest(run)["metrics"]["validation_loss"] == looks[best]
    assert manifest(run)["metrics"]["best_step"] == best + 1
    again = run_stage(
        "sft", tmp_path / "again", options | {"model__path": str(run / "model"), "stage__max_steps": 1}
    )
    assert column(again, "validation/loss")[0] == pytest.approx(looks[best], rel=1e-6)


def test_lora_is_merged_and_its_adapter_names_the_base(tmp_path: Path, tiny_model: Path) -> None:
    run = run_stage("sft", tmp_path, SMALL | {"model__path": str(tiny_model), "model__adapter": "lora"})
    base = json.loads((run / "adapter" / "base.json").read_text())
    assert base == {"base": str(tiny_model), "sha256": weights_sha256(tiny_model)}
    from peft import PeftModel

    merged = AutoModelForCausalLM.from_pretrained(run / "model")
    adapted = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(tiny_model), str(run / "adapter")
    )
    ids = torch.arange(5, 25).unsqueeze(0)
    plain = AutoModelForCausalLM.from_pretrained(tiny_model)(ids).logits
    torch.testing.assert_close(merged(ids).logits, adapted(ids).logits, atol=1e-4, rtol=1e-4)
    assert (merged(ids).logits - plain).abs().max() > 1e-3


def test_a_stop_saves_and_the_same_command_goes_on(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = SMALL | {"model__path": str(tiny_model)}
    whole = run_stage("sft", tmp_path / "whole", options)
    looks = iter(range(100))
    with monkeypatch.context() as patched:
        patched.setattr(Stop, "reason", property(lambda _: "asked" if next(looks) >= 3 else None))
        with pytest.raises(KeyboardInterrupt):
            run_stage("sft", tmp_path / "stopped", options)
    assert 0 < len(metric_lines(tmp_path / "stopped" / "t" / "sft-1")) < 7
    stopped = run_stage("sft", tmp_path / "stopped", options)
    assert metric_lines(stopped) == metric_lines(whole)
    assert weights_sha256(stopped / "model") == weights_sha256(whole / "model")


def test_a_loss_that_is_no_number_says_what_to_do(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(TrainingError, match=r"lower stage\.learning_rate"):
        run_stage(
            "sft",
            tmp_path,
            SMALL | {"model__path": str(tiny_model), "stage__learning_rate": 1e30, "stage__max_steps": 9},
        )


def test_mistakes_are_named(tmp_path: Path, tiny_model: Path) -> None:
    empty = tmp_path / "rows.jsonl"
    empty.write_text('{"prompt": "a", "completion": ""}\n')
    with pytest.raises(DataError, match="completion is empty"):
        run_stage("sft", tmp_path, {"model__path": str(tiny_model), "data__demonstrations": str(empty)})
    with pytest.raises(ModelError, match="nowhere"):
        run_stage("sft", tmp_path, {"model__path": str(tmp_path / "nowhere")})


def test_real_stories(tmp_path: Path, shared_data: Path) -> None:
    """A pretrained model knows its own text: 1.2 nats a token, and a few steps do no harm."""
    text = (shared_data / "tinystories" / "train_2MiB.txt").read_text()[:200_000]
    (tmp_path / "stories.txt").write_text(text)
    run = run_stage(
        "sft",
        tmp_path,
        SMALL
        | {
            "model__path": str(shared_data / "stories260K"),
            "data__demonstrations": str(tmp_path / "stories.txt"),
            "data__separator": "<|endoftext|>",
            "stage__learning_rate": 1e-4,
            "stage__max_steps": 4,
        },
    )
    metrics = manifest(run)["metrics"]
    assert 1.0 < metrics["validation_loss_before"] < 1.6
    assert metrics["validation_loss"] < metrics["validation_loss_before"] + 0.02
    assert math.isfinite(metrics["test_loss"])


def test_half_precision_trains_full_weights(tmp_path: Path, tiny_model: Path) -> None:
    run = run_stage("sft", tmp_path, SMALL | {"model__path": str(tiny_model), "precision": "bf16"})
    full = run_stage("sft", tmp_path, SMALL | {"model__path": str(tiny_model), "precision": "fp32"})
    assert AutoModelForCausalLM.from_pretrained(run / "model").dtype == torch.float32
    assert column(run, "validation/loss") == pytest.approx(column(full, "validation/loss"), abs=0.05)
    assert column(run, "validation/loss") != column(full, "validation/loss")
