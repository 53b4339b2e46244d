"""Answers as JSON with given keys: two facts out of a sentence."""

import json
from random import Random
from typing import Any

from rlhf.demo.families.base import COMMA, Form, SingleTurn, Spec, Value, ended, other
from rlhf.demo.lexicon import (
    NAMES,
    NUMBERS,
    PLACES,
    THINGS,
    Language,
    Table,
    counted,
    mentions,
    number,
)

_COUNTS = [number(value) for value in range(2, 10)]
_TABLES: dict[str, Table] = {
    "name": NAMES,
    "count": {key: NUMBERS[key] for key in _COUNTS},
    "thing": THINGS,
    "place": PLACES,
}
_ALL: Table = {**NAMES, **NUMBERS, **THINGS, **PLACES}
_KEYS: dict[str, dict[Language, str]] = {
    "name": {"en": "name", "zh": "姓名"},
    "count": {"en": "count", "zh": "数量"},
    "thing": {"en": "item", "zh": "物品"},
    "place": {"en": "city", "zh": "城市"},
}


class Record(SingleTurn):
    """For example: "Mia sent three cups to Rome. Note name and city." """

    name = "record"
    forms: tuple[Form, ...] = ("line", "json")

    def make(self, rng: Random) -> dict[str, Any]:
        """A name, a count, a thing, a place, and which two of them are asked for, in order."""
        spec: dict[str, Any] = {kind: rng.choice(list(table)) for kind, table in _TABLES.items()}
        return spec | {"asked": rng.sample(list(_TABLES), 2)}

    def question(self, spec: Spec, language: Language) -> str:
        """The sentence and the keys."""
        name, place = NAMES[spec["name"]].surface(language), PLACES[spec["place"]].surface(language)
        thing, count = THINGS[spec["thing"]], counted(list(NUMBERS).index(spec["count"]), language)
        one, two = (_KEYS[kind][language] for kind in spec["asked"])
        if language == "en":
            return f"{name} sent {count} {thing.plural} to {place}. Note {one} and {two}."
        return f"{name}给{place}寄了{count}{thing.measure}{thing.zh}。记下{one}和{two}。"

    def answer(self, spec: Spec) -> Value:
        """The two facts."""
        return tuple(spec[kind] for kind in spec["asked"])

    def wrong(self, spec: Spec, rng: Random) -> Value:
        """One of the two is another word of its kind."""
        value, place = list(self.answer(spec)), rng.randrange(2)
        value[place] = other(rng, list(_TABLES[spec["asked"][place]]), value[place])
        return tuple(value)

    def render(self, value: Value, form: Form, spec: Spec, language: Language) -> str:
        """For example "Mia, Rome." or {"name": "Mia", "city": "Rome"}."""
        words = [_ALL[key].surface(language) for key in value]
        if form == "line":
            return ended(COMMA[language].join(words), language)
        keys = [_KEYS[kind][language] for kind in spec["asked"]]
        return json.dumps(dict(zip(keys, words, strict=True)), ensure_ascii=False)

    def parse(self, content: str, spec: Spec, language: Language) -> list[Value]:
        """The facts named, two by two where they are of the kinds asked for, else one by one."""
        named, values = mentions(content, _ALL, language), list[Value]()
        while named:
            pair = tuple(named[:2])
            fits = [key in _TABLES[kind] for key, kind in zip(pair, spec["asked"], strict=False)]
            values.append(pair if fits == [True, True] else (named[0],))
            named = named[len(values[-1]) :]
        return values
