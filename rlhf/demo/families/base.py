"""What a family of instructions is: one object that makes, words, answers and reads one kind of question."""

from collections.abc import Mapping
from random import Random
from typing import Any, Literal, Protocol, TypeAlias

from rlhf.demo.lexicon import Language
from rlhf.records import Message

Kind: TypeAlias = Literal["task", "constraint", "example"]
"""A task says what to do, a constraint also how to answer; an example shows both and lets it be inferred."""
Form: TypeAlias = Literal["short", "sentence", "quoted", "list", "line", "json"]
Spec: TypeAlias = Mapping[str, Any]
"""What gold needs to check an answer; holds "kind" and "form" and survives JSON."""
Value: TypeAlias = tuple[str, ...]
"""What an answer says, as keys of the lexicon, whatever its wording."""
KINDS: tuple[Kind, ...] = ("task", "constraint", "example")


class Family(Protocol):
    """One kind of instruction. To add a family, write such an object and name it in `FAMILIES`."""

    name: str
    kinds: tuple[Kind, ...]
    """The kinds of instruction that it comes in."""
    forms: tuple[Form, ...]
    """The forms that can be asked for: the curt way to say it first, the full way second."""

    def make(self, rng: Random) -> dict[str, Any]:
        """A new spec, without its kind and form."""
        ...

    def question(self, spec: Spec, language: Language) -> str:
        """The question, or the last turn of it, without the wish for a form."""
        ...

    def before(self, spec: Spec, language: Language) -> tuple[Message, ...]:
        """The turns before the last one; none for most families."""
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


class SingleTurn:
    """A family whose question stands by itself, and that comes in every kind."""

    kinds: tuple[Kind, ...] = KINDS

    def before(self, spec: Spec, language: Language) -> tuple[Message, ...]:
        """No turns."""
        return ()


WISHES: Mapping[Form, Mapping[Language, str]] = {
    "short": {"en": "In one phrase.", "zh": "用词语回答。"},
    "sentence": {"en": "In a sentence.", "zh": "用句子回答。"},
    "quoted": {"en": "In quotes.", "zh": "加上引号。"},
    "list": {"en": "As a list.", "zh": "写成列表。"},
    "line": {"en": "On a line.", "zh": "写成单行。"},
    "json": {"en": "As JSON.", "zh": "写成JSON。"},
}
"""How an instruction asks for a form."""
COMMA: Mapping[Language, str] = {"en": ", ", "zh": "、"}


def ended(text: str, language: Language) -> str:
    """The text with the full stop of the language."""
    return text + ("." if language == "en" else "。")


def quoted(text: str, language: Language) -> str:
    """The text in the quotation marks of the language."""
    return f'"{text}"' if language == "en" else f"“{text}”"


def other(rng: Random, choices: list[str], right: str) -> str:
    """One of the choices that is not the right one."""
    return rng.choice([choice for choice in choices if choice != right])


def in_groups(named: list[str], size: int) -> list[Value]:
    """What was named, so many at a time; what is left over is a shorter value of its own."""
    return [tuple(named[start : start + size]) for start in range(0, len(named), size)]
