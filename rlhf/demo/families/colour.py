"""Look up in a text: which of two things has which colour."""

from random import Random
from typing import Any

from rlhf.demo.families.base import Form, Spec, Value, ended, other
from rlhf.demo.lexicon import COLOURS, THINGS, Language, mentions
from rlhf.demo.wording import upper_first


class Colour:
    """For example: A red cup and a blue hat. What colour is the hat?"""

    name = "colour"
    forms: tuple[Form, Form] = ("short", "sentence")

    def make(self, rng: Random) -> dict[str, Any]:
        """Two things, their colours, and which thing is asked for (0 or 1)."""
        return {
            "things": rng.sample(list(THINGS), 2),
            "colours": rng.sample(list(COLOURS), 2),
            "asked": rng.randrange(2),
        }

    def instruction(self, spec: Spec, language: Language) -> str:
        """Both facts and a question about one of them."""
        first, second = (THINGS[key].surface(language) for key in spec["things"])
        one, two = (COLOURS[key].surface(language) for key in spec["colours"])
        asked = (first, second)[spec["asked"]]
        if language == "en":
            return f"A {one} {first} and a {two} {second}. What colour is the {asked}?"
        return f"{one}的{first}和{two}的{second}。{asked}是什么颜色？"

    def answer(self, spec: Spec) -> Value:
        """The colour of the thing asked for."""
        return (spec["colours"][spec["asked"]],)

    def wrong(self, spec: Spec, rng: Random) -> Value:
        """As often as not the other thing's colour, else any other."""
        if rng.random() < 0.5:
            return (spec["colours"][1 - spec["asked"]],)
        return (other(rng, list(COLOURS), spec["colours"][spec["asked"]]),)

    def render(self, value: Value, form: Form, spec: Spec, language: Language) -> str:
        """For example "Blue." or "The hat is blue"."""
        colour = COLOURS[value[0]].surface(language)
        if form == "sentence":
            thing = THINGS[spec["things"][spec["asked"]]].surface(language)
            colour = f"the {thing} is {colour}" if language == "en" else f"{thing}是{colour}"
        return ended(upper_first(colour), language)

    def parse(self, content: str, spec: Spec, language: Language) -> list[Value]:
        """The colours named."""
        return [(key,) for key in mentions(content, COLOURS, language)]
