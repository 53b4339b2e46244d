"""Chats with policies by HTTP: two answers that differ, what is sent, and what may go wrong there."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx2
import pytest
from browsers import Browser
from people import campaign

from feedback_ui.app import policies
from feedback_ui.app.policies import Endpoint, ModelUnavailable, Policies, Sampling, models_at, parse_endpoint
from feedback_ui.app.settings import Settings
from feedback_ui.database import Database
from feedback_ui.errors import InvalidFeedback
from feedback_ui.form import Form
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.snapshot import snapshot
from rlhf.records import Message

BEFORE, AFTER = Endpoint("before", "http://m/v1"), Endpoint("after", "http://m/v1", "policy-1")
HELLO = [Message("user", "你好")]
Answering = Callable[[dict[str, Any]], Any]


def said(text: Any) -> httpx2.Response:
    return httpx2.Response(200, json={"choices": [{"message": {"role": "assistant", "content": text}}]})


def two(answer: Answering, *endpoints: Endpoint, sampling: Sampling | None = None) -> Any:
    """Two answers of endpoints that `answer` stands in for."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        found = answer({**json.loads(request.content), "headers": request.headers})
        if isinstance(found, Exception):
            raise found
        return found if isinstance(found, httpx2.Response) else said(found)

    async def run() -> Any:
        asked = Policies(endpoints, sampling or Sampling(), transport=httpx2.MockTransport(handle))
        try:
            return await asked.two_answers(HELLO)
        finally:
            await asked.close()

    return asyncio.run(run())


def test_both_are_asked_and_what_was_asked_is_kept() -> None:
    bodies: list[dict[str, Any]] = []

    def answer(body: dict[str, Any]) -> str:
        bodies.append(body)
        return f"I am {body['model']}"

    found = two(answer, BEFORE, AFTER, sampling=Sampling(0.5, 64, "KEY"))
    assert {(one.model, one.text) for one in found} == {("before", "I am before"), ("after", "I am policy-1")}
    for body in bodies:
        assert body["messages"] == [{"role": "user", "content": "你好"}]
        assert (body["temperature"], body["max_tokens"]) == (0.5, 64)
        assert body["headers"]["authorization"] == "Bearer KEY"
    assert {one.seed for one in found} == {body["seed"] for body in bodies}
    assert all(one.sampling == {"temperature": 0.5, "max_tokens": 64} for one in found)


def test_one_policy_answers_twice_with_other_seeds() -> None:
    first, second = two(lambda body: str(body["seed"]), BEFORE)
    assert first.text != second.text
    assert first.model == second.model == "before"


def test_of_three_each_pair_comes() -> None:
    third = Endpoint("third", "http://m/v1")
    pairs = {
        tuple(sorted(one.model for one in two(lambda body: body["model"], BEFORE, AFTER, third)))
        for _ in range(60)
    }
    assert pairs == {("after", "before"), ("before", "third"), ("after", "third")}


def test_equal_answers_are_drawn_again_and_said_in_the_end() -> None:
    count = [0]

    def at_last(_body: dict[str, Any]) -> str:
        count[0] += 1
        return "different" if count[0] == 4 else "same"

    assert {one.text for one in two(at_last, BEFORE, AFTER)} == {"same", "different"}
    with pytest.raises(InvalidFeedback, match="the same"):
        two(lambda _body: "same", BEFORE, AFTER)
    with pytest.raises(InvalidFeedback, match="no model is connected"):
        two(lambda _body: "x")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx2.ConnectError("refused"), ModelUnavailable),
        (httpx2.ReadTimeout("slow"), ModelUnavailable),
        (httpx2.Response(500, text="model before is broken"), ModelUnavailable),
        (httpx2.Response(429, text="busy"), ModelUnavailable),
        (httpx2.Response(200, text="<html>"), ModelUnavailable),
        (httpx2.Response(200, json={"choices": []}), ModelUnavailable),
        (said(None), ModelUnavailable),
        (httpx2.Response(302, headers={"location": "http://elsewhere/"}), ModelUnavailable),
        (httpx2.Response(400, text="context of before is 128"), InvalidFeedback),
    ],
)
def test_what_goes_wrong_names_no_policy_to_the_rater(answer: Any, kind: type[Exception], caplog) -> None:
    with pytest.raises(kind) as error:
        two(lambda _body: answer, BEFORE, AFTER)
    for secret in ("before", "after", "policy", "http"):
        assert secret not in str(error.value)
    assert "http://m/v1" in caplog.text  # the operator reads which


def test_a_flood_is_cut(monkeypatch) -> None:
    monkeypatch.setattr(policies, "MAX_ANSWER", 1000)
    with pytest.raises(ModelUnavailable):
        two(lambda _body: said("x" * 2000), BEFORE, AFTER)


@pytest.mark.parametrize(
    ("word", "endpoint"),
    [
        ("after=http://127.0.0.1:8000/v1", Endpoint("after", "http://127.0.0.1:8000/v1")),
        ("http://127.0.0.1:8000/v1/", Endpoint("", "http://127.0.0.1:8000/v1")),
        ("a=https://h/v1/chat/completions", Endpoint("a", "https://h/v1")),
    ],
)
def test_how_a_policy_is_named(word: str, endpoint: Endpoint) -> None:
    assert parse_endpoint(word) == endpoint


