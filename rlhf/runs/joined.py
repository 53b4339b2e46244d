"""A run as the other processes that work on it see it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlhf.runs.manifest import Manifest, Opening
from rlhf.runs.run import Run


@dataclass(frozen=True)
class Opened:
    """What the process that opened a run tells the others of it."""

    path: Path
    opening: Opening
    resumed: bool
    manifest: Manifest | None


class JoinedRun(Run):
    """A run that another process has opened: it reads, and the writes of a story that both tell pass it by.

    So each file has one writer, and a stage needs no branches. `finish` is for the other process alone.
    """

    def __init__(self, opened: Opened) -> None:
        """Takes what the opener told."""
        super().__init__(opened.path, opened.opening, None, resumed=opened.resumed, manifest=opened.manifest)

    def save_state(self, step: int, write: Callable[[Path], object], keep: int = 2) -> None:
        """Nothing: the opener saves."""

    def publish(self, name: str, write: Callable[[Path], object]) -> Path:
        """Where the opener publishes."""
        return self.path / name

    def finish(self, *_: Any, **__: Any) -> Manifest:
        """Never called: RuntimeError."""
        raise RuntimeError("the process that opened a run finishes it")

    def _write(self, name: str, content: bytes | Iterable[bytes]) -> Path:
        return self.path / name


def opened(run: Run) -> Opened:
    """What `JoinedRun` takes."""
    return Opened(run.path, run.opening, run.resumed, run.manifest)
