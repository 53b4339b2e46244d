"""A reward model's training on pairs: transformers' Trainer with the Bradley–Terry loss of `rlhf.algos`.

TRL's RewardTrainer knows neither weights nor soft labels and finds the score by the padding id; here both
answers of a pair go through the model in one batch, and the score is read by mask.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import PreTrainedModel, TrainingArguments

from rlhf.algos.preference import PairAccuracy, PreferenceLoss, bradley_terry, pair_accuracy
from rlhf.data.collation import collate, plan_microbatches
from rlhf.data.encoding import Encoded, Encoder
from rlhf.models.reward_model import sequence_scores
from rlhf.records import Preference
from rlhf.training.course import Course, one_gpu
from rlhf.training.trainer import RunTrainer

R = TypeVar("R")
Kind = TypeVar("Kind", bound="RewardTrainer")

SIDES = ("chosen", "rejected")
LOOK_TOKENS = 8192  # in a batch that is only scored


@dataclass(frozen=True)
class PairRow:
    """A preference as tokens, with what its label says (see `rlhf.records.Preference`)."""

    chosen: list[int]
    rejected: list[int]
    probability: float = 1.0
    margin: float = 0.0
    weight: float = 1.0

    @property
    def length(self) -> int:
        """Tokens that the pair takes in a batch, padding between its two answers included."""
        return 2 * max(len(self.chosen), len(self.rejected))


def pair_rows(preferences: Sequence[Preference], encoder: Encoder) -> list[PairRow]:
    """Each preference through the one `encode`."""
    return [
        PairRow(
            encoder.encode(pair.prompt, pair.chosen).ids,
            encoder.encode(pair.prompt, pair.rejected).ids,
            pair.probability,
            pair.margin,
            pair.weight,
        )
        for pair in preferences
    ]


def collate_pairs(rows: Sequence[PairRow], pad_id: int) -> dict[str, Tensor]:
    """The B chosen rows, then the B rejected ones, as one right-padded batch; and the labels.

    ids_PS and mask_PS are [2 B, S], the mask True at tokens; probability_B, margin_B and weight_B are [B].
    """
    ids_PS, mask_PS = _batch([getattr(row, side) for side in SIDES for row in rows], pad_id)
    return {"ids_PS": ids_PS, "mask_PS": mask_PS} | pair_labels(rows)


def pair_labels(rows: Sequence[PairRow]) -> dict[str, Tensor]:
    """What people said of the pairs, [B] each."""
    return {
        "probability_B": torch.tensor([row.probability for row in rows]),
        "margin_B": torch.tensor([row.margin for row in rows]),
        "weight_B": torch.tensor([row.weight for row in rows]),
    }


def _batch(rows: Sequence[list[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    batch = collate([Encoded(row, 0) for row in rows], pad_id)
    return batch.ids_BS, batch.attention_BS


class Scorer(nn.Module):
    """A sequence-classification model, adapter or not, as a function from rows of tokens to scores."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    @property
    def plain(self) -> PreTrainedModel:
        """The model without peft's wrapper; its config is the one that gets saved."""
        inner = self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model
        return cast(PreTrainedModel, inner)

    def forward(self, ids_BS: Tensor, mask_BS: Tensor) -> Tensor:
        """Scores [B] at the last real token of each row."""
        return sequence_scores(self.plain, ids_BS, mask_BS)


class InOrder(Dataset[R]):
    """Rows in the order of training."""

    def __init__(self, rows: Sequence[R], order: Sequence[int]) -> None:
        self._rows, self._order = rows, order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int) -> R:
        return self._rows[self._order[index]]


