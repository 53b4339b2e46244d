"""Rows of tables: CSV, Parquet, and folders of `datasets` (save_to_disk).

A cell of CSV is text. One that holds a JSON object or a list of them, as messages are, is taken as that, and
so are lists where a column is known to hold lists; text that merely looks like a number stays text.
"""

import ast
import csv
import gzip
import json
import math
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from feedback_ui.errors import InvalidFeedback
from feedback_ui.rows import RowProblem

if TYPE_CHECKING:
    import pyarrow as pa

TABLES = (".csv", ".tsv", ".parquet")
STATE = "state.json"
"""By which a folder of `datasets` is known."""
_LONGEST_CELL = 64 * 2**20  # characters
_LISTS = ("responses", "users", "status", "judgements")
_NUMBERS = {"seed", "lead_time", "active_s"}


def is_dataset(folder: Path) -> bool:
    """Whether a folder is one that `Dataset.save_to_disk` wrote."""
    return (folder / STATE).is_file() and any(folder.glob("*.arrow"))


def read_table(path: Path) -> Iterator[tuple[str, Any]]:
    """Place and value of each row of a table; columns without a value in a row are left out.

    Raises InvalidFeedback where it cannot be read.
    """
    try:
        if path.is_dir():
            yield from _rows_of(path.name, (batch for file in _files(path) for batch in _arrow(file)))
        elif path.suffix == ".parquet":
            yield from _rows_of(path.name, _parquet(path))
        else:
            with _opened(path) as lines:
                yield from _csv(path, lines)
    except UnicodeDecodeError:
        raise InvalidFeedback("{path} cannot be read: {why}", path=path, why="not UTF-8") from None
    except (OSError, EOFError, ValueError, csv.Error) as error:  # pyarrow's errors are kinds of ValueError
        why = getattr(error, "strerror", None) or str(error)
        raise InvalidFeedback("{path} cannot be read: {why}", path=path, why=why) from None


def _opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return cast(TextIO, gzip.open(path, "rt", encoding="utf-8-sig", newline=""))
    return path.open(encoding="utf-8-sig", newline="")


def _csv(path: Path, lines: TextIO) -> Iterator[tuple[str, Any]]:
    csv.field_size_limit(_LONGEST_CELL)
    rows = csv.DictReader(lines, delimiter="\t" if ".tsv" in path.suffixes else ",", strict=True)
    for row in rows:
        place = f"{path.name}:{rows.line_num}"
        if None in row:
            yield place, RowProblem(place, InvalidFeedback("has more cells than the table has columns"))
            continue
        yield place, {name: _cell(name, said) for name, said in row.items() if said}


def _cell(name: str, said: str) -> Any:
    column = name.rpartition(".")[2]
    if column in _NUMBERS:
        return _number(said)
    begins = said.lstrip()[:1]
    if begins not in ("{", "["):
        return said
    value = _literal(said)
    if isinstance(value, list):
        held = cast("list[Any]", value)
        return held if column in _LISTS or (held and all(isinstance(one, dict) for one in held)) else said
    return cast(Any, value) if isinstance(value, dict) else said


def _literal(said: str) -> Any:
    """JSON, or a list as Python writes it, which is what `datasets` and pandas put into a cell."""
    try:
        return json.loads(said)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(said)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return said


def _number(said: str) -> Any:
    try:
        value = float(said)
    except ValueError:
        return said
    return int(value) if value.is_integer() else value


def _files(folder: Path) -> list[Path]:
    state = json.loads((folder / STATE).read_text(encoding="utf-8"))
    return [folder / str(one["filename"]) for one in state["_data_files"]]


def _arrow(path: Path) -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa

    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as batches:
        yield from batches


def _parquet(path: Path) -> Iterator["pa.RecordBatch"]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(1000)


def _rows_of(name: str, batches: Iterator["pa.RecordBatch"]) -> Iterator[tuple[str, Any]]:
    numbers = count(1)
    for batch in batches:
        for row in batch.to_pylist():
            held = {column: _plain(value) for column, value in row.items()}
            yield f"{name}: row {next(numbers)}", {c: value for c, value in held.items() if value is not None}


def _plain(value: Any) -> Any:
    """As JSON has it: no times, and no NaN, which is how pandas writes that nothing is there."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: _plain(held) for name, held in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list):
        return [_plain(held) for held in cast("list[Any]", value)]
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)