@pytest.mark.parametrize("word", ["after", "after=", "ftp://x/v1", "a=http:///v1", "http://h/v1?model=x"])
def test_what_names_no_policy(word: str) -> None:
    with pytest.raises(InvalidFeedback, match=r"is no NAME=URL"):
        parse_endpoint(word)


@contextmanager
def endpoint(names: list[str], answer: Answering) -> Iterator[str]:
    """An endpoint on this machine: its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send({"data": [{"id": name} for name in names]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            self._send({"choices": [{"message": {"content": answer(body)}}]})

        def _send(self, value: Any) -> None:
            content = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_models_behind_an_address() -> None:
    with endpoint(["policy-1", "policy-2"], str) as url, endpoint(["only"], str) as other:
        found = models_at([parse_endpoint(url), parse_endpoint(f"mine={other}")], Sampling())
        assert found == (
            Endpoint("policy-1", url, "policy-1"),
            Endpoint("policy-2", url, "policy-2"),
            Endpoint("mine", other, "only"),
        )
        named = models_at([parse_endpoint(f"policy-2={url}")], Sampling())
        assert named == (Endpoint("policy-2", url, "policy-2"),)
        with pytest.raises(InvalidFeedback, match="there are policy-1, policy-2"):
            models_at([parse_endpoint(f"x={url}")], Sampling())
        with pytest.raises(InvalidFeedback, match="policy-2 twice"):
            models_at([parse_endpoint(url), parse_endpoint(f"policy-2={url}")], Sampling())
    with pytest.raises(InvalidFeedback, match="does not answer"):
        models_at([parse_endpoint(url)], Sampling())


def test_a_conversation_of_two_turns(db: Database, build, browser, tmp_path) -> None:
    campaign(db, name="chat", form=Form(kind="chat", edit=True), rows=[])
    browser("韩梅梅")
    answers = ("I am {model}, you said {last}", "also {model}")

    def answer(body: dict[str, Any]) -> str:
        form = answers[0] if body["model"] == "m1" else answers[1]
        return form.format(model=body["model"][1:], last=body["messages"][-1]["content"])

    with endpoint(["m1", "m2"], answer) as url:
        endpoints = models_at([parse_endpoint(url)], Sampling())
        with Browser(build(Settings(endpoints=endpoints))) as rater:
            rater.sign_in("韩梅梅")
            path = rater.campaign("chat")
            now = rater.get(f"{path}/task").json()
            assert (now["task"], now["state"]) == (None, "open")
            first = rater.tell(f"{path}/chat", message="hello").json()["task"]
            assert [one["text"] for one in first["prompt"]] == ["hello"]
            texts = [one["text"] for one in first["answers"]]
            assert sorted(texts) == ["I am 1, you said hello", "also 2"]
            assert "m1" not in json.dumps(first)
            early = rater.tell(f"{path}/chat", message="and?", assignment=first["assignment"])
            assert early.json()["error"]["kind"] == "conflict"
            assert rater.get(f"{path}/task").json()["task"]["assignment"] == first["assignment"]
            better = -3 if texts[0].startswith("I am") else 3
            own = f"/api/assignments/{first['assignment']}"
            judged = rater.tell(f"{own}/judge", given={"strength": better}, key="k").json()
            assert (judged["next"]["task"], judged["next"]["state"]) == (None, "open")
            second = rater.tell(f"{path}/chat", message="and?", assignment=first["assignment"]).json()["task"]
            assert [(one["role"], one["text"]) for one in second["prompt"]] == [
                ("user", "hello"),
                ("assistant", "I am 1, you said hello"),
                ("user", "and?"),
            ]
            own = f"/api/assignments/{second['assignment']}"
            rater.tell(f"{own}/judge", given={"strength": better}, key="k")
    manifest = snapshot(db, "chat", tmp_path / "out")
    assert manifest.counts["preferences"] == 2
    rows = [json.loads(line) for line in (tmp_path / "out/judgements.jsonl").read_text("utf-8").splitlines()]
    assert {one["model"] for row in rows for one in row["answers"].values()} == {"m1", "m2"}


def test_an_endpoint_that_is_gone_loses_nothing(db: Database, build, browser) -> None:
    campaign(db, name="chat", form=Form(kind="chat"), rows=[])
    browser("a")
    gone = (Endpoint("m1", "http://127.0.0.1:9/v1"), Endpoint("m2", "http://127.0.0.1:9/v1"))
    with Browser(build(Settings(endpoints=gone))) as rater:
        rater.sign_in("a")
        path = rater.campaign("chat")
        answer = rater.tell(f"{path}/chat", message="hello")
        assert (answer.status_code, answer.json()["error"]["kind"]) == (503, "unavailable")
        assert rater.get(f"{path}/task").json()["state"] == "open"
        assert rater.tell(f"{path}/chat", message=" ").json()["error"]["kind"] in ("invalid", "unavailable")


def test_only_chats_are_chats(db: Database, build, browser) -> None:
    campaign(db, 1)
    rater = browser("a")
    answer = rater.tell(f"{rater.campaign('pairs')}/chat", message="hello")
    assert (answer.status_code, answer.json()["error"]["kind"]) == (422, "invalid")
    assert OPERATOR.role == "manager"
