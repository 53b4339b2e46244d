"""Write down three things, in the order in which they were said."""

from collections.abc import Sequence
from random import Random
from typing import Any

from rlhf.demo.families.base import Form, Spec, Value, ended, other
from rlhf.demo.lexicon import THINGS, Language, mentions
from rlhf.demo.wording import upper_first

_COUNT = 3
_SEPARATOR: dict[Language, str] = {"en": ", ", "zh": "、"}
_REQUEST: dict[Language, str] = {"en": "To buy: ", "zh": "要买："}


class Shopping:
    """For example: To buy: cup, hat, book."""

    name = "shopping"
    forms: tuple[Form, Form] = ("line", "list")

    def make(self, rng: Random) -> dict[str, Any]:
        """Three things."""
        return {"items": rng.sample(list(THINGS), _COUNT)}

    def instruction(self, spec: Spec, language: Language) -> str:
        """The things as they were drawn."""
        return _REQUEST[language] + _line(spec["items"], language)

    def answer(self, spec: Spec) -> Value:
        """The same things."""
        return tuple(spec["items"])

    def wrong(self, spec: Spec, rng: Random) -> Value:
        """As often as not two things have changed places, else one of them is another thing."""
        items = list(spec["items"])
        one, two = rng.sample(range(_COUNT), 2)
        if rng.random() < 0.5:
            items[one], items[two] = items[two], items[one]
        else:
            items[one] = other(rng, [thing for thing in THINGS if thing not in items], items[one])
        return tuple(items)

    def render(self, value: Value, form: Form, spec: Spec, language: Language) -> str:
        """For example "Cup, hat, book.", or a line with a dash for each."""
        if form == "line":
            return upper_first(_line(value, language))
        return "\n".join(f"- {THINGS[key].surface(language)}" for key in value)

    def parse(self, content: str, spec: Spec, language: Language) -> list[Value]:
        """The things named, three by three; what is left over is a value of its own."""
        named = mentions(content, THINGS, language)
        return [tuple(named[start : start + _COUNT]) for start in range(0, len(named), _COUNT)]


def _line(items: Sequence[str], language: Language) -> str:
    return ended(_SEPARATOR[language].join(THINGS[key].surface(language) for key in items), language)
