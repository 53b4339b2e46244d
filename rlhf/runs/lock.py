"""Locks between processes, held by the kernel: a process that dies, however it dies, lets go of them."""

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_ATTEMPTS = 4  # someone who only looks whether a lock is held holds it for an instant
_PAUSE_S = 0.05
_held: set[int] = set()


class Held(Exception):  # noqa: N818 - a state of things, not a failure
    """Another process has the lock. `holder` says which: "pid 12 on HOST since TIME"."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


class Lock:
    """An exclusive lock on a file, which says who holds it. `release`, or the process's end, frees it."""

    def __init__(self, path: Path) -> None:
        """Take the lock at once, or raise `Held`."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _take(self._descriptor)
        except BlockingIOError:
            os.close(self._descriptor)
            raise Held(_holder(path)) from None
        _held.add(self._descriptor)
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, json.dumps(_me()).encode())

    def release(self) -> None:
        """Let go. Does nothing the second time, and nothing in a forked child."""
        if self._descriptor in _held:
            _held.discard(self._descriptor)
            os.close(self._descriptor)


def held_by(path: Path) -> str | None:
    """Who holds the lock on a file right now, or None. Takes no lock that outlasts the question."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(path)
    finally:
        os.close(descriptor)
    return None


@contextmanager
def exclusive(path: Path) -> Generator[None]:
    """Wait for the lock on a file, hold it for the block. For steps that take milliseconds."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(_PAUSE_S)


def _me() -> dict[str, Any]:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": since}


def _holder(path: Path) -> str:
    try:
        who = json.loads(path.read_bytes())
        return f"pid {who['pid']} on {who['host']} since {who['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _let_go_in_child() -> None:
    """A forked worker that outlives its parent must not keep the parent's lock."""
    for descriptor in _held:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_let_go_in_child)
