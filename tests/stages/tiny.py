"""A causal language model of 16 dimensions with the embedded world's tokenizer."""

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from rlhf.demo.tokenizer import tokenizer


def tiny_llama(seed: int = 0) -> LlamaForCausalLM:
    """With random weights that depend on `seed` alone."""
    words = tokenizer()
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)
