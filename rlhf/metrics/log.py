"""`metrics.jsonl`: one line of JSON a step, in the file as soon as it is logged, cut back on resume.

A line is `{"step": 12, "loss": 0.31, ..., "time": 1767225600.123}`. Not-a-number and infinities are the
strings "NaN", "Infinity" and "-Infinity", so that every line is valid JSON; `read_metrics` makes them
floats again.
"""

import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from rlhf.runs.disk import disk_errors
from rlhf.runs.plain import NON_FINITE, dumps, plain

_log = logging.getLogger("rlhf.metrics")


class Tracker(Protocol):
    """Where figures go beside the file: TensorBoard and the like (`rlhf.training.trackers`)."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Take the figures of one step."""
        ...

    def text(self, step: int, tag: str, rows: Sequence[Mapping[str, str]]) -> None:
        """Take a table of texts, such as samples; a tracker that shows none passes over it."""
        ...

    def close(self) -> None:
        """Write out what is still held back."""
        ...


class MetricsLog:
    """Appends figures to a file and hands them to the trackers. A context manager that closes both."""

    def __init__(self, path: Path, trackers: Sequence[Tracker] = ()) -> None:
        """Open the file, there already or not; a last line that a kill tore off is removed.

        Raises:
            RunError: the disk is full.
        """
        self.path = path
        self.trackers = tuple(trackers)
        with disk_errors(path):
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        os.ftruncate(self._descriptor, _whole_lines(path.read_bytes()))

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """Write one line, and hand the figures on. A value may be a number, or a scalar tensor or array.

        Raises:
            RunError: the disk is full; the file still ends with a whole line.
            ValueError: a value is called `step` or `time`.
        """
        taken = {"step", "time"} & values.keys()
        if taken:
            raise ValueError(f"a metric cannot be called {sorted(taken)}; the line has a field of that name")
        figures = {name: _figure(value) for name, value in values.items()}
        self._append({"step": step, **figures, "time": round(time.time(), 3)})
        for tracker in self.trackers:
            tracker.log(step, figures)

    def text(self, step: int, tag: str, rows: Sequence[Mapping[str, str]]) -> None:
        """Hand a table of texts to the trackers; the file holds figures alone."""
        for tracker in self.trackers:
            tracker.text(step, tag, rows)

    def position(self) -> int:
        """How far the file reaches, in bytes, all of it on the disk: what a state remembers."""
        os.fsync(self._descriptor)
        return os.fstat(self._descriptor).st_size

    def rewind(self, position: int) -> None:
        """Cut the file back to a position: what was logged since is going to be logged again."""
        size = os.fstat(self._descriptor).st_size
        if size < position:
            _log.warning("%s has %d bytes of the %d it had; some lines are lost", self.path, size, position)
            return
        os.ftruncate(self._descriptor, position)
        os.ftruncate(self._descriptor, _whole_lines(self.path.read_bytes()))

    def close(self) -> None:
        """Close the file and the trackers. Does nothing the second time."""
        if self._descriptor < 0:
            return
        os.close(self._descriptor)
        self._descriptor = -1
        for tracker in self.trackers:
            tracker.close()

    def __enter__(self) -> "MetricsLog":
        """The log itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close, whatever happened."""
        self.close()

    def _append(self, row: dict[str, Any]) -> None:
        line = (dumps(row) + "\n").encode("utf-8", errors="surrogatepass")
        start = os.fstat(self._descriptor).st_size
        try:
            with disk_errors(self.path):
                while line:
                    line = line[os.write(self._descriptor, line) :]
        except BaseException:
            os.ftruncate(self._descriptor, start)
            raise


class JoinedLog(MetricsLog):
    """The log of a run that another process writes: takes figures as `MetricsLog` does, and keeps none."""

    def __init__(self, path: Path) -> None:
        """Opens nothing."""
        self.path = path
        self.trackers = ()
        self._descriptor = -1

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """Nothing."""

    def position(self) -> int:
        """Of no file."""
        return 0

    def rewind(self, position: int) -> None:
        """Nothing."""


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Every whole line of a `metrics.jsonl`, in order; empty where there is no file."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    lines = content[: _whole_lines(content)].decode("utf-8", errors="surrogatepass").split("\n")
    return [{key: _float_again(value) for key, value in json.loads(line).items()} for line in lines if line]


def _figure(value: Any) -> Any:
    """A number; what comes from numpy or torch becomes a float or an int of Python."""
    return value if isinstance(value, float) else _float_again(plain(value))


def _float_again(value: Any) -> Any:
    return float(value) if isinstance(value, str) and value in NON_FINITE else value


def _whole_lines(content: bytes) -> int:
    """How many bytes the lines take that end as a line should."""
    return content.rfind(b"\n") + 1
