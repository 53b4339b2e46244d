"""What each reward model of a run is trained on: parts of the pairs that share no prompt, samples of one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rlhf.config import Config, RmStage
from rlhf.data.splits import split
from rlhf.errors import DataError
from rlhf.records import Preference
from rlhf.rewards.ensemble import member_name
from rlhf.training.seeds import sub_seed

TITLES = {"model": "reward model", "validation_model": "validation model", "judge_model": "judge model"}


@dataclass(frozen=True)
class Lesson:
    """What one model is trained on; `seed` draws its head, its adapter and the order of its pairs."""

    title: str
    pairs: list[Preference]
    seed: int


def lessons(cfg: Config, pairs: Sequence[Preference]) -> dict[str, Lesson]:
    """What each model is trained on, by its folder, in the order of training.

    The first of an ensemble is the model that there would be without it. The others have seeds of their own,
    and by `stage.ensemble_bootstrap` samples of its pairs, drawn with replacement: seeds alone leave models
    that err alike (docs/stages/rm.md). Raises DataError as `pairs_by_model`.
    """
    assert isinstance(cfg.stage, RmStage)
    parts, count = pairs_by_model(cfg.stage, pairs), cfg.stage.ensemble
    found = {"model": Lesson(TITLES["model"], parts.pop("model"), cfg.seed)}
    for number in range(2, count + 1):
        seed, own = sub_seed(cfg.seed, "ensemble", number), found["model"].pairs
        if cfg.stage.ensemble_bootstrap:
            drawn = np.random.default_rng(seed).integers(len(own), size=len(own))
            own = [own[place] for place in drawn]
        found[member_name(number)] = Lesson(f"reward model {number} of {count}", own, seed)
    return found | {name: Lesson(TITLES[name], part, cfg.seed) for name, part in parts.items()}


def pairs_by_model(stage: RmStage, pairs: Sequence[Preference]) -> dict[str, list[Preference]]:
    """The training pairs of each model, parted by prompt; a model whose share is 0 is not made.

    Raises:
        DataError: a part is left without pairs.
    """
    shares = {"validation_model": stage.validation_share, "judge_model": stage.judge_share}
    shares = {"model": 1.0 - sum(shares.values()), **shares}
    parts = split(pairs, shares, salt="reward models")
    for name, share in shares.items():
        if share > 0 and not parts[name]:
            raise DataError(
                f"{len(pairs)} training pairs leave none for the {TITLES[name]}; "
                "set stage.validation_share=0 and stage.judge_share=0, or give more pairs"
            )
    return {name: parts[name] for name, share in shares.items() if share > 0}
