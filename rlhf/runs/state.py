"""States to resume from: `state/step-N/`, each whole or absent, checked again before it is used."""

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rlhf.runs.disk import files_below, remove, sha256_file, size_of, write_atomic, write_folder
from rlhf.runs.plain import dumps

_log = logging.getLogger("rlhf.runs")
_CONTENTS = "contents.json"
_STEP = re.compile(r"step-(\d+)")
# Beyond this a hash would cost more than the save itself; a truncated file still shows in its size.
_HASHED_UP_TO = 256 * 2**20


def save_state(folder: Path, step: int, write: Callable[[Path], object], *, keep: int) -> None:
    """Write `step-N` below `folder`, then remove all but the last `keep` states up to that step.

    States of later steps go as well: a run that was taken up at an earlier one has left them behind.

    Raises:
        RunError: the disk is full; earlier states are untouched.
    """
    folder.mkdir(exist_ok=True)
    earlier = _steps(folder)

    def write_with_contents(target: Path) -> None:
        write(target)
        if any(target.iterdir()):
            write_atomic(target / _CONTENTS, dumps(_contents(target)).encode())

    needs = size_of(folder / f"step-{max(earlier)}") if earlier else None
    write_folder(folder / f"step-{step}", write_with_contents, needs=needs)
    kept = sorted({past for past in earlier if past < step} | {step})[-keep:]
    for past in set(earlier) - set(kept):
        remove(folder / f"step-{past}")


def latest_state(folder: Path) -> tuple[int, Path] | None:
    """The newest state that is whole, with its step. A damaged one is passed over with a warning."""
    for step in sorted(_steps(folder), reverse=True):
        path = folder / f"step-{step}"
        damage = _damage(path)
        if damage is None:
            return step, path
        _log.warning("%s is damaged (%s); taking the state before it", path, damage)
    return None


def _steps(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    return [int(match[1]) for path in folder.iterdir() if (match := _STEP.fullmatch(path.name))]


def _contents(state: Path) -> dict[str, Any]:
    files = {path.relative_to(state).as_posix(): path for path in files_below(state)}
    return {name: {"size": path.stat().st_size, "sha256": _hash(path)} for name, path in files.items()}


def _hash(path: Path) -> str | None:
    return sha256_file(path) if path.stat().st_size <= _HASHED_UP_TO else None


def _damage(state: Path) -> str | None:
    """What is wrong with a state, or None."""
    try:
        contents = json.loads((state / _CONTENTS).read_bytes())
    except (OSError, ValueError):
        return f"{_CONTENTS} cannot be read"
    for name, expected in contents.items():
        path = state / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != expected["size"]:
            return f"{name} has {path.stat().st_size} bytes, not {expected['size']}"
        if _hash(path) != expected["sha256"]:
            return f"{name} has another content than was saved"
    return None
