"""An experiment in a temporary folder, and finished runs made by hand."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from rlhf.runs import Artifact, Experiment, Kind, Manifest, identity

Make = Callable[..., Path]


def write_model(folder: Path, head: str = "LlamaForCausalLM") -> None:
    """The smallest folder that counts as a model."""
    (folder / "config.json").write_text(json.dumps({"architectures": [head]}))
    (folder / "model.safetensors").write_bytes(b"weights" * 100)


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    """An empty experiment."""
    return Experiment(tmp_path / "runs", "demo")


@pytest.fixture
def make(experiment: Experiment) -> Make:
    """`make("sft", "policy")` finishes a run and returns its folder; each call makes another one."""
    made: list[Manifest] = []

    def make_run(
        stage: str,
        kind: Kind,
        *,
        finish: bool = True,
        inputs: Mapping[str, Artifact] | None = None,
        data_files: tuple[Path, ...] = (),
        metrics: Mapping[str, Any] | None = None,
        within: Experiment = experiment,
    ) -> Path:
        config = {"seed": len(made), "data": {"preferences": "hh-rlhf"}}
        key = identity(config, inputs or {}, data_files)
        with within.open(stage, identity=key, config=config, inputs=inputs, data_files=data_files) as run:
            if kind in ("policy", "reward_model"):
                head = "LlamaForCausalLM" if kind == "policy" else "LlamaForSequenceClassification"
                run.publish("model", lambda folder: write_model(folder, head))
            else:
                run.write_jsonl("samples.jsonl", [{"prompt": "你好"}])
            if finish:
                made.append(run.finish(kind, metrics=metrics or {"loss": 0.5}, resolved={"device": "cpu"}))
            else:
                made.append(None)  # type: ignore[arg-type]
            return run.path

    return make_run


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """The width of the terminal that the tests were started from is none of theirs."""
    monkeypatch.delenv("COLUMNS", raising=False)
