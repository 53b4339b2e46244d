"""A reward model's training on single answers, thumbs or scores, by themselves or beside pairs.

A batch holds pairs and single answers as they come; its loss is the mean over them all, Bradley–Terry for
the ones and `rlhf.algos.ratings` for the others.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rlhf.algos.ratings import rating_loss
from rlhf.data.collation import collate
from rlhf.data.encoding import Encoded, Encoder
from rlhf.errors import DataError
from rlhf.records import Rating
from rlhf.training.course import Course
from rlhf.training.reward_trainer import PairRow, RewardTrainer, collate_pairs, make_trainer
from rlhf.training.trainer import RunTrainer

RARE = 1e-3  # the share of thumbs up is taken as no nearer to 0 or 1


@dataclass(frozen=True)
class Scale:
    """The zero and the unit of ratings, from those that are trained on."""

    thumbs_up: float | None
    score_mean: float | None
    score_deviation: float | None

    @property
    def prior(self) -> float:
        """Log-odds of a thumb up."""
        return 0.0 if self.thumbs_up is None else math.log(self.thumbs_up / (1.0 - self.thumbs_up))

    def knows(self, rating: Rating) -> bool:
        """Whether there were ratings of this kind to make the scale from."""
        return (self.thumbs_up if rating.is_thumb else self.score_mean) is not None

    def target(self, rating: Rating) -> float:
        """A thumb's probability as it is, a score in deviations from the mean; of a kind that it knows."""
        if rating.is_thumb:
            return rating.value
        assert self.score_mean is not None
        assert self.score_deviation is not None
        return (rating.value - self.score_mean) / self.score_deviation

    @property
    def resolved(self) -> dict[str, float]:
        """For the manifest."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def scale_of(ratings: Sequence[Rating]) -> Scale:
    """The scale of these ratings, by their weights.

    Raises:
        DataError: all thumbs, or all scores, say the same: nothing tells good from bad.
    """
    thumbs = [(rating.value, rating.weight) for rating in ratings if rating.is_thumb and rating.weight > 0]
    scores = [
        (rating.value, rating.weight) for rating in ratings if not rating.is_thumb and rating.weight > 0
    ]
    up = mean = deviation = None
    if thumbs:
        if len({value for value, _ in thumbs}) == 1:
            raise DataError(
                f"all {len(thumbs)} thumbs say the same; a reward model needs good and bad answers"
            )
        up = min(max(_mean(thumbs), RARE), 1.0 - RARE)
    if scores:
        mean = _mean(scores)
        deviation = math.sqrt(_mean([((value - mean) ** 2, weight) for value, weight in scores]))
        if len({value for value, _ in scores}) == 1:
            raise DataError(
                f"all {len(scores)} scores are {mean:g}; a reward model needs better and worse ones"
            )
    return Scale(up, mean, deviation)


def _mean(weighted: Sequence[tuple[float, float]]) -> float:
    return sum(value * weight for value, weight in weighted) / sum(weight for _, weight in weighted)


@dataclass(frozen=True)
class RatingRow:
    """A rating as tokens, its value on the scale."""

    ids: list[int]
    target: float
    is_thumb: bool
    weight: float = 1.0

    @property
    def length(self) -> int:
        """Tokens that it takes in a batch."""
        return len(self.ids)


Row = PairRow | RatingRow


def rating_rows(ratings: Sequence[Rating], encoder: Encoder, scale: Scale) -> list[RatingRow]:
    """Each rating through the one `encode`."""
    return [
        RatingRow(
            encoder.encode(rating.prompt, rating.completion).ids,
            scale.target(rating),
            rating.is_thumb,
            rating.weight,
        )
        for rating in ratings
    ]


def collate_rows(rows: Sequence[Row], pad_id: int) -> dict[str, Tensor]:
    """The B pairs as `collate_pairs` has them, and the N single answers as a batch of their own.

    ids_NS and mask_NS are [N, S], the mask True at tokens; target_N, is_thumb_N and weight_N are [N].
    """
    pairs = [row for row in rows if isinstance(row, PairRow)]
    single = [row for row in rows if isinstance(row, RatingRow)]
    found: dict[str, Tensor] = {"weight_B": torch.zeros(0), "weight_N": torch.zeros(0)}
    if pairs:
        found |= collate_pairs(pairs, pad_id)
    if single:
        batch = collate([Encoded(row.ids, 0) for row in single], pad_id)
        found |= {
            "ids_NS": batch.ids_BS,
            "mask_NS": batch.attention_BS,
            "target_N": torch.tensor([row.target for row in single]),
            "is_thumb_N": torch.tensor([row.is_thumb for row in single]),
            "weight_N": torch.tensor([row.weight for row in single]),
        }
    return found


class ScoreTrainer(RewardTrainer):
    """Trains a `Scorer` on single answers and pairs, in a run.

    `validation` are pairs, for the accuracy alone; `validation_rows` are what the loss is looked at on.
    """

    validation_rows: Sequence[Row] = ()
    prior: float = 0.0

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The microbatch's share of the whole batch's loss: its sum over the weight of all microbatches."""
        total = inputs["weight_B"].sum() + inputs["weight_N"].sum()
        whole = total if num_items_in_batch is None else num_items_in_batch
        loss = torch.zeros((), device=inputs["weight_N"].device)
        if len(inputs["weight_B"]):
            pairs = {name: value for name, value in inputs.items() if not name.endswith(("_N", "_NS"))}
            loss = loss + super().compute_loss(model, pairs, num_items_in_batch=whole)
        if len(inputs["weight_N"]):
            scores_N = model(inputs["ids_NS"], inputs["mask_NS"])
            labels = (inputs["target_N"], inputs["is_thumb_N"], inputs["weight_N"])
            single = rating_loss(scores_N, *labels, prior=self.prior)
            self._count_ratings(scores_N.detach(), *labels)
            loss = loss + single / whole * self.args.world_size
        return loss

    def look(self) -> dict[str, float]:
        """Loss on the validation rows, and accuracy on the validation pairs where there are any."""
        figures = dict[str, float]()
        if self.validation_rows:
            figures["validation/loss"] = self._validation_loss()
        if self.validation:
            figures["validation/accuracy"] = self.judge(self.validation)[1].rate
        return figures

    def step_figures(self, logs: Mapping[str, float]) -> dict[str, float]:
        """Loss and pace; how the thumbs, scores and pairs just seen were told apart before the step."""
        sums, self._sums = self._sums, {}
        figures = RunTrainer.step_figures(self, logs)
        for name, part, whole in (
            ("accuracy", "correct", "judged"),
            ("margin", "difference", "weight"),
            ("thumb_accuracy", "right_thumbs", "thumbs"),
            ("score_error", "squared_error", "scores"),
        ):
            if sums.get(whole):
                figures[f"train/{name}"] = sums[part] / sums[whole]
        return figures

    def _validation_loss(self) -> float:
        pairs = [row for row in self.validation_rows if isinstance(row, PairRow)]
        single = [row for row in self.validation_rows if isinstance(row, RatingRow)]
        loss = weight = 0.0
        if pairs:
            found, _ = self.judge(pairs, total_weight=1.0)
            loss, weight = loss + float(found.loss), weight + float(found.weight_sum)
        if single:
            labels = collate_rows(single, self.pad_id)
            given = (labels["target_N"], labels["is_thumb_N"], labels["weight_N"])
            scores_N = self.score([row.ids for row in single])
            loss += float(rating_loss(scores_N, *given, prior=self.prior))
            weight += float(labels["weight_N"].sum())
        return loss / weight if weight else 0.0

    def _count_ratings(self, scores_N: Tensor, target_N: Tensor, thumb_N: Tensor, weight_N: Tensor) -> None:
        """A thumb is right where the model leans to its side."""
        right_N = ((scores_N + self.prior > 0) == (target_N > 0.5)) & thumb_N
        self._count("right_thumbs", (weight_N * right_N).sum())
        self._count("thumbs", (weight_N * thumb_N).sum())
        self._count("squared_error", (weight_N * (scores_N - target_N).square() * ~thumb_N).sum())
        self._count("scores", (weight_N * ~thumb_N).sum())

    def weight_of(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Of pairs and single answers together, a scalar."""
        return batch["weight_B"].sum() + batch["weight_N"].sum()


def score_trainer(
    model: nn.Module,
    rows: Sequence[Row],
    course: Course,
    *,
    validation: Sequence[PairRow],
    validation_rows: Sequence[Row],
    prior: float,
    pad_id: int,
    arguments: Mapping[str, Any],
) -> ScoreTrainer:
    """A trainer that shows the rows in the order of the course's plan; call `run_course` on it."""
    trainer = make_trainer(ScoreTrainer, collate_rows, model, rows, validation, course, pad_id, arguments)
    trainer.validation_rows, trainer.prior = validation_rows, prior
    return trainer
