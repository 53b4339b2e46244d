"""The engine that the configuration names, and what PPO does with it."""

from pathlib import Path

import pytest
import torch
from fake_vllm import FakeVllm, vllm_server
from rollout_models import VOCABULARY, policy

from rlhf.config import RolloutConfig, validate
from rlhf.data.encoding import Encoder
from rlhf.errors import ConfigError, InputError
from rlhf.rollout.ahead import AheadEngine
from rlhf.rollout.base import Request, RolloutEngine, Sampling
from rlhf.rollout.build import build_engine
from rlhf.rollout.hf import HfEngine
from rlhf.rollout.vllm_engine import VllmEngine


class Words:
    """As much of a tokenizer as building an engine looks at."""

    def __len__(self) -> int:
        return VOCABULARY


def encoder() -> Encoder:
    made = object.__new__(Encoder)
    for name, value in {"tokenizer": Words(), "max_length": 64, "pad_id": 0}.items():
        object.__setattr__(made, name, value)
    return made


def build(rollout: dict[str, object], dtype: torch.dtype = torch.float32) -> RolloutEngine:
    return build_engine(
        RolloutConfig.model_validate(rollout),
        policy("llama"),
        encoder(),
        source="folder",
        dtype=dtype,
        trust_remote_code=False,
        say=print,
    )


def logprobs(engine: RolloutEngine) -> list[float]:
    (rollout,) = engine.generate([Request(0, (5, 2, 9), 1)], Sampling(0.0, 4, frozenset()))
    return rollout.logprobs.tolist()


@pytest.mark.parametrize(
    ("precision", "run", "exact"),
    [
        ("auto", torch.float32, True),
        ("auto", torch.bfloat16, False),
        ("bf16", torch.float32, False),
        ("fp32", torch.bfloat16, True),
    ],
)
def test_precision_of_decoding(precision: str, run: torch.dtype, exact: bool) -> None:
    """Whatever the caller's autocast says, which is that of a run in bf16."""
    model = policy("llama")
    with torch.no_grad():
        expected = logprobs(HfEngine(model, pad_id=0))
    with torch.autocast("cpu", torch.bfloat16, enabled=run == torch.bfloat16):
        found = logprobs(build({"precision": precision}, run))
    gap = max(abs(a - b) for a, b in zip(found, expected, strict=True))
    assert (gap < 1e-6) == exact
    assert gap < 0.1


def test_a_server_is_checked_and_given_the_policy() -> None:
    other = policy("llama")
    with torch.no_grad():
        other.get_output_embeddings().weight.neg_()
    with vllm_server(FakeVllm(other)) as served:
        engine = build({"kind": "vllm", "url": served.url + "/v1"})
        assert isinstance(engine, VllmEngine)
        assert logprobs(engine) == pytest.approx(logprobs(HfEngine(policy("llama"), pad_id=0)), abs=1e-5)
        folder = next(body for path, body in served.asked if path == "/collective_rpc")["kwargs"]
        assert Path(folder["weights_path"]).is_dir()
        probe = next(body for path, body in served.asked if path == "/v1/completions")
        assert probe["allowed_token_ids"] == [VOCABULARY - 1]
    del engine
    assert not Path(folder["weights_path"]).exists()  # a temporary one


def test_a_server_that_is_away_is_told_before_anything_starts() -> None:
    with pytest.raises(InputError, match="cannot be reached"):
        build({"kind": "vllm", "url": "http://127.0.0.1:9", "retries": 0})


def test_to_overlap_an_engine_needs_weights_of_its_own() -> None:
    with pytest.raises(ConfigError, match=r"rollout\.overlap=true: .*rollout=vllm, or a rollout\.precision"):
        build({"overlap": True})
    engine = build({"overlap": True, "precision": "bf16", "max_staleness": 3})
    assert isinstance(engine, AheadEngine)
    assert engine.depth == 3
    with vllm_server(FakeVllm(policy("llama"))) as served:
        assert isinstance(build({"kind": "vllm", "url": served.url, "overlap": True}), AheadEngine)


@pytest.mark.parametrize(
    ("rollout", "reason"),
    [
        ({"kind": "hf", "url": "http://localhost:8000"}, r"url=http://localhost:8000 .* set rollout=vllm"),
        ({"kind": "vllm", "precision": "bf16"}, r"precision=bf16 .* set rollout=hf"),
        ({"kind": "vllm", "compile": True}, r"compile=True .* set rollout=hf"),
    ],
)
def test_a_key_of_the_other_engine_is_refused(rollout: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        validate({"stage": {"kind": "ppo"}, "rollout": rollout})
