"""The evaluation in a screenful."""

import json
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from report_samples import real_input, rich
from rich.console import Console

from rlhf.evaluation.table import print_summary


def printed(folder: Path, evaluation: dict[str, Any], width: int = 120) -> str:
    (folder / "evaluation.json").write_text(json.dumps(evaluation), encoding="utf-8")
    manifest: Any = SimpleNamespace(stage="eval", number=1, seconds=75.0)
    out = StringIO()
    print_summary(folder, manifest, Console(file=out, width=width, color_system=None))
    return out.getvalue()


def test_fits_a_screen_and_says_the_most(tmp_path: Path) -> None:
    text = printed(tmp_path, rich())
    assert len(text.splitlines()) <= 32
    words = " ".join(text.replace("│", " ").split())
    for said in (
        "ppo-1 beats sft-1",
        "win rate by gold 84.4% 79.9% to 88.8%",
        "the same, length-controlled 81.4%",
        "right, before -> after 58.0% -> 74.0% +11.0% to +21.0%",
        "KL from sft-1, nats 9.81 9.19 to 10.43 (budget 25)",
        "tokens an answer, before -> after 11.3 -> 9.1",
        "best of 16 instead, by gold 78.8% 74.3% to 83.3%, mean gold 0.800",
        "reward model right, held-out pairs 69.4%",
        "the longer answer right 56.1%",
        "ceiling that rater noise sets 78.0%",
        "time 11m 18s sft-1 1m 58s, rm-1 1m 36s, ppo-1 5m 1s, study-1 1m 28s, eval-1 1m 15s",
        "warning: Over-optimisation",
        f"report: {tmp_path / 'report.html'}",
    ):
        assert said in words


def test_says_what_is_missing(tmp_path: Path) -> None:
    text = printed(tmp_path, real_input())
    assert "missing: There is no gold rater" in text
    assert "right, before" not in text
    assert "KL from" not in text
    bare = real_input() | {"judgements": [], "reward_model": None, "contenders": []}
    assert "win rate" not in printed(tmp_path, bare)
