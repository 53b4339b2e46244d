"""A real server process, driven by HTTP: answers, streams, many at once, refusals, the end."""

import json
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from served_models import Server, make_yes_sayer, serving

from rlhf.config.judge import JudgeConfig
from rlhf.data.encoding import Encoder, make_encoder
from rlhf.evaluation.endpoint import Pair, judge_pairs
from rlhf.models.loading import load_policy, load_tokenizer
from rlhf.records import Message, Prompt
from rlhf.rollout.base import Request, Sampling
from rlhf.rollout.hf import HfEngine

CHINESE = "把“饕餮”写成拼音。"
ASKED: dict[str, Any] = {
    "messages": [{"role": "user", "content": CHINESE}],
    "max_tokens": 20,
    "temperature": 1.0,
}


@pytest.fixture(scope="module")
def server(policies: tuple[Path, Path]) -> Generator[Server]:
    before, after = policies
    options = (f"inputs.policy={after}", f"inputs.baseline={before}", "batch_size=4", "max_body_kb=64")
    with serving(*options) as running:
        yield running


@pytest.fixture(scope="module")
def names(server: Server) -> dict[str, str]:
    """Public names by the folder that stands behind each, as the server's console says."""
    said = [line.split() for line in server.said if " is " in line]
    return {Path(words[3]).name: words[1] for words in said}


@pytest.fixture
def client(server: Server) -> Generator[httpx2.Client]:
    with server.client() as made:
        yield made


def by_engine(
    folder: Path, prompt: Prompt, sampling: Mapping[str, Any], *, seed: int, choice: int = 0
) -> str:
    """What a rollout of the pipeline gives."""
    encoder = encoder_of(folder)
    request = Request(choice, tuple(encoder.prompt_ids(prompt)), seed)
    engine = HfEngine(load_policy(str(folder)), pad_id=encoder.pad_id)
    how = Sampling(**{"temperature": 1.0, "max_new_tokens": 20, **sampling}, stop_ids=encoder.stop_ids)
    (rollout,) = engine.generate([request], how)
    return encoder.decode(rollout.response_ids.tolist(), prompt)


def encoder_of(folder: Path) -> Encoder:
    model = load_policy(str(folder))
    return make_encoder(load_tokenizer(str(folder)), 128, stop_ids=model.generation_config.eos_token_id)


def chat(client: httpx2.Client, **body: Any) -> dict[str, Any]:
    response = client.post("/chat/completions", json=ASKED | body)
    assert response.status_code == 200, response.text
    return response.json()


def texts(answer: Mapping[str, Any]) -> list[str]:
    return [choice["message"]["content"] for choice in answer["choices"]]


