"""Ordering of items: three numbers in rising or falling order."""

from random import Random
from typing import Any

from rlhf.demo.families.base import COMMA, Form, SingleTurn, Spec, Value, ended, in_groups, other
from rlhf.demo.lexicon import NUMBERS, Language, mentions, number
from rlhf.demo.wording import upper_first

_COUNT = 3
_LARGEST = 12
_REQUEST: dict[bool, dict[Language, str]] = {
    False: {"en": "Put in rising order: ", "zh": "从小到大排列："},
    True: {"en": "Put in falling order: ", "zh": "从大到小排列："},
}


class Sorting(SingleTurn):
    """For example: Put in rising order: nine, two, five."""

    name = "sorting"
    forms: tuple[Form, ...] = ("line", "list")

    def make(self, rng: Random) -> dict[str, Any]:
        """Three different numbers from 1 to 12, and the direction."""
        return {"items": rng.sample(range(1, _LARGEST + 1), _COUNT), "falling": rng.random() < 0.5}

    def question(self, spec: Spec, language: Language) -> str:
        """The request and the numbers as they were drawn."""
        return _REQUEST[spec["falling"]][language] + _line(_keys(spec["items"]), language)

    def answer(self, spec: Spec) -> Value:
        """The numbers in order."""
        return _keys(sorted(spec["items"], reverse=spec["falling"]))

    def wrong(self, spec: Spec, rng: Random) -> Value:
        """As often as not two have changed places, else one is another number."""
        items = list(self.answer(spec))
        one, two = rng.sample(range(_COUNT), 2)
        if rng.random() < 0.5:
            items[one], items[two] = items[two], items[one]
        else:
            others = [key for key in list(NUMBERS)[1 : _LARGEST + 1] if key not in items]
            items[one] = other(rng, others, items[one])
        return tuple(items)

    def render(self, value: Value, form: Form, spec: Spec, language: Language) -> str:
        """For example "Two, five, nine.", or a line with a dash for each."""
        if form == "line":
            return upper_first(_line(value, language))
        return "\n".join(f"- {NUMBERS[key].surface(language)}" for key in value)

    def parse(self, content: str, spec: Spec, language: Language) -> list[Value]:
        """The numbers named, three by three; what is left over is a value of its own."""
        return in_groups(mentions(content, NUMBERS, language), _COUNT)


def _keys(items: list[int]) -> Value:
    return tuple(number(item) for item in items)


def _line(keys: Value, language: Language) -> str:
    return ended(COMMA[language].join(NUMBERS[key].surface(language) for key in keys), language)
