"""Several reward models as one: their mean, the least of them, or the mean less what they disagree by."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from rlhf.config import objective
from rlhf.rewards.base import Reward, Scored, Scores

Combine = Literal["mean", "min", "mean_minus_std"]


def member_name(number: int) -> str:
    """The folder of a run of rm with its member of this number, counted from 1; the first is `model`."""
    return "model" if number == 1 else f"member_{number}"


def member_folders(run: str, model: str) -> list[str]:
    """The model folders of the ensemble in a run, in order; `model`, the first, alone where it is none."""
    folders = [model]
    while (folder := Path(run) / member_name(len(folders) + 1)).is_dir():
        folders.append(str(folder))
    return folders


class EnsembleReward:
    """The scores of K reward models, combined.

    `Scores.parts` holds `mean`, `min` and `spread`, their standard deviation (divided by K, not K - 1).

    Source: Coste et al. 2023, "Reward model ensembles help mitigate overoptimization": min is their worst
    case; mean_minus_std takes the deviation where their uncertainty-weighted one takes the variance.
    """

    def __init__(self, members: Sequence[Reward], cfg: objective.EnsembleReward) -> None:
        """At least one member; of one, the spread is 0."""
        self._members, self._cfg = list(members), cfg

    def __call__(self, batch: Sequence[Scored]) -> Scores:
        """Scores of the batch."""
        scores_KB = torch.stack([member(batch).total for member in self._members])
        spread_B = scores_KB.std(dim=0, correction=0)
        parts = {"mean": scores_KB.mean(dim=0), "min": scores_KB.amin(dim=0), "spread": spread_B}
        return Scores(combined(scores_KB, self._cfg.combine, self._cfg.std_coef), parts)


def combined(scores_KB: Tensor, combine: Combine, std_coef: float) -> Tensor:
    """Scores [B] of K models' [K, B]."""
    match combine:
        case "mean":
            return scores_KB.mean(dim=0)
        case "min":
            return scores_KB.amin(dim=0)
        case "mean_minus_std":
            return scores_KB.mean(dim=0) - std_coef * scores_KB.std(dim=0, correction=0)
