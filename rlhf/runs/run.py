"""One run: the folder a stage writes into, held by a lock until it is finished."""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any

from rlhf.errors import RlhfError, RunError
from rlhf.runs import provenance, state
from rlhf.runs.disk import disk_errors, remove, settle, write_atomic, write_folder
from rlhf.runs.lock import Lock
from rlhf.runs.manifest import (
    LOCK,
    MANIFEST,
    OPENING,
    SECONDS,
    STATE,
    TRACKERS,
    Kind,
    Manifest,
    Opening,
    record_files,
)
from rlhf.runs.plain import dumps, plain

_FROM_THE_START = frozenset({"config.yaml", "metrics.jsonl", OPENING, SECONDS, LOCK, TRACKERS})
_OURS = frozenset({MANIFEST, OPENING, SECONDS, LOCK, STATE, TRACKERS})


class Run:
    """A run folder, open for writing: a context manager that holds the run's lock.

    Where `finished` is true the same run was made before: `manifest` says how it came out, no lock is held
    and every write is refused. Made by `Experiment.open`.
    """

    def __init__(
        self,
        path: Path,
        opening: Opening,
        lock: Lock | None,
        *,
        resumed: bool,
        manifest: Manifest | None = None,
    ) -> None:
        """For `Experiment.open` alone."""
        self.path = path
        self.opening = opening
        self.resumed = resumed
        self.manifest = manifest
        self._lock = lock
        self._began = time.monotonic()
        self._seconds_before = manifest.seconds if manifest else _read_seconds(path)
        self._revision = (None, None) if manifest else provenance.git_revision()
        if lock:
            settle(path)
            if (path / STATE).is_dir():
                settle(path / STATE)

    @property
    def stage(self) -> str:
        """The stage that the run is of."""
        return self.opening.stage

    @property
    def number(self) -> int:
        """Counts the runs of this stage in this experiment, from 1."""
        return self.opening.number

    @property
    def identity(self) -> str:
        """Hash of all that decides the result."""
        return self.opening.identity

    @property
    def finished(self) -> bool:
        """Whether the run has its manifest: nothing is written to it any more."""
        return self.manifest is not None

    @property
    def seconds(self) -> float:
        """Worked on this run, summed over every time it was resumed."""
        return self._seconds_before + (0.0 if self.finished else time.monotonic() - self._began)

    @property
    def metrics_path(self) -> Path:
        """`metrics.jsonl`, for `MetricsLog`."""
        return self.path / "metrics.jsonl"

    @property
    def trackers_path(self) -> Path:
        """Where trackers write; no part of the manifest."""
        return self.path / TRACKERS

    def save_state(self, step: int, write: Callable[[Path], object], keep: int = 2) -> None:
        """Write the state after `step`: `write` fills the folder it is given. The last `keep` are kept.

        Raises:
            RunError: the disk is full; the states before are untouched.
        """
        self._must_be_open()
        state.save_state(self.path / STATE, step, write, keep=keep)
        self._write_seconds()

    def latest_state(self) -> tuple[int, Path] | None:
        """Step and folder of the newest state that is whole; a damaged one is passed over with a warning."""
        return state.latest_state(self.path / STATE)

    def drop_states(self) -> None:
        """Remove the states of a finished run: what resumes from them is done, and they are its largest part.

        Of an unfinished one they stay: RunError.
        """
        if not self.finished:
            raise RunError(f"{self.path} is unfinished; its states are what it resumes from, so they stay")
        remove(self.path / STATE)

    def publish(self, name: str, write: Callable[[Path], object]) -> Path:
        """Make a folder such as `model` whole or not at all; replaces one of an earlier attempt.

        Raises:
            RunError: the disk is full, or the run is finished.
        """
        target = self._target(name)
        write_folder(target, write)
        return target

    def write_text(self, name: str, text: str) -> Path:
        """Write a text file whole or not at all."""
        return self._write(name, text.encode("utf-8", errors="surrogatepass"))

    def write_json(self, name: str, value: Any) -> Path:
        """Write a value as JSON, whole or not at all; NaN and infinities become strings."""
        return self._write(name, (dumps(value, indent=2) + "\n").encode("utf-8", errors="surrogatepass"))

    def write_jsonl(self, name: str, rows: Iterable[Any]) -> Path:
        """Write one line of JSON a row, whole or not at all; the rows may be a generator."""
        return self._write(
            name, ((dumps(row) + "\n").encode("utf-8", errors="surrogatepass") for row in rows)
        )

    def finish(
        self,
        kind: Kind,
        *,
        metrics: Mapping[str, Any],
        resolved: Mapping[str, Any],
        seed: int | None = None,
        base_model: str | None = None,
        tokenizer_sha256: str | None = None,
        chat_template_sha256: str | None = None,
    ) -> Manifest:
        """Write the manifest, last of all: from here on the run is finished and never written again.

        The states to resume from are removed. Everything final must be there and closed (`MetricsLog.close`).

        Args:
            kind: what the run made.
            metrics: final figures, the most telling first: listings show the first few.
            resolved: what `auto` became (device, precision, threads) and other facts worth keeping.
            seed: the run's seed.
            base_model: hub id or path of the model that all began with.
            tokenizer_sha256: of the tokenizer's files.
            chat_template_sha256: of the chat template's text.

        Raises:
            RunError: the disk is full; the same command takes up where it was.
        """
        self._must_be_open()
        revision, dirty = self._revision
        with disk_errors(self.path):
            manifest = Manifest(
                kind=kind,
                stage=self.stage,
                experiment=self.opening.experiment,
                number=self.number,
                identity=self.identity,
                created=self.opening.created,
                finished=datetime.now(UTC),
                seconds=round(self.seconds, 3),
                inputs=self.opening.inputs,
                data_files=self.opening.data_files,
                files=record_files(self.path),
                base_model=base_model,
                tokenizer_sha256=tokenizer_sha256,
                chat_template_sha256=chat_template_sha256,
                packages=provenance.package_versions(),
                git_revision=revision,
                git_dirty=dirty,
                seed=seed,
                resolved=plain(resolved),
                metrics=plain(metrics),
            )
        write_atomic(self.path / MANIFEST, manifest.model_dump_json(indent=1).encode() + b"\n")
        self.manifest = manifest
        remove(self.path / SECONDS)
        self.drop_states()
        return manifest

    def close(self) -> None:
        """Let go of the run; an unfinished one remembers the time spent so far."""
        if self._lock is None:
            return
        try:
            if not self.finished:
                self._write_seconds()
        finally:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> "Run":
        """The run itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close, whatever happened; a run that was refused before it held anything leaves no folder."""
        try:
            if isinstance(error, RlhfError) and self._lock and not self.resumed and self._holds_nothing():
                remove(self.path)
                self._lock.release()
                self._lock = None
            self.close()
        except (RunError, OSError):
            if error is None:
                raise

    def _holds_nothing(self) -> bool:
        """Whether there is nothing here that the same command would not begin with once more."""
        found = {path.name for path in self.path.iterdir()}
        log = self.metrics_path
        return found <= _FROM_THE_START and not (log.exists() and log.stat().st_size)

    def _write(self, name: str, content: bytes | Iterable[bytes]) -> Path:
        target = self._target(name)
        write_atomic(target, content)
        return target

    def _target(self, name: str) -> Path:
        self._must_be_open()
        parts = PurePosixPath(name).parts
        if not parts or parts[0] in _OURS or any(part.startswith((".", "/")) for part in parts):
            raise ValueError(
                f"{name!r} is no name for a file of a run (relative, not hidden, not {sorted(_OURS)})"
            )
        target = self.path.joinpath(*parts)
        with disk_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _must_be_open(self) -> None:
        if self.finished:
            raise RunError(
                f"{self.path} is finished, and a finished run is never written again.\n"
                f"Change an option (seed=... will do) to begin another one."
            )
        if self._lock is None:
            raise RunError(f"{self.path} was closed; open the run again before writing to it")

    def _write_seconds(self) -> None:
        write_atomic(self.path / SECONDS, json.dumps({"seconds": round(self.seconds, 3)}).encode())


def _read_seconds(path: Path) -> float:
    try:
        return float(json.loads((path / SECONDS).read_bytes())["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0
