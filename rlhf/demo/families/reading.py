"""Question answering over a given text: which colour a thing had at first, or has now."""

from random import Random
from typing import Any

from rlhf.demo.families.base import Spec, Value, other
from rlhf.demo.families.phrases import Phrases
from rlhf.demo.lexicon import COLOURS, NAMES, THINGS, Language, mentions


class Reading(Phrases):
    """For example: The hat was red. Then Mia painted it blue. What colour is it now?"""

    name = "reading"

    def make(self, rng: Random) -> dict[str, Any]:
        """A thing, who painted it, its two colours, and which of them is asked for (0 or 1)."""
        return {
            "thing": rng.choice(list(THINGS)),
            "name": rng.choice(list(NAMES)),
            "colours": rng.sample(list(COLOURS), 2),
            "asked": rng.randrange(2),
        }

    def question(self, spec: Spec, language: Language) -> str:
        """What happened, and a question about before or after."""
        thing, name = THINGS[spec["thing"]].surface(language), NAMES[spec["name"]].surface(language)
        one, two = (COLOURS[key].surface(language) for key in spec["colours"])
        if language == "en":
            asked = "is it now" if spec["asked"] else "was it at first"
            return f"The {thing} was {one}. Then {name} painted it {two}. What colour {asked}?"
        asked = "现在" if spec["asked"] else "原来"
        return f"{thing}是{one}。后来{name}把它涂成了{two}。{asked}是什么颜色？"

    def answer(self, spec: Spec) -> Value:
        """The colour asked for."""
        return (spec["colours"][spec["asked"]],)

    def wrong(self, spec: Spec, rng: Random) -> Value:
        """As often as not the colour of the other time, else any other."""
        if rng.random() < 0.5:
            return (spec["colours"][1 - spec["asked"]],)
        return (other(rng, list(COLOURS), spec["colours"][spec["asked"]]),)

    def phrase(self, value: Value, spec: Spec, language: Language) -> str:
        """For example "blue"."""
        return COLOURS[value[0]].surface(language)

    def sentence(self, value: Value, spec: Spec, language: Language) -> str:
        """For example "it is blue now"."""
        colour = COLOURS[value[0]].surface(language)
        if language == "en":
            return f"it is {colour} now" if spec["asked"] else f"at first it was {colour}"
        return f"{'现在' if spec['asked'] else '原来'}是{colour}"

    def parse(self, content: str, spec: Spec, language: Language) -> list[Value]:
        """The colours named."""
        return [(key,) for key in mentions(content, COLOURS, language)]
