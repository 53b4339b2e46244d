"""Direct preference optimisation (Rafailov et al. 2023) on TRL's DPOTrainer, in a run.

TRL brings loss, fused output layer and figures. Rows are tokens that our one `encode` made, and the
reference's log-probabilities are taken once, before the first step, from the model as it then is: no second
model is held.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812  (its name everywhere)
from datasets import Dataset
from peft import PeftModel
from torch import Tensor
from trl import DPOConfig, DPOTrainer  # pyright: ignore[reportAttributeAccessIssue]

from rlhf.data.collation import plan_microbatches
from rlhf.data.encoding import Encoder
from rlhf.records import Preference
from rlhf.training.course import Course, one_gpu
from rlhf.training.trainer import RunTrainer

IGNORED = -100  # a label that no log-probability counts
LOOK_TOKENS = 8192  # in a batch without gradients
REFERENCE = "ref"  # the adapter that TRL adds to a model with one

Row = dict[str, Any]


def dpo_rows(preferences: Sequence[Preference], encoder: Encoder) -> list[Row]:
    """Each pair as `prompt_ids`, `chosen_ids`, `rejected_ids`, the better answer as the chosen one.

    DPO's loss knows no ties, soft labels, margins or weights: a pair that its label leaves undecided, or that
    weighs nothing, is left out, any other counts as one.
    """
    rows: list[Row] = []
    for pair in preferences:
        if pair.probability == 0.5 or pair.weight <= 0:
            continue
        better, worse = pair.chosen, pair.rejected
        if pair.probability < 0.5:
            better, worse = worse, better
        prompt_ids = encoder.prompt_ids(pair.prompt)
        rows.append(
            {
                "prompt_ids": prompt_ids,
                "chosen_ids": encoder.response_ids(better, pair.prompt),
                "rejected_ids": encoder.response_ids(worse, pair.prompt),
            }
        )
    return rows


def row_length(row: Row) -> int:
    """Tokens that a pair takes in a batch, padding between its two answers included."""
    return 2 * (len(row["prompt_ids"]) + max(len(row["chosen_ids"]), len(row["rejected_ids"])))


class DpoTrainer(RunTrainer, DPOTrainer):
    """DPOTrainer in a run. `validation` are rows with the reference's log-probabilities."""

    validation: Sequence[Row] = ()

    def with_reference(self, rows: Sequence[Row]) -> list[Row]:
        """The rows with the log-probabilities of both answers under the model as it is now."""
        chosen_N, rejected_N = self.logprobs(rows)
        return [
            {**row, "ref_chosen_logps": chosen, "ref_rejected_logps": rejected}
            for row, chosen, rejected in zip(rows, chosen_N.tolist(), rejected_N.tolist(), strict=True)
        ]

    def logprobs(self, rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
        """log pi(answer | prompt) in nats of the chosen [N] and the rejected [N] answers, on the CPU."""
        chosen_N, rejected_N = torch.zeros(len(rows)), torch.zeros(len(rows))
        model = cast(torch.nn.Module, self.model)
        was_training = model.training
        model.eval()
        for batch in plan_microbatches([row_length(row) for row in rows], LOOK_TOKENS):
            inputs = self._prepare_inputs(self.data_collator([rows[row] for row in batch]))
            ids_PS, mask_PS = inputs["input_ids"], inputs["completion_mask"]
            with torch.no_grad(), self.accelerator.autocast():
                outputs = model(
                    input_ids=ids_PS,
                    attention_mask=inputs["attention_mask"],
                    labels=ids_PS.masked_fill(mask_PS == 0, IGNORED),
                    use_cache=False,
                    fused_lm_head=True,
                )
            of_chosen_B, of_rejected_B = outputs.log_probs.float().sum(1).cpu().chunk(2)
            chosen_N[batch], rejected_N[batch] = of_chosen_B, of_rejected_B
        model.train(was_training)
        return chosen_N, rejected_N

    def look(self) -> dict[str, float]:
        """Loss, accuracy and margin of the validation part."""
        return {f"validation/{name}": value for name, value in self.measure(self.validation).items()}

    def measure(self, rows: Sequence[Row]) -> dict[str, float]:
        """DPO's loss (eq. 7), the share of pairs whose implicit reward is in the right order, ties half, and
        the mean difference of implicit rewards. Empty without rows.
        """
        if not rows:
            return {}
        chosen_N, rejected_N = self.logprobs(rows)
        chosen_N -= torch.tensor([row["ref_chosen_logps"] for row in rows])
        rejected_N -= torch.tensor([row["ref_rejected_logps"] for row in rows])
        margin_N = self.beta * (chosen_N - rejected_N)
        right_N = (margin_N > 0).float() + 0.5 * (margin_N == 0).float()
        return {
            "loss": float(-F.logsigmoid(margin_N).mean()),
            "accuracy": float(right_N.mean()),
            "margin": float(margin_N.mean()),
        }

    def step_figures(self, logs: Mapping[str, float]) -> dict[str, float]:
        """Loss and pace, and how the pairs just seen were told apart before the step."""
        return super().step_figures(logs) | {
            "train/accuracy": logs["rewards/accuracies"],
            "train/margin": logs["rewards/margins"],
            "train/tokens": logs["num_tokens"],
        }

    def counters(self) -> dict[str, float]:
        """Tokens trained on so far."""
        return {"tokens": self._total_train_tokens}

    def restore_counters(self, counters: Mapping[str, float]) -> None:
        """Goes on counting tokens where the saved state was."""
        self._total_train_tokens = counters["tokens"]

    # What DPOTrainer calls while it is built

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset  # tokens already

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        return Dataset.from_list(self.with_reference(dataset.to_list()))


def dpo_trainer(
    model: torch.nn.Module,
    encoder: Encoder,
    rows: Sequence[Row],
    validation: Sequence[Row],
    course: Course,
    *,
    beta: float,
    arguments: Mapping[str, Any],
) -> DpoTrainer:
    """A trainer that shows the rows in the order of the course's plan; call `run_course` on it.

    `model` is the reference as it is handed in; an adapter on it must still be without effect.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # TRL's own use of a name that transformers retires
        config = DPOConfig(
            **arguments,
            beta=beta,
            max_length=None,  # cleaning left out what is too long
            precompute_ref_log_probs=True,
            gradient_checkpointing=False,
        )
    trainer = DpoTrainer(
        model=model,  # pyright: ignore[reportArgumentType]
        args=one_gpu(config),  # pyright: ignore[reportArgumentType]
        train_dataset=Dataset.from_list([*rows]),
        processing_class=encoder.tokenizer,
    )
    if isinstance(model, PeftModel) and REFERENCE in model.peft_config:
        model.delete_adapter(REFERENCE)  # its log-probabilities are taken
    trainer.train_dataset = trainer.train_dataset.select(course.plan.order)
    trainer.validation = trainer.with_reference(validation)
    trainer.begin(course)
    return trainer
