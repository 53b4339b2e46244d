"""Files as items to judge, row by row: what each row is (`feedback_ui.rows`), and single answers joined."""

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from feedback_ui.errors import InvalidFeedback
from feedback_ui.form import ANSWERS, Kind
from feedback_ui.rows import ItemDraft, RowProblem, checked, draft_of
from feedback_ui.tabular import TABLES, is_dataset, read_table
from rlhf.runs.manifest import read_manifest

SAMPLES = "samples.jsonl"


def read_source(path: Path) -> Iterator[tuple[str, Any]]:
    """Place and value of each row: of JSON lines, of one list in a `.json` file, of a table (tabular.py), or
    of a samples run.

    Raises InvalidFeedback where it cannot be read, or a folder is no finished run of samples.
    """
    if path.is_dir():
        return read_table(path) if is_dataset(path) else read_jsonl(_samples_of(path))
    if set(TABLES) & set(path.suffixes[-2:]):
        return read_table(path)
    if ".json" in path.suffixes[-2:]:
        return _read_list(path)
    return read_jsonl(path)


def read_jsonl(path: Path) -> Iterator[tuple[str, Any]]:
    """Place (`file.jsonl:12`) and value of each line, or a `RowProblem` for one that is not JSON.

    Raises InvalidFeedback where the file cannot be read.
    """
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                place = f"{path.name}:{number}"
                if line.strip():
                    yield place, _parsed(place, line)
    except (OSError, EOFError) as error:
        why = getattr(error, "strerror", None) or str(error)
        if number:
            raise InvalidFeedback(
                "{path} cannot be read after line {number}: {why}", path=path, number=number, why=why
            ) from None
        raise InvalidFeedback("{path} cannot be read: {why}", path=path, why=why) from None


def parse_rows(rows: Iterable[tuple[str, Any]], kind: Kind) -> Iterator[ItemDraft | RowProblem]:
    """A draft or a problem for each row; rows with one answer are joined where `kind` shows several."""
    singles: list[ItemDraft] = []
    low, high = ANSWERS[kind]
    for place, row in rows:
        try:
            if isinstance(row, RowProblem):
                yield row
                continue
            draft = draft_of(place, row)
            if draft.single and low > 1:
                singles.append(draft)
                continue
            yield checked(draft, kind)
        except InvalidFeedback as error:
            yield RowProblem(place, error)
    for draft in group(singles, low, high):
        if isinstance(draft, RowProblem):
            yield draft
            continue
        try:
            yield checked(draft, kind)
        except InvalidFeedback as error:
            yield RowProblem(draft.place, error)


def group(singles: Sequence[ItemDraft], low: int, high: int) -> Iterator[ItemDraft | RowProblem]:
    """Items of `low` to `high` answers out of single answers to one prompt, in the order of the file.

    Answers of equal text count once. The models take turns, so that a pair is of two models where there are
    two; each answer is in one item, and one that is left over is a problem.
    """
    prompts: dict[str, list[ItemDraft]] = {}
    for draft in singles:
        prompts.setdefault(draft.prompt.key, []).append(draft)
    for drafts in prompts.values():
        distinct: dict[str, ItemDraft] = {}
        for draft in drafts:
            distinct.setdefault(draft.answers[0].text, draft)
        turns = _take_turns([*distinct.values()])
        for start in range(0, len(turns), high):
            part = turns[start : start + high]
            if len(part) < low:
                for draft in part:
                    alone = InvalidFeedback("no other answer to this prompt is left to put beside it")
                    yield RowProblem(draft.place, alone)
                continue
            answers = tuple(draft.answers[0] for draft in part)
            for draft in part:
                if draft.said:
                    lost = InvalidFeedback("what was said of one answer says nothing of several")
                    yield RowProblem(draft.place, lost)
            yield replace(part[0], answers=answers, gold=None, single=False, said=())


def _samples_of(folder: Path) -> Path:
    manifest = read_manifest(folder)
    if manifest is not None and manifest.kind == "samples":
        return folder / SAMPLES
    if manifest is not None:
        raise InvalidFeedback(
            "{folder} holds {kind}, not samples; make them by stage=sample", folder=folder, kind=manifest.kind
        )
    if (folder / SAMPLES).is_file():
        raise InvalidFeedback(
            "{folder} is an unfinished run; give its command again, or name {samples} in it",
            folder=folder,
            samples=SAMPLES,
        )
    raise InvalidFeedback(
        "{folder} is a folder and no run of samples; name a file, or a run of stage=sample", folder=folder
    )


def _read_list(path: Path) -> Iterator[tuple[str, Any]]:
    """Of one JSON list, however it is laid out; JSON lines that are called `.json` are read as such."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            value = json.loads(file.read().decode("utf-8-sig"))
    except (OSError, EOFError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InvalidFeedback("{path} cannot be read: {why}", path=path, why=why) from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        yield from read_jsonl(path)
        return
    rows = cast("list[Any]", value) if isinstance(value, list) else [value]
    for number, row in enumerate(rows, start=1):
        yield f"{path.name}: row {number}", row


def _parsed(place: str, line: bytes) -> Any:
    try:
        return json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return RowProblem(place, InvalidFeedback("is not valid UTF-8"))
    except (json.JSONDecodeError, RecursionError) as error:
        return RowProblem(place, InvalidFeedback("is not JSON: {said}", said=str(error)))


def _take_turns(drafts: Sequence[ItemDraft]) -> list[ItemDraft]:
    by_model: dict[tuple[str | None, str | None], list[ItemDraft]] = {}
    for draft in drafts:
        by_model.setdefault((draft.answers[0].model, draft.answers[0].run), []).append(draft)
    longest = max(len(own) for own in by_model.values())
    return [own[turn] for turn in range(longest) for own in by_model.values() if turn < len(own)]
