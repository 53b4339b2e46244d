"""The judge behind an endpoint, asked over real HTTP on this machine."""

import json
import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from judge_server import Failure, Judge, judge_server, longer

from rlhf.algos.statistics import Interval
from rlhf.config.judge import JudgeConfig
from rlhf.errors import ConfigError, InputError, RunError
from rlhf.evaluation.endpoint import Pair, judge_pairs
from rlhf.evaluation.rubric import RUBRICS, language_of, load_rubrics, question, read_verdict
from rlhf.records import Prompt

PAIRS = [
    Pair(Prompt("Which is long?"), "the long answer", "short"),
    Pair(Prompt("And here?"), "short", "the long answer"),
    Pair(Prompt("Equally long?"), "four", "five"),
    Pair(Prompt("哪个更长？"), "这个回答比较长", "短"),
]


def config(url: str, **more: object) -> JudgeConfig:
    return JudgeConfig(url=url, model="judge-7b", **more)  # type: ignore[arg-type]


def first_good(count: int, then: Failure) -> Judge:
    """An honest judge for so many requests, who then fails."""
    return lambda a, b, number: longer(a, b, number) if number <= count else then


def estimate(interval: Interval | None) -> float:
    assert interval is not None
    return interval.estimate


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "verdicts.jsonl"


class TestOutcomes:
    def test_an_honest_judge(self, record: Path) -> None:
        with judge_server(longer) as server:
            found = judge_pairs(PAIRS, config(server.url), record, backoff_s=0.01)
        assert found.outcomes == (1.0, 0.0, 0.5, 1.0)
        assert (found.same, found.unparsable) == (0, 0)
        assert estimate(found.disagreement) == 0.0
        assert estimate(found.first_shown) == 0.5
        assert (found.tokens_in, found.tokens_out) == (800, 16)
        assert len(server.bodies) == 8
        assert {body["temperature"] for body in server.bodies} == {0}
        assert {body["model"] for body in server.bodies} == {"judge-7b"}

    def test_swapping_the_sides_gives_the_complement(self, tmp_path: Path) -> None:
        swapped = [Pair(pair.prompt, pair.baseline, pair.policy) for pair in PAIRS]
        with judge_server(longer) as server:
            one = judge_pairs(PAIRS, config(server.url), tmp_path / "one")
            other = judge_pairs(swapped, config(server.url), tmp_path / "other")
        assert [1 - outcome for outcome in one.outcomes] == list(other.outcomes)

    def test_a_judge_that_takes_the_first_says_nothing(self, record: Path) -> None:
        with judge_server(lambda a, b, n: "A") as server:
            found = judge_pairs(PAIRS, config(server.url), record)
        assert found.outcomes == (0.5, 0.5, 0.5, 0.5)
        assert estimate(found.disagreement) == 1.0
        assert estimate(found.first_shown) == 1.0

    def test_a_preference_that_becomes_a_tie_is_a_tie(self, record: Path) -> None:
        def wavering(a: str, b: str, number: int) -> str:
            return "A" if a == "the long answer" else "tie"

        with judge_server(wavering) as server:
            found = judge_pairs(PAIRS[:1], config(server.url), record)
        assert found.outcomes == (0.5,)
        assert estimate(found.disagreement) == 1.0

    def test_equal_answers_tie_and_nobody_is_asked(self, record: Path) -> None:
        with judge_server(longer) as server:
            found = judge_pairs([Pair(Prompt("?"), "same", "same")], config(server.url), record)
        assert (found.outcomes, found.same, server.bodies) == ((0.5,), 1, [])
        assert found.disagreement is None


