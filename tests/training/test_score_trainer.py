"""What a reward model learns from thumbs and scores, however they are batched."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from small_courses import BAD, GOOD, PAD, number_scorer, small_course

from rlhf.config import RmStage
from rlhf.errors import DataError
from rlhf.metrics import read_metrics
from rlhf.records import Prompt, Rating
from rlhf.training.reward_trainer import PairRow
from rlhf.training.score_trainer import RatingRow, Row, Scale, ScoreTrainer, scale_of, score_trainer

THUMBS = [
    RatingRow([1, 2, *[3] * (n % 3), (GOOD, BAD)[n % 2]], 1.0 - n % 2, True, 1 + n % 3) for n in range(8)
]
SCORES = [RatingRow([1, 4, *[3] * n, (GOOD, BAD)[n % 2]], 1.0 - 2 * (n % 2), False) for n in range(4)]
PAIRS = [PairRow([1, 5, *[3] * n, GOOD], [1, 5, BAD], weight=1 + n) for n in range(3)]


def trained(
    folder: Path,
    rows: Sequence[Row],
    *,
    validation: Sequence[Row] = (),
    microbatch_size: int | None = None,
    max_steps: int = 60,
    rate: float = 0.01,
    prior: float = 0.0,
) -> ScoreTrainer:
    """A small reward model after some steps, all rows in each."""
    small = small_course(
        folder,
        RmStage,
        [row.length for row in rows],
        microbatch_size=microbatch_size,
        max_steps=max_steps,
        rate=rate,
    )
    trainer = score_trainer(
        number_scorer(),
        rows,
        small.course,
        validation=PAIRS,
        validation_rows=validation,
        prior=prior,
        pad_id=PAD,
        arguments=small.arguments,
    )
    trainer.run_course(None)
    return trainer


def lines(folder: Path) -> list[dict[str, Any]]:
    return read_metrics(folder / "metrics.jsonl")


def test_thumbs_teach_which_of_two_is_better(tmp_path: Path) -> None:
    """PAIRS are of another prompt, and only looked at."""
    trained(tmp_path / "a", THUMBS)
    first, last = lines(tmp_path / "a")[0], lines(tmp_path / "a")[-1]
    assert last["validation/accuracy"] == 1.0
    assert last["train/thumb_accuracy"] == 1.0
    assert last["train/loss"] < 0.1
    assert "train/accuracy" not in last
    assert "validation/loss" not in first


def test_a_thumb_of_several_minds_is_learnt_as_log_odds(tmp_path: Path) -> None:
    """Three up and one down on one answer, or 3/4 at once; with a prior, the score is what is left of it."""
    answer = [1, 2, GOOD]
    four = [RatingRow(answer, float(up), True) for up in (1, 1, 1, 0)]
    trainer = trained(tmp_path / "a", four, max_steps=150)
    assert trainer.score([answer]).item() == pytest.approx(math.log(3), abs=0.05)
    trainer = trained(tmp_path / "b", [RatingRow(answer, 0.75, True)], max_steps=150, prior=math.log(3) - 1)
    assert trainer.score([answer]).item() == pytest.approx(1.0, abs=0.05)


def test_scores_are_learnt_as_they_are(tmp_path: Path) -> None:
    trainer = trained(tmp_path / "a", SCORES, max_steps=200)
    assert trainer.score([row.ids for row in SCORES]).tolist() == pytest.approx([1, -1, 1, -1], abs=0.1)
    last = lines(tmp_path / "a")[-1]
    assert last["train/score_error"] == pytest.approx(last["train/loss"], abs=1e-6)
    assert last["validation/accuracy"] == 1.0


@pytest.mark.parametrize("size", [1, 5])
def test_the_split_into_microbatches_changes_nothing(tmp_path: Path, size: int) -> None:
    """Microbatches of pairs alone, of thumbs alone and of both; weights differ."""
    rows = [*THUMBS, *SCORES, *PAIRS]
    whole = trained(tmp_path / "a", rows, max_steps=4, rate=1e-3)
    parts = trained(tmp_path / "b", rows, max_steps=4, rate=1e-3, microbatch_size=size)
    mine, yours = lines(tmp_path / "a"), lines(tmp_path / "b")
    assert [line["train/loss"] for line in mine[1:]] == pytest.approx(
        [line["train/loss"] for line in yours[1:]], abs=1e-5
    )
    for name in ("train/accuracy", "train/thumb_accuracy", "train/score_error"):
        known = [line[name] for line in mine if name in line]  # rows of like length share a step
        assert known
        assert known == pytest.approx([line[name] for line in yours if name in line], abs=1e-5)
    answers = [row.ids for row in THUMBS]
    torch.testing.assert_close(parts.score(answers), whole.score(answers), atol=1e-3, rtol=1e-3)


def test_the_validation_loss_is_the_training_loss_of_its_rows(tmp_path: Path) -> None:
    rows = [*THUMBS, *SCORES, *PAIRS]
    trained(tmp_path / "a", rows, validation=rows, max_steps=1, rate=1e-8)
    first, last = lines(tmp_path / "a")
    assert last["train/loss"] == pytest.approx(first["validation/loss"], abs=1e-5)


def rating(value: float, *, thumb: bool, weight: float = 1.0) -> Rating:
    return Rating(Prompt("p"), "a", value, thumb, weight)


def test_the_scale_by_hand() -> None:
    # scores 1, 3 and 3: mean 7/3, variance (16/9 + 4/9 + 4/9) / 3 = 8/9; thumbs 3 up of 4 by weight
    thumbs = [rating(1.0, thumb=True, weight=3.0), rating(0.0, thumb=True)]
    scores = [rating(value, thumb=False) for value in (1.0, 3.0, 3.0)]
    scale = scale_of([*thumbs, *scores])
    assert scale.prior == pytest.approx(math.log(3))
    assert scale.score_mean == pytest.approx(7 / 3)
    assert scale.score_deviation == pytest.approx(math.sqrt(8) / 3)
    assert scale.target(scores[0]) == pytest.approx(-math.sqrt(2))
    assert scale.target(thumbs[0]) == 1.0
    assert scale.knows(thumbs[0])
    assert not scale_of(thumbs).knows(scores[0])
    assert scale_of([]) == Scale(None, None, None)
    assert Scale(None, None, None).prior == 0.0


def test_ratings_that_all_say_the_same_teach_nothing() -> None:
    with pytest.raises(DataError, match="all 2 thumbs"):
        scale_of([rating(1.0, thumb=True)] * 2)
    with pytest.raises(DataError, match="all 3 scores are 4"):
        scale_of([rating(4.0, thumb=False)] * 3)
