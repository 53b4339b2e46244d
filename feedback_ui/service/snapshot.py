"""An immutable folder of what a campaign's raters have said, for training (docs/feedback.md).

`preferences.jsonl`, `demonstrations.jsonl` and `scores.jsonl` are as rlhf/data reads them, `judgements.jsonl`
is everything as it was said, `manifest.json` says what it was taken of. The same judgements give the same
files, to the byte. The folder is whole or absent, and none that is there is written over.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.errors import InvalidFeedback
from feedback_ui.export_rows import (
    Aggregate,
    Row,
    demonstration_rows,
    judgement_rows,
    preference_rows,
    score_rows,
)
from feedback_ui.schema import Assignment, Campaign, Export, Judgement
from feedback_ui.service.access import OPERATOR, Actor, campaign_named, note, require_manager
from feedback_ui.service.current import Said, current
from feedback_ui.tables import dataset_folder, parquet_file, trl_tables
from rlhf.runs.disk import write_folder

MANIFEST = "manifest.json"
# What a spreadsheet takes for the beginning of a formula, full-width forms included.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SnapshotFile(_Frozen):
    """A file of the snapshot."""

    sha256: str
    size: int
    rows: int


class SnapshotManifest(_Frozen):
    """What a snapshot is. `sha256` is over the names and hashes of its files."""

    schema_version: Literal[1] = 1
    kind: Literal["feedback"] = "feedback"
    sha256: str
    campaign: str
    campaign_id: str
    question: str
    form: dict[str, Any]
    aggregate: Aggregate
    counts: dict[str, int]
    guideline_versions: tuple[int, ...]
    first_judgement: datetime | None
    last_judgement: datetime | None
    last_number: int | None
    """The highest number of a judgement in it, of any revision: it holds all up to it, and none after."""
    created: datetime
    files: dict[str, SnapshotFile]


def snapshot(
    db: Database,
    campaign: UUID | str,
    folder: Path | str,
    *,
    actor: Actor = OPERATOR,
    after: int | None = None,
    upto: int | None = None,
    aggregate: Aggregate = "raw",
    as_csv: bool = False,
    as_parquet: bool = False,
    as_datasets: bool = False,
) -> SnapshotManifest:
    """Write what counts now into a folder that is not there yet, and note the export in the store.

    Args:
        after: only what was said after the judgement of this number; of what was taken back since, the line
            in `judgements.jsonl` has the action "withdraw".
        upto: only up to the judgement of this number. What is corrected later comes with what follows it.
        aggregate: each rater's judgements, or one verdict a pair (`feedback_ui.export_rows`).
        as_csv: also as CSV, in `csv/`, where no cell can be taken for a formula.
        as_parquet: also in TRL's formats (`feedback_ui.tables`), in `parquet/`.
        as_datasets: the same as folders for `datasets.load_from_disk`, in `datasets/`.

    Raises:
        NotFound: there is no such campaign.
        InvalidFeedback: the folder is there already, or nothing was judged, and `after` is not said.
        RunError: the disk is full; nothing is left behind.
    """
    require_manager(actor)
    folder = Path(folder)
    if folder.exists():
        raise InvalidFeedback(
            "{folder} is there already; a snapshot is never written over: name another", folder=folder
        )
    row, said, revisions, last = db.read_at_cut(lambda session: _taken(session, campaign, after, upto))
    if not said and after is None:
        raise InvalidFeedback("nothing was judged yet in the campaign {campaign!r}", campaign=row.name)
    tables: dict[str, Sequence[Row]] = {
        "preferences": preference_rows(said, aggregate),
        "demonstrations": demonstration_rows(said),
        "scores": score_rows(said, aggregate),
        "judgements": list(judgement_rows(said)),
    }
    written = {f"{name}.jsonl": (_jsonl(rows), len(rows)) for name, rows in tables.items()}
    if as_csv:
        written |= {f"csv/{name}.csv": (_csv(rows), len(rows)) for name, rows in tables.items() if rows}
    if as_parquet or as_datasets:
        written |= _typed(tables, as_parquet=as_parquet, as_datasets=as_datasets)
    files = {
        name: SnapshotFile(sha256=hashlib.sha256(content).hexdigest(), size=len(content), rows=rows)
        for name, (content, rows) in written.items()
    }
    manifest = SnapshotManifest(
        sha256=_over(files),
        campaign=row.name,
        campaign_id=str(row.id),
        question=row.question,
        form=row.form,
        aggregate=aggregate,
        counts=_counts(said, revisions, tables),
        guideline_versions=tuple(sorted({one.guideline_version for one in said})),
        first_judgement=min((one.created for one in said), default=None),
        last_judgement=max((one.created for one in said), default=None),
        last_number=last,
        created=db.now(),
        files=files,
    )
    contents = {name: content for name, (content, _) in written.items()}
    contents[MANIFEST] = (manifest.model_dump_json(indent=2) + "\n").encode()
    folder.parent.mkdir(parents=True, exist_ok=True)
    write_folder(folder, lambda path: _fill(path, contents))
    db.write(lambda session: _note(session, db, actor, row, folder, manifest))
    return manifest


def news(db: Database, campaign: UUID | str, after: int) -> tuple[int, int | None]:
    """How many items were judged after the judgement of this number, each rater's own; the last number.

    The last number is None where nothing was said since. It is what `upto` of a snapshot takes.
    """

    def work(session: Session) -> tuple[int, int | None]:
        row = campaign_named(session, campaign)
        _, last = session.execute(_said_in(row, after, None)).one()
        judged = (
            select(func.count())
            .select_from(Judgement)
            .join(Assignment, Assignment.id == Judgement.assignment_id)
            .where(Assignment.campaign_id == row.id, Assignment.status == "done")
            .where(Judgement.revision == Assignment.revision, Judgement.number > after)
        )
        return session.scalar(judged) or 0, last

    return db.read_at_cut(work)


def _taken(
    session: Session, campaign: UUID | str, after: int | None, upto: int | None
) -> tuple[Campaign, list[Said], int, int | None]:
    row = campaign_named(session, campaign)
    revisions, last = session.execute(_said_in(row, after, upto)).one()
    return row, current(session, row.id, after=after, upto=upto), revisions, last


def _said_in(row: Campaign, after: int | None, upto: int | None) -> Select[int, int]:
    """Of any revision: how many there are, and the last number."""
    query = (
        select(func.count(), func.max(Judgement.number))
        .join(Assignment, Assignment.id == Judgement.assignment_id)
        .where(Assignment.campaign_id == row.id)
    )
    query = query.where(Judgement.number > after) if after is not None else query
    return query.where(Judgement.number <= upto) if upto is not None else query


def _note(
    session: Session, db: Database, actor: Actor, row: Campaign, folder: Path, manifest: SnapshotManifest
) -> None:
    session.add(
        Export(
            campaign_id=row.id,
            created=manifest.created,
            sha256=manifest.sha256,
            folder=str(folder.absolute()),
            judgements=manifest.counts["judgements"],
            last_number=manifest.last_number,
        )
    )
    note(session, db, actor, "export", str(row.id), sha256=manifest.sha256, aggregate=manifest.aggregate)


def _counts(said: Sequence[Said], revisions: int, tables: Mapping[str, Sequence[Row]]) -> dict[str, int]:
    judged = [one for one in said if one.action == "judge"]
    return {
        "judgements": len(judged),
        "revisions": revisions,
        "items": len({one.subject.id for one in judged}),
        "raters": len({one.rater for one in judged}),
        "skips": sum(one.action == "skip" for one in said),
        "both_bad": sum(bool(one.content.get("both_bad")) for one in judged),
        "on_gold_items": sum(one.subject.gold is not None for one in judged),
        "preferences": len(tables["preferences"]),
        "ties": sum(row["probability"] == 0.5 for row in tables["preferences"]),
        "demonstrations": len(tables["demonstrations"]),
        "scores": len(tables["scores"]),
    }


def _over(files: Mapping[str, SnapshotFile]) -> str:
    listed = "".join(f"{file.sha256}  {name}\n" for name, file in sorted(files.items()))
    return hashlib.sha256(listed.encode()).hexdigest()


def _fill(folder: Path, contents: Mapping[str, bytes]) -> None:
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def _typed(
    tables: Mapping[str, Sequence[Row]], *, as_parquet: bool, as_datasets: bool
) -> dict[str, tuple[bytes, int]]:
    """Files with their rows, by name. A description of a dataset has none."""
    found: dict[str, tuple[bytes, int]] = {}
    for name, table in trl_tables(tables).items():
        if as_parquet:
            found[f"parquet/{name}.parquet"] = (parquet_file(table), table.num_rows)
        if as_datasets:
            for part, content in dataset_folder(table).items():
                rows = table.num_rows if part.endswith(".arrow") else 0
                found[f"datasets/{name}/{part}"] = (content, rows)
    return found


def _jsonl(rows: Iterable[Row]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows).encode()


def _csv(rows: Sequence[Row]) -> bytes:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_MINIMAL)
    writer.writerow([_cell(name) for name in columns])
    writer.writerows([[_cell(row.get(name)) for name in columns] for row in rows])
    return ("\ufeff" + text.getvalue()).encode()  # the mark by which Excel knows UTF-8


def _cell(value: Any) -> Any:
    """A cell that shows the value and is never run: text that begins like a formula stands after a quote."""
    if isinstance(value, (dict, list)):
        value = json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and value.lstrip(" \u00a0\u3000").startswith(_FORMULA):
        return f"'{value}"
    return value
