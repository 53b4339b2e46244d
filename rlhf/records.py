"""What the pipeline talks about: prompts, demonstrations, preferences and ratings. No torch.

A prompt is either plain text, used exactly as written, or a conversation, which the chat template
turns into text (the meaning that TRL gives to strings and message lists).
"""

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `role` is "system", "user" or "assistant"."""

    role: str
    content: str


@dataclass(frozen=True)
class Prompt:
    """What the policy is given: plain text, or the turns of a conversation that ends before the answer.

    `fields` carries whatever else the row held (reference answer, family, language, metadata); rewards and
    reports may read it.
    """

    content: str | tuple[Message, ...]
    fields: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def key(self) -> str:
        """SHA-256 of the content after Unicode NFC and folding of white space; `fields` do not count.

        Equal prompts have equal keys, so a split by key never lets a prompt cross over.
        """
        if isinstance(self.content, str):
            turns: list[list[str]] = [["", _fold(self.content)]]
        else:
            turns = [[message.role, _fold(message.content)] for message in self.content]
        return hashlib.sha256(json.dumps(turns, ensure_ascii=False).encode()).hexdigest()

    @property
    def text(self) -> str:
        """The content for people to read; the turns of a conversation are labelled when there are several."""
        if isinstance(self.content, str):
            return self.content
        if len(self.content) == 1:
            return self.content[0].content
        return "\n\n".join(f"{message.role}: {message.content}" for message in self.content)


@dataclass(frozen=True)
class Demonstration:
    """A prompt with an answer to imitate."""

    prompt: Prompt
    completion: str


@dataclass(frozen=True)
class Preference:
    """Two answers to one prompt, the better one named first.

    `probability` is that `chosen` is better (a tie is 0.5), `margin` the least difference of scores asked
    for, in nats (log-odds), `weight` what the pair counts in the mean loss.
    """

    prompt: Prompt
    chosen: str
    rejected: str
    probability: float = 1.0
    margin: float = 0.0
    weight: float = 1.0

    def swap(self) -> "Preference":
        """The same judgement with the sides exchanged; only meaningful without a margin."""
        return Preference(
            self.prompt, self.rejected, self.chosen, 1.0 - self.probability, -self.margin, self.weight
        )


@dataclass(frozen=True)
class Rating:
    """One answer with what somebody gave it by itself.

    `value` of a thumb is the probability that the answer is a good one (up is 1, down 0), of anything else
    the score, in whatever unit it was given. `weight` is what it counts in the mean loss.
    """

    prompt: Prompt
    completion: str
    value: float
    is_thumb: bool
    weight: float = 1.0


def _fold(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())
