"""The datasets of a stage: where each comes from, cleaned and split by prompt."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Generic, TypeVar

from rlhf.config import Config
from rlhf.data.cleaning import (
    Converted,
    clean_demonstrations,
    clean_preferences,
    clean_prompts,
    clean_ratings,
    usable,
)
from rlhf.data.encoding import Encoder
from rlhf.data.feedback import dataset_of, is_snapshot, open_snapshot
from rlhf.data.formats import to_demonstrations, to_preferences, to_prompts, to_ratings
from rlhf.data.sources import read_rows
from rlhf.data.splits import split
from rlhf.demo import world
from rlhf.demo.raters import Rater
from rlhf.errors import DataError
from rlhf.records import Demonstration, Preference, Prompt, Rating
from stages.console import say

T = TypeVar("T", Demonstration, Preference, Prompt, Rating)

EMBEDDED_ROWS = {"demonstrations": 6000, "preferences": 24000, "prompts": 8000, "scores": 0}


@dataclass(frozen=True)
class Parts(Generic[T]):
    """A dataset, cleaned and split by prompt, with the account of what was left out."""

    train: list[T]
    validation: list[T]
    test: list[T]
    report: dict[str, Any]


def source_of(cfg: Config, dataset: str) -> str | None:
    """Where a dataset comes from: what is named, else the file of `data.feedback`; None where neither has it.

    Prompts default to those of the preferences, then of the demonstrations, then of the scores.

    Raises:
        DataError: a snapshot is named that is none, or was changed.
    """
    data = cfg.data
    if dataset == "prompts":
        holders = ("preferences", "demonstrations", "scores")
        if data.prompts and not is_snapshot(data.prompts):
            return data.prompts
        if data.prompts:
            return next((file for name in holders if (file := dataset_of(data.prompts, name))), None)
        return next((source for name in holders if (source := source_of(cfg, name))), None)
    named = {"demonstrations": data.demonstrations, "preferences": data.preferences, "scores": data.scores}
    source = named[dataset]
    if source is None and data.feedback is not None:
        open_snapshot(data.feedback)
        source = data.feedback
    return None if source is None else dataset_of(source, dataset)


def load_demonstrations(cfg: Config, encoder: Encoder) -> Parts[Demonstration]:
    """Demonstrations to imitate; DataError when none can be used."""
    return _parts(
        cfg,
        "demonstrations",
        world.demonstrations,
        to_demonstrations,
        lambda c: clean_demonstrations(c, encoder),
    )


def load_preferences(cfg: Config, encoder: Encoder) -> Parts[Preference]:
    """Preference pairs; DataError when none can be used."""
    rater = Rater(cfg.world.rater.gain, cfg.world.rater.length_liking)

    def embedded(count: int, seed: int) -> list[Preference]:
        return world.preferences(count, seed, rater, gold_weights(cfg))

    return _parts(cfg, "preferences", embedded, to_preferences, lambda c: clean_preferences(c, encoder))


def load_ratings(cfg: Config, encoder: Encoder, *, thumbs: bool, scores: bool) -> Parts[Rating]:
    """Single answers with a thumb or a score, of these kinds; DataError when there are none."""

    def embedded(_count: int, _seed: int) -> list[Rating]:
        raise DataError(_nothing(cfg, "scores"))

    return _parts(
        cfg, "scores", embedded, to_ratings, lambda c: clean_ratings(c, encoder, thumbs=thumbs, scores=scores)
    )


def gold_weights(cfg: Config) -> dict[str, float]:
    """What each part of an answer is worth to the gold rater."""
    weights = cfg.world.gold
    return {
        "right": weights.right,
        "kept": weights.kept,
        "courteous": weights.courteous,
        "brief": weights.brief,
        "fresh": weights.fresh,
    }


def load_prompts(cfg: Config, encoder: Encoder, response_length: int) -> Parts[Prompt]:
    """Prompts that leave room for a response; DataError when none can be used.

    Every eighth of the embedded world's test part is of a kind that no training meets: a held-out family, or
    a held-out combination of family and form.
    """
    parts = _parts(
        cfg, "prompts", world.prompts, to_prompts, lambda c: clean_prompts(c, encoder, response_length)
    )
    if source_of(cfg, "prompts"):
        return parts
    held_out = iter(world.held_out_prompts(len(parts.test) // 7, cfg.seed))
    test = [
        prompt
        for number, known in enumerate(parts.test)
        for prompt in ([known, *islice(held_out, 1)] if number % 7 == 6 else [known])
    ]
    return replace(parts, test=test)


def _parts(
    cfg: Config,
    dataset: str,
    embedded: Callable[[int, int], list[T]],
    convert: Callable[[Any], Converted[T]],
    clean: Callable[[Converted[T]], Converted[T]],
) -> Parts[T]:
    data = cfg.data
    source = source_of(cfg, dataset)
    if source is None and (data.feedback or getattr(data, dataset)):
        raise DataError(_nothing(cfg, dataset))
    if source is None:
        count = min(data.limit or EMBEDDED_ROWS[dataset], EMBEDDED_ROWS[dataset])
        records = embedded(count, cfg.seed)
        converted = Converted(records, [f"embedded:{number}" for number in range(count)], [])
    else:
        converted = convert(read_rows(source, limit=data.limit, separator=data.separator))
    cleaned = clean(converted)
    what = f"data.{dataset}={source}" if source else f"embedded {dataset}"
    say(cfg.stage.kind, usable(cleaned, what).text(what))
    shares = {
        "train": 1.0 - data.validation_fraction - data.test_fraction,
        "validation": data.validation_fraction,
        "test": data.test_fraction,
    }
    parts = split(cleaned.records, shares, salt="part")
    return Parts(parts["train"], parts["validation"], parts["test"], cleaned.report())


def _nothing(cfg: Config, dataset: str) -> str:
    """What to say where a snapshot, or a snapshot named for one dataset, holds nothing of it."""
    where = getattr(cfg.data, dataset) or cfg.data.feedback
    return (
        f"{where}: nobody gave {dataset} there; name others, data.{dataset}=FILE, or export a campaign that "
        "asks for them"
    )
