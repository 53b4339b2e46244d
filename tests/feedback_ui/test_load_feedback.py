"""The load and fault scripts: that their checks see what they are there to see, and that what cuts cuts."""

import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from people import campaign, judge_all, rater
from sqlalchemy import select, text

from feedback_ui.database import Database
from feedback_ui.schema import Judgement
from scripts.faults_feedback import FAULTS, Outcome
from scripts.faults_feedback import line as outcome_line
from scripts.feedback_load.cut import BrokenNetwork
from scripts.feedback_load.page import NoAnswer, Visitor, patient
from scripts.load_feedback import Log, check, main, quantile


def test_its_checks_find_what_is_lost_added_or_beyond(db: Database) -> None:
    name = campaign(db, 3)
    judge_all(db, rater(db, "a"), name)
    kept = [str(own) for own in db.read(lambda session: session.scalars(select(Judgement.id)).all())]
    assert check(db, [Log(kept[:1]), Log(kept[1:])]) == []
    assert check(db, [Log([*kept, "another"])]) == ["1 judgements lost"]
    assert check(db, [Log(kept[:2])]) == ["1 judgements that nobody was told of"]
    assert check(db, [Log(kept, errors=["StoreError: locked"])]) == [
        "1 failed requests",
        "StoreError: locked",
    ]
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE item SET wanted = 0, free = 0 WHERE place = 0"))
    assert check(db, [Log(kept)]) == ["1 items beyond their raters"]


def test_a_click_without_an_answer_may_be_kept_once_or_not(db: Database) -> None:
    name = campaign(db, 2)
    judge_all(db, rater(db, "a"), name)  # the keys are k0 and k1
    rows = db.read(lambda session: session.execute(select(Judgement.id, Judgement.idempotency_key)).all())
    kept = {key: str(own) for own, key in rows}
    assert check(db, [Log([kept["k0"]], unsure={"k1", "k9"})]) == []
    assert check(db, [Log([kept["k0"]], unsure={"k9"})]) == ["1 judgements that nobody was told of"]
    judge_all(db, rater(db, "b"), campaign(db, 1, name="more"))  # k0 once more
    assert "1 clicks kept twice" in check(db, [Log([kept["k0"]], unsure={"k0", "k1"})])


def test_quantiles() -> None:
    assert [quantile([float(n) for n in range(100)], share) for share in (0.5, 0.99)] == [50.0, 99.0]


def test_a_short_run_holds(capsys, monkeypatch) -> None:
    monkeypatch.setattr("scripts.load_feedback.postgres_server", lambda: nullcontext(None))
    words = ["--seconds", "0.5", "--raters", "3", "--items", "200", "--pace", "unlimited"]
    assert main([*words, "--through", "service"]) == 0
    said = capsys.readouterr().out
    assert "SQLite alone" in said
    assert "judgements, " in said


@pytest.fixture
def counter() -> Iterator[tuple[str, list[int]]]:
    """A server that counts what it has answered; 503 to every third request."""
    answered: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            answered.append(1)
            self.send_response(503 if len(answered) % 3 == 0 else 200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", answered
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_broken_network_cuts_answers_that_were_given(counter: tuple[str, list[int]]) -> None:
    address, answered = counter
    with BrokenNetwork(address, share=0.3, seed=1) as broken:
        visitor = Visitor(broken.address)
        cut = 0
        for _ in range(40):
            try:
                visitor.ask("POST", "/", {})
            except NoAnswer:
                cut += 1
        assert 0 < cut <= broken.cuts
        assert len(answered) > 40 - cut  # some of them were done, and nobody was told
        broken.heal()
        assert patient(visitor, "POST", "/", {}, until=time.monotonic() + 60).status == 200
        visitor.leave()


def test_patience_sends_again_and_ends(counter: tuple[str, list[int]]) -> None:
    address, answered = counter
    visitor = Visitor(address)
    for _ in range(4):
        assert patient(visitor, "POST", "/", {}, until=time.monotonic() + 60).status == 200
    assert len(answered) == 5  # the third was a 503
    nobody = Visitor("http://127.0.0.1:9")
    with pytest.raises(NoAnswer, match="refused"):
        patient(nobody, "POST", "/", {}, until=time.monotonic())
    visitor.leave()


def test_every_fault_is_told() -> None:
    assert set(FAULTS) == {"kill", "network", "reload", "clock", "read-only", "full", "restart"}
    said = outcome_line(Outcome("kill", "SQLite", 20, 900, 2, ("1 judgements lost",)))
    assert "kill       SQLite       20 times, 900 judgements" in said
    assert said.endswith("WRONG: 1 judgements lost")
