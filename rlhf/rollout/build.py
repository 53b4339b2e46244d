"""The engine that the configuration names."""

import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import PreTrainedModel

from rlhf.config import RolloutConfig
from rlhf.data.encoding import Encoder
from rlhf.errors import ConfigError
from rlhf.models.loading import context_length
from rlhf.rollout.ahead import AheadEngine
from rlhf.rollout.base import RolloutEngine
from rlhf.rollout.hf import HfEngine
from rlhf.rollout.vllm import ColocatedClient
from rlhf.rollout.vllm_engine import VllmClient, VllmEngine
from rlhf.rollout.vllm_server import ServerClient
from rlhf.rollout.weights import plain_weights

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def hf_engine(
    cfg: RolloutConfig,
    model: PreTrainedModel,
    encoder: Encoder,
    dtype: torch.dtype,
    say: Callable[[str], None] = warnings.warn,
) -> HfEngine:
    """transformers on the model itself, or on a copy where decoding has another precision than its weights.

    `dtype` is the run's, which `rollout.precision=auto` takes.
    """
    return HfEngine(
        model,
        pad_id=encoder.pad_id,
        batch_size=cfg.batch_size,
        dtype=dtype if cfg.precision == "auto" else PRECISIONS[cfg.precision],
        compile=model.device.type == "cuda" if cfg.compile == "auto" else cfg.compile,
        say=say,
    )


def build_engine(
    cfg: RolloutConfig,
    model: PreTrainedModel,
    encoder: Encoder,
    *,
    source: str,
    dtype: torch.dtype,
    trust_remote_code: bool,
    say: Callable[[str], None],
) -> RolloutEngine:
    """The engine for PPO, with the policy's weights in it, which `source` (folder or hub id) has a model of.

    Raises:
        ConfigError: vLLM is to run in this process, and cannot be imported; or decoding is to overlap with
            training, and shares its weights.
        InputError: the vLLM server is away, or serves something else.
        ModelError: transformers cannot decode this architecture here.
    """
    if cfg.kind == "hf":
        engine = hf_engine(cfg, model, encoder, dtype, say)
        if cfg.overlap and not engine.has_own_weights:
            raise ConfigError(
                "rollout.overlap=true: decoding has the trainer's own weights here, which change meanwhile; "
                "take rollout=vllm, or a rollout.precision other than that of the trained weights"
            )
        return AheadEngine(engine, cfg.max_staleness) if cfg.overlap else engine
    vocabulary = int(model.config.get_text_config().vocab_size)
    client: VllmClient
    if cfg.url is None:
        client = ColocatedClient(
            source,
            max_length=min(encoder.max_length, context_length(model)),
            gpu_memory=cfg.gpu_memory,
            trust_remote_code=trust_remote_code,
        )
    else:
        client = ServerClient(
            cfg.url,
            model=cfg.served_model,
            weights_dir=Path(cfg.weights_dir) if cfg.weights_dir else None,
            parallel=cfg.batch_size,
            timeout_s=cfg.timeout_s,
            retries=cfg.retries,
        )
        client.check(min(len(encoder.tokenizer), vocabulary) - 1)
    engine = VllmEngine(client, vocabulary=vocabulary)
    engine.sync_weights(plain_weights(model), 0)
    return AheadEngine(engine, cfg.max_staleness) if cfg.overlap else engine
