"""A tokenizer small enough to make anew in every test."""

from collections.abc import Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast


def byte_level(special: Sequence[str] = ("<|end|>", "<|pad|>"), **options: object) -> PreTrainedTokenizerFast:
    """A byte-level BPE with hardly a merge; the special tokens have the first ids."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(["hello hello there there " * 3], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=made, **{"eos_token": "<|end|>", **options})
