"""What raters said beside their verdict, as columns of a row: flags of its answers, and reasons."""

from collections.abc import Iterable, Mapping
from typing import Any

from feedback_ui.form import FLAGS
from feedback_ui.service.current import Said


def remarks(votes: Iterable[Said], answers: Mapping[str, str]) -> dict[str, Any]:
    """Columns that hold something, the others left out.

    Args:
        votes: the judgements that a row is made of, of one item.
        answers: the column of an answer's flags, as `chosen_flags`, to its response id.

    Returns:
        For each answer the flags that anybody gave it, each once; `flag_texts` and `reasons` of all, in the
        order of judging.
    """
    found: dict[str, Any] = {}
    said = [one.content for one in votes]
    for column, own in answers.items():
        given = {flag for content in said for flag in content.get("flags", {}).get(own, ())}
        found[column] = [flag for flag in FLAGS if flag in given]
    found["flag_texts"] = [content["flag_text"] for content in said if "flag_text" in content]
    found["reasons"] = [content["reason"] for content in said if "reason" in content]
    return {column: values for column, values in found.items() if values}


def by_item(said: Iterable[Said]) -> dict[Any, list[Said]]:
    """The judgements of each item, also those that prefer none of its answers; by item's id."""
    found: dict[Any, list[Said]] = {}
    for one in said:
        if one.action == "judge":
            found.setdefault(one.subject.id, []).append(one)
    return found
