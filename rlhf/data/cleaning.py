"""Leaving out records that training cannot use, each reported with its place and reason.

Reasons: `empty`, `identical` (both answers of a pair), `duplicate`, `over-long` (by the encoder's tokens) and
`template` (the chat template refuses the conversation); of ratings also `score` and `thumb`, where the other
is learnt from.
"""

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, TypeVar

from rlhf.data.problems import Converted, Problem, usable
from rlhf.errors import DataError
from rlhf.records import Demonstration, Preference, Prompt, Rating

if TYPE_CHECKING:
    from rlhf.data.encoding import Encoder

__all__ = [
    "Converted",
    "Problem",
    "clean_demonstrations",
    "clean_preferences",
    "clean_prompts",
    "clean_ratings",
    "usable",
]

T = TypeVar("T")
Fault = tuple[str, str]


def clean_demonstrations(converted: Converted[Demonstration], encoder: "Encoder") -> Converted[Demonstration]:
    """Those that are neither empty nor said before (same prompt, same completion) and fit `max_length`."""

    def fault(record: Demonstration) -> Fault | None:
        return _empty(completion=record.completion) or _too_long(encoder, record.prompt, record.completion)

    return _clean(converted, fault, lambda record: (record.prompt.key, record.completion.strip()))


def clean_preferences(converted: Converted[Preference], encoder: "Encoder") -> Converted[Preference]:
    """Those whose answers differ and both fit `max_length`, each once.

    A duplicate is a pair that is equal in everything, the row's other columns too: two people who judge one
    pair alike, each in a row of their own with their name or time, both count.
    """

    def fault(record: Preference) -> Fault | None:
        if missing := _empty(chosen=record.chosen, rejected=record.rejected):
            return missing
        if record.chosen.strip() == record.rejected.strip():
            return "identical", "chosen and rejected are equal"
        longer = max(record.chosen, record.rejected, key=lambda text: len(encoder.response_ids(text)))
        return _too_long(encoder, record.prompt, longer)

    def same(record: Preference) -> Hashable:
        fields = repr(sorted(record.prompt.fields.items()))
        judged = record.probability, record.margin, record.weight
        return record.prompt.key, record.chosen, record.rejected, *judged, fields

    return _clean(converted, fault, same)


def clean_ratings(
    converted: Converted[Rating], encoder: "Encoder", *, thumbs: bool, scores: bool
) -> Converted[Rating]:
    """Those of the kinds that are asked for, not empty, that fit `max_length`, each once.

    Two people who rate one answer alike, each in a row with their name or time, both count.
    """

    def fault(record: Rating) -> Fault | None:
        if not (thumbs if record.is_thumb else scores):
            kind, learns = ("thumb", "binary") if record.is_thumb else ("score", "regression")
            return kind, f"stage.objective={learns} learns from a {kind}, and mixed from both"
        return _empty(completion=record.completion) or _too_long(encoder, record.prompt, record.completion)

    def same(record: Rating) -> Hashable:
        fields = repr(sorted(record.prompt.fields.items()))
        return record.prompt.key, record.completion, record.value, record.is_thumb, record.weight, fields

    return _clean(converted, fault, same)


def clean_prompts(
    converted: Converted[Prompt], encoder: "Encoder", response_length: int
) -> Converted[Prompt]:
    """Those that leave room for `response_length` tokens within `max_length`, each once."""

    def fault(record: Prompt) -> Fault | None:
        return _empty(prompt=record.text) or _too_long(encoder, record, None, response_length)

    return _clean(converted, fault, lambda record: record.key)


def _clean(
    converted: Converted[T], fault: Callable[[T], Fault | None], same: Callable[[T], Hashable]
) -> Converted[T]:
    result: Converted[T] = Converted([], [], list(converted.problems))
    first: dict[Hashable, str] = {}
    for record, place in zip(converted.records, converted.places, strict=True):
        key = same(record)
        found = ("duplicate", f"as {first[key]}") if key in first else fault(record)
        if found is not None:
            result.problems.append(Problem(place, *found))
            continue
        first[key] = place
        result.records.append(record)
        result.places.append(place)
    return result


def _empty(**texts: str) -> Fault | None:
    return next((("empty", f"{name} is empty") for name, text in texts.items() if not text.strip()), None)


def _too_long(encoder: "Encoder", prompt: Prompt, response: str | None, room: int = 0) -> Fault | None:
    try:
        count = len(encoder.prompt_ids(prompt) if response is None else encoder.encode(prompt, response).ids)
    except DataError as error:
        return "template", str(error)
    if count + room <= encoder.max_length:
        return None
    asked = f" and {room} for the response" if room else ""
    return "over-long", f"{count} tokens{asked}, and max_length is {encoder.max_length}"
