"""The page's server as a process of its own, and browsers without a screen that talk to it."""

import json
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from feedback_ui.children import ending_with_us

ROOT = Path(__file__).resolve().parents[2]
START_S = 300.0
ANSWER_S = 120.0


class NoAnswer(Exception):  # noqa: N818
    """The server was not reached, or went away before it had answered."""


@dataclass(frozen=True)
class Answer:
    """A status, and the JSON with it."""

    status: int
    body: Any


class Page:
    """`python -m feedback_ui serve` on a store; as a context it is stopped at the end, whatever happened.

    It ends with this process, also where that is killed.
    """

    def __init__(
        self,
        place: str,
        *,
        port: int = 0,
        options: Sequence[str] = ("--accounts",),
        largest_file: int | None = None,
    ) -> None:
        """Starts it, and waits until it answers.

        Args:
            largest_file: bytes to which it can make a file grow: a disk that is full.
        """
        command = [sys.executable, "-m", "feedback_ui", "serve", "--db", place, "--port", str(port)]
        self.process = subprocess.Popen(
            [*command, *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for us, who stop it
            preexec_fn=partial(_prepare, ending_with_us(signal.SIGKILL), largest_file),
        )
        self.said: list[str] = []
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        self.address = self._address()

    def __enter__(self) -> Self:
        """It runs already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stopped, or killed where something went wrong already."""
        if error is None:
            self.stop()
        else:
            self.kill()

    @property
    def port(self) -> int:
        """Where it listens."""
        return urlsplit(self.address).port or 80

    def kill(self) -> None:
        """As by `kill -9`."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """As by Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=START_S)

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(self.process.stderr)

    def _address(self) -> str:
        assert self.process.stdout is not None
        try:
            line = self.process.stdout.readline()
        except BaseException:  # stopped while it starts: nobody has it yet who could end it
            self.kill()
            raise
        if not line.startswith("http"):
            self.process.wait(timeout=START_S)
            raise RuntimeError(f"the page did not start: {line}{''.join(self.said)}")
        return line.split()[0]


def _prepare(ending: Callable[[], None] | None, largest_file: int | None) -> None:
    if ending is not None:
        ending()
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))


class Visitor:
    """One browser: keeps its connection and its session, and says where its requests come from."""

    def __init__(self, address: str, token: str | None = None) -> None:
        """Of nobody, or of the owner of a session's token."""
        self.host = urlsplit(address).netloc
        self.headers = {"Origin": address, "Content-Type": "application/json"}
        if token:
            self.headers["Cookie"] = f"feedback_session={token}"
        self._connection: HTTPConnection | None = None

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """One request. Raises NoAnswer where none came, and then it may have been done or not."""
        content = None if body is None else json.dumps(body)
        try:
            if self._connection is None:
                self._connection = HTTPConnection(self.host, timeout=ANSWER_S)
            self._connection.request(method, path, content, self.headers)
            response = self._connection.getresponse()
            return Answer(response.status, json.loads(response.read()))
        except (OSError, HTTPException, ValueError) as error:
            self.leave()
            raise NoAnswer(f"{type(error).__name__}: {error}") from error

    def leave(self) -> None:
        """Close the connection; the next request opens one anew."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def campaign(self) -> str:
        """The path of the only campaign."""
        (found,) = self.ask("GET", "/api/campaigns").body
        return f"/api/campaigns/{found['id']}"


def patient(
    visitor: Visitor,
    method: str,
    path: str,
    body: Any = None,
    *,
    until: float,
    give_up: threading.Event | None = None,
) -> Answer:
    """The same request again and again, as by the page's outbox, until there is an answer that is no failure
    of the server (503). Raises NoAnswer once `time.monotonic()` is at `until`, or one is told to give up."""
    while True:
        try:
            answer = visitor.ask(method, path, body)
            if answer.status < 500:
                return answer
            reason = f"{answer.status}: {answer.body}"
        except NoAnswer as error:
            reason = str(error)
        if time.monotonic() >= until or (give_up is not None and give_up.is_set()):
            raise NoAnswer(reason)
        time.sleep(0.2)
