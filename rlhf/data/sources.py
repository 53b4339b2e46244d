"""Where rows come from: a local file, a folder of files, or a dataset on the Hugging Face hub.

Heavy libraries are imported only when a source needs them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlhf.data.hub import mind_the_network
from rlhf.data.problems import Problem
from rlhf.data.readers import READERS, Row, format_of, read_file
from rlhf.errors import DataError

_HUB_ID = re.compile(r"(?P<path>[\w.\-]+(/[\w.\-]+)?)(:(?P<config>[\w.\-]+))?")
_NOT_DATA = {"manifest.json", "dataset_info.json", "dataset_infos.json", "state.json"}
_FORMATS = f"{', '.join(READERS)}, each plain or with .gz"


@dataclass(frozen=True)
class Rows:
    """Raw rows with the place each came from ("file.jsonl:17" or "row 17"), and what could not be read.

    `files` are the local files that were read; empty for a hub id.
    """

    rows: list[Row]
    places: list[str]
    problems: list[Problem] = field(default_factory=list)
    files: tuple[Path, ...] = ()


def read_rows(
    source: str, *, split: str = "train", limit: int | None = None, separator: str | None = None
) -> Rows:
    """The rows of a file, a folder or a hub id ("org/name" or "org/name:configuration").

    `limit` takes the first so many rows. `separator` parts the documents of a .txt file; without one it is
    "<|endoftext|>" where that occurs, else blank lines. `split` names the part of a hub dataset, and of a
    folder whose files are named by split. Raises `DataError` where there is nothing to read.
    """
    if limit is not None and limit < 1:
        raise DataError(f"limit={limit}: a limit is at least 1; leave it out for all rows")
    files = local_files(source, split=split)
    rows = (
        _read_files(Path(source).expanduser(), files, limit, separator)
        if files
        else _load(source, split, limit)
    )
    if not rows.rows and not rows.problems:
        raise DataError(f"{source}: is empty, there is not one row to read; name a dataset with rows")
    return rows


def local_files(source: str, *, split: str = "train") -> tuple[Path, ...]:
    """The files behind a file or folder, in name order; () for what can only be a hub id.

    In a folder where some file names hold the split's name as a word ("train.jsonl", "train-00000.parquet"),
    those files alone are meant; in any other, all that are recognised, in subfolders too. Raises `DataError`
    for a path that does not exist or a folder without data.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return (path,)
    if path.is_dir():
        return _files_in(path, split)
    if _is_path(source):
        raise DataError(_missing(source))
    return ()


def _files_in(folder: Path, split: str) -> tuple[Path, ...]:
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and format_of(path)
        and path.name not in _NOT_DATA
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not found:
        raise DataError(
            f"{folder}: the folder holds no data file\nPut files into it that are named {_FORMATS}."
        )
    word = re.compile(rf"(?<![^\W_]){re.escape(split)}(?![^\W_])", re.IGNORECASE)
    of_split = [path for path in found if word.search(path.name)]
    return tuple(of_split or found)


def _read_files(source: Path, files: tuple[Path, ...], limit: int | None, separator: str | None) -> Rows:
    result = Rows([], [], [], files)
    for place, row in _read_each(source, files, separator):
        if isinstance(row, Problem):
            result.problems.append(row)
            continue
        result.rows.append(row)
        result.places.append(place)
        if len(result.rows) == limit:
            break
    return result


def _read_each(
    source: Path, files: tuple[Path, ...], separator: str | None
) -> Iterator[tuple[str, Row | Problem]]:
    for path in files:
        name = path.name if path == source else path.relative_to(source).as_posix()
        yield from read_file(path, name, separator)


def _is_path(source: str) -> bool:
    return (
        source.startswith((".", "~", "/"))
        or not _HUB_ID.fullmatch(source)
        or format_of(Path(source)) is not None
        or source.lower().endswith(".gz")
    )


def _missing(source: str) -> str:
    path = Path(source).expanduser()
    near = sorted(other.name for other in path.parent.iterdir()) if path.parent.is_dir() else []
    listed = f"{path.parent} holds: {', '.join(near[:8])}{', ...' if len(near) > 8 else ''}"
    return (
        f"{source}: no such file or folder (looked for {path.absolute()})\n"
        f"{listed if near else f'{path.parent.absolute()} does not exist or is empty'}\n"
        f"Name a file ({_FORMATS}), a folder of such files, or a hub id such as org/name."
    )


def _load(source: str, split: str, limit: int | None) -> Rows:
    mind_the_network(source)
    import datasets

    match = _HUB_ID.fullmatch(source)
    assert match is not None  # local_files has refused anything else
    try:
        loaded: Any = datasets.load_dataset(match["path"], match["config"], split=split)
    except Exception as error:  # the hub, its client and loading scripts raise of every kind
        raise DataError(_unreachable(source, split, error)) from error
    count = len(loaded) if limit is None else min(limit, len(loaded))
    rows = [dict(loaded[index]) for index in range(count)]
    return Rows(rows, [f"row {number}" for number in range(1, count + 1)])


def _unreachable(source: str, split: str, error: Exception) -> str:
    said = (str(error).strip().splitlines() or [""])[0][:300]
    return (
        f"{source}: neither a file or folder here, nor a dataset that the hub gives\n"
        f"Tried: {Path(source).absolute()}\n"
        f"Tried: load_dataset({source!r}, split={split!r}): {type(error).__name__}: {said}\n"
        f"Name a file ({_FORMATS}), a folder of such files, or an id as the hub spells it "
        "(org/name, or org/name:configuration).\n"
        "Without a network: fetch it elsewhere, copy the files here and name their folder."
    )
