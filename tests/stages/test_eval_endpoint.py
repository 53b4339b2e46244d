"""`stage=eval stage.judge.url=...`: the whole command against a judge on this machine."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from judge_server import Failure, judge_server, longer
from made_runs import make_policy

from rlhf.run import main

KEY = "sk-never-on-the-disk"
PROMPTS = 5


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A small evaluation of made runs without a reward model, its judge's key in the environment."""
    sft = make_policy(tmp_path, "sft", seed=0)
    make_policy(tmp_path, "ppo", seed=1, parent=sft)
    monkeypatch.setenv("MY_JUDGE_KEY", KEY)
    return [
        "stage=eval",
        "name=made",
        f"runs_dir={tmp_path}",
        "data.limit=200",
        "data.test_fraction=0.1",
        "trackers=[]",
        "threads=1",
        "device=cpu",
        f"stage.num_prompts={PROMPTS}",
        "stage.response_length=5",
        "stage.bootstrap=50",
        "stage.best_of=0",
        "stage.judge.model=judge-7b",
        "stage.judge.key_env=MY_JUDGE_KEY",
    ]


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_an_interrupted_evaluation_goes_on_and_is_whole(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = 3

    def judge(a: str, b: str, number: int) -> str | Failure:
        return Failure(400, "no more") if number == begun + 1 else longer(a, b, number)

    with judge_server(judge) as server:
        command = [*words, f"stage.judge.url={server.url}", "stage.judge.parallel=1"]
        assert main(command) == 2
        assert "answered 400 to model judge-7b: no more" in capsys.readouterr().err
        assert main(command) == 0
        assert len(server.bodies) == 2 * PROMPTS + 1  # none was asked twice but the one that failed
        assert main([*command[:-1], "stage.judge.parallel=4", "stage.judge.timeout_s=9"]) == 0  # finished
        assert len(server.bodies) == 2 * PROMPTS + 1

    run = tmp_path / "made" / "eval-1"
    rows = read_lines(run / "samples.jsonl")
    lengths = [[len(row[side]["response"]) for side in ("policy", "baseline")] for row in rows]
    won = [0.5 * ((mine > other) - (mine < other) + 1) for mine, other in lengths]
    assert [row["policy"]["scores"]["endpoint"] for row in rows] == won
    assert [row["baseline"]["scores"]["endpoint"] for row in rows] == [1 - outcome for outcome in won]

    saved = json.loads((run / "evaluation.json").read_text("utf-8"))
    assert [judgement["name"] for judgement in saved["judgements"]] == ["gold", "endpoint"]
    endpoint = saved["judgements"][1]
    assert endpoint["overall"]["prompts"] == PROMPTS
    assert endpoint["overall"]["win_rate"]["estimate"] == pytest.approx(sum(won) / PROMPTS)
    assert "judge-7b" in endpoint["says"]["zh"]
    assert {"family", "language"} <= endpoint["groups"].keys()
    assert (saved["endpoint"]["unparsable"], saved["endpoint"]["disagreement"]["estimate"]) == (0, 0.0)
    assert "judge" not in [gap["id"] for gap in saved["missing"]]
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    assert manifest["metrics"]["endpoint_win_rate"] == endpoint["overall"]["win_rate"]["estimate"]
    assert "verdicts.jsonl" in manifest["files"]
    assert "judge-7b" in (run / "report.html").read_text("utf-8")
    for path in run.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


def test_nobody_there_is_said_before_anything_is_computed(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert main([*words, f"stage.judge.url=http://127.0.0.1:{taken.getsockname()[1]}/v1"]) == 2
    assert "/v1/chat/completions cannot be reached" in capsys.readouterr().err
    assert not list(tmp_path.glob("made/eval-*/verdicts.jsonl"))


def test_a_judge_without_an_address_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "stage.judge.model=judge-7b is given without judge.url" in capsys.readouterr().err


def test_unreadable_verdicts_are_left_out_and_warned_of(words: list[str], tmp_path: Path) -> None:
    with judge_server(lambda a, b, n: "Both are nice." if n <= 4 else "A") as server:
        assert main([*words, f"stage.judge.url={server.url}", "stage.judge.parallel=1"]) == 0
    saved = json.loads((tmp_path / "made" / "eval-1" / "evaluation.json").read_text("utf-8"))
    assert saved["endpoint"]["unparsable"] == 1
    endpoint = next(one for one in saved["judgements"] if one["name"] == "endpoint")
    overall = endpoint["overall"]
    assert (overall["prompts"], overall["ties"], overall["win_rate"]["estimate"]) == (4, 4, 0.5)
    warned = {warning["id"]: warning["text"]["en"] for warning in saved["warnings"]}
    assert "judged 100% of the pairs otherwise" in warned["endpoint-order"]
    assert "on 1 of 5 prompts" in warned["endpoint-unparsable"]
    rows = read_lines(tmp_path / "made" / "eval-1" / "samples.jsonl")
    assert ["endpoint" in row["policy"]["scores"] for row in rows] == [False, True, True, True, True]
