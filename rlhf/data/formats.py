"""From raw rows to records: recognises the formats that docs/data.md lists, row by row.

A row that cannot be used becomes a `Problem`; where no row can, `DataError` says what was found and what is
accepted.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from rlhf.data.messages import (
    RowError,
    kind,
    parse_messages,
    parse_transcript,
    shared_messages,
    shared_text,
    split_answer,
)
from rlhf.data.problems import Converted, Problem
from rlhf.data.prompts import (
    ALPACA,
    Content,
    Row,
    alpaca_messages,
    answers,
    conversation,
    fields_of,
    has,
    make_prompt,
    number,
    prompt_in,
    text,
)
from rlhf.data.scored import Scored, pair_scored
from rlhf.data.sources import Rows
from rlhf.errors import DataError
from rlhf.records import Demonstration, Preference, Prompt, Rating

T = TypeVar("T")

DEMONSTRATIONS = ("prompt + completion", "messages", "instruction + output", "conversations", "text")
PREFERENCES = (
    "prompt + chosen + rejected",
    "chosen + rejected that begin with the same prompt",
    "instruction + output (a list, best first)",
    "prompt + completion + score (or label)",
)
PAIR = frozenset({"chosen", "rejected", "margin", "weight", "probability"})
RATINGS = ("prompt + completion + score", "prompt + completion + label (a thumb)")
PROMPTS = ("prompt", "instruction", "messages", "conversations", "chosen + rejected")


def to_demonstrations(rows: Rows) -> Converted[Demonstration]:
    """Demonstrations, one a row at most. Raises `DataError` where no row gives one."""
    converted = _convert(rows, lambda row, place: [_demonstration(row)])
    return _some(converted, rows, "demonstrations", DEMONSTRATIONS)


def to_preferences(rows: Rows) -> Converted[Preference]:
    """Preferences: a row gives one, every pair of a ranked list, or (scored answers) a part of one.

    The pairs of one ranked list, and those of one prompt's scored answers, weigh 1 together. Raises
    `DataError` where no row gives one.
    """
    scored: list[Scored] = []

    def convert(row: Row, place: str) -> list[Preference]:
        if _is_scored(row):
            scored.append(_scored(row, place))
            return []
        return _preferences(row)

    converted = _convert(rows, convert)
    pairs = pair_scored(scored)
    both = Converted(
        converted.records + pairs.records,
        converted.places + pairs.places,
        converted.problems + pairs.problems,
    )
    return _some(both, rows, "preferences", PREFERENCES)


def to_ratings(rows: Rows) -> Converted[Rating]:
    """Single answers with a thumb or a score, one a row. Raises `DataError` where no row gives one."""
    converted = _convert(rows, lambda row, place: [_rating(row)])
    return _some(converted, rows, "ratings", RATINGS)


def to_prompts(rows: Rows) -> Converted[Prompt]:
    """Prompts, each once; a later row with the same prompt is a `duplicate`. `DataError` if there are none.

    The columns that are not the prompt's, a reference answer among them, stay in its fields.
    """
    converted = _convert(rows, lambda row, place: [_prompt(row)])
    first: dict[str, str] = {}
    kept: list[tuple[Prompt, str]] = []
    problems = list(converted.problems)
    for prompt, place in zip(converted.records, converted.places, strict=True):
        if prompt.key in first:
            problems.append(Problem(place, "duplicate", f"the prompt of {first[prompt.key]}"))
        else:
            first[prompt.key] = place
            kept.append((prompt, place))
    unique = Converted([prompt for prompt, _ in kept], [place for _, place in kept], problems)
    return _some(unique, rows, "prompts", PROMPTS)


def _convert(rows: Rows, convert: Callable[[Row, str], Sequence[T]]) -> Converted[T]:
    result: Converted[T] = Converted([], [], list(rows.problems))
    for row, place in zip(rows.rows, rows.places, strict=True):
        try:
            records = convert(row, place)
        except RowError as error:
            result.problems.append(Problem(place, error.reason, str(error)))
            continue
        result.records.extend(records)
        result.places.extend([place] * len(records))
    return result


def _demonstration(row: Row) -> Demonstration:
    if has(row, "prompt", "completion"):
        content, used = _prompt_column(row)
        content, said = answers(content, row, "completion")
        return Demonstration(make_prompt(content, row, used | {"completion"}), said[0])
    for column in ("messages", "conversations"):
        if has(row, column):
            before, answer = split_answer(conversation(row, column), column)
            prompt = make_prompt(before, row, frozenset({column, "system"}))
            return Demonstration(prompt, _filled(answer, column))
    if has(row, "instruction", "output"):
        output = row["output"]
        best = output[0] if isinstance(output, list) and output else output
        prompt = make_prompt(alpaca_messages(row), row, ALPACA | {"output"})
        return Demonstration(prompt, _filled(text(best, "output"), "output"))
    if has(row, "text"):
        said = _filled(text(row["text"], "text"), "text")
        return Demonstration(Prompt("", fields_of(row, frozenset({"text"}))), said)
    raise _missing(row, DEMONSTRATIONS)


def _preferences(row: Row) -> list[Preference]:
    if has(row, "chosen", "rejected"):
        return [_preference(row)]
    if has(row, "instruction") and isinstance(row.get("output"), list):
        return _ranked(row)
    raise _missing(row, PREFERENCES)


def _preference(row: Row) -> Preference:
    used = PAIR
    found = prompt_in(row)
    if found is None:
        content, chosen, rejected = _shared(row)
    else:
        content, said = answers(found[0], row, "chosen", "rejected")
        chosen, rejected = said
        used |= found[1]
    return Preference(
        make_prompt(content, row, used),
        _filled(chosen, "chosen"),
        _filled(rejected, "rejected"),
        probability=number(row, "probability", 1.0, 0.0, 1.0),
        margin=number(row, "margin", 0.0),
        weight=number(row, "weight", 1.0, 0.0),
    )


def _shared(row: Row) -> tuple[Content, str, str]:
    chosen, rejected = row["chosen"], row["rejected"]
    if not isinstance(chosen, str) and not isinstance(rejected, str):
        return shared_messages(parse_messages(chosen, "chosen"), parse_messages(rejected, "rejected"))
    left, right = text(chosen, "chosen"), text(rejected, "rejected")
    turns = parse_transcript(left), parse_transcript(right)
    if turns[0] is not None and turns[1] is not None:
        return shared_messages(turns[0], turns[1])
    return shared_text(left, right)


def _ranked(row: Row) -> list[Preference]:
    outputs = [_filled(text(output, "output"), "output") for output in row["output"]]
    if len(outputs) < 2:
        raise RowError("unpaired", f"output ranks {len(outputs)} answers; a pair needs two")
    prompt = make_prompt(alpaca_messages(row), row, ALPACA | {"output"})
    pairs = [(better, worse) for rank, better in enumerate(outputs) for worse in outputs[rank + 1 :]]
    return [Preference(prompt, better, worse, weight=1 / len(pairs)) for better, worse in pairs]


def _is_scored(row: Row) -> bool:
    return (
        has(row, "prompt", "completion")
        and (has(row, "score") or has(row, "label"))
        and not has(row, "chosen")
    )


def _scored(row: Row, place: str) -> Scored:
    column = "score" if has(row, "score") else "label"
    score = _given(row, column)
    content, used = _prompt_column(row)
    content, said = answers(content, row, "completion")
    prompt = make_prompt(content, row, used | {"completion", column})
    return Scored(prompt, said[0], score, place)


def _rating(row: Row) -> Rating:
    """A thumb's `probability` is that its label is right."""
    if not _is_scored(row):
        raise _missing(row, RATINGS)
    content, used = _prompt_column(row)
    content, said = answers(content, row, "completion")
    prompt = make_prompt(content, row, used | {"completion", "score", "label", "weight", "probability"})
    weight = number(row, "weight", 1.0, 0.0)
    if has(row, "score"):
        return Rating(prompt, said[0], _given(row, "score"), is_thumb=False, weight=weight)
    up = _given(row, "label", 0.0, 1.0)
    if up not in (0.0, 1.0):
        raise RowError("value", f"label is {up:g}; a thumb is 0 or 1, and what lies between is a score")
    right = number(row, "probability", 1.0, 0.0, 1.0)
    return Rating(prompt, said[0], right if up else 1.0 - right, is_thumb=True, weight=weight)


