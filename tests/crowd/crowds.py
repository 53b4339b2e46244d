"""Crowds whose skills are known, for several tests."""

import json
from pathlib import Path

import numpy as np

from rlhf.crowd.judgements import Judgement

PANDALM_RATERS = ("annotator1", "annotator2", "annotator3")


def crowd(
    skills: list[float], num_items: int, *, seed: int, num_classes: int = 2, missing: float = 0.0
) -> tuple[list[Judgement], dict[str, int]]:
    """Everybody judges everything, or all but a share of it; and what is true of each item."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(num_classes, size=num_items)
    rows: list[Judgement] = []
    for n, true in enumerate(truth.tolist()):
        for r, skill in enumerate(skills):
            wrong = (true + 1 + int(rng.integers(num_classes - 1))) % num_classes
            label = true if rng.random() < skill else wrong
            if rng.random() >= missing:
                rows.append(Judgement(f"item {n:04d}", f"rater {r}", label))
    return rows, {f"item {n:04d}": int(true) for n, true in enumerate(truth)}


def pandalm(shared_data: Path) -> list[Judgement]:
    """What three people said of 999 pairs: 1, 2, or 0 for a tie."""
    rows = json.loads((shared_data / "pandalm" / "testset-v1.json").read_text("utf-8"))
    return [Judgement(f"{row['idx']:04d}", rater, row[rater]) for row in rows for rater in PANDALM_RATERS]
