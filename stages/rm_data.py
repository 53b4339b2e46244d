"""What the reward model learns from, by `stage.objective`: pairs, single answers, or both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rlhf.config import Config, RmStage
from rlhf.data.cleaning import clean_preferences
from rlhf.data.encoding import Encoder
from rlhf.data.scored import pair_ratings
from rlhf.records import Preference, Prompt, Rating
from rlhf.training.score_trainer import Scale, scale_of
from stages.datasets import Parts, load_demonstrations, load_preferences, load_ratings, source_of

SHIFT_ROWS = 512  # demonstrations whose mean score becomes 0
LEARNS_FROM = {
    "pairwise": ("preferences",),
    "binary": ("scores",),
    "regression": ("scores",),
    "mixed": ("preferences", "scores"),
}


@dataclass(frozen=True)
class RmData:
    """Rows of the reward model.

    The validation and test parts of `pairs` measure every model. Its training part is learnt from only where
    `learns_pairs`; else it only says whether the longer or the shorter answer mostly wins.
    """

    pairs: Parts[Preference]
    ratings: Parts[Rating] | None
    learns_pairs: bool
    scale: Scale

    @property
    def training_pairs(self) -> list[Preference]:
        """The pairs that are learnt from."""
        return self.pairs.train if self.learns_pairs else []

    @property
    def training_ratings(self) -> list[Rating]:
        """The single answers that are learnt from."""
        return self.ratings.train if self.ratings else []

    @property
    def report(self) -> dict[str, Any]:
        """What was kept and left out, for `data.json`."""
        ratings = {"scores": self.ratings.report} if self.ratings else {}
        return {"preferences": self.pairs.report} | ratings


def datasets_of(cfg: Config) -> tuple[str, ...]:
    """The datasets that decide the result: what is learnt from, what measures, what is shifted to 0."""
    assert isinstance(cfg.stage, RmStage)
    return tuple(dict.fromkeys((*LEARNS_FROM[cfg.stage.objective], "preferences", "demonstrations")))


def load_data(cfg: Config, encoder: Encoder) -> RmData:
    """The rows of the configuration's objective.

    Without pairs of their own, single answers are measured on the pairs of one prompt's held-out answers.

    Raises:
        DataError: nothing of what is asked for can be used.
    """
    assert isinstance(cfg.stage, RmStage)
    objective = cfg.stage.objective
    if objective == "pairwise":
        return RmData(load_preferences(cfg, encoder), None, True, Scale(None, None, None))
    thumbs, scores = objective in ("binary", "mixed"), objective in ("regression", "mixed")
    ratings = load_ratings(cfg, encoder, thumbs=thumbs, scores=scores)
    if source_of(cfg, "preferences") or objective == "mixed":
        pairs = load_preferences(cfg, encoder)
    else:
        pairs = _pairs_of(ratings, encoder)
    return RmData(pairs, ratings, objective == "mixed", scale_of(ratings.train))


def shift_references(cfg: Config, encoder: Encoder, data: RmData) -> tuple[list[list[int]], str]:
    """Answers whose mean score is to be 0, as tokens, and what they are."""
    is_real = source_of(cfg, "preferences") or source_of(cfg, "scores")
    answers: list[tuple[Prompt, str]]
    if source_of(cfg, "demonstrations") or not is_real:
        limit = min(cfg.data.limit or 2 * SHIFT_ROWS, 2 * SHIFT_ROWS)
        few = cfg.model_copy(update={"data": cfg.data.model_copy(update={"limit": limit})})
        demonstrations = load_demonstrations(few, encoder).train[:SHIFT_ROWS]
        answers = [(demonstration.prompt, demonstration.completion) for demonstration in demonstrations]
        what = "demonstrations"
    elif data.pairs.train:
        answers = [(pair.prompt, pair.chosen) for pair in data.pairs.train[:SHIFT_ROWS]]
        what = "chosen answers, as data.demonstrations is not given"
    else:
        good = [rating for rating in data.training_ratings if _is_good(rating, data.scale)]
        answers = [(rating.prompt, rating.completion) for rating in good[:SHIFT_ROWS]]
        what = "answers rated above the average, as data.demonstrations is not given"
    return [encoder.encode(prompt, answer).ids for prompt, answer in answers], f"{len(answers)} {what}"


def _is_good(rating: Rating, scale: Scale) -> bool:
    return scale.target(rating) > (0.5 if rating.is_thumb else 0.0)


def _pairs_of(ratings: Parts[Rating], encoder: Encoder) -> Parts[Preference]:
    def paired(part: Sequence[Rating]) -> list[Preference]:
        return clean_preferences(pair_ratings(part), encoder).records

    return Parts(
        paired(ratings.train), paired(ratings.validation), paired(ratings.test), {"made_of": "scores"}
    )
