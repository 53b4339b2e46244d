"""What a family of instructions is: one object that makes, words, answers and reads one kind of question."""

from collections.abc import Mapping
from random import Random
from typing import Any, Literal, Protocol, TypeAlias

from rlhf.demo.lexicon import Language

Form: TypeAlias = Literal["short", "sentence", "list", "line"]
Spec: TypeAlias = Mapping[str, Any]
"""What gold needs to check an answer; holds "form" and survives JSON."""
Value: TypeAlias = tuple[str, ...]
"""What an answer says, as keys of the lexicon, whatever its wording."""


class Family(Protocol):
    """One kind of instruction. To add a family, write such an object and name it in `FAMILIES`."""

    name: str
    forms: tuple[Form, Form]
    """The forms that can be asked for; the first one is the curt way to say it."""

    def make(self, rng: Random) -> dict[str, Any]:
        """A new spec, without its form."""
        ...

    def instruction(self, spec: Spec, language: Language) -> str:
        """The question, without the wish for a form."""
        ...

    def answer(self, spec: Spec) -> Value:
        """The right value."""
        ...

    def wrong(self, spec: Spec, rng: Random) -> Value:
        """A value that is not right, of the kind that a careless person gives."""
        ...

    def render(self, value: Value, form: Form, spec: Spec, language: Language) -> str:
        """The value worded in a form; no courtesy, nothing beside it."""
        ...

    def parse(self, content: str, spec: Spec, language: Language) -> list[Value]:
        """Every value that normalised text names, in order; empty where it names none.

        What is only a part of a value comes as a shorter tuple; a tuple of full length can be rendered.
        """
        ...


WISHES: Mapping[Form, Mapping[Language, str]] = {
    "short": {"en": "In one phrase.", "zh": "用词语回答。"},
    "sentence": {"en": "In a sentence.", "zh": "用句子回答。"},
    "list": {"en": "As a list.", "zh": "写成列表。"},
    "line": {"en": "On a line.", "zh": "写成单行。"},
}
"""How an instruction asks for a form."""


def ended(text: str, language: Language) -> str:
    """The text with the full stop of the language."""
    return text + ("." if language == "en" else "。")


def other(rng: Random, choices: list[str], right: str) -> str:
    """One of the choices that is not the right one."""
    return rng.choice([choice for choice in choices if choice != right])
