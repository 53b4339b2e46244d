"""Run folders as they lie on the disk, seen from outside: which there are and how far each came."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rlhf.errors import InputError
from rlhf.runs.lock import held_by
from rlhf.runs.manifest import LOCK, MANIFEST, OPENING, Manifest, Opening, read_manifest, read_opening

Status = Literal["finished", "running", "unfinished", "damaged"]
_NAME = re.compile(r"(?P<stage>[a-z][a-z0-9_]*)-(?P<number>[1-9][0-9]*)")


@dataclass(frozen=True)
class RunFolder:
    """One `<stage>-<number>` folder of an experiment."""

    path: Path
    stage: str
    number: int
    opening: Opening | None
    manifest: Manifest | None
    problem: str | None
    """Why the folder's own files cannot be read, or None."""

    @property
    def identity(self) -> str | None:
        """Of the run that made the folder."""
        known = self.manifest or self.opening
        return known.identity if known else None

    @property
    def running(self) -> str | None:
        """Who works on it right now ("pid 12 on HOST since TIME"), or None."""
        return held_by(self.path / LOCK)

    @property
    def status(self) -> Status:
        """Damaged where its own files cannot be read; finished where it has a manifest."""
        if self.problem:
            return "damaged"
        if self.manifest:
            return "finished"
        return "running" if self.running else "unfinished"


def read_folder(path: Path) -> RunFolder | None:
    """A run folder by its path, or None where the folder is none: no manifest and no `open.json`."""
    opening, manifest, problem = None, None, None
    try:
        manifest = read_manifest(path)
        opening = read_opening(path)
    except InputError as error:
        problem = str(error)
    known = manifest or opening
    named = _NAME.fullmatch(path.name)
    if known:
        return RunFolder(path, known.stage, known.number, opening, manifest, problem)
    if problem:
        stage, number = (named["stage"], int(named["number"])) if named else (path.name, 0)
        return RunFolder(path, stage, number, None, None, problem)
    return None


def run_folders(experiment: Path) -> list[RunFolder]:
    """Every run of an experiment, oldest first (unfinished ones by when they began)."""
    if not experiment.is_dir():
        return []
    paths = (path for path in experiment.iterdir() if _NAME.fullmatch(path.name) and path.is_dir())
    return sorted((folder for path in paths if (folder := read_folder(path))), key=_age)


def experiment_folders(runs_dir: Path) -> list[Path]:
    """The experiments of a runs folder, by name: the folders that hold a run, finished or not.

    Hidden ones are none: `.sweep-NAME` holds what a launcher writes of its jobs.
    """
    if not runs_dir.is_dir():
        return []
    folders = (path for path in runs_dir.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(path for path in folders if _holds_runs(path))


def last_number(experiment: Path, stage: str) -> int:
    """The highest number of a stage that is taken, by whatever kind of folder; 0 where there is none."""
    named = (_NAME.fullmatch(path.name) for path in experiment.iterdir())
    return max((int(match["number"]) for match in named if match and match["stage"] == stage), default=0)


def _holds_runs(folder: Path) -> bool:
    named = (path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    return any((path / MANIFEST).exists() or (path / OPENING).exists() for path in named)


def _age(folder: RunFolder) -> tuple[str, int]:
    when = folder.manifest.finished if folder.manifest else folder.opening.created if folder.opening else None
    return (when.isoformat() if when else "", folder.number)
