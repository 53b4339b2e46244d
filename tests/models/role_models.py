"""Tiny random models on the disk, as `sft` and `rm` leave them, and batches for them."""

from collections.abc import Sequence
from pathlib import Path

import torch
from peft import TaskType
from small_models import configs, numbers
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from rlhf.config import ModelConfig
from rlhf.data.collation import Batch, collate
from rlhf.data.encoding import Encoded
from rlhf.models.loading import disable_dropout, merged, save_adapter, weights_sha256, with_adapter
from rlhf.models.reward_model import new_reward_model, score_head

VOCABULARY = 32
PAD = 0
LORA = ModelConfig(adapter="lora", lora_rank=3, lora_alpha=6)
SMALL = numbers(VOCABULARY)
CONFIGS = configs(VOCABULARY)


def language_model(config: PreTrainedConfig, seed: int = 0) -> PreTrainedModel:
    """A random causal language model, dropout off."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config)
    disable_dropout(model)
    return model.eval()


def save_policy(folder: Path, architecture: str = "llama", seed: int = 0) -> Path:
    """A policy's folder."""
    language_model(CONFIGS[architecture], seed).save_pretrained(folder)
    return folder


def save_reward_adapter(policy: Path, folder: Path, shift: float = 0.4) -> Path:
    """A reward model trained with LoRA on a policy: `model/` merged, `adapter/` beside it."""
    base = new_reward_model(str(policy), pad_id=PAD, seed=1)
    base.config.reward_shift = shift
    model = with_adapter(base, LORA, TaskType.SEQ_CLS, seed=2)
    scramble_adapter(model, seed=3)
    save_adapter(model, folder / "adapter", base=str(policy), base_sha256=weights_sha256(policy))
    merged(model).save_pretrained(folder / "model")
    return folder


def scramble_adapter(model: nn.Module, seed: int, name: str = "default") -> None:
    """Gives an adapter random weights, as if it had been trained; a score head as well."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, value in model.named_parameters():
            if "lora_" in key and f".{name}." in key:
                value.copy_(torch.randn(value.shape, generator=generator) * 0.2)
        if name == "default" and hasattr(model, "score"):
            head = score_head(model)
            head.weight.copy_(torch.randn(head.weight.shape, generator=generator))


def rows(count: int = 6, seed: int = 0) -> list[Encoded]:
    """Prompts of 1 to 12 tokens with responses of 1 to 9, the padding token among them as any other."""
    generator = torch.Generator().manual_seed(seed)
    made: list[Encoded] = []
    for number in range(count):
        prompt = 1 + (5 * number) % 12
        response = 1 + (4 * number) % 9
        ids = torch.randint(0, VOCABULARY, (prompt + response,), generator=generator).tolist()
        made.append(Encoded(ids, prompt))
    return made


def batch(encoded: Sequence[Encoded]) -> Batch:
    """The rows as one right-padded batch."""
    return collate(encoded, PAD)
