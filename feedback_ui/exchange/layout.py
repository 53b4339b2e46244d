"""Which of a record's fields are the prompt and the answers: by name where told, else by usual names."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from feedback_ui.errors import InvalidFeedback, listed

PROMPTS = ("prompt", "instruction", "question", "input", "query", "user", "messages", "conversation", "chat")
SINGLES = ("response", "completion", "answer", "output", "generation", "reply", "text")
# text1, response-2, answer_b, "Reply 3", left_text is not among them, response_left is
_NUMBERED = re.compile(r"(?P<stem>.*?)[\s_.-]*(?P<number>\d{1,2}|[a-f]|left|right)", re.IGNORECASE)
_WORDS = {"left": 1, "right": 2}
_STEMS = {"", *SINGLES, "option", "model", "candidate", "choice", "side", "assistant"}


@dataclass(frozen=True)
class Layout:
    """Names of fields and questions, each found by itself where it is None.

    `question` is the one whose values say what is better or how good; `reason` the one that says why.
    """

    prompt: str | None = None
    answers: tuple[str, ...] | None = None
    question: str | None = None
    reason: str | None = None

    def prompt_in(self, fields: Mapping[str, Any]) -> str:
        """The name of the field that is the prompt. Raises InvalidFeedback where none is."""
        wanted = (self.prompt,) if self.prompt else PROMPTS
        by_name = {normal(name): name for name in fields}
        for name in wanted:
            if normal(name) in by_name and fields[by_name[normal(name)]] is not None:
                return by_name[normal(name)]
        if self.prompt:
            raise InvalidFeedback(
                "has no field {field!r}; its fields are {fields}", field=self.prompt, fields=listed(fields)
            )
        raise InvalidFeedback(
            "no field is a prompt by its name; name one of {fields} by --prompt-field", fields=listed(fields)
        )

    def answers_in(self, fields: Mapping[str, Any], prompt: str) -> list[str]:
        """The names of the fields that are answers, in their order: those told, the numbered ones, or one.

        Raises:
            InvalidFeedback: a field that was told is missing, or it cannot be known which are meant.
        """
        if self.answers is not None:
            missing = [name for name in self.answers if fields.get(name) is None]
            if missing:
                raise InvalidFeedback(
                    "has no field {field!r}; its fields are {fields}",
                    field=missing[0],
                    fields=listed(fields),
                )
            return list(self.answers)
        texts = [name for name, value in fields.items() if name != prompt and isinstance(value, str)]
        stems = _numbered(texts)
        usual = {stem: group for stem, group in stems.items() if stem in SINGLES}
        groups = [*(usual if len(usual) == 1 else stems).values()]
        if len(groups) > 1:
            raise InvalidFeedback(
                "several groups of fields may be the answers; name those meant of {fields} by "
                "--answer-fields",
                fields=listed(fields),
            )
        if groups:
            return [name for _, name in groups[0]]
        by_name = {normal(name): name for name in texts}
        return [by_name[name] for name in SINGLES if name in by_name][:1]


def models_of(fields: Mapping[str, Any], answers: Sequence[str]) -> list[str | None]:
    """Which model gave each answer, where the columns `model_a`, `model_b`, ... say so."""
    models = {number: name for number, name in _numbered(fields).get("model", ())}
    found = [_number_of(name) for name in answers]
    if not models or any(number not in models for number in found):
        return [None] * len(answers)
    return [str(fields[models[number]]) for number in found if number is not None]


def _numbered(names: Iterable[str]) -> dict[str, list[tuple[int, str]]]:
    """Names that are alike but for a number, letter or side: by what they share, in order."""
    stems: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        found = _NUMBERED.fullmatch(name)
        if found:
            stems.setdefault(normal(found["stem"]), []).append((ordinal(found["number"]), name))
    return {stem: sorted(group) for stem, group in stems.items() if len(group) > 1}


def place_of(said: str, names: Sequence[str], *, in_words: bool = False) -> int | None:
    """The place of the answer that a word means: its field's name, its number, letter or side.

    `response-2`, "Reply 2", "2", "B" and "right" are all the second of two; with `in_words`, so is whatever
    ends with such a number, as the name of a question.
    """
    known = [normal(name) for name in names]
    if normal(said) in known:
        return known.index(normal(said))
    found = _NUMBERED.fullmatch(said.strip())
    if found is None:
        return None
    stems = {normal(held["stem"]) for name in names if (held := _NUMBERED.fullmatch(name))}
    if not in_words and normal(found["stem"]) not in stems | _STEMS:
        return None
    number = ordinal(found["number"])
    numbers = [_number_of(name) for name in names]
    if number in numbers:  # fields counted from 0, or beginning at another number
        return numbers.index(number)
    return number - 1 if None in numbers and 1 <= number <= len(names) else None


def ordinal(said: str) -> int:
    """What a number, a letter (a is 1) or a side counts as."""
    if said.isdecimal():
        return int(said)
    return _WORDS.get(said.lower()) or ord(said.lower()) - ord("a") + 1


def normal(name: str) -> str:
    """A name without case, blanks and strokes."""
    return re.sub(r"[\s_.-]+", "", name).lower()


def _number_of(name: str) -> int | None:
    found = _NUMBERED.fullmatch(name)
    return ordinal(found["number"]) if found else None
