"""The chain: which stage runs with which inputs."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from made_runs import config

import stages.all
from rlhf.config import Config
from rlhf.errors import ConfigError


@dataclass
class Made:
    """As much of a manifest as the chain reads."""

    stage: str
    number: int
    seconds: float = 75.0


def chained(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    seen: list[Config] = []

    class Module:
        @staticmethod
        def run(cfg: Config) -> Made:
            seen.append(cfg)
            return Made(cfg.stage.kind, 10 + len(seen))

    monkeypatch.setattr(stages.all.importlib, "import_module", lambda name: Module)
    return seen


def test_each_stage_takes_what_the_one_before_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = chained(monkeypatch)
    last = stages.all.run(config(tmp_path, {"kind": "all", "ppo": {"total_episodes": 256}}))
    assert [cfg.stage.kind for cfg in seen] == ["sft", "rm", "ppo", "eval"]
    assert seen[2].stage.total_episodes == 256
    made = tmp_path / "made"
    named = [{k: v for k, v in cfg.inputs.model_dump().items() if v} for cfg in seen]
    assert named == [
        {},
        {"policy": f"{made}/sft-11"},
        {"policy": f"{made}/sft-11", "reward_model": f"{made}/rm-12"},
        {"policy": f"{made}/ppo-13", "reward_model": f"{made}/rm-12"},
    ]
    assert (last.stage, last.number) == ("eval", 14)
    assert "1m 15s of work" in capsys.readouterr().err


def test_inputs_that_it_makes_itself_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chained(monkeypatch)
    with pytest.raises(ConfigError, match=r"inputs.policy=other: stage=all makes its own"):
        stages.all.run(config(tmp_path, {"kind": "all"}, inputs={"policy": "other"}))
