"""Label Studio's exports: JSON, a task with its annotations, and JSON-MIN or CSV, one annotation a row.

Read are the tags Pairwise (left or right), Choices of one, Rating, Number and TextArea. What was cancelled
(skipped) is no annotation; predictions are not read.
"""

from collections.abc import Mapping
from typing import Any, cast

from feedback_ui.errors import InvalidFeedback
from feedback_ui.exchange.annotations import Annotation

Row = Mapping[str, Any]
# What JSON-MIN puts beside the task's own data.
_MIN = {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time"}
# Where a result of a type keeps what was said.
_VALUES = {
    "pairwise": "selected",
    "choices": "choices",
    "rating": "rating",
    "number": "number",
    "textarea": "text",
}


def is_task(row: Row) -> bool:
    """Whether a row looks like one of Label Studio's tasks, of either export."""
    return isinstance(row.get("data"), Mapping) or _is_min(row)


def fields_of(row: Row) -> dict[str, Any]:
    """The task's data; of JSON-MIN, with what the annotation says among it."""
    if not _is_min(row):
        return dict(cast("Mapping[str, Any]", row["data"]))
    return {name: value for name, value in row.items() if name not in _MIN}


def others_of(row: Row) -> dict[str, Any]:
    """Nothing: all of a task is among its data."""
    del row
    return {}


def annotations_of(row: Row) -> tuple[list[Annotation], int]:
    """What people said, and how many annotations were cancelled.

    Raises:
        InvalidFeedback: an annotation is malformed.
    """
    if _is_min(row):
        values = {name: _plain(row[name]) for name in _said_in(row)}
        return [Annotation(_rater(row.get("annotator")), values, row.get("created_at"), _seconds(row))], 0
    annotations = cast("list[Any]", row.get("annotations") or row.get("completions") or [])
    kept: list[Annotation] = []
    for one in annotations:
        if not isinstance(one, Mapping) or not isinstance(cast("Row", one).get("result"), list):
            raise InvalidFeedback("an annotation has no list `result`")
        held = cast("Row", one)
        if not held.get("was_cancelled"):
            kept.append(
                Annotation(
                    _rater(held.get("completed_by")),
                    _results(cast("list[Any]", held["result"])),
                    held.get("created_at"),
                    _seconds(held),
                )
            )
    return kept, len(annotations) - len(kept)


def _is_min(row: Row) -> bool:
    return "annotation_id" in row and "annotator" in row


def _results(result: list[Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for one in result:
        held = cast("Row", one) if isinstance(one, Mapping) else {}
        kind, value = held.get("type"), held.get("value")
        if kind in _VALUES and isinstance(value, Mapping):
            values[str(held.get("from_name"))] = _plain(cast("Row", value).get(_VALUES[kind]))
    return values


def _plain(value: Any) -> Any:
    """A value out of its wrappings: a list of one, an object that holds `selected`, `rating` and the like."""
    if isinstance(value, list) and len(cast("list[Any]", value)) == 1:
        return _plain(cast("list[Any]", value)[0])
    if isinstance(value, Mapping):
        held = cast("Row", value)
        for name in _VALUES.values():
            if name in held:
                return _plain(held[name])
    return value


def _rater(by: Any) -> str:
    if isinstance(by, Mapping):
        held = cast("Row", by)
        return str(held.get("id") or held.get("email"))
    return str(by)


def _seconds(row: Row) -> float | None:
    """Seconds at work; an annotation that was opened again for days tells nothing."""
    lead = row.get("lead_time")
    return float(lead) if isinstance(lead, (int, float)) and 0 <= lead <= 86_400 else None


def _said_in(row: Row) -> list[str]:
    """The columns of JSON-MIN in which something was said: those that it writes after the task's data and id.

    Where the columns stand in another order, any of them may be.
    """
    names = [str(name) for name in row]
    between = names[names.index("id") + 1 : names.index("annotator")] if "id" in names else []
    return [name for name in between or names if name not in _MIN]
