"""Models and tokenizers from a folder or the hub, adapters on them, and plain folders back.

What is saved is always merged and plain, so that anything that reads Hugging Face folders reads it.
"""

import copy
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from rlhf.config import ModelConfig
from rlhf.data.hub import mind_the_network
from rlhf.errors import ModelError
from rlhf.models.attention import use_own_attention
from rlhf.models.products import use_fast_products

ADAPTER_BASE = "base.json"


def load_tokenizer(source: str, *, trust_remote_code: bool = False) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder or hub id.

    Raises:
        ModelError: nothing there can be read as a tokenizer.
    """
    mind_the_network(source)
    try:
        return AutoTokenizer.from_pretrained(source, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{source}: no tokenizer can be loaded from here: {_first_line(error)}") from error


def load_policy(
    source: str, *, dtype: torch.dtype = torch.float32, trust_remote_code: bool = False
) -> PreTrainedModel:
    """A causal language model of a folder or hub id, dropout off, on the CPU.

    Raises:
        ModelError: no weights there, weights missing in the file, or another kind of model.
    """
    refuse_other_kind(source, "ForCausalLM", "a policy", trust_remote_code=trust_remote_code)
    return load_model(AutoModelForCausalLM, source, dtype=dtype, trust_remote_code=trust_remote_code)


def load_model(
    auto_class: Any, source: str, *, dtype: torch.dtype, trust_remote_code: bool = False, **options: Any
) -> PreTrainedModel:
    """`from_pretrained` with this project's errors; dropout off.

    Raises:
        ModelError: the weights are absent, or cannot be read.
    """
    mind_the_network(source)
    try:
        model = auto_class.from_pretrained(
            source, dtype=dtype, trust_remote_code=trust_remote_code, **options
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"{source}: no model can be loaded from here: {_first_line(error)}\n"
            "a model folder holds config.json and *.safetensors; a hub id reads owner/name"
        ) from error
    disable_dropout(model)
    use_own_attention(model)
    use_fast_products(model)
    return cast(PreTrainedModel, model)


def refuse_other_kind(source: str, ending: str, wanted: str, *, trust_remote_code: bool = False) -> None:
    """Stops where the folder's config names another kind of model than is wanted.

    Raises:
        ModelError: the config cannot be read, or its architecture is of another kind.
    """
    mind_the_network(source)
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"{source}: no config.json can be read here: {_first_line(error)}\n"
            "name an existing model folder (config.json, *.safetensors) or a hub id (owner/name)"
        ) from error
    architectures = list(getattr(config, "architectures", None) or [])
    heads = ("ForCausalLM", "ForSequenceClassification", "ForTokenClassification", "ForMaskedLM")
    if architectures and not any(name.endswith(ending) for name in architectures):
        known = [name for name in architectures if name.endswith(heads)]
        if known:
            raise ModelError(f"{source}: is {known[0]}, but {wanted} ({ending}) is needed here")


def disable_dropout(model: nn.Module) -> None:
    """Dropout off in every module and in the config, or PPO's first ratio is not 1."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            setattr(module, "attention_dropout", 0.0)  # noqa: B010
    config = getattr(model, "config", None)
    for key in ("attention_dropout", "hidden_dropout", "dropout", "resid_pdrop", "embd_pdrop", "attn_pdrop"):
        if isinstance(getattr(config, key, None), float):
            setattr(config, key, 0.0)


def with_matrices_in(model: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    """The model with the weights of its linear layers in `dtype`, the rest as it was.

    Under autocast to `dtype` it gives the same to the bit, for these are the weights that autocast converts;
    memory is halved for them, and nothing is converted at each step. A layer that shares its weight with the
    embedding keeps it, and so does a scalar head.
    """
    embedding = model.get_input_embeddings().weight
    for layer in model.modules():
        if isinstance(layer, nn.Linear) and layer.weight is not embedding and layer.out_features > 1:
            layer.to(dtype)
    return model


def lora_config(cfg: ModelConfig, task: TaskType) -> LoraConfig:
    """The adapter that `model.adapter=lora` asks for; no dropout, so that ratios start at 1."""
    targets = cfg.lora_targets
    return LoraConfig(
        task_type=task,
        r=cfg.lora_rank,
        lora_alpha=cfg.lora_alpha,  # pyright: ignore[reportArgumentType]
        lora_dropout=0.0,
        target_modules=targets if targets == "all-linear" else [name.strip() for name in targets.split(",")],
    )


def with_adapter(model: PreTrainedModel, cfg: ModelConfig, task: TaskType, seed: int) -> nn.Module:
    """The model as it is trained: unchanged, or frozen under a fresh LoRA adapter drawn from `seed`.

    Raises:
        ModelError: `model.lora_targets` names no module of this model.
    """
    if cfg.adapter == "none":
        return model
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return get_peft_model(model, lora_config(cfg, task))
    except ValueError as error:
        raise ModelError(f"model.lora_targets={cfg.lora_targets}: {_first_line(error)}") from error


def save_plain(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    *,
    stop_ids: frozenset[int] | None = None,
    weights: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Writes weights (adapters merged into a copy), config, tokenizer and generation config to `folder`.

    `weights` take the place of the model's own, where these are sharded.
    """
    plain = merged(model)
    if stop_ids is not None:
        plain.generation_config = GenerationConfig(
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=sorted(stop_ids),
            pad_token_id=tokenizer.pad_token_id,
        )
    plain.save_pretrained(str(folder), state_dict=None if weights is None else dict(weights))
    tokenizer.save_pretrained(str(folder))


def merged(model: nn.Module) -> PreTrainedModel:
    """The model itself, or a copy with the active adapter merged into its weights."""
    if isinstance(model, PeftModel):
        return cast(PreTrainedModel, copy.deepcopy(model).merge_and_unload())
    return cast(PreTrainedModel, model)


def save_adapter(model: nn.Module, folder: Path, *, base: str, base_sha256: str) -> bool:
    """Writes the trained adapter to a folder, naming its base by hash; False where there is none."""
    if not isinstance(model, PeftModel):
        return False
    model.save_pretrained(str(folder), selected_adapters=["default"])  # the policy's, of several on a trunk
    (folder / ADAPTER_BASE).write_text(json.dumps({"base": base, "sha256": base_sha256}, indent=2) + "\n")
    return True


def adapter_base_sha256(folder: Path) -> str:
    """The hash of the weights that an adapter of ours belongs on; empty where it does not say."""
    file = folder / ADAPTER_BASE
    return str(json.loads(file.read_text())["sha256"]) if file.is_file() else ""


def weights_sha256(folder: Path) -> str:
    """SHA-256 over the weight files of a model folder, names included; empty where it holds none."""
    files = sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin")])
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode())
        with file.open("rb") as handle:
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest() if files else ""


def tokenizer_sha256(folder: Path) -> str:
    """SHA-256 over the tokenizer files of a model folder, names included."""
    digest = hashlib.sha256()
    for file in sorted([*folder.glob("token*"), *folder.glob("vocab*"), *folder.glob("*.jinja")]):
        digest.update(file.name.encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def parameter_count(model: nn.Module) -> int:
    """Number of parameters, shared ones once."""
    return sum(parameter.numel() for parameter in model.parameters())


def context_length(model: PreTrainedModel) -> int:
    """Tokens that the model's positions allow; a large number where the config sets no limit."""
    return int(getattr(model.config.get_text_config(), "max_position_embeddings", None) or 1 << 20)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
