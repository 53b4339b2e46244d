"""The benchmark's tokenizer: every byte is a token; no text gives the rest of the vocabulary.

Bytes without merges mean the same to every byte-level class: for a Qwen2 model transformers builds a
tokenizer of its own kind from the vocabulary, whatever the folder says.
"""

import string

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

SPECIAL = ("<pad>", "<end>", "<unk>")
PAD, END, UNKNOWN = range(3)
FIRST_WORD = len(SPECIAL)
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
LETTERS = [FIRST_WORD + BYTES.index(letter) for letter in string.ascii_letters]
"""Ids of the letters, which prompts are made of."""


def new_tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    """Special tokens, bytes, and words w259, w260 and so on up to the vocabulary.

    Raises:
        ValueError: the vocabulary does not hold the bytes.
    """
    names = [*SPECIAL, *BYTES]
    if vocabulary < len(names):
        raise ValueError(f"vocabulary={vocabulary} does not hold {len(names)} special tokens and bytes")
    names += [f"w{token}" for token in range(len(names), vocabulary)]
    plain = Tokenizer(models.BPE({name: token for token, name in enumerate(names)}, []))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=plain,
        pad_token=SPECIAL[PAD],
        eos_token=SPECIAL[END],
        unk_token=SPECIAL[UNKNOWN],
        padding_side="left",
        model_max_length=1 << 20,
    )


def letters(ids: list[int]) -> str:
    """The text of a prompt's ids."""
    return "".join(BYTES[token - FIRST_WORD] for token in ids)
