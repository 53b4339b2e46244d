"""A client that goes away before its answer is whole: decoding ends with it."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from rlhf.serving.answering import AnswerError, Piece
from rlhf.serving.app import _unless_gone

LONG_S = 100.0
FIRST, LAST = Piece(0, "一", None), Piece(0, "二", "stop")


class Answering:
    """Answers that come at once, never, or break off."""

    def __init__(self, *, hangs: bool = False, breaks: bool = False) -> None:
        self.hangs, self.breaks, self.cancelled = hangs, breaks, False

    async def pieces(self) -> AsyncGenerator[Piece]:
        yield FIRST
        if self.breaks:
            raise AnswerError("out of memory")
        if self.hangs:
            await asyncio.sleep(LONG_S)
        yield LAST

    def cancel(self) -> None:
        self.cancelled = True


class Client:
    """The other end of a request."""

    def __init__(self, *, leaves: bool) -> None:
        self._waits_s = 0.01 if leaves else LONG_S

    async def receive(self) -> dict[str, Any]:
        await asyncio.sleep(self._waits_s)
        return {"type": "http.disconnect"}


def outcome(client: Client, answers: Answering) -> list[Piece] | None:
    return asyncio.run(_unless_gone(client, answers))  # type: ignore[arg-type]


def test_who_stays_gets_all() -> None:
    assert outcome(Client(leaves=False), Answering()) == [FIRST, LAST]


def test_who_leaves_frees_the_rows() -> None:
    answers = Answering(hangs=True)
    assert outcome(Client(leaves=True), answers) is None
    assert answers.cancelled


def test_what_breaks_off_is_an_error() -> None:
    with pytest.raises(AnswerError, match="memory"):
        outcome(Client(leaves=False), Answering(breaks=True))
