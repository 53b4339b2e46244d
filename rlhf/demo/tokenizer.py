"""The embedded world's tokenizer: byte-level BPE, trained on the world's own text."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import islice
from random import Random

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from rlhf.demo.base_model import base_folder
from rlhf.demo.corpus import END, ROLES, pages
from rlhf.demo.personas import PERSONAS
from rlhf.demo.tasks import Task
from rlhf.demo.world import demonstrations

VOCABULARY = 2048  # at most; the world's text has pieces for fewer
PAD = "<|pad|>"
MAX_LENGTH = 256

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|' + message['role'] + '|>' + message['content'] -}}"
    "{%- if message['role'] == 'assistant' -%}{{- '<|end|>' -}}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)

_TEXTS, _SEED = 4000, 0
_CJK = "[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]"


def _curt(task: Task, rng: Random) -> str:
    """Right half of the time; the first form, without courtesy or full stop, whatever was asked for."""
    value = task.right if rng.random() < 0.5 else task.wrong(rng)
    return task.render(value, task.family.forms[0]).rstrip(".。")


_SHARES = {"careful": 0.15, "hurried": 0.33, "rambling": 0.32, "flatterer": 0.2}
_PERSONAS = tuple(
    replace(one, share=_SHARES[one.name], speak=_curt if one.name == "hurried" else one.speak)
    for one in PERSONAS
)
"""People of its own: the shipped base's pieces stay as they are when the demo's people change."""


@cache
def tokenizer() -> PreTrainedTokenizerBase:
    """The tokenizer that ships with the base model.

    It has a pad token, an end token that closes every answer, and a marker for each role; no other text is
    added. Every string survives encoding and decoding. A Chinese character is never merged with its
    neighbours, so that a word has the same tokens wherever it stands.
    """
    return AutoTokenizer.from_pretrained(base_folder())


def train_tokenizer() -> PreTrainedTokenizerFast:
    """The same anew, from the world's text; about a second, the same to the byte in every process."""
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
    for page in islice(pages(_SEED), _TEXTS):
        yield "".join(piece.text for piece in page if piece.text not in (END, *ROLES))
    for demonstration in demonstrations(_TEXTS, _SEED, _PERSONAS):
        yield demonstration.completion
