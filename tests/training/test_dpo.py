"""DPO on hand-made pairs: the loss in closed form, where it begins, and where it leads."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_courses import small_course
from small_models import small_llama
from transformers import GPT2Config, GPT2LMHeadModel, LlamaForCausalLM

from rlhf.config import ModelConfig
from rlhf.config.stages import TrainerStage
from rlhf.data.encoding import Encoder, make_encoder
from rlhf.demo.tokenizer import tokenizer
from rlhf.metrics import read_metrics
from rlhf.models.loading import with_adapter
from rlhf.records import Preference, Prompt
from rlhf.training.dpo import DpoTrainer, dpo_rows, dpo_trainer, row_length
from rlhf.training.machine import auto_learning_rate

PAIRS = [
    Preference(Prompt(f"Count to {n}" + "!" * (n % 4)), f"{n} it is.", "no" + " no" * (n % 5))
    for n in range(8)
]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return make_encoder(tokenizer(), 256)


def new_model(seed: int = 0) -> LlamaForCausalLM:
    return small_llama(seed, num_hidden_layers=1, initializer_range=0.2)


def make_trainer(
    folder: Path,
    encoder: Encoder,
    pairs: Sequence[Preference] = PAIRS,
    *,
    beta: float = 0.1,
    microbatch_size: int = 8,
    max_steps: int = 20,
    rate: float = 1e-2,
    model: torch.nn.Module | None = None,
) -> DpoTrainer:
    rows = dpo_rows(pairs, encoder)
    small = small_course(
        folder,
        TrainerStage,
        [row_length(row) for row in rows],
        microbatch_size=microbatch_size,
        max_steps=max_steps,
        rate=rate,
    )
    model = model or new_model()
    return dpo_trainer(model, encoder, rows, rows, small.course, beta=beta, arguments=small.arguments)


def answer_logprob(model: Any, prompt_ids: list[int], answer_ids: list[int]) -> float:
    """The sum of the answer's log-probabilities, from the plain logits, a row by itself."""
    ids = torch.tensor([prompt_ids + answer_ids])
    with torch.no_grad():
        logprobs = model(input_ids=ids).logits.double().log_softmax(-1)[0, :-1]
    of_tokens = logprobs.gather(1, ids[0, 1:, None])[:, 0]
    return float(of_tokens[len(prompt_ids) - 1 :].sum())


def losses(folder: Path) -> list[float]:
    return [line["train/loss"] for line in read_metrics(folder / "metrics.jsonl") if "train/loss" in line]


def test_rows_are_what_the_reward_model_is_shown(encoder: Encoder) -> None:
    for row, pair in zip(dpo_rows(PAIRS, encoder), PAIRS, strict=True):
        assert row["prompt_ids"] + row["chosen_ids"] == encoder.encode(pair.prompt, pair.chosen).ids
        assert row["prompt_ids"] + row["rejected_ids"] == encoder.encode(pair.prompt, pair.rejected).ids
        assert row["chosen_ids"][-1] == encoder.end_id


def test_labels_that_decide_nothing_are_left_out_and_the_better_answer_is_chosen(encoder: Encoder) -> None:
    pair = PAIRS[1]
    tie, weightless = replace(pair, probability=0.5), replace(pair, weight=0.0)
    assert dpo_rows([tie, weightless], encoder) == []
    assert dpo_rows([replace(pair.swap(), probability=0.2)], encoder) == dpo_rows([pair], encoder)
    assert dpo_rows([replace(pair, probability=0.8)], encoder) == dpo_rows([pair], encoder)


def test_the_first_loss_is_log_2(tmp_path: Path, encoder: Encoder) -> None:
    trainer = make_trainer(tmp_path, encoder, max_steps=1, rate=1e-9)
    trainer.run_course(None)
    assert losses(tmp_path) == pytest.approx([math.log(2)], abs=1e-6)
    assert trainer.first_look["validation/loss"] == pytest.approx(math.log(2), abs=1e-6)


