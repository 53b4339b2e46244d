"""Argilla's flat rows, for `datasets` and tables, as records with `fields`, `metadata` and `responses`.

2.x (`records.to_datasets()`, `to_list(flatten=True)`) has for a question Q the columns `Q.responses`,
`Q.responses.users` and `Q.responses.status`, a value each for each person, beside `Q.suggestion` and its
kind. 1.x (`format_as("datasets")`) has in `Q` a list of objects with user_id, value and status, beside
`Q-suggestion`.
"""

from collections.abc import Mapping
from typing import Any, cast

Row = Mapping[str, Any]

_USERS = ".responses.users"
_OWN = {"id", "status", "_server_id", "external_id", "inserted_at", "updated_at", "metadata", "vectors"}
_SUGGESTED = ("-suggestion", "-suggestion-metadata")


def is_flat(row: Row) -> bool:
    """Whether a row's columns are those of a flat record."""
    names = [str(name) for name in row]
    if any(name.endswith(_USERS) for name in names) or {"_server_id", "status"} <= set(names):
        return "fields" not in row
    return any(name.endswith(_SUGGESTED) for name in names) and "fields" not in row


def unflattened(row: Row) -> Row:
    """The record of a flat row, in the shape of 1.x: a response for each person, with its status."""
    questions = [str(name).removesuffix(_USERS) for name in row if str(name).endswith(_USERS)]
    said = {question: _columns(row, question) for question in questions}
    listed = {name: _listed(value) for name, value in row.items() if _is_listed(row, name)}
    said |= listed
    used = {f"{question}.{rest}" for question in questions for rest in ("responses", "suggestion")}
    fields: dict[str, Any] = {}
    metadata = row.get("metadata")
    others: dict[str, Any] = {}
    for name, value in row.items():
        if name.startswith("metadata."):
            others[name.removeprefix("metadata.")] = value
        elif not (
            name in _OWN
            or name in listed
            or name.endswith((*_SUGGESTED, ".suggestion"))
            or any(name == one or name.startswith(f"{one}.") for one in used)
            or ".suggestion." in name
        ):
            fields[name] = value
    return {"fields": fields, "metadata": metadata or others, "responses": _by_person(said)}


Entry = tuple[str, str, Any]
"""Who answered a question, the response's status, and the value."""


def _columns(row: Row, question: str) -> list[Entry]:
    users = _list(row.get(f"{question}{_USERS}"))
    values = _list(row.get(f"{question}.responses"))
    status = _list(row.get(f"{question}.responses.status")) or ["submitted"] * len(users)
    return [
        (str(user), str(state), _ranked(value))
        for user, state, value in zip(users, status, values, strict=False)
    ]


def _is_listed(row: Row, name: str) -> bool:
    """Whether a column is a question of 1.x."""
    return any(f"{name}{ending}" in row for ending in _SUGGESTED)


def _listed(value: Any) -> list[Entry]:
    held = _rows(value)
    return [
        (str(one.get("user_id")), str(one.get("status", "submitted")), _ranked(one.get("value")))
        for one in held
    ]


def _ranked(value: Any) -> Any:
    """A ranking as a list of objects, also where a table holds its ranks and names in two lists."""
    if isinstance(value, Mapping) and {"rank", "value"} <= set(cast("Row", value)):
        return _rows(cast("Row", value))
    return value


def _rows(value: Any) -> list[Row]:
    """A list of objects, also where a table holds it as an object of lists."""
    if isinstance(value, Mapping):
        columns = cast("Mapping[str, list[Any]]", value)
        cells = zip(*columns.values(), strict=False)
        return [dict(zip(columns, row, strict=True)) for row in cells]
    return [cast("Row", one) for one in _list(value) if isinstance(one, Mapping)]


def _by_person(said: Mapping[str, list[Entry]]) -> list[dict[str, Any]]:
    """A response a person, as 1.x has them. One is as far as its least finished answer."""
    found: dict[str, dict[str, Any]] = {}
    for question, entries in said.items():
        for user, status, value in entries:
            response = found.setdefault(user, {"user_id": user, "status": "submitted", "values": {}})
            if value is not None:
                response["values"][question] = {"value": value}
            if status != "submitted":
                response["status"] = status
    return list(found.values())


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
