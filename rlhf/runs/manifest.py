"""What a run folder says of itself: `open.json` from its first moment, `manifest.json` once finished."""

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from rlhf.errors import InputError
from rlhf.runs.disk import files_below, sha256_file, sync_file

Kind = Literal[
    "dataset", "policy", "reward_model", "preferences", "samples", "study", "evaluation", "loop", "export"
]

_Model = TypeVar("_Model", bound=BaseModel)

MANIFEST = "manifest.json"
OPENING = "open.json"
LOCK = "run.lock"
SECONDS = "seconds.json"
STATE = "state"
TRACKERS = "trackers"
# What the manifest does not cover: how the run is resumed, and the folder where trackers write.
_PASSING = frozenset({MANIFEST, OPENING, LOCK, SECONDS, STATE, TRACKERS})


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InputRecord(_Frozen):
    """One input of a run, by which its lineage is followed."""

    kind: Kind
    path: str
    """Relative to the runs folder when inside it; else absolute, or a hub id."""
    manifest_sha256: str | None = None
    """Of the input's manifest.json; None for a plain model folder or a hub id."""
    fingerprint: str


class FileRecord(_Frozen):
    """A file of a finished run. Size and time serve the daily check, the hash `verify`."""

    sha256: str
    size: int
    mtime_ns: int


class Opening(_Frozen):
    """What is known of a run when it begins."""

    schema_version: Literal[1] = 1
    identity: str
    stage: str
    experiment: str
    number: int
    created: datetime
    command: str
    """The command line that made the run, and resumes it."""
    inputs: dict[str, InputRecord] = {}
    data_files: dict[str, str] = {}


class Manifest(_Frozen):
    """What a finished run is: what it holds, what it was made from, with what, and how it came out."""

    schema_version: Literal[1] = 1
    kind: Kind
    stage: str
    experiment: str
    number: int
    identity: str
    created: datetime
    finished: datetime
    seconds: float
    """Spent working, summed over every time the run was resumed."""
    inputs: dict[str, InputRecord] = {}
    """By role: policy, reference, reward_model, critic, baseline, judge, preferences, samples."""
    data_files: dict[str, str] = {}
    """SHA-256 of each data file's content, by path."""
    files: dict[str, FileRecord] = {}
    """Everything final in the run folder, by path relative to it."""
    base_model: str | None = None
    tokenizer_sha256: str | None = None
    chat_template_sha256: str | None = None
    packages: dict[str, str] = {}
    git_revision: str | None = None
    git_dirty: bool | None = None
    seed: int | None = None
    resolved: dict[str, Any] = {}
    """What `auto` became: device, precision, threads and the like."""
    metrics: dict[str, Any] = {}
    """Final figures, the most telling first."""


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a run folder, or None where it has none (unfinished).

    Raises:
        InputError: there is one, and it cannot be read.
    """
    return _read(folder / MANIFEST, Manifest)


def read_opening(folder: Path) -> Opening | None:
    """What a run folder said of itself when it began, or None where it is no run folder.

    Raises:
        InputError: there is one, and it cannot be read.
    """
    return _read(folder / OPENING, Opening)


def manifest_sha256(folder: Path) -> str:
    """SHA-256 of a finished run's manifest: by it another run names this one as its input."""
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()


def record_files(folder: Path) -> dict[str, FileRecord]:
    """Hash, size and time of everything final in a run folder, each file synced to the disk first."""
    records: dict[str, FileRecord] = {}
    for path in files_below(folder):
        name = path.relative_to(folder)
        if name.parts[0] in _PASSING:
            continue
        sync_file(path)
        status = path.stat()
        records[name.as_posix()] = FileRecord(
            sha256=sha256_file(path), size=status.st_size, mtime_ns=status.st_mtime_ns
        )
    return records


def changed_file(folder: Path, manifest: Manifest) -> str | None:
    """The daily check: what is wrong with the first file that is not as the manifest says, or None.

    Looks at size and time alone; where only the time differs (a copied folder) the hash decides.
    """
    for name, record in manifest.files.items():
        path = folder / name
        if not path.is_file():
            return f"{path} is missing"
        status = path.stat()
        when = datetime.fromtimestamp(status.st_mtime).isoformat(sep=" ", timespec="seconds")
        if status.st_size != record.size:
            return f"{path} was changed on {when}: {status.st_size} bytes, {record.size} when it was finished"
        if status.st_mtime_ns != record.mtime_ns and sha256_file(path) != record.sha256:
            return f"{path} was changed on {when}: its content differs from when it was finished"
    return None


def _read(path: Path, model: type[_Model]) -> _Model | None:
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise InputError(
            f"{path} cannot be read ({where}: {first['msg']}).\n"
            f"It was damaged, or written by another version. Restore it from a copy, or delete {path.parent} "
            f"and run its command again."
        ) from None
