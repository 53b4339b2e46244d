"""Loops that are ended at a moment of the test's choosing, as by a kill."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import rlhf.runs.run
from feedback_ui.database import Database


class Killed(BaseException):
    """In place of a kill: nothing catches it."""


@contextmanager
def killed_at(event: int) -> Generator[None]:
    """Ends everything at the so-manieth write, of a file before or after it, or of the store after it."""
    count = 0
    writes, commits = rlhf.runs.run.write_atomic, Database.write

    def passed() -> None:
        nonlocal count
        count += 1
        if count == event:
            raise Killed

    def write_atomic(*arguments: Any) -> None:
        passed()
        writes(*arguments)
        passed()

    def write(self: Database, work: Callable[[Any], Any], **options: Any) -> Any:
        result = commits(self, work, **options)
        passed()
        return result

    with patch.object(rlhf.runs.run, "write_atomic", write_atomic), patch.object(Database, "write", write):
        yield


def kills_until_done(run: Callable[[], object], *, every: int, most: int) -> int:
    """Ends it every so many events, and up to four more, until it comes to its end; how often that was."""
    kills = 0
    while True:
        try:
            with killed_at(every + kills % 5):
                if run() is not None:
                    return kills
        except Killed:
            kills += 1
            assert kills < most
