"""What is stopped, or killed, leaves no process behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from waiting import wait_until

from feedback_ui.children import ending_with_us, stopped_as_by_ctrl_c

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

# `python -m rlhf.serve` of a quick kind: says its address once it may, and lists two models there.
ENDPOINT = """#!{python}
import sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        said = b'{{"data": [{{"id": "after"}}, {{"id": "before"}}]}}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
    def log_message(self, *_):
        pass

Path({folder!r}, "begun").touch()
while not Path({folder!r}, "go").exists():
    time.sleep(0.02)
server = HTTPServer(("127.0.0.1", 0), Answer)
print(f"serve: http://127.0.0.1:{{server.server_address[1]}}/v1", file=sys.stderr, flush=True)
server.serve_forever()
"""
CHAT = """
import sys
sys.executable = sys.argv[1]
from feedback_ui.cli import main
sys.exit(main(["chat", "a", "b", "--port", "0", "--db", sys.argv[2]]))
"""
PARENT = """
import subprocess, sys, time
from feedback_ui.children import ending_with_us
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], preexec_fn=ending_with_us())
print("begun", flush=True)
time.sleep(600)
"""


class Family:
    """A process and all that it starts, told by a word in their environment."""

    def __init__(self, *command: str) -> None:
        self.word = f"FAMILY={uuid4()}"
        name, _, value = self.word.partition("=")
        self.first = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, name: value, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def members(self) -> list[str]:
        """What runs of it, as it was typed."""
        found: list[str] = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self.word.encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue  # it has ended
        return [one for one in found if one]  # one that has ended and was not waited for has no words

    def end(self, how: signal.Signals) -> tuple[int, str]:
        """Tell the first of them alone; its exit code, and what it said."""
        os.kill(self.first.pid, how)
        _, said = self.first.communicate(timeout=120)
        return self.first.returncode, said

    def clear(self) -> None:
        """Nothing may stay behind a test that failed."""
        os.killpg(self.first.pid, signal.SIGKILL) if self.first.poll() is None else None


@pytest.fixture
def family():
    begun: list[Family] = []

    def begin(*command: str) -> Family:
        begun.append(Family(*command))
        return begun[-1]

    yield begin
    for one in begun:
        one.clear()


@pytest.fixture
def chat(family, tmp_path: Path):
    endpoint = tmp_path / "endpoint"
    endpoint.write_text(ENDPOINT.format(python=sys.executable, folder=str(tmp_path)), encoding="utf-8")
    endpoint.chmod(0o755)

    def begin(*, serving: bool) -> Family:
        if serving:
            (tmp_path / "go").touch()
        own = family(sys.executable, "-c", CHAT, str(endpoint), str(tmp_path / "feedback.db"))
        wait_until((tmp_path / "begun").exists)
        if serving:
            assert own.first.stdout.readline().startswith("http://127.0.0.1:")
        assert len(own.members()) == 2
        return own

    return begin


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_chat_that_is_stopped_while_its_policies_load(chat, how: signal.Signals) -> None:
    own = chat(serving=False)
    assert own.end(how) == (130, "stopped\n")
    assert own.members() == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_chat_that_is_stopped_says_where_all_is_kept(chat, tmp_path: Path, how: signal.Signals) -> None:
    own = chat(serving=True)
    assert own.end(how) == (0, f"stopped; what was said is kept in {tmp_path / 'feedback.db'}\n")
    assert own.members() == []


def test_a_chat_that_is_killed_takes_its_policies_with_it(chat) -> None:
    own = chat(serving=True)
    own.end(signal.SIGKILL)
    wait_until(lambda: own.members() == [])


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("words", ["faults_feedback.py kill --runs 1000", "load_feedback.py --seconds 1000"])
@pytest.mark.slow
def test_a_script_that_ends_early_leaves_no_server_behind(family, words: str, how: signal.Signals) -> None:
    """The page's server and PostgreSQL, each with processes of its own."""
    own = family(sys.executable, *f"scripts/{words}".split())
    wait_until(lambda: any("feedback_ui serve" in one for one in own.members()), 300)
    code, said = own.end(how)
    if how != signal.SIGKILL:
        assert (code, said) == (130, "stopped\n")
        assert own.members() == []
    wait_until(lambda: own.members() == [])


def test_being_told_to_end_is_ctrl_c_but_for_what_nohup_keeps_out() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopped_as_by_ctrl_c():
            os.kill(os.getpid(), signal.SIGHUP)
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_child_ends_with_who_started_it(family) -> None:
    own = family(sys.executable, "-c", PARENT)
    assert own.first.stdout.readline() == "begun\n"
    wait_until(lambda: len(own.members()) == 2)
    own.end(signal.SIGKILL)
    wait_until(lambda: own.members() == [])
    assert ending_with_us() is not None
