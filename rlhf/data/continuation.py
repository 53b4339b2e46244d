"""Encoding text that continues other text, and decoding it without loss.

Tokenizers of the SentencePiece kind put a space before whatever they are given ("Hello" becomes "▁Hello")
and take it off again. That is right for the start of a text and wrong for an answer, which begins in the
middle of one: "Once upon a" + " time" would lose its space or get two. Here such a tokenizer is taken without
that habit, so that ids, like text, can be joined: "Hello" is "H", "ello", and " Hello" is "▁Hello".
"""

import json
from collections.abc import Sequence
from typing import Any, Protocol, cast

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

_SPACES = ("▁", "Ġ")


class Continuation(Protocol):
    """Encodes and decodes a piece of text that other text may precede."""

    def ids(self, text: str, *, literal: bool) -> list[int]:
        """The ids, no special token added; `literal` takes what spells a special token for plain text."""
        ...

    def text(self, ids: Sequence[int]) -> str:
        """The text exactly, special tokens left out. Never raises: broken bytes become U+FFFD."""
        ...


def adds_space(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the tokenizer puts a space before a text that has none."""
    ids = cast(list[int], tokenizer("a", add_special_tokens=False)["input_ids"])
    first = tokenizer.convert_ids_to_tokens(ids[:1])
    return bool(first) and str(first[0]).startswith(_SPACES)


def continuation(tokenizer: PreTrainedTokenizerBase) -> Continuation:
    """The tokenizer as it is, or without the space that it puts before a text."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if isinstance(backend, Tokenizer) and adds_space(tokenizer):
        return _WithoutSpace(backend)
    return _AsItIs(tokenizer)


class _AsItIs:
    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer

    def ids(self, text: str, *, literal: bool) -> list[int]:
        encoded = self._tokenizer(text, add_special_tokens=False, split_special_tokens=literal, verbose=False)
        return list(cast(list[int], encoded["input_ids"]))

    def text(self, ids: Sequence[int]) -> str:
        return cast(
            str,
            self._tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False),
        )


class _WithoutSpace:
    def __init__(self, backend: Tokenizer) -> None:
        self._plain = _without_space(backend)
        self._literal = _without_space(backend)
        self._literal.encode_special_tokens = True

    def ids(self, text: str, *, literal: bool) -> list[int]:
        return (self._literal if literal else self._plain).encode(text, add_special_tokens=False).ids

    def text(self, ids: Sequence[int]) -> str:
        return self._plain.decode(list(ids), skip_special_tokens=True)


def _without_space(backend: Tokenizer) -> Tokenizer:
    parts: dict[str, Any] = json.loads(backend.to_str())
    for part in ("normalizer", "pre_tokenizer", "decoder"):
        parts[part] = _strip(parts[part])
    return Tokenizer.from_str(json.dumps({**parts, "truncation": None, "padding": None}))


def _strip(part: dict[str, Any] | None) -> dict[str, Any] | None:
    """One component of a tokenizer's JSON without what adds or takes off the leading space."""
    if part is None or part["type"] == "Prepend":
        return None
    if part["type"] == "Strip" and part.get("content") == " ":
        return None
    if part["type"] == "Metaspace":
        return {**part, "prepend_scheme": "never"}
    if part["type"] == "ByteLevel":
        return {**part, "add_prefix_space": False}
    if part["type"] == "Sequence":
        name = next(name for name in ("normalizers", "pretokenizers", "decoders") if name in part)
        return {**part, name: [kept for inner in part[name] if (kept := _strip(inner)) is not None]}
    return part