class RewardTrainer(RunTrainer):
    """Trains a `Scorer` on pairs, in a run."""

    validation: Sequence[PairRow] = ()
    pad_id: int = 0

    def begin(self, course: Course) -> None:
        """Hands over the course."""
        super().begin(course)
        self._sums: dict[str, float] = {}

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The microbatch's share of the whole batch's loss: its sum over the weight of all microbatches."""
        scores_P = model(inputs["ids_PS"], inputs["mask_PS"])
        chosen_B, rejected_B = scores_P.chunk(2)
        labels = {name: inputs[name] for name in ("probability_B", "weight_B")}
        result = bradley_terry(
            chosen_B, rejected_B, margin_B=inputs["margin_B"], total_weight=num_items_in_batch, **labels
        )
        accuracy = pair_accuracy(chosen_B.detach(), rejected_B.detach(), **labels)
        self._count("correct", accuracy.correct_sum)
        self._count("judged", accuracy.weight_sum)
        self._count("difference", result.difference_sum)
        self._count("weight", result.weight_sum)
        return result.loss * self.args.world_size  # processes average their gradients

    def look(self) -> dict[str, float]:
        """Loss and accuracy on the validation part."""
        if not self.validation:
            return {}
        loss, accuracy = self.judge(self.validation)
        return {"validation/loss": float(loss.loss), "validation/accuracy": accuracy.rate}

    def judge(
        self, rows: Sequence[PairRow], total_weight: float | None = None
    ) -> tuple[PreferenceLoss, PairAccuracy]:
        """What the model, as it is, makes of pairs; `total_weight` as in `bradley_terry`."""
        chosen_B, rejected_B = (self.score([getattr(row, side) for row in rows]) for side in SIDES)
        labels = pair_labels(rows)
        margin_B = labels.pop("margin_B")
        return (
            bradley_terry(chosen_B, rejected_B, margin_B=margin_B, total_weight=total_weight, **labels),
            pair_accuracy(chosen_B, rejected_B, **labels),
        )

    def score(self, rows: Sequence[list[int]]) -> Tensor:
        """Scores [N] of token rows, on the CPU; the shift that the config holds is taken off."""
        scores_N = torch.zeros(len(rows))
        self.scorer.eval()
        for batch in plan_microbatches([len(row) for row in rows], LOOK_TOKENS):
            ids_BS, mask_BS = _batch([rows[row] for row in batch], self.pad_id)
            with torch.no_grad(), self.accelerator.autocast():
                scores_B = self.scorer(ids_BS.to(self.args.device), mask_BS.to(self.args.device))
            scores_N[batch] = scores_B.float().cpu()
        self.scorer.train()
        return scores_N

    @property
    def scorer(self) -> Scorer:
        """What is trained."""
        return cast(Scorer, self.model)

    def step_figures(self, logs: Mapping[str, float]) -> dict[str, float]:
        """Loss and pace, and how well the pairs just seen were told apart before the step."""
        sums, self._sums = self._sums, {}
        return super().step_figures(logs) | {
            "train/accuracy": sums["correct"] / sums["judged"] if sums["judged"] else float("nan"),
            "train/margin": sums["difference"] / sums["weight"] if sums["weight"] else 0.0,
        }

    def weight_of(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The weight of a microbatch, a scalar."""
        return batch["weight_B"].sum()

    def _count(self, name: str, value: Tensor) -> None:
        self._sums[name] = self._sums.get(name, 0.0) + float(value)

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Tensor:
        """The weight of a whole optimiser step, over its microbatches and all processes; 1 if it weighs 0."""
        total = torch.stack([self.weight_of(batch) for batch in batch_samples]).sum().to(device)
        if self.args.world_size > 1:
            total = cast(Tensor, self.accelerator.reduce(total))
        return torch.where(total > 0, total, 1.0)


def reward_trainer(
    model: nn.Module,
    rows: Sequence[PairRow],
    validation: Sequence[PairRow],
    course: Course,
    *,
    pad_id: int,
    arguments: Mapping[str, Any],
) -> RewardTrainer:
    """A trainer that shows the pairs in the order of the course's plan; call `run_course` on it."""
    return make_trainer(RewardTrainer, collate_pairs, model, rows, validation, course, pad_id, arguments)


def make_trainer(
    kind: type[Kind],
    collate_rows: Callable[[Sequence[R], int], dict[str, Tensor]],
    model: nn.Module,
    rows: Sequence[R],
    validation: Sequence[PairRow],
    course: Course,
    pad_id: int,
    arguments: Mapping[str, Any],
) -> Kind:
    """A trainer of a kind; `collate_rows` makes a batch of rows and the padding id."""
    trainer = kind(
        model=Scorer(model),
        args=one_gpu(TrainingArguments(**arguments)),
        data_collator=lambda batch: collate_rows(batch, pad_id),
        train_dataset=InOrder(rows, course.plan.order),
    )
    trainer.loss_is_scaled_for_ga = True
    trainer.validation, trainer.pad_id = validation, pad_id
    trainer.begin(course)
    return trainer
