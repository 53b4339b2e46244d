"""Models of 16 dimensions with random weights, made in a moment."""

from typing import Any

import torch
from transformers import (
    GPT2Config,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    Qwen2Config,
)

from rlhf.demo.tokenizer import tokenizer

WIDTHS = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
LLAMA_LIKE = {**WIDTHS, "num_key_value_heads": 1, "max_position_embeddings": 64, "initializer_range": 0.3}


def numbers(vocabulary: int) -> dict[str, Any]:
    """The tokens of a model over bare numbers."""
    return {"vocab_size": vocabulary, "bos_token_id": None, "eos_token_id": None, "pad_token_id": None}


def configs(vocabulary: int) -> dict[str, PreTrainedConfig]:
    """Three architectures over bare numbers, sharp enough that a wrong result shows."""
    small = numbers(vocabulary)
    return {
        "llama": LlamaConfig(**small, **LLAMA_LIKE),
        "qwen2": Qwen2Config(**small, **LLAMA_LIKE, tie_word_embeddings=True),
        "gpt2": GPT2Config(**small, n_embd=16, n_layer=2, n_head=2, n_positions=64, initializer_range=0.3),
    }


def word_config(words: PreTrainedTokenizerBase, **options: Any) -> LlamaConfig:
    """A Llama for a tokenizer; `options` go before what stands here."""
    tokens = {"bos_token_id": None, "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    told = {**WIDTHS, "intermediate_size": 32, "max_position_embeddings": 256, **tokens, **options}
    return LlamaConfig(vocab_size=len(words), **told)


def small_llama(seed: int = 0, **options: Any) -> LlamaForCausalLM:
    """A language model over the embedded world's tokenizer; its weights depend on `seed` alone."""
    config = word_config(tokenizer(), **{"tie_word_embeddings": True, **options})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def small_scorer(
    words: PreTrainedTokenizerBase, seed: int = 0, **options: Any
) -> LlamaForSequenceClassification:
    """A reward model over a tokenizer, without its shift, whose scores differ visibly."""
    config = word_config(words, **{"num_labels": 1, "initializer_range": 0.5, **options})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LlamaForSequenceClassification(config).eval()