class TestReplies:
    @pytest.mark.parametrize(
        ("reply", "verdict"),
        [
            ("A", "A"),
            (" **B**.\n", "B"),
            ("[[A]]", "A"),
            ("Tie", "tie"),
            ("“tie”。", "tie"),
            ("<think>B is long, but A is right.</think>\n\nA", "A"),
            ("", None),
            ("a", None),
            ("A or B", None),
            ("Answer A is better", None),
            ("A\nB", None),
            ("<think>Surely A", None),
        ],
    )
    def test_only_a_bare_verdict_counts(self, reply: str, verdict: str | None) -> None:
        assert read_verdict(reply) == verdict

    def test_garbage_is_asked_again_once_and_left_out(self, record: Path) -> None:
        with judge_server(lambda a, b, n: "Both have merits.") as server:
            found = judge_pairs(PAIRS[:1], config(server.url, parallel=1), record)
        assert (found.outcomes, found.unparsable, found.disagreement) == ((None,), 1, None)
        assert [len(body["messages"]) for body in server.bodies] == [1, 3, 1, 3]
        assert server.bodies[1]["messages"][1] == {"role": "assistant", "content": "Both have merits."}
        lines = [json.loads(line) for line in record.read_text("utf-8").splitlines()]
        assert [line["verdict"] for line in lines] == [None, None]

    def test_the_second_reply_counts(self, record: Path) -> None:
        with judge_server(lambda a, b, n: "Hm." if n == 1 else longer(a, b, n)) as server:
            found = judge_pairs(PAIRS[:1], config(server.url), record)
        assert (found.outcomes, found.unparsable) == ((1.0,), 0)
        assert len(server.bodies) == 3


class TestRubric:
    def test_speaks_the_language_of_the_prompt(self, record: Path) -> None:
        with judge_server(longer) as server:
            judge_pairs(PAIRS[2:], config(server.url, parallel=1), record)
        assert [text[:3] for text in server.questions] == ["Two", "Two", "两位助", "两位助"]
        assert "Equally long?" in server.questions[0]
        assert server.questions[0] != server.questions[1]

    def test_the_field_says_the_language_else_the_script(self) -> None:
        assert language_of(Prompt("Translate: 你好", {"language": "en"})) == "en"
        assert language_of(Prompt("翻译：hello", {"language": "zh"})) == "zh"
        assert language_of(Prompt("今天天气怎么样？")) == "zh"
        assert language_of(Prompt("¿Qué tal?")) == "en"

    def test_a_text_with_places_in_it_stays_as_written(self) -> None:
        assert question("{prompt}|{a}|{b}", "{a}", "{b} {c}", "{prompt}\\1") == "{a}|{b} {c}|{prompt}\\1"

    def test_a_file_of_ones_own(self, tmp_path: Path, record: Path) -> None:
        file = tmp_path / "rubric.txt"
        file.write_text("Kinder? {prompt} 1: {a} 2: {b} Say A, B or tie.", encoding="utf-8")
        with judge_server(lambda a, b, n: "tie") as server:
            judge_pairs(PAIRS[:1], config(server.url, rubric=str(file), parallel=1), record)
        assert server.questions[1] == "Kinder? Which is long? 1: short 2: the long answer Say A, B or tie."

    def test_a_file_that_shows_no_answer_is_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "rubric.txt"
        file.write_text("{prompt} {a}")
        with pytest.raises(ConfigError, match=r"lacks \{b\}"):
            load_rubrics(str(file))
        with pytest.raises(ConfigError, match=r"stage\.judge\.rubric=.*cannot be read"):
            load_rubrics(str(tmp_path / "absent.txt"))

    def test_what_is_built_in_shows_everything(self) -> None:
        assert load_rubrics(None) is RUBRICS
        for text in RUBRICS.values():
            assert all(place in text for place in ("{prompt}", "{a}", "{b}", "tie"))


