"""Entity extraction: who took what to which place."""

from random import Random
from typing import Any

from rlhf.demo.families.base import Spec, Value, other
from rlhf.demo.families.phrases import Phrases
from rlhf.demo.lexicon import NAMES, PLACES, THINGS, Language, Table, mentions

_TABLES: dict[str, Table] = {"name": NAMES, "thing": THINGS, "place": PLACES}
_QUESTIONS: dict[str, dict[Language, str]] = {
    "name": {"en": "Who took it?", "zh": "是谁带的？"},
    "thing": {"en": "What was taken?", "zh": "带了什么？"},
    "place": {"en": "Where to?", "zh": "带到哪里？"},
}
_SENTENCES: dict[str, dict[Language, str]] = {
    "name": {"en": "it was {}", "zh": "是{}带的"},
    "thing": {"en": "it was the {}", "zh": "带了{}"},
    "place": {"en": "it went to {}", "zh": "带到了{}"},
}
_PHRASES: dict[str, dict[Language, str]] = {
    "name": {"en": "{}", "zh": "{}"},
    "thing": {"en": "the {}", "zh": "{}"},
    "place": {"en": "to {}", "zh": "{}"},
}


class Extract(Phrases):
    """For example "Today Mia took the cup to Rome. Who took it?" A name, a thing or a place is asked for."""

    name = "extract"

    def make(self, rng: Random) -> dict[str, Any]:
        """A name, a thing, a place, and which of them is asked for."""
        spec: dict[str, Any] = {kind: rng.choice(list(table)) for kind, table in _TABLES.items()}
        return spec | {"asked": rng.choice(list(_TABLES))}

    def question(self, spec: Spec, language: Language) -> str:
        """The sentence and a question about it."""
        name, thing, place = (table[spec[kind]].surface(language) for kind, table in _TABLES.items())
        if language == "en":
            return f"Today {name} took the {thing} to {place}. {_QUESTIONS[spec['asked']]['en']}"
        return f"{name}把{thing}带到了{place}。{_QUESTIONS[spec['asked']]['zh']}"

    def answer(self, spec: Spec) -> Value:
        """What stands in the sentence."""
        return (spec[spec["asked"]],)

    def wrong(self, spec: Spec, rng: Random) -> Value:
        """Another word of the same kind."""
        return (other(rng, list(_TABLES[spec["asked"]]), spec[spec["asked"]]),)

    def phrase(self, value: Value, spec: Spec, language: Language) -> str:
        """For example "Mia" or "to Rome"."""
        return _PHRASES[spec["asked"]][language].format(_word(value, spec, language))

    def sentence(self, value: Value, spec: Spec, language: Language) -> str:
        """For example "it was Mia"."""
        return _SENTENCES[spec["asked"]][language].format(_word(value, spec, language))

    def parse(self, content: str, spec: Spec, language: Language) -> list[Value]:
        """The words of the kind asked for."""
        return [(key,) for key in mentions(content, _TABLES[spec["asked"]], language)]


def _word(value: Value, spec: Spec, language: Language) -> str:
    return _TABLES[spec["asked"]][value[0]].surface(language)
