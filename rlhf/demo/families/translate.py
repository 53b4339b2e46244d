"""Chinese–English phrases: translate "three red cups" into the other language."""

from random import Random
from typing import Any

from rlhf.demo.families.base import Form, SingleTurn, Spec, Value, ended, other
from rlhf.demo.lexicon import COLOURS, NUMBERS, THINGS, Language, Table, counted, mentions, number
from rlhf.demo.wording import upper_first

_COUNTS = [number(value) for value in range(2, 10)]
_TABLES: tuple[Table, Table, Table] = (NUMBERS, COLOURS, THINGS)  # both languages say them in this order
_ALL: Table = {**NUMBERS, **COLOURS, **THINGS}
_TARGET: dict[Language, Language] = {"en": "zh", "zh": "en"}


class Translate(SingleTurn):
    """For example "Into Chinese: three red cups." The answer is in the language that the prompt is not in."""

    name = "translate"
    forms: tuple[Form, ...] = ("short", "sentence")

    def make(self, rng: Random) -> dict[str, Any]:
        """The keys of a number, a colour and a thing."""
        return {"phrase": [rng.choice(_COUNTS), rng.choice(list(COLOURS)), rng.choice(list(THINGS))]}

    def question(self, spec: Spec, language: Language) -> str:
        """The request and the phrase."""
        phrase = _phrase(tuple(spec["phrase"]), language)
        return f"Into Chinese: {phrase}." if language == "en" else f"译成英文：{phrase}。"

    def answer(self, spec: Spec) -> Value:
        """The same phrase."""
        return tuple(spec["phrase"])

    def wrong(self, spec: Spec, rng: Random) -> Value:
        """One of the three words is another one."""
        place = rng.randrange(len(_TABLES))
        choices = _COUNTS if place == 0 else list(_TABLES[place])
        value = list(spec["phrase"])
        value[place] = other(rng, choices, value[place])
        return tuple(value)

    def render(self, value: Value, form: Form, spec: Spec, language: Language) -> str:
        """For example "三个红色的杯子。" or "It means 三个红色的杯子"."""
        phrase = _phrase(value, _TARGET[language])
        if form == "sentence":
            return ended(f"It means {phrase}" if language == "en" else f"意思是 {phrase}", language)
        return ended(upper_first(phrase), _TARGET[language])

    def parse(self, content: str, spec: Spec, language: Language) -> list[Value]:
        """The phrases named in the other language; a word outside a phrase is a value by itself."""
        named = mentions(content, _ALL, _TARGET[language])
        values: list[Value] = []
        while named:
            phrase = named[: len(_TABLES)]
            kinds = [key in table for key, table in zip(phrase, _TABLES, strict=False)]
            whole = kinds == [True, True, True]
            values.append(tuple(phrase) if whole else (named[0],))
            named = named[len(values[-1]) :]
        return values


def _phrase(value: Value, language: Language) -> str:
    count, colour, thing = value[0], COLOURS[value[1]], THINGS[value[2]]
    how_many = counted(list(NUMBERS).index(count), language)
    if language == "en":
        return f"{how_many} {colour.en} {thing.plural}"
    return f"{how_many}{thing.measure}{colour.zh}的{thing.zh}"
