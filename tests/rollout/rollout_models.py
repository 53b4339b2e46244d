"""Tiny random policies of different architectures, sharp enough that a wrong distribution shows."""

import torch
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, PreTrainedModel, Qwen2Config

from rlhf.models.loading import disable_dropout

VOCABULARY = 24
PAD = 0
SMALL = {"vocab_size": VOCABULARY, "bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
LLAMA_LIKE = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
}
CONFIGS = {
    "llama": LlamaConfig(**SMALL, **LLAMA_LIKE),
    "qwen2": Qwen2Config(**SMALL, **LLAMA_LIKE, tie_word_embeddings=True),
    "gpt2": GPT2Config(**SMALL, n_embd=16, n_layer=2, n_head=2, n_positions=64, initializer_range=0.3),
}


def policy(architecture: str) -> PreTrainedModel:
    """A model in evaluation mode, the same in every process."""
    torch.manual_seed(5)
    model = AutoModelForCausalLM.from_config(CONFIGS[architecture])
    disable_dropout(model)
    return model.eval()
