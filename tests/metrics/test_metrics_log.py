"""`metrics.jsonl`: one line a step, valid JSON, cut back on resume."""

import json
import logging
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from rlhf.metrics import MetricsLog, read_metrics


class Remembering:
    """A tracker that keeps what it is given."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.tables: list[str] = []
        self.closed = 0

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.rows.append((step, dict(values)))

    def text(self, step: int, tag: str, rows: Sequence[Mapping[str, str]]) -> None:
        self.tables.append(tag)

    def close(self) -> None:
        self.closed += 1


class Scalar:
    """What a tensor of one element looks like from outside."""

    def item(self) -> float:
        return 0.25


def without_time(path: Path) -> list[dict[str, object]]:
    return [{key: value for key, value in row.items() if key != "time"} for row in read_metrics(path)]


def test_one_line_a_step_at_once(tmp_path: Path) -> None:
    path, tracker = tmp_path / "metrics.jsonl", Remembering()
    with MetricsLog(path, [tracker]) as log:
        log.log(1, {"loss": 0.5, "tokens": 12, "kl": Scalar()})
        first = json.loads(path.read_text())  # there before anything is closed
        assert list(first) == ["step", "loss", "tokens", "kl", "time"]
        assert first["time"] > 1.7e9
        log.log(2, {"loss": 0.4})
        log.text(2, "samples", [{"prompt": "你好"}])
    assert without_time(path) == [
        {"step": 1, "loss": 0.5, "tokens": 12, "kl": 0.25},
        {"step": 2, "loss": 0.4},
    ]
    assert tracker.rows == [(1, {"loss": 0.5, "tokens": 12, "kl": 0.25}), (2, {"loss": 0.4})]
    assert (tracker.tables, tracker.closed) == (["samples"], 1)


def test_numbers_that_json_does_not_know(tmp_path: Path) -> None:
    path, tracker = tmp_path / "metrics.jsonl", Remembering()
    with MetricsLog(path, [tracker]) as log:
        log.log(1, {"a": float("nan"), "b": float("inf"), "c": float("-inf")})

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    row = json.loads(path.read_text(), parse_constant=refuse)
    assert (row["a"], row["b"], row["c"]) == ("NaN", "Infinity", "-Infinity")
    back = read_metrics(path)[0]
    assert back["a"] != back["a"]
    assert (back["b"], back["c"]) == (float("inf"), float("-inf"))
    assert tracker.rows[0][1]["b"] == float("inf")


def test_rewind_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsLog(path) as log:
        log.log(1, {"loss": 3.0})
        log.log(2, {"loss": 2.0})
        position = log.position()  # a state remembers this
        log.log(3, {"loss": 1.0})
        log.log(4, {"loss": 0.5})
    with path.open("a") as file:
        file.write('{"step": 5, "lo')  # the kill
    with MetricsLog(path) as log:
        log.rewind(position)
        assert log.position() == position
        log.log(3, {"loss": 1.5})
    assert without_time(path) == [
        {"step": 1, "loss": 3.0},
        {"step": 2, "loss": 2.0},
        {"step": 3, "loss": 1.5},
    ]


def test_a_torn_last_line_goes_without_a_rewind(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2, "x": 0')
    assert read_metrics(path) == [{"step": 1}]
    with MetricsLog(path) as log:
        log.log(2, {"x": 1})
    assert without_time(path) == [{"step": 1}, {"step": 2, "x": 1}]


def test_a_file_shorter_than_remembered_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n')
    with MetricsLog(path) as log, caplog.at_level(logging.WARNING):
        log.rewind(1000)
    assert "some lines are lost" in caplog.text
    assert read_metrics(path) == [{"step": 1}]


def test_rewind_to_nothing(tmp_path: Path) -> None:
    with MetricsLog(tmp_path / "metrics.jsonl") as log:
        log.log(1, {"x": 1})
        log.rewind(0)
    assert read_metrics(tmp_path / "metrics.jsonl") == []


def test_no_file_is_no_metrics(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "absent.jsonl") == []


@pytest.mark.parametrize("name", ["step", "time"])
def test_names_of_the_line_itself(tmp_path: Path, name: str) -> None:
    with MetricsLog(tmp_path / "metrics.jsonl") as log, pytest.raises(ValueError, match=f"called .*{name}"):
        log.log(1, {name: 1.0})


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    code = f"""
        import resource
        from pathlib import Path
        from rlhf.errors import RunError
        from rlhf.metrics import MetricsLog
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        with MetricsLog(Path({str(path)!r})) as log:
            try:
                for step in range(100):
                    log.log(step, {{"loss": 0.5}})
            except RunError as error:
                print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "disk full while writing" in done.stdout
    assert path.read_bytes().endswith(b"}\n")
    assert [row["step"] for row in read_metrics(path)] == list(range(len(read_metrics(path))))
    assert len(read_metrics(path)) > 10