class TestEndpoint:
    def test_many_at_once_and_no_more(self, record: Path) -> None:
        pairs = [Pair(Prompt(f"Question {n}?"), "a" * n, "b") for n in range(2, 22)]

        def slow(a: str, b: str, number: int) -> str:
            time.sleep(0.03)
            return longer(a, b, number)

        told: list[tuple[int, int]] = []
        with judge_server(slow) as server:
            found = judge_pairs(
                pairs,
                config(server.url, parallel=4),
                record,
                advance=lambda done, of: told.append((done, of)),
            )
        assert found.outcomes == (1.0,) * 20
        assert server.most == 4
        assert told == [(n, 40) for n in range(1, 41)]

    def test_busy_and_broken_are_tried_again(self, record: Path) -> None:
        failures = {
            1: Failure(500),
            2: Failure(429),
            3: Failure(503),
            4: Failure(200, "<html>starting up</html>"),
            5: Failure(200, "[]", after_s=3.0),
        }
        with judge_server(lambda a, b, n: failures.get(n) or longer(a, b, n)) as server:
            judge = config(server.url, parallel=1, timeout_s=1.5)
            found = judge_pairs(PAIRS[:2], judge, record, backoff_s=0.005)
        assert found.outcomes == (1.0, 0.0)
        assert len(server.bodies) == 5 + 4

    def test_waits_as_long_as_it_is_asked_to(self, record: Path) -> None:
        busy = Failure(429, headers={"Retry-After": "0.4"})
        began = time.monotonic()
        with judge_server(lambda a, b, n: busy if n == 1 else "tie") as server:
            judge_pairs(PAIRS[:1], config(server.url), record, backoff_s=0.001)
        assert time.monotonic() - began > 0.4

    def test_pauses_double(self, record: Path) -> None:
        began = time.monotonic()
        with judge_server(lambda a, b, n: Failure(500) if n <= 3 else "tie") as server:
            judge_pairs(PAIRS[:1], config(server.url), record, backoff_s=0.1)
        assert time.monotonic() - began > 0.7  # 0.1 + 0.2 + 0.4

    def test_no_answer_in_time_is_said(self, record: Path) -> None:
        with judge_server(first_good(0, Failure(200, after_s=0.5))) as server:
            judge = config(server.url, timeout_s=0.2, retries=0)
            with pytest.raises(InputError, match=r"gave no answer within stage\.judge\.timeout_s=0\.2"):
                judge_pairs(PAIRS, judge, record)

    def test_gives_up_after_the_retries_and_keeps_what_it_has(self, record: Path) -> None:
        with judge_server(
            lambda a, b, n: longer(a, b, n) if n <= 3 else Failure(500, "overloaded")
        ) as server:
            judge = config(server.url, parallel=1, retries=2)
            with pytest.raises(InputError, match=r"answered 500: overloaded(?s:.*)the same command again"):
                judge_pairs(PAIRS, judge, record, backoff_s=0.001)
        assert len(server.bodies) == 3 + 3
        assert len(record.read_text("utf-8").splitlines()) == 3

    def test_an_interrupted_evaluation_pays_once(self, record: Path) -> None:
        with judge_server(first_good(5, Failure(400))) as server, pytest.raises(InputError):
            judge_pairs(PAIRS, config(server.url, parallel=1), record)
        with record.open("ab") as file:
            file.write(b'{"id": "cut sho')  # killed in the middle of a line
        with judge_server(longer) as server:
            found = judge_pairs(PAIRS, config(server.url, parallel=1), record)
        assert found.outcomes == (1.0, 0.0, 0.5, 1.0)
        assert len(server.bodies) == 8 - 5
        assert found.tokens_in == 800
        with judge_server(longer) as server:
            assert judge_pairs(PAIRS, config(server.url), record) == found
        assert server.bodies == []

    def test_another_judge_is_asked_anew(self, record: Path) -> None:
        with judge_server(longer) as server:
            judge_pairs(PAIRS[:1], config(server.url), record)
            judge_pairs(PAIRS[:1], JudgeConfig(url=server.url, model="other"), record)
        assert [body["model"] for body in server.bodies] == ["judge-7b"] * 2 + ["other"] * 2

    def test_a_record_of_something_else_is_an_error(self, record: Path) -> None:
        record.write_text('{"prompt": "hello"}\n')
        with pytest.raises(RunError, match=r"line 1 of .* is no verdict"):
            judge_pairs(PAIRS, config("http://127.0.0.1:9/v1"), record)

    def test_nobody_there_is_said_at_once(self, record: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # nobody listens
            port = taken.getsockname()[1]
            began = time.monotonic()
            with pytest.raises(InputError) as error:
                judge_pairs(PAIRS, config(f"http://127.0.0.1:{port}/v1/"), record, backoff_s=40.0)
        assert time.monotonic() - began < 40.0  # it did not wait to try again
        assert f"http://127.0.0.1:{port}/v1/chat/completions cannot be reached" in str(error.value)
        assert "Check stage.judge.url and that the server runs" in str(error.value)

    @pytest.mark.parametrize(
        ("status", "remedy"),
        [(401, "stage.judge.key_env"), (404, "/v1"), (400, "stage.judge.model"), (302, "stage.judge.url")],
    )
    def test_a_refusal_is_no_matter_of_patience(self, record: Path, status: int, remedy: str) -> None:
        refusing = judge_server(first_good(0, Failure(status, '{"error": "no"}')))
        with refusing as server, pytest.raises(InputError) as error:
            judge_pairs(PAIRS, config(server.url), record)
        assert f'answered {status} to model judge-7b: {{"error": "no"}}' in str(error.value)
        assert remedy in str(error.value)
        assert len(server.bodies) == 1


class TestKey:
    def test_is_sent_and_written_nowhere(
        self, record: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("MY_JUDGE_KEY", "sk-secret-1\n")
        with judge_server(
            lambda a, b, n: longer(a, b, n) if n < 8 else Failure(403, "bad sk-secret-1")
        ) as server:
            judge = config(server.url, key_env="MY_JUDGE_KEY", parallel=1)
            with pytest.raises(InputError, match=r"answered 403 .*bad \*\*\*"):
                judge_pairs(PAIRS, judge, record)
        assert {headers["Authorization"] for headers in server.headers} == {"Bearer sk-secret-1"}
        assert "sk-secret" not in record.read_text("utf-8")
        assert "sk-secret" not in judge.model_dump_json()

    def test_that_is_not_there_is_asked_for(self, record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("MY_JUDGE_KEY", raising=False)
        with pytest.raises(ConfigError, match=r"stage\.judge\.key_env=MY_JUDGE_KEY: .* export MY_JUDGE_KEY="):
            judge_pairs(PAIRS, config("http://127.0.0.1:9/v1", key_env="MY_JUDGE_KEY"), record)
        monkeypatch.setenv("MY_JUDGE_KEY", "两把钥匙")
        with pytest.raises(ConfigError, match="cannot be a key"):
            judge_pairs(PAIRS, config("http://127.0.0.1:9/v1", key_env="MY_JUDGE_KEY"), record)

    def test_no_key_no_header(self, record: Path) -> None:
        with judge_server(longer) as server:
            judge_pairs(PAIRS[:1], config(server.url), record)
        assert "Authorization" not in server.headers[0]


class TestConfig:
    @pytest.mark.parametrize(
        ("values", "said"),
        [
            ({"url": "http://h/v1"}, "without judge.model"),
            ({"model": "m"}, "without judge.url"),
            ({"url": "h:8000/v1", "model": "m"}, "no address"),
            ({"url": "ftp://h/v1", "model": "m"}, "no address"),
            ({"url": "http://h/v1?key=1", "model": "m"}, "no address"),
            ({"url": "https://me:pass@h/v1", "model": "m"}, "judge.key_env"),
            ({"url": "http://h/v1", "model": "m", "key_env": "sk-123"}, "pattern"),
        ],
    )
    def test_refuses(self, values: dict[str, str], said: str) -> None:
        with pytest.raises(ValueError, match=said):
            JudgeConfig(**values)  # type: ignore[arg-type]

    def test_none_by_default(self) -> None:
        assert JudgeConfig().url is None
        assert config("https://api.example.org/v1").url == "https://api.example.org/v1"


def test_ctrl_c_ends_at_once(record: Path) -> None:
    def interrupt() -> None:
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    began = time.monotonic()
    with judge_server(first_good(1, Failure(200, after_s=60.0))) as server:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            judge_pairs(PAIRS, config(server.url), record)
        assert time.monotonic() - began < 50.0
    assert len(record.read_text("utf-8").splitlines()) == 1
