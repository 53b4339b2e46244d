"""Put a few animals or numbers in order."""

from random import Random
from typing import Any

from rlhf.demo.families.base import Form, Spec, Value, ended
from rlhf.demo.lexicon import ANIMALS, NUMBERS, Language, Table, mentions
from rlhf.demo.wording import upper_first

_COUNT = 2
_TABLES: dict[str, Table] = {"animals": ANIMALS, "numbers": NUMBERS}
_LARGEST_NUMBER = 7
_SEPARATOR: dict[Language, str] = {"en": ", ", "zh": "、"}
_REQUESTS: dict[str, dict[Language, str]] = {
    "up": {"en": "From small to large: ", "zh": "从小到大："},
    "down": {"en": "From large to small: ", "zh": "从大到小："},
}


class Order:
    """For example "From small to large: cow, ant"."""

    name = "order"
    forms: tuple[Form, Form] = ("line", "list")

    def make(self, rng: Random) -> dict[str, Any]:
        """Items of one kind and a direction."""
        kind = rng.choice(list(_TABLES))
        items = rng.sample(list(_TABLES[kind])[: _LARGEST_NUMBER + 1], _COUNT)
        return {"kind": kind, "items": items, "direction": rng.choice(list(_REQUESTS))}

    def instruction(self, spec: Spec, language: Language) -> str:
        """The direction and the items as they were drawn."""
        return _REQUESTS[spec["direction"]][language] + self._line(spec["items"], spec, language)

    def answer(self, spec: Spec) -> Value:
        """The items in order; a table's own order is from small to large."""
        rank = list(_TABLES[spec["kind"]])
        return tuple(sorted(spec["items"], key=rank.index, reverse=spec["direction"] == "down"))

    def wrong(self, spec: Spec, rng: Random) -> Value:
        """The same items in another order."""
        right = self.answer(spec)
        while (mixed := tuple(rng.sample(right, _COUNT))) == right:
            pass
        return mixed

    def render(self, value: Value, form: Form, spec: Spec, language: Language) -> str:
        """For example "Ant, cow.", or a line with a dash for each."""
        if form == "line":
            return upper_first(self._line(value, spec, language))
        return "\n".join(f"- {_TABLES[spec['kind']][key].surface(language)}" for key in value)

    def parse(self, content: str, spec: Spec, language: Language) -> list[Value]:
        """The items named, in groups as large as was given; what is left over is a value of its own."""
        named = mentions(content, _TABLES[spec["kind"]], language)
        return [tuple(named[start : start + _COUNT]) for start in range(0, len(named), _COUNT)]

    def _line(self, items: list[str] | Value, spec: Spec, language: Language) -> str:
        words = (_TABLES[spec["kind"]][key].surface(language) for key in items)
        return ended(_SEPARATOR[language].join(words), language)
