"""A local HTTP server that plays a judge behind `/v1/chat/completions`."""

import json
import re
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SHOWN = re.compile(
    r"=== (?:answer|回答) A ===\n(?P<a>.*)\n=== (?:answer|回答) B ===\n(?P<b>.*)\n=== (?:end|结束) ===", re.S
)


@dataclass(frozen=True)
class Failure:
    """An answer that is no verdict: a status, a body, and how long to wait before it."""

    status: int
    body: str = "no"
    headers: dict[str, str] = field(default_factory=dict)
    after_s: float = 0.0


Judge = Callable[[str, str, int], "str | Failure"]
"""From the answers shown as A and B and the number of the request (from 1) to what is replied."""


@dataclass
class Played:
    """The server's address, what it was sent, and how many requests it held at once at most."""

    url: str
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    now: int = 0
    most: int = 0

    @property
    def questions(self) -> list[str]:
        return [body["messages"][0]["content"] for body in self.bodies]


@contextmanager
def judge_server(judge: Judge) -> Generator[Played]:
    """Plays the judge on a free port of this machine until the block ends."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                played.bodies.append(body)
                played.headers.append(dict(self.headers))
                number = len(played.bodies)
                played.now += 1
                played.most = max(played.most, played.now)
            shown = SHOWN.search(body["messages"][0]["content"])
            reply = judge(shown["a"], shown["b"], number) if shown else judge("", "", number)
            with lock:
                played.now -= 1
            if self.path != "/v1/chat/completions":
                reply = Failure(404, "no such page")
            if isinstance(reply, str):
                choice = {"index": 0, "message": {"role": "assistant", "content": reply}}
                usage = {"prompt_tokens": 100, "completion_tokens": 2}
                reply = Failure(200, json.dumps({"choices": [choice], "usage": usage}))
            time.sleep(reply.after_s)
            content = reply.body.encode()
            with suppress(ConnectionError):  # who asked may have lost patience, and hung up
                self.send_response(reply.status)
                for name, value in {"Content-Length": str(len(content)), **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    played = Played(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield played
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def longer(a: str, b: str, _number: int) -> str:
    """An honest judge whose only rule is length."""
    return "tie" if len(a) == len(b) else "A" if len(a) > len(b) else "B"
