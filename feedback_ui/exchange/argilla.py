"""Argilla's records: of 2.x (`dataset.records.to_json`) and of 1.x (`FeedbackDataset`, and the server's API).

2.x has the answers to each question by name, without a status. 1.x has a list of responses, one a person, of
which only those `submitted` count. A ranking of 2.x is a list of names, taken as best first; one of 1.x has
ranks, of which equal ones are ties. Both also write flat rows, for `datasets`: argilla_flat.py makes records
of them.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from feedback_ui.errors import InvalidFeedback
from feedback_ui.exchange.annotations import Annotation
from feedback_ui.exchange.argilla_flat import is_flat, unflattened

Row = Mapping[str, Any]


def is_record(row: Row) -> bool:
    """Whether a row looks like one of Argilla's records, flat or not."""
    return is_flat(row) or (isinstance(row.get("fields"), Mapping) and "prompt" not in row)


def fields_of(row: Row) -> dict[str, Any]:
    """A record's fields; a prompt that is a chat has messages."""
    return dict(cast("Mapping[str, Any]", _record(row)["fields"]))


def others_of(row: Row) -> dict[str, Any]:
    """What stays with the prompt: the record's metadata, which 1.x may hold as JSON in text."""
    metadata = _record(row).get("metadata")
    if isinstance(metadata, str):
        try:
            metadata = json.loads(metadata)
        except ValueError:
            raise InvalidFeedback("metadata is neither an object nor one written as JSON") from None
    return dict(cast("Mapping[str, Any]", metadata)) if isinstance(metadata, Mapping) else {}


def annotations_of(row: Row) -> tuple[list[Annotation], int]:
    """What people said, and of how many it is a draft or was discarded.

    Raises:
        InvalidFeedback: the responses are of neither shape.
    """
    responses = _record(row).get("responses")
    if not responses:
        return [], 0
    if isinstance(responses, Mapping):
        return _by_question(cast("Mapping[str, Any]", responses)), 0
    if isinstance(responses, list):
        found = [_by_person(one) for one in cast("list[Any]", responses)]
        kept = [one for one in found if one is not None]
        return kept, len(found) - len(kept)
    raise InvalidFeedback("responses is neither an object of questions nor a list of responses")


def _record(row: Row) -> Row:
    return unflattened(row) if is_flat(row) else row


def _by_question(responses: Mapping[str, Any]) -> list[Annotation]:
    values: dict[str, dict[str, Any]] = {}
    for question, said in responses.items():
        for one in cast("Sequence[Any]", said or ()):
            if not isinstance(one, Mapping) or "value" not in one:
                raise InvalidFeedback("a response to {question!r} has no value", question=question)
            held = cast("Mapping[str, Any]", one)
            values.setdefault(str(held.get("user_id")), {})[question] = held["value"]
    return [Annotation(rater, said) for rater, said in values.items()]


def _by_person(response: Any) -> Annotation | None:
    if not isinstance(response, Mapping):
        raise InvalidFeedback("a response is not an object")
    held = cast("Mapping[str, Any]", response)
    if held.get("status", "submitted") != "submitted":
        return None
    values = held.get("values")
    if not isinstance(values, Mapping):
        raise InvalidFeedback("a submitted response has no values")
    said = {
        str(question): cast("Mapping[str, Any]", value).get("value") if isinstance(value, Mapping) else value
        for question, value in cast("Mapping[str, Any]", values).items()
    }
    created = held.get("inserted_at")
    return Annotation(str(held.get("user_id")), said, created if isinstance(created, str) else None)
