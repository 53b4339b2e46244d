"""The embedded world's tokenizer: byte-level BPE, trained on the world's own text when first asked for."""

from collections.abc import Iterator
from functools import cache

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from rlhf.demo.world import demonstrations

VOCABULARY = 1152  # at most; the text has pieces for about a hundred fewer
PAD, END = "<|pad|>", "<|end|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
MAX_LENGTH = 256

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|' + message['role'] + '|>' + message['content'] + '<|end|>' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)

_TEXTS, _SEED = 4000, 0
_CJK = "[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]"


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer, the same to the byte in every process; it is trained once (about a second) and kept.

    It has a pad token, an end token that closes every turn, and a marker for each role; no other text is
    added. Every string survives encoding and decoding. A Chinese character is never merged with its
    neighbours, so that a word has the same tokens wherever it stands.
    """
    return PreTrainedTokenizerFast(
        tokenizer_object=_trained(),
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=list(ROLES),
        chat_template=CHAT_TEMPLATE,
        model_max_length=MAX_LENGTH,
        padding_side="right",
    )


def _trained() -> Tokenizer:
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_CJK), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    trained.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, END, *ROLES],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    trained.train_from_iterator(_texts(), trainer)
    return trained


def _texts() -> Iterator[str]:
    for demonstration in demonstrations(_TEXTS, _SEED):
        yield demonstration.prompt.text
        yield demonstration.completion
