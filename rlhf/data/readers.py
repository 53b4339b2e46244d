"""Local files to raw rows: JSONL, JSON, CSV, Parquet and separated text, each plain or gzipped.

A reader yields `(number, row)` in order, or `(number, Problem)` for what it cannot read; `number` is the line
where the row begins, or the row's number where lines mean nothing (JSON lists, Parquet).
"""

import csv
import gzip
import io
import json
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from rlhf.data.encodings import SAMPLE_BYTES, encoding_of
from rlhf.data.problems import Problem
from rlhf.errors import DataError

Row = dict[str, Any]
Reader = Callable[[Path, str, str | None], Iterator[tuple[str, Row | Problem]]]

END_OF_TEXT = "<|endoftext|>"


def format_of(path: Path) -> str | None:
    """The suffix that decides how a file is read, seen through ".gz"; None if it is not recognised."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return suffixes[-1] if suffixes and suffixes[-1] in READERS else None


def read_file(path: Path, name: str, separator: str | None) -> Iterator[tuple[str, Row | Problem]]:
    """Place and row (or problem) of everything in one file, in order.

    Bytes that are not UTF-8 spoil only the row they stand in; UTF-16 is read where the file begins with its
    mark. Raises `DataError` where the file as a whole cannot be read.
    """
    suffix = format_of(path)
    if suffix is None:
        raise DataError(
            f"{path}: cannot tell what kind of file this is from its name; "
            f"a dataset is named {', '.join(READERS)}, each plain or with .gz"
        )
    try:
        for place, row in READERS[suffix](path, name, separator):
            yield place, row if isinstance(row, Problem) or _is_unicode(row) else _bad_encoding(place)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(f"{path}: the gzip file is damaged or cut short ({error}); fetch it again") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: damaged or cut short: {error.reason} in {error.encoding}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


def _open(path: Path, newline: str | None = None) -> io.TextIOBase:
    """Text with undecodable bytes kept as lone surrogates, so that one bad row does not end the reading."""
    with _open_binary(path) as file:
        encoding = encoding_of(path, file.read(SAMPLE_BYTES))
    return io.TextIOWrapper(_open_binary(path), encoding=encoding, errors="surrogateescape", newline=newline)


def _open_binary(path: Path) -> Any:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")


def _is_unicode(row: Row) -> bool:
    try:
        json.dumps(row, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return False
    return True


def _bad_encoding(place: str) -> Problem:
    return Problem(place, "encoding", "not valid UTF-8")


def _jsonl(path: Path, name: str, separator: str | None) -> Iterator[tuple[str, Row | Problem]]:
    with _open(path, newline="\n") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield f"{name}:{number}", _parse_line(f"{name}:{number}", line)


def _parse_line(place: str, line: str) -> Row | Problem:
    try:
        line.encode()
        value = json.loads(line)
    except UnicodeEncodeError:
        return _bad_encoding(place)
    except (json.JSONDecodeError, RecursionError) as error:
        return Problem(place, "json", str(error) or "nested too deeply")
    return _as_row(place, value)


def _as_row(place: str, value: object) -> Row | Problem:
    if isinstance(value, dict):
        return cast(Row, value)
    return Problem(place, "type", f"a row is an object with named columns, not {type(value).__name__}")


def _json(path: Path, name: str, separator: str | None) -> Iterator[tuple[str, Row | Problem]]:
    with _open(path) as file:
        text = file.read()
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        if text.lstrip()[:1] == "{":  # often JSON lines under another name
            yield from _jsonl(path, name, separator)
            return
        raise DataError(
            f"{path}:{error.lineno}: not JSON: {error.msg}; a .json file holds a list of objects"
        ) from error
    if isinstance(value, dict):
        lists = [
            held for held in value.values() if isinstance(held, list) and held and isinstance(held[0], dict)
        ]
        value = lists[0] if len(lists) == 1 else [value]
    if not isinstance(value, list):
        raise DataError(f"{path}: holds one {type(value).__name__}; a .json file holds a list of objects")
    for number, item in enumerate(value, start=1):
        yield f"{name}: row {number}", _as_row(f"{name}: row {number}", item)


def _csv(path: Path, name: str, separator: str | None) -> Iterator[tuple[str, Row | Problem]]:
    csv.field_size_limit(sys.maxsize)
    with _open(path, newline="") as file:
        rows = csv.DictReader(cast(Iterator[str], file), delimiter="\t" if format_of(path) == ".tsv" else ",")
        columns = rows.fieldnames or []  # reads the first line
        while True:
            place = f"{name}:{rows.line_num + 1}"
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield place, Problem(place, "csv", str(error))
                continue
            extra = cast(Row, row).get(cast(str, None))
            short = [column for column, value in row.items() if value is None]
            if extra or short:
                what = "more" if extra else "fewer"
                yield (
                    place,
                    Problem(place, "csv", f"{what} cells than the {len(columns)} columns"),
                )
            else:
                yield place, cast(Row, dict(row))


def _parquet(path: Path, name: str, separator: str | None) -> Iterator[tuple[str, Row | Problem]]:
    import pyarrow.lib
    import pyarrow.parquet as parquet

    try:
        with _open_binary(path) as file:
            number = 0
            for batch in parquet.ParquetFile(file).iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{name}: row {number}", cast(Row, row)
    except pyarrow.lib.ArrowException as error:
        raise DataError(f"{path}: not a readable Parquet file: {str(error).splitlines()[0]}") from error


def _text(path: Path, name: str, separator: str | None) -> Iterator[tuple[str, Row | Problem]]:
    with _open(path) as file:
        text = file.read()
    if separator is None and END_OF_TEXT in text:
        separator = END_OF_TEXT
    pattern = re.escape(separator) if separator else r"\n[^\S\n]*\n\s*"
    line, start = 1, 0
    for end, after in [*(match.span() for match in re.finditer(pattern, text)), (len(text), len(text))]:
        piece = text[start:end]
        if piece.strip():
            lead = piece[: len(piece) - len(piece.lstrip())].count("\n")
            yield f"{name}:{line + lead}", {"text": piece.strip()}
        line += text.count("\n", start, after)
        start = after


READERS: dict[str, Reader] = {
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".json": _json,
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
    ".txt": _text,
}
