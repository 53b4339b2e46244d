"""What a reward model learns from pairs: labels, margins and weights, however they are batched."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_courses import BAD, GOOD, PAD, number_scorer, small_course

from rlhf.config import RmStage
from rlhf.metrics import read_metrics
from rlhf.training.reward_trainer import PairRow, RewardTrainer, reward_trainer

PAIRS = [
    PairRow([1, 2, *[3] * (n % 3), GOOD], [1, 2, BAD, *[4] * (n % 4)], weight=1 + n % 2) for n in range(12)
]


def trained(
    folder: Path,
    pairs: Sequence[PairRow],
    *,
    microbatch_size: int = 12,
    max_steps: int = 30,
    rate: float = 0.01,
) -> RewardTrainer:
    """A small reward model after some steps, all pairs in each."""
    small = small_course(
        folder,
        RmStage,
        [row.length for row in pairs],
        microbatch_size=microbatch_size,
        max_steps=max_steps,
        rate=rate,
    )
    trainer = reward_trainer(number_scorer(), pairs, (), small.course, pad_id=PAD, arguments=small.arguments)
    trainer.run_course(None)
    return trainer


def differences(trainer: RewardTrainer, pairs: Sequence[PairRow]) -> torch.Tensor:
    return trainer.score([row.chosen for row in pairs]) - trainer.score([row.rejected for row in pairs])


def losses(folder: Path) -> list[float]:
    return [line["train/loss"] for line in read_metrics(folder / "metrics.jsonl")]


def test_the_chosen_answers_end_above(tmp_path: Path) -> None:
    trainer = trained(tmp_path / "a", PAIRS)
    assert (differences(trainer, PAIRS) > 1).all()
    last = read_metrics(tmp_path / "a" / "metrics.jsonl")[-1]
    assert last["train/accuracy"] == 1.0
    assert last["train/margin"] > 1


def test_swapped_sides_with_one_minus_p_teach_the_same(tmp_path: Path) -> None:
    labelled = [replace(row, probability=0.2 + 0.05 * n, margin=0.1 * n) for n, row in enumerate(PAIRS)]
    swapped = [
        replace(
            row, chosen=row.rejected, rejected=row.chosen, probability=1 - row.probability, margin=-row.margin
        )
        for row in labelled
    ]
    trained(tmp_path / "a", labelled)
    trained(tmp_path / "b", swapped)
    assert losses(tmp_path / "b") == pytest.approx(losses(tmp_path / "a"), abs=1e-5)


@pytest.mark.parametrize("size", [1, 4])
def test_the_split_into_microbatches_changes_nothing(tmp_path: Path, size: int) -> None:
    """Weights differ from pair to pair, so a mean of microbatch means would show."""
    whole = trained(tmp_path / "a", PAIRS, max_steps=4, rate=1e-3)
    parts = trained(tmp_path / "b", PAIRS, max_steps=4, rate=1e-3, microbatch_size=size)
    assert losses(tmp_path / "b") == pytest.approx(losses(tmp_path / "a"), abs=1e-5)
    torch.testing.assert_close(differences(parts, PAIRS), differences(whole, PAIRS), atol=1e-3, rtol=1e-3)


def test_a_soft_label_is_learnt_as_log_odds(tmp_path: Path) -> None:
    trainer = trained(tmp_path / "a", [replace(PAIRS[0], probability=0.8)] * 12, max_steps=150)
    assert differences(trainer, PAIRS[:1]).item() == pytest.approx(
        torch.logit(torch.tensor(0.8)).item(), abs=0.05
    )


def test_a_margin_moves_the_difference_by_itself(tmp_path: Path) -> None:
    trainer = trained(tmp_path / "a", [replace(PAIRS[0], probability=0.5, margin=1.5)] * 12, max_steps=150)
    assert differences(trainer, PAIRS[:1]).item() == pytest.approx(1.5, abs=0.05)


def test_the_heavier_of_two_opposite_labels_wins(tmp_path: Path) -> None:
    """Weights 3 and 1 on the two orders of one pair are a probability of 3/4."""
    row = replace(PAIRS[0], weight=3.0)
    against = replace(row, chosen=row.rejected, rejected=row.chosen, weight=1.0)
    trainer = trained(tmp_path / "a", [row, against] * 6, max_steps=150)
    assert differences(trainer, [row]).item() == pytest.approx(
        torch.logit(torch.tensor(0.75)).item(), abs=0.05
    )


def test_a_pair_without_weight_teaches_nothing(tmp_path: Path) -> None:
    against = [replace(row, chosen=row.rejected, rejected=row.chosen, weight=0.0) for row in PAIRS]
    trainer = trained(tmp_path / "a", [*PAIRS, *against], microbatch_size=6)
    assert (differences(trainer, PAIRS) > 1).all()


def test_padding_is_never_scored(tmp_path: Path) -> None:
    trainer = trained(tmp_path / "a", PAIRS, max_steps=3)
    alone = torch.cat([trainer.score([row.chosen]) for row in PAIRS])
    together = trainer.score([*(row.chosen for row in PAIRS), [1] * 40])[: len(PAIRS)]
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
