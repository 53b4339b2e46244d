"""Summary: three sentences become one that says who did what where."""

from random import Random
from typing import Any

from rlhf.demo.families.base import COMMA, Form, Kind, SingleTurn, Spec, Value, ended, in_groups, other
from rlhf.demo.lexicon import NAMES, PLACES, THINGS, Language, Table, mentions

_TABLES: tuple[Table, Table, Table] = (NAMES, PLACES, THINGS)
_ALL: Table = {**NAMES, **PLACES, **THINGS}


class Summary(SingleTurn):
    """For example: "Mia was in Rome. She liked the cup. At last she bought the hat. Sum it up." """

    name = "summary"
    kinds: tuple[Kind, ...] = ("task", "constraint")
    forms: tuple[Form, ...] = ("short", "sentence")

    def make(self, rng: Random) -> dict[str, Any]:
        """A name, a place, the thing that was bought, and one that was not."""
        bought, left = rng.sample(list(THINGS), 2)
        name, place = rng.choice(list(NAMES)), rng.choice(list(PLACES))
        return {"name": name, "place": place, "bought": bought, "left": left}

    def question(self, spec: Spec, language: Language) -> str:
        """The story and the request."""
        name, place = NAMES[spec["name"]].surface(language), PLACES[spec["place"]].surface(language)
        bought, left = (THINGS[spec[key]].surface(language) for key in ("bought", "left"))
        if language == "en":
            return (
                f"{name} was in {place}. The {left} cost too much. So {name} bought the {bought}. Sum it up."
            )
        return f"{name}在{place}。{left}太贵了。所以{name}买了{bought}。总结一下。"

    def answer(self, spec: Spec) -> Value:
        """Who, where, and what was bought."""
        return (spec["name"], spec["place"], spec["bought"])

    def wrong(self, spec: Spec, rng: Random) -> Value:
        """The thing that was left, or another name or place."""
        value = list(self.answer(spec))
        place = rng.randrange(3)
        value[place] = spec["left"] if place == 2 else other(rng, list(_TABLES[place]), value[place])
        return tuple(value)

    def render(self, value: Value, form: Form, spec: Spec, language: Language) -> str:
        """For example "Mia, Rome, hat." or "In Rome, Mia got the hat"."""
        name, place, thing = (_ALL[key].surface(language) for key in value)
        if form == "short":
            return ended(COMMA[language].join((name, place, thing)), language)
        if language == "en":
            return f"{name} in {place} got the {thing}."
        return f"{name}到{place}购得{thing}。"

    def parse(self, content: str, spec: Spec, language: Language) -> list[Value]:
        """The names, places and things named, three by three; what does not fit is a value by itself."""
        values: list[Value] = []
        for value in in_groups(mentions(content, _ALL, language), 3):
            whole = len(value) == 3 and all(key in table for key, table in zip(value, _TABLES, strict=True))
            values += [value] if whole else [(key,) for key in value]
        return values
