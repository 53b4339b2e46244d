"""The shape of the embedded base model: a small Llama."""

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from rlhf.demo.corpus import END
from rlhf.demo.tokenizer import MAX_LENGTH, PAD


def new_model(tokenizer: PreTrainedTokenizerBase, seed: int) -> LlamaForCausalLM:
    """A model of the base's shape with random weights that depend on `seed` alone, in float32.

    The global random generator is left as it was. There is no dropout.
    """
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=224,
        num_hidden_layers=4,
        num_attention_heads=7,
        num_key_value_heads=7,
        intermediate_size=640,
        max_position_embeddings=MAX_LENGTH,
        initializer_range=0.04,
        attention_dropout=0.0,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=_id(tokenizer, END),
        pad_token_id=_id(tokenizer, PAD),
        dtype="float32",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    return model.eval()


def _id(tokenizer: PreTrainedTokenizerBase, token: str) -> int:
    (found,) = tokenizer.encode(token, add_special_tokens=False)
    return found
