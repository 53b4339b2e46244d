"""Pairs out of single answers that were each given a score, a label or a thumb."""

from collections.abc import Sequence
from dataclasses import dataclass

from rlhf.data.problems import Converted, Problem
from rlhf.records import Preference, Prompt, Rating


@dataclass(frozen=True, slots=True)
class Scored:
    """One answer with its score (a thumb is 1 or 0) and the place it came from."""

    prompt: Prompt
    answer: str
    score: float
    place: str


def pair_scored(scored: Sequence[Scored]) -> Converted[Preference]:
    """Each two answers to one prompt whose scores differ, the higher chosen.

    The pairs of one prompt weigh 1 together. An answer whose prompt has no other score is `unpaired`. The
    prompt's fields are those of the better answer's row; the place names both rows.
    """
    groups: dict[str, list[Scored]] = {}
    for answer in scored:
        groups.setdefault(answer.prompt.key, []).append(answer)
    result: Converted[Preference] = Converted([], [])
    for group in groups.values():
        ranked = sorted(group, key=lambda answer: -answer.score)
        pairs = [
            (better, worse)
            for rank, better in enumerate(ranked)
            for worse in ranked[rank + 1 :]
            if better.score > worse.score
        ]
        if not pairs:
            detail = "no other answer to this prompt has another score"
            result.problems.extend(Problem(answer.place, "unpaired", detail) for answer in group)
        for better, worse in pairs:
            result.records.append(
                Preference(better.prompt, better.answer, worse.answer, weight=1 / len(pairs))
            )
            result.places.append(f"{better.place} and {worse.place}")
    return result


def pair_ratings(ratings: Sequence[Rating]) -> Converted[Preference]:
    """The pairs of `pair_scored` within thumbs and within scores, which are not compared with one another."""
    result: Converted[Preference] = Converted([], [])
    for is_thumb in (True, False):
        alike = [
            Scored(rating.prompt, rating.completion, rating.value, f"rating {number}")
            for number, rating in enumerate(ratings, start=1)
            if rating.is_thumb == is_thumb
        ]
        pairs = pair_scored(alike)
        result.records.extend(pairs.records)
        result.places.extend(pairs.places)
        result.problems.extend(pairs.problems)
    return result
