"""What each reward model of a run is trained on: parts of the rows that share no prompt, samples of one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from rlhf.config import Config, RmStage
from rlhf.data.splits import split
from rlhf.errors import DataError
from rlhf.records import Preference, Rating
from rlhf.rewards.ensemble import member_name
from rlhf.training.seeds import sub_seed

R = TypeVar("R", Preference, Rating)
TITLES = {"model": "reward model", "validation_model": "validation model", "judge_model": "judge model"}


@dataclass(frozen=True)
class Lesson:
    """What one model is trained on; `seed` draws its head, its adapter and the order of its rows."""

    title: str
    pairs: list[Preference]
    seed: int
    ratings: list[Rating] = field(default_factory=list[Rating])


def lessons(cfg: Config, pairs: Sequence[Preference], ratings: Sequence[Rating] = ()) -> dict[str, Lesson]:
    """What each model is trained on, by its folder, in the order of training.

    The first of an ensemble is the model that there would be without it. The others have seeds of their own,
    and by `stage.ensemble_bootstrap` samples of its rows, drawn with replacement: seeds alone leave models
    that err alike (docs/stages/rm.md). Raises DataError where a model is left with nothing.
    """
    assert isinstance(cfg.stage, RmStage)
    stage, count = cfg.stage, cfg.stage.ensemble
    of_pairs, of_ratings = _by_model(stage, pairs), _by_model(stage, ratings)
    for name in of_pairs:
        if not of_pairs[name] and not of_ratings[name]:
            raise DataError(_left_without(name, "pairs" if pairs else "ratings", len(pairs) + len(ratings)))
    found = {name: Lesson(TITLES[name], of_pairs[name], cfg.seed, of_ratings[name]) for name in of_pairs}
    first = {"model": found.pop("model")}
    for number in range(2, count + 1):
        seed, own = sub_seed(cfg.seed, "ensemble", number), first["model"]
        title = f"reward model {number} of {count}"
        drawn = _drawn_again(own, seed) if stage.ensemble_bootstrap else (own.pairs, own.ratings)
        first[member_name(number)] = Lesson(title, drawn[0], seed, drawn[1])
    return first | found


def pairs_by_model(stage: RmStage, pairs: Sequence[Preference]) -> dict[str, list[Preference]]:
    """The training pairs of each model, parted by prompt; a model whose share is 0 is not made.

    Raises:
        DataError: a part is left without pairs.
    """
    parts = _by_model(stage, pairs)
    for name, part in parts.items():
        if not part:
            raise DataError(_left_without(name, "pairs", len(pairs)))
    return parts


def _by_model(stage: RmStage, records: Sequence[R]) -> dict[str, list[R]]:
    """The same prompts to the same model, whatever is known of their answers."""
    shares = {"validation_model": stage.validation_share, "judge_model": stage.judge_share}
    shares = {"model": 1.0 - sum(shares.values()), **shares}
    parts = split(records, shares, salt="reward models")
    return {name: parts[name] for name, share in shares.items() if share > 0}


def _drawn_again(own: Lesson, seed: int) -> tuple[list[Preference], list[Rating]]:
    """A bootstrap sample of a model's rows."""
    total = len(own.pairs) + len(own.ratings)
    places = [int(place) for place in np.random.default_rng(seed).integers(total, size=total)]
    first = len(own.pairs)
    return (
        [own.pairs[place] for place in places if place < first],
        [own.ratings[place - first] for place in places if place >= first],
    )


def _left_without(name: str, what: str, count: int) -> str:
    return (
        f"{count} training {what} leave none for the {TITLES[name]}; "
        f"set stage.validation_share=0 and stage.judge_share=0, or give more {what}"
    )
