"""Question answering over a given text: which of two things has which colour."""

from random import Random
from typing import Any

from rlhf.demo.families.base import Spec, Value, other
from rlhf.demo.families.phrases import Phrases
from rlhf.demo.lexicon import COLOURS, THINGS, Language, mentions


class Reading(Phrases):
    """For example: Notes: cup red, hat blue. What colour is the hat?"""

    name = "reading"

    def make(self, rng: Random) -> dict[str, Any]:
        """Two things, their colours, and which thing is asked for (0 or 1)."""
        return {
            "things": rng.sample(list(THINGS), 2),
            "colours": rng.sample(list(COLOURS), 2),
            "asked": rng.randrange(2),
        }

    def question(self, spec: Spec, language: Language) -> str:
        """Both facts and a question about one of them."""
        first, second = (THINGS[key].surface(language) for key in spec["things"])
        one, two = (COLOURS[key].surface(language) for key in spec["colours"])
        asked = (first, second)[spec["asked"]]
        if language == "en":
            return f"Notes: {first} {one}, {second} {two}. What colour is the {asked}?"
        return f"笔记：{first}{one}，{second}{two}。{asked}是什么颜色？"

    def answer(self, spec: Spec) -> Value:
        """The colour of the thing asked for."""
        return (spec["colours"][spec["asked"]],)

    def wrong(self, spec: Spec, rng: Random) -> Value:
        """As often as not the other thing's colour, else any other."""
        if rng.random() < 0.5:
            return (spec["colours"][1 - spec["asked"]],)
        return (other(rng, list(COLOURS), spec["colours"][spec["asked"]]),)

    def phrase(self, value: Value, spec: Spec, language: Language) -> str:
        """For example "blue"."""
        return COLOURS[value[0]].surface(language)

    def sentence(self, value: Value, spec: Spec, language: Language) -> str:
        """For example "the hat is blue"."""
        thing = THINGS[spec["things"][spec["asked"]]].surface(language)
        colour = COLOURS[value[0]].surface(language)
        return f"the {thing} is {colour}" if language == "en" else f"{thing}是{colour}"

    def parse(self, content: str, spec: Spec, language: Language) -> list[Value]:
        """The colours named."""
        return [(key,) for key in mentions(content, COLOURS, language)]