def streamed(client: httpx2.Client, path: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The events of a stream, which ends with [DONE]."""
    with client.stream("POST", path, json={**body, "stream": True}) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.iter_lines() if line]
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def test_names_do_not_tell_which_is_which(client: httpx2.Client, names: dict[str, str]) -> None:
    listed = client.get("/models").json()
    assert sorted(model["id"] for model in listed["data"]) == sorted(names.values())
    assert len({model["created"] for model in listed["data"]}) == 1
    assert not any(word in json.dumps(listed) for word in ("before", "after", "/"))
    one = client.get(f"/models/{names['after']}").json()
    assert one in listed["data"]
    assert client.get("/models/none").status_code == 404


def test_an_answer_is_what_a_rollout_gives(
    client: httpx2.Client, names: dict[str, str], policies: tuple[Path, Path]
) -> None:
    """By template, stop ids and seed, for both policies and each of several choices."""
    prompt = Prompt((Message("system", "简短。"), Message("user", CHINESE)))
    messages = [{"role": "developer", "content": "简短。"}, {"role": "user", "content": CHINESE}]
    for folder in policies:
        answer = chat(client, model=names[folder.name], messages=messages, seed=5, n=3, top_p=0.95, top_k=50)
        expected = [
            by_engine(folder, prompt, {"top_p": 0.95, "top_k": 50}, seed=5, choice=i) for i in range(3)
        ]
        assert texts(answer) == expected
        assert len(set(expected)) == 3
        assert answer["usage"]["prompt_tokens"] == len(encoder_of(folder).prompt_ids(prompt))
        assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]


def test_plain_text_is_continued(
    client: httpx2.Client, names: dict[str, str], policies: tuple[Path, Path]
) -> None:
    body = {"model": names["before"], "prompt": ["从前，", "Once upon a"], "max_tokens": 9, "seed": -3}
    answer = client.post("/completions", json=body | {"temperature": 0}).json()
    greedy = {"temperature": 0.0, "max_new_tokens": 9}
    expected = [by_engine(policies[0], Prompt(text), greedy, seed=0) for text in body["prompt"]]
    assert [choice["text"] for choice in answer["choices"]] == expected
    assert answer["object"] == "text_completion"


@pytest.mark.parametrize("seed", range(6))
def test_a_stream_says_what_is_said_at_once(client: httpx2.Client, names: dict[str, str], seed: int) -> None:
    body = ASKED | {"model": names["after"], "seed": seed, "n": 2, "stop": ["e", "的"], "max_tokens": 40}
    whole = chat(client, **body)
    events = streamed(client, "/chat/completions", body | {"stream_options": {"include_usage": True}})
    assert events[-1]["choices"] == []
    assert events[-1]["usage"] == whole["usage"]
    joined, finish = ["", ""], ["", ""]
    assert [event["choices"][0]["delta"].get("role") for event in events[:2]] == ["assistant", "assistant"]
    for (choice,) in (event["choices"] for event in events[2:-1]):
        joined[choice["index"]] += choice["delta"].get("content", "")
        finish[choice["index"]] = choice["finish_reason"] or finish[choice["index"]]
    assert joined == texts(whole)
    assert finish == [choice["finish_reason"] for choice in whole["choices"]]
    assert not any("e" in text or "的" in text for text in joined)


def test_a_stream_of_plain_text(client: httpx2.Client, names: dict[str, str]) -> None:
    body = {"model": names["after"], "prompt": "从前", "seed": 1, "max_tokens": 30, "temperature": 1}
    whole = client.post("/completions", json=body).json()
    events = streamed(client, "/completions", body)
    assert "".join(event["choices"][0]["text"] for event in events) == whole["choices"][0]["text"]
    assert len(events) > 3


def test_many_at_once_are_answered_as_one_by_one(client: httpx2.Client, names: dict[str, str]) -> None:
    bodies = [
        {"model": names[who], "seed": number, "max_tokens": 5 + 3 * number, "temperature": temperature}
        for number, temperature in enumerate((0.0, 0.5, 1.0, 1.5, 0.7))
        for who in ("before", "after")
    ]
    alone = [texts(chat(client, **body)) for body in bodies]
    with ThreadPoolExecutor(len(bodies)) as pool:
        together = list(pool.map(lambda body: texts(chat(client, **body)), bodies))
    assert together == alone


def test_a_seed_is_drawn_and_told(client: httpx2.Client, names: dict[str, str]) -> None:
    one, other = (chat(client, model=names["after"]) for _ in range(2))
    assert one["seed"] != other["seed"]
    assert texts(one) != texts(other)
    assert texts(chat(client, model=names["after"], seed=one["seed"])) == texts(one)


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"messages": []}, 400, "messages"),
        ({"messages": [{"role": "robot", "content": "?"}]}, 400, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "messages.0.content"),
        ({"messages": [{"role": "user", "content": " "}]}, 400, "messages"),
        (
            {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]},
            400,
            "messages",
        ),
        ({"temperature": -1}, 400, "temperature"),
        ({"top_p": 0}, 400, "top_p"),
        ({"max_tokens": 0}, 400, "max_tokens"),
        ({"max_tokens": 128}, 400, "max_tokens"),
        ({"messages": [{"role": "user", "content": "长" * 200}]}, 400, None),
        ({"n": 33}, 400, "n"),
        ({"tools": [{"type": "function"}]}, 400, "tools"),
        ({"frequency_penalty": 0.5}, 400, "frequency_penalty"),
        ({"logprobs": True}, 400, "logprobs"),
        ({"model": "gpt"}, 404, "model"),
        ({"model": None}, 400, "model"),
    ],
)
def test_bad_requests_are_told_what_is_wrong(
    client: httpx2.Client, names: dict[str, str], body: dict[str, Any], status: int, field: str | None
) -> None:
    response = client.post("/chat/completions", json=ASKED | {"model": names["after"]} | body)
    assert response.status_code == status
    error = response.json()["error"]
    assert (error["param"] or "").startswith(field or "")
    assert error["message"]
    assert "policies" not in response.text  # no path of this machine


def test_neutral_fields_are_taken(client: httpx2.Client, names: dict[str, str]) -> None:
    neutral = {
        "frequency_penalty": 0,
        "presence_penalty": 0.0,
        "logprobs": False,
        "tools": [],
        "tool_choice": "auto",
        "response_format": {"type": "text"},
        "user": "somebody",
    }
    body = {"model": names["after"], "seed": 1}
    assert texts(chat(client, **body, **neutral)) == texts(chat(client, **body))


def test_what_is_no_request(client: httpx2.Client, server: Server) -> None:
    json_type = {"Content-Type": "application/json"}
    assert client.post("/chat/completions", content=b"{", headers=json_type).status_code == 400
    assert client.post("/chat/completions", content=b"\xff\xfe", headers=json_type).status_code == 400
    assert (
        client.post("/chat/completions", content=b"{}", headers={"Content-Type": "text/plain"}).status_code
        == 415
    )
    assert client.get("/chat/completions").status_code == 405
    assert client.get("/nothing").json()["error"]["type"] == "not_found_error"
    large = ASKED | {"messages": [{"role": "user", "content": "x" * 70_000}]}
    assert client.post("/chat/completions", json=large).status_code == 413
    chunks = (b'{"messages": ["' + b"x" * 10_000 for _ in range(7))
    assert client.post("/chat/completions", content=chunks, headers=json_type).status_code == 413
    assert client.get("/models", headers={"Host": "evil.example:80"}).status_code == 403
    assert client.get(server.url.removesuffix("/v1") + "/health").json() == {"status": "ok"}


def test_our_own_client_judges_with_it(tmp_path: Path) -> None:
    """A judge that always says A contradicts itself whenever the sides are exchanged, and is found out."""
    folder = make_yes_sayer(tmp_path / "judge", "A")
    pairs = [
        Pair(Prompt("?"), "yes", "no"),
        Pair(Prompt("好吗？"), "好", "不好"),
        Pair(Prompt("1"), "2", "2"),
    ]
    with serving(f"inputs.policy={folder}", "names=[法官]") as server:
        judge = JudgeConfig(url=server.url, model="法官", max_tokens=1, parallel=3)
        verdicts = judge_pairs(pairs, judge, tmp_path / "verdicts.jsonl")
        assert server.stop() == 0
    assert verdicts.outcomes == (0.5, 0.5, 0.5)
    assert (verdicts.same, verdicts.unparsable) == (1, 0)
    assert verdicts.disagreement is not None
    assert verdicts.disagreement.estimate == 1.0
    assert verdicts.first_shown is not None
    assert verdicts.first_shown.estimate == 1.0
    assert verdicts.tokens_out == 4


def test_a_key_is_asked_for(policies: tuple[Path, Path]) -> None:
    with serving(f"inputs.policy={policies[0]}", "key_env=SERVE_KEY", env={"SERVE_KEY": "s3cret"}) as server:
        for key, status in ((None, 401), ("wrong", 401), ("s3cret", 200)):
            with server.client(key) as client:
                assert client.get("/models").status_code == status
                assert client.post("/chat/completions", json=ASKED).status_code == status
        with server.client() as client:
            assert client.get(server.url.removesuffix("/v1") + "/health").status_code == 200
        assert "s3cret" not in "".join(server.said)


def test_what_was_asked_is_answered_before_the_end(policies: tuple[Path, Path]) -> None:
    """SIGTERM in the middle of a stream: the stream is finished, nobody new gets in, exit code 0."""
    with serving(f"inputs.policy={policies[0]}") as server, server.client() as client:
        body = {"prompt": "从前", "seed": 1, "max_tokens": 100, "temperature": 1.0}
        whole = client.post("/completions", json=body).json()["choices"][0]
        with client.stream("POST", "/completions", json=body | {"stream": True}) as response:
            lines = response.iter_lines()
            first = next(lines)
            server.process.terminate()
            events = [first, *(line for line in lines if line)]
        assert events[-1] == "data: [DONE]"
        choices = [json.loads(line.removeprefix("data: "))["choices"][0] for line in events[:-1]]
        assert "".join(choice["text"] for choice in choices) == whole["text"]
        assert server.process.wait(timeout=120) == 0
        with pytest.raises(httpx2.ConnectError):
            client.get("/models")
