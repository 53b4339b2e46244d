"""Little sums in words."""

from random import Random
from typing import Any

from rlhf.demo.families.base import Spec, Value
from rlhf.demo.families.phrases import Phrases
from rlhf.demo.lexicon import NAMES, NUMBERS, THINGS, Language, counted, mentions, number

_LARGEST_PART = 9


class Sums(Phrases):
    """For example: Mia has two cups and buys four more. How many now?"""

    name = "sums"

    def make(self, rng: Random) -> dict[str, Any]:
        """A name, a thing, and two numbers from 2 to 9."""
        parts = [rng.randint(2, _LARGEST_PART) for _ in range(2)]
        return {"name": rng.choice(list(NAMES)), "thing": rng.choice(list(THINGS)), "parts": parts}

    def question(self, spec: Spec, language: Language) -> str:
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

    def phrase(self, value: Value, spec: Spec, language: Language) -> str:
        """For example "six"."""
        return NUMBERS[value[0]].surface(language)

    def sentence(self, value: Value, spec: Spec, language: Language) -> str:
        """For example "there are six now"."""
        word = NUMBERS[value[0]].surface(language)
        return f"there are {word} now" if language == "en" else f"总数是{word}"

    def parse(self, content: str, spec: Spec, language: Language) -> list[Value]:
        """The numbers named, in words or digits."""
        return [(key,) for key in mentions(content, NUMBERS, language)]
