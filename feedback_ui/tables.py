"""Rows of an export as Arrow tables in TRL's formats: Parquet, and folders for `datasets.load_from_disk`.

preferences     `prompt`, `chosen`, `rejected` (explicit prompt); ties, which TRL has no place for, apart
demonstrations  `prompt`, `completion`
scores          `prompt`, `completion`, `label` (unpaired preference), or `score`

Where a prompt is a conversation, all are: a text prompt is then one user message. A column of which the
values have no type in common is JSON as text. The same rows give the same bytes.
"""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from feedback_ui.export_rows import Row

if TYPE_CHECKING:
    import pyarrow as pa

_SPOKEN = {"prompt": "user", "chosen": "assistant", "rejected": "assistant", "completion": "assistant"}
_ARROW = "data-00000-of-00001.arrow"


def trl_tables(rows: Mapping[str, Sequence[Row]]) -> dict[str, "pa.Table"]:
    """The tables that hold something, by name; preferences without ties, and `ties`."""
    preferences = rows["preferences"]
    parts = {
        "preferences": [row for row in preferences if row["probability"] != 0.5],
        "ties": [row for row in preferences if row["probability"] == 0.5],
        **{name: own for name, own in rows.items() if name != "preferences"},
    }
    return {name: _table(own) for name, own in parts.items() if own}


def parquet_file(table: "pa.Table") -> bytes:
    """A table as a Parquet file."""
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def dataset_folder(table: "pa.Table") -> dict[str, bytes]:
    """A table as the files of a folder that `datasets.load_from_disk` opens."""
    import pyarrow as pa

    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    data = sink.getvalue()
    state = {
        "_data_files": [{"filename": _ARROW}],
        "_fingerprint": hashlib.sha256(data).hexdigest()[:16],
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    info = {"citation": "", "description": "", "homepage": "", "license": ""}
    return {_ARROW: data, "dataset_info.json": _json(info), "state.json": _json(state)}


def _table(rows: Sequence[Row]) -> "pa.Table":
    import pyarrow as pa

    names = dict.fromkeys(name for row in rows for name in row)
    spoken = any(isinstance(row.get(name), list) for row in rows for name in _SPOKEN)
    columns: dict[str, Any] = {}
    for name in names:
        values = [row.get(name) for row in rows]
        if name in _SPOKEN and spoken:
            kind = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
            columns[name] = pa.array([_messages(value, _SPOKEN[name]) for value in values], kind)
        else:
            columns[name] = _column(values)
    return pa.table(columns)


def _messages(value: Any, role: str) -> Any:
    return [{"role": role, "content": value}] if isinstance(value, str) else value


def _column(values: Sequence[Any]) -> "pa.Array":
    """An array of the type that the values share, None among them; else of their JSON."""
    import pyarrow as pa

    held = [value for value in values if value is not None]
    kinds = {type(value) for value in held}
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds == {int} and all(-(2**63) <= value < 2**63 for value in held):
        return pa.array(values, pa.int64())
    if kinds in ({float}, {int, float}):
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    if kinds == {str}:
        return pa.array(values, pa.string())
    if kinds == {list} and all(isinstance(part, str) for value in held for part in value):
        return pa.array(values, pa.list_(pa.string()))
    return pa.array([None if value is None else json.dumps(value, ensure_ascii=False) for value in values])


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()
