"""Tiny sums in words."""

from random import Random
from typing import Any

from rlhf.demo.families.base import Form, Spec, Value, ended
from rlhf.demo.lexicon import NAMES, NUMBERS, THINGS, Language, counted, mentions, number
from rlhf.demo.wording import upper_first

_LARGEST_PART = 5


class Sums:
    """For example: Mia has two cups and buys four more. How many now?"""

    name = "sums"
    forms: tuple[Form, Form] = ("short", "sentence")

    def make(self, rng: Random) -> dict[str, Any]:
        """A name, a thing, and two numbers from 2 to 5."""
        parts = [rng.randint(2, _LARGEST_PART) for _ in range(2)]
        return {"name": rng.choice(list(NAMES)), "thing": rng.choice(list(THINGS)), "parts": parts}

    def instruction(self, spec: Spec, language: Language) -> str:
        """The story and the question."""
        name, thing = NAMES[spec["name"]].surface(language), THINGS[spec["thing"]]
        first, second = (counted(part, language) for part in spec["parts"])
        if language == "en":
            return f"{name} has {first} {thing.plural} and buys {second} more. How many now?"
        return f"{name}有{first}{thing.measure}{thing.zh}，又买了{second}{thing.measure}。现在有多少？"

    def answer(self, spec: Spec) -> Value:
        """The sum, in words."""
        return (number(sum(spec["parts"])),)

    def wrong(self, spec: Spec, rng: Random) -> Value:
        """Off by one or two."""
        return (number(sum(spec["parts"]) + rng.choice([-2, -1, 1, 2])),)

    def render(self, value: Value, form: Form, spec: Spec, language: Language) -> str:
        """For example "Six." or "There are six now"."""
        word = NUMBERS[value[0]].surface(language)
        if form == "sentence":
            word = f"there are {word} now" if language == "en" else f"总数是{word}"
        return ended(upper_first(word), language)

    def parse(self, content: str, spec: Spec, language: Language) -> list[Value]:
        """The numbers named, in words or digits."""
        return [(key,) for key in mentions(content, NUMBERS, language)]