def _given(row: Row, column: str, low: float = -math.inf, high: float = math.inf) -> float:
    """A number that has to be there."""
    if row[column] == "":
        raise RowError("empty", f"{column} is empty")
    return number(row, column, 0.0, low, high)


def _prompt(row: Row) -> Prompt:
    found = prompt_in(row)
    if found is not None:
        content, used = found
        return make_prompt(content, row, used)
    if has(row, "chosen", "rejected"):
        return make_prompt(_shared(row)[0], row, PAIR)
    raise _missing(row, PROMPTS)


def _prompt_column(row: Row) -> tuple[Content, frozenset[str]]:
    prompt = row["prompt"]
    content = prompt if isinstance(prompt, str) else parse_messages(prompt, "prompt")
    return content, frozenset({"prompt"})


def _filled(said: str, column: str) -> str:
    if not said.strip():
        raise RowError("empty", f"{column} is empty")
    return said


def _missing(row: Row, accepted: Sequence[str]) -> RowError:
    found = ", ".join(f"{name} ({kind(None)})" if value is None else str(name) for name, value in row.items())
    return RowError("columns", f"found {found or 'none'}; needed {', or '.join(accepted)}")


def _some(converted: Converted[T], rows: Rows, what: str, accepted: Sequence[str]) -> Converted[T]:
    if converted.records:
        return converted
    counts: dict[str, Any] = converted.report()["reasons"]
    columns = list(dict.fromkeys(str(name) for row in rows.rows[:1000] for name in row))
    first = str(converted.problems[0])[:300] if converted.problems else "no rows"
    if not rows.rows:
        raise DataError(
            f"no row for {what} can be read: "
            + ", ".join(f"{found['count']} {reason}" for reason, found in counts.items())
            + f"\nfirst: {first}\nMend the file, or name another dataset; docs/data.md has the formats."
        )
    raise DataError(
        "\n".join(
            [
                f"no row gives {what}: {len(rows.rows)} rows read; left out: "
                + ", ".join(f"{found['count']} {reason}" for reason, found in counts.items()),
                f"first: {first}",
                f"columns found: {', '.join(columns[:20]) or 'none'}",
                f"accepted for {what}: {'; '.join(accepted)}",
                "Rename the columns to one of these, or name another dataset; docs/data.md has examples.",
            ]
        )
    )
