"""Which pairs of a policy's answers are asked about: in a stream none that was asked about before."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from rlhf.config import LoopStage
from rlhf.runs.loop_record import PolicyEntry
from stages import loop_sampling
from stages.loop_sampling import Draw, chosen

SFT = PolicyEntry(label="sft", run="sft-1", fingerprint="0")


def rows(prompts: int) -> list[dict[str, Any]]:
    return [
        {
            "prompt": f"p{number}", "key": f"p{number}", "fields": {}, "response": text, "seed": at,
            "policy": {"run": "sft-1"}, "sampling": {"temperature": 1.0},
        }
        for number in range(prompts)
        for at, text in enumerate(("one", "other"))
    ]  # fmt: skip


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(loop_sampling, "_samples", lambda loop, runs: rows(6))
    monkeypatch.setattr(loop_sampling, "_path", lambda loop, policy: policy.run)
    stage = LoopStage(evaluation_share=0.0)
    return SimpleNamespace(stage=stage, seed=lambda round_, *purpose: 0, say=lambda text: None)


def test_a_pair_is_asked_about_once_in_a_stream_and_again_in_another_round(loop: Any) -> None:
    round_: Any = None
    draw = Draw(SFT, SFT, 4, "random", None, [], renewed=False)
    first = chosen(loop, round_, draw, {})
    assert len(first) == 4
    again = chosen(loop, round_, replace(draw, earlier=first), {})
    assert len(again) == 2
    assert not {pair.key for pair in first} & {pair.key for pair in again}
    assert chosen(loop, round_, replace(draw, earlier=[*first, *again]), {}) == []
    assert chosen(loop, round_, replace(draw, earlier=first, renewed=True), {}) == first
