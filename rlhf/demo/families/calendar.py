"""Days of the week: a family that no training sees, to find out what carries over to new tasks."""

from random import Random
from typing import Any

from rlhf.demo.families.base import Spec, Value, other
from rlhf.demo.families.phrases import Phrases
from rlhf.demo.lexicon import DAYS, Language, mentions


class Calendar(Phrases):
    """For example: Which day comes after Monday?"""

    name = "calendar"

    def make(self, rng: Random) -> dict[str, Any]:
        """A day, and whether the one after or before it is asked for."""
        return {"day": rng.choice(list(DAYS)), "after": rng.random() < 0.5}

    def question(self, spec: Spec, language: Language) -> str:
        """The question."""
        day = DAYS[spec["day"]].surface(language)
        if language == "en":
            return f"Which day comes {'after' if spec['after'] else 'before'} {day}?"
        return f"{day}的{'后' if spec['after'] else '前'}一天是哪天？"

    def answer(self, spec: Spec) -> Value:
        """The neighbouring day."""
        days = list(DAYS)
        return (days[(days.index(spec["day"]) + (1 if spec["after"] else -1)) % len(days)],)

    def wrong(self, spec: Spec, rng: Random) -> Value:
        """Another day."""
        return (other(rng, list(DAYS), self.answer(spec)[0]),)

    def phrase(self, value: Value, spec: Spec, language: Language) -> str:
        """For example "Tuesday"."""
        return DAYS[value[0]].surface(language)

    def sentence(self, value: Value, spec: Spec, language: Language) -> str:
        """For example "it is Tuesday"."""
        day = DAYS[value[0]].surface(language)
        return f"it is {day}" if language == "en" else f"那是{day}"

    def parse(self, content: str, spec: Spec, language: Language) -> list[Value]:
        """The days named."""
        return [(key,) for key in mentions(content, DAYS, language)]
