"""Supervised fine-tuning on TRL's SFTTrainer: completion-only loss on rows that our one `encode` made."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from datasets import Dataset
from trl import SFTConfig, SFTTrainer  # pyright: ignore[reportAttributeAccessIssue]
from trl.data_utils import pack_dataset

from rlhf.data.collation import plan_microbatches
from rlhf.data.encoding import Encoder
from rlhf.records import Demonstration
from rlhf.training.course import Course, one_gpu
from rlhf.training.trainer import RunTrainer

IGNORED = -100  # a label that no loss counts
LOOK_TOKENS = 8192  # in a batch of the validation part

Row = dict[str, list[int]]


def rows_of(demonstrations: Sequence[Demonstration], encoder: Encoder) -> list[Row]:
    """Token ids and labels of each demonstration; the prompt's labels are ignored, the end token's is not."""
    rows: list[Row] = []
    for demonstration in demonstrations:
        encoded = encoder.encode(demonstration.prompt, demonstration.completion)
        prompt = encoded.prompt_length
        rows.append({"input_ids": encoded.ids, "labels": [IGNORED] * prompt + encoded.ids[prompt:]})
    return rows


def packed(rows: Sequence[Row], max_length: int) -> list[Row]:
    """Several demonstrations in a row of at most `max_length` tokens, none cut; `seq_lengths` parts them."""
    dataset = pack_dataset(Dataset.from_list(list(rows)), max_length, "bfd")
    return [dict(row) for row in dataset.to_list()]


class SftTrainer(RunTrainer, SFTTrainer):
    """SFTTrainer in a run. `validation` are rows as `rows_of` makes them."""

    validation: Sequence[Row] = ()

    def look(self) -> dict[str, float]:
        """Loss and token accuracy of the validation part."""
        return {f"validation/{name}": value for name, value in self.measure(self.validation).items()}

    def measure(self, rows: Sequence[Row]) -> dict[str, float]:
        """Mean negative log-likelihood of a response token (nats) and the share of tokens predicted first.

        Empty without rows. Every token counts alike, however the rows are batched.
        """
        if not rows:
            return {}
        loss, correct, count = 0.0, 0.0, 0
        model = cast(torch.nn.Module, self.model)
        model.eval()
        for batch in plan_microbatches([len(row["input_ids"]) for row in rows], LOOK_TOKENS):
            inputs = self._prepare_inputs(self.data_collator([rows[row] for row in batch]))
            with torch.no_grad(), self.accelerator.autocast():
                outputs = model(**inputs, use_cache=False, fused_lm_head=True)
            loss -= float(outputs.log_probs.double().sum())
            correct += float(outputs.is_top1.sum())
            count += int(outputs.label_mask.sum())
        model.train()
        return {"loss": loss / count, "token_accuracy": correct / count}

    def step_figures(self, logs: Mapping[str, float]) -> dict[str, float]:
        """Loss and pace, and how sure the model is of its tokens."""
        return super().step_figures(logs) | {
            "train/token_accuracy": logs["mean_token_accuracy"],
            "train/entropy_nats": logs["entropy"],
            "train/tokens": logs["num_tokens"],
        }

    def counters(self) -> dict[str, float]:
        """Tokens trained on so far."""
        return {"tokens": self._total_train_tokens}

    def restore_counters(self, counters: Mapping[str, float]) -> None:
        """Goes on counting tokens where the saved state was."""
        self._total_train_tokens = counters["tokens"]


def sft_trainer(
    model: torch.nn.Module,
    encoder: Encoder,
    rows: Sequence[Row],
    validation: Sequence[Row],
    course: Course,
    arguments: Mapping[str, Any],
) -> SftTrainer:
    """A trainer that shows the rows in the order of the course's plan; call `run_course` on it."""
    packing = "seq_lengths" in rows[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # TRL's own use of a name that transformers retires
        config = SFTConfig(
            **arguments,
            packing=packing,
            max_length=encoder.max_length if packing else None,
            dataset_kwargs={"skip_prepare_dataset": True},
            gradient_checkpointing=False,
        )
    trainer = SftTrainer(
        model=model,  # pyright: ignore[reportArgumentType]
        args=one_gpu(config),
        train_dataset=Dataset.from_list([*rows]).select(course.plan.order),
        processing_class=encoder.tokenizer,
    )
    trainer.validation = validation
    trainer.begin(course)
    return trainer