@pytest.mark.parametrize("beta", [0.1, 2.0])
def test_the_loss_is_the_papers(tmp_path: Path, encoder: Encoder, beta: float) -> None:
    """Equation 7 by the logits of policy and reference, each answer in a forward pass of its own."""
    trainer = make_trainer(tmp_path, encoder, beta=beta, rate=1e-3, max_steps=1)
    reference, policy = new_model(), new_model(seed=1)
    trainer.model.load_state_dict(policy.state_dict())
    expected: list[float] = []
    for row in dpo_rows(PAIRS, encoder):
        ratio = {
            side: answer_logprob(policy, row["prompt_ids"], row[side])
            - answer_logprob(reference, row["prompt_ids"], row[side])
            for side in ("chosen_ids", "rejected_ids")
        }
        margin = beta * (ratio["chosen_ids"] - ratio["rejected_ids"])
        expected.append(math.log1p(math.exp(-margin)))
    assert max(expected) - min(expected) > 0.1
    measured = trainer.measure(trainer.validation)
    assert measured["loss"] == pytest.approx(sum(expected) / len(expected), rel=1e-4)
    batch = trainer.data_collator([trainer.train_dataset[index] for index in range(len(PAIRS))])
    assert trainer.compute_loss(trainer.model, batch).item() == pytest.approx(measured["loss"], rel=1e-4)


def test_the_chosen_answers_rise_against_the_reference(tmp_path: Path, encoder: Encoder) -> None:
    trainer = make_trainer(tmp_path, encoder)
    trainer.run_course(None)
    reference = new_model()
    for row in dpo_rows(PAIRS, encoder):
        chosen, rejected = (
            answer_logprob(trainer.model, row["prompt_ids"], row[side])
            - answer_logprob(reference, row["prompt_ids"], row[side])
            for side in ("chosen_ids", "rejected_ids")
        )
        assert chosen - rejected > 1
    last = read_metrics(tmp_path / "metrics.jsonl")[-1]
    assert last["validation/accuracy"] == last["train/accuracy"] == 1.0
    assert last["validation/margin"] > 0.1
    assert last["validation/loss"] < math.log(2)


@pytest.mark.parametrize("size", [1, 4])
def test_the_split_into_microbatches_changes_nothing(tmp_path: Path, encoder: Encoder, size: int) -> None:
    for name, parts in (("a", 8), ("b", size)):
        trainer = make_trainer(tmp_path / name, encoder, max_steps=4, rate=1e-3, microbatch_size=parts)
        trainer.run_course(None)
    assert losses(tmp_path / "b") == pytest.approx(losses(tmp_path / "a"), abs=1e-5)


def test_padding_counts_for_nothing(tmp_path: Path, encoder: Encoder) -> None:
    trainer = make_trainer(tmp_path, encoder)
    rows = dpo_rows(PAIRS, encoder)
    long = dpo_rows([Preference(Prompt("long " * 30), "yes " * 30, "no")], encoder)
    together = trainer.logprobs([*rows, *long])
    for side in (0, 1):
        alone = torch.cat([trainer.logprobs([row])[side] for row in rows])
        torch.testing.assert_close(together[side][: len(rows)], alone, atol=1e-4, rtol=1e-5)


def test_an_adapter_learns_against_the_bare_model(tmp_path: Path, encoder: Encoder) -> None:
    from peft import TaskType

    adapted = with_adapter(new_model(), ModelConfig(adapter="lora", lora_rank=4), TaskType.CAUSAL_LM, 0)
    trainer = make_trainer(tmp_path, encoder, model=adapted, rate=5e-2)
    assert not [name for name, _ in adapted.named_parameters() if ".ref." in name]
    before = {name: p.clone() for name, p in adapted.named_parameters()}
    trainer.run_course(None)
    assert losses(tmp_path)[0] == pytest.approx(math.log(2), abs=1e-6)
    changed = {name for name, p in adapted.named_parameters() if not torch.equal(p, before[name])}
    assert changed
    assert all("lora_" in name for name in changed)
    assert trainer.measure(trainer.validation)["accuracy"] == 1.0


def test_dropout_is_off(tmp_path: Path, encoder: Encoder) -> None:
    """With it the policy would differ from the reference before the first step."""
    config = GPT2Config(
        vocab_size=len(tokenizer()),
        n_embd=16,
        n_layer=1,
        n_head=2,
        resid_pdrop=0.5,
        embd_pdrop=0.5,
        attn_pdrop=0.5,
        initializer_range=0.2,
    )
    torch.manual_seed(0)
    make_trainer(tmp_path, encoder, max_steps=1, rate=1e-9, model=GPT2LMHeadModel(config)).run_course(None)
    assert losses(tmp_path) == pytest.approx([math.log(2)], abs=1e-6)


def test_the_learning_rate_is_a_tenth_of_sfts() -> None:
    sft, dpo = (auto_learning_rate(stage, 10**9, "none") for stage in ("sft", "dpo"))
    assert dpo == pytest.approx(sft / 10)
    assert 1e-6 < auto_learning_rate("dpo", 500_000_000, "none") < 1e-5
    assert auto_learning_rate("dpo", 10_000, "none") <= 2e-4
