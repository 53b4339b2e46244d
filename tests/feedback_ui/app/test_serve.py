"""`serve` and `chat` at the command line: an address that answers, a clean end, short errors."""

import socket
import sqlite3
from pathlib import Path

import pytest

from feedback_ui.app.server import address_of, listen
from feedback_ui.cli import main
from scripts.feedback_load.page import Page, Visitor
from scripts.feedback_load.store import CAMPAIGN, check, prepare


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FEEDBACK_DB", raising=False)


def test_it_prints_its_address_answers_and_stops(tmp_path: Path) -> None:
    """One process from the beginning to the end: samples, one person, a judgement, SIGTERM."""
    page = Page(str(tmp_path / "f.db"), options=("--samples",))
    try:
        assert page.address.startswith("http://127.0.0.1:")
        me = Visitor(page.address)
        assert me.ask("GET", "/api/me").body == {"name": "me", "role": "manager", "single_person": True}
        task = me.ask("GET", f"{me.campaign()}/task").body["task"]
        path = f"/api/assignments/{task['assignment']}/judge"
        assert me.ask("POST", path, {"given": {"strength": 1}, "key": "k"}).status == 200
        me.leave()
    finally:
        code = page.stop()
    assert code == 0, page.said
    assert any("campaign 'samples'" in line for line in page.said)
    with sqlite3.connect(tmp_path / "f.db") as store:
        assert store.execute("SELECT count(*) FROM judgement").fetchone() == (1,)


def test_the_simulated_raters_find_their_campaign(open_store, clock) -> None:
    db = open_store()
    people = prepare(db, 2, 3)
    assert [person.actor.name for person in people] == ["rater 0", "rater 1"]
    assert check(db, []) == []
    assert CAMPAIGN == "load"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["serve", "--host", "0.0.0.0"], "--host 0.0.0.0 lets other machines in"),
        (["serve", "--host", "no.such.host.invalid", "--accounts"], "cannot be listened at"),
        (["serve", "--model-url", "after"], "--model-url after is no NAME=URL"),
        (
            ["serve", "--model-url", "a=http://127.0.0.1:9/v1", "--port", "0"],
            "127.0.0.1:9/v1/models does not",
        ),
        (["serve", "--model-key-env", "NO_SUCH_KEY"], "this environment variable holds no key"),
        (["serve", "--temperature", "-1"], "--temperature -1.0 is not 0 to 10"),
        (["serve", "--max-tokens", "0"], "--max-tokens 0 is not 1 or more"),
        (["chat", "no/such/run", "neither"], "the policies cannot be served"),
    ],
)
def test_errors_are_said_before_it_serves(words: list[str], said: str, capsys) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_a_port_that_is_taken(capsys) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 2
    assert f"--port {port}: cannot be listened at: Address already in use" in capsys.readouterr().err


def test_a_port_that_is_none_is_refused_and_not_taken_for_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--db", str(tmp_path / "f.db"), "--port", "99999"]) == 2
    assert "--port 99999: cannot be listened at: ports are 0 to 65535" in capsys.readouterr().err


def test_addresses_to_type() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert address_of("127.0.0.1", listener) == f"http://127.0.0.1:{port}"
        assert address_of("0.0.0.0", listener) == f"http://127.0.0.1:{port}"
        assert address_of("::1", listener) == f"http://[::1]:{port}"
