"""Snapshots of the feedback page: folders whose manifest says what each file is, and its hash.

Pairs, demonstrations and single scores lie side by side there, beside all judgements as they were said, so a
snapshot is never read as a folder of rows: each dataset has its file.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlhf.errors import DataError

MANIFEST = "manifest.json"
DATASETS = ("preferences", "demonstrations", "scores")


@dataclass(frozen=True)
class Snapshot:
    """A snapshot that was checked. `sha256` is the export's own, over names and hashes of its files."""

    folder: Path
    sha256: str
    campaign: str
    aggregate: str
    rows: Mapping[str, int]

    def file(self, dataset: str) -> Path | None:
        """The file of a dataset; None where nobody gave any of it."""
        name = f"{dataset}.jsonl"
        return self.folder / name if self.rows.get(name) else None

    @property
    def recorded(self) -> dict[str, Any]:
        """What the manifest of a run says of it."""
        return {"sha256": self.sha256, "campaign": self.campaign, "aggregate": self.aggregate}


def is_snapshot(source: str | Path) -> bool:
    """Whether a path is a folder that the feedback page exported."""
    path = Path(source).expanduser() / MANIFEST
    if not path.is_file():
        return False
    try:
        manifest = json.loads(path.read_bytes())
    except ValueError:
        return False
    return isinstance(manifest, dict) and manifest.get("kind") == "feedback"


def open_snapshot(source: str | Path) -> Snapshot:
    """The snapshot in a folder, its files held against their hashes.

    Raises:
        DataError: there is no snapshot, it is of another version, or a file is not what it was.
    """
    folder = Path(source).expanduser()
    if not is_snapshot(folder):
        there = "holds no snapshot" if folder.is_dir() else "is no folder"
        raise DataError(
            f"{source}: {there} of feedback; name the folder that `python -m feedback_ui export` made, "
            f"with {MANIFEST} in it"
        )
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
        if manifest["schema_version"] != 1:
            raise DataError(
                f"{source}: is a snapshot of version {manifest['schema_version']}, and this program reads "
                "version 1; export it anew with the feedback page of this version"
            )
        files: dict[str, dict[str, Any]] = manifest["files"]
        listed = {name: str(entry["sha256"]) for name, entry in files.items()}
        rows = {name: int(entry["rows"]) for name, entry in files.items()}
        found = Snapshot(folder, manifest["sha256"], manifest["campaign"], manifest["aggregate"], rows)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{source}/{MANIFEST}: is damaged ({type(error).__name__}: {error}); export the snapshot anew"
        ) from None
    _check(found, listed)
    return found


def dataset_of(source: str, dataset: str) -> str | None:
    """What to read where `source` is named for a dataset: of a snapshot its file, of all else itself.

    None where the snapshot holds nothing of it. Raises `DataError` as `open_snapshot` does.
    """
    if not is_snapshot(source):
        return source
    file = open_snapshot(source).file(dataset)
    return None if file is None else str(file)


def _check(snapshot: Snapshot, listed: Mapping[str, str]) -> None:
    for name, sha256 in listed.items():
        path = snapshot.folder / name
        if not path.is_file():
            raise DataError(f"{path}: is missing from the snapshot; export it anew")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise DataError(
                    f"{path}: is not what was exported, and a snapshot is never changed; restore it, or "
                    "export anew"
                )
    lines = "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(listed.items()))
    if hashlib.sha256(lines.encode()).hexdigest() != snapshot.sha256:
        raise DataError(f"{snapshot.folder / MANIFEST}: does not fit its own hash; export the snapshot anew")
