"""Ambiguous instructions: where the name or the hour is missing, to ask back is right, else to book."""

from random import Random
from typing import Any

from rlhf.demo.families.base import COMMA, Form, Kind, SingleTurn, Spec, Value, ended, other
from rlhf.demo.lexicon import NAMES, NUMBERS, Language, Table, mentions, number
from rlhf.demo.wording import upper_first

_HOURS = [number(value) for value in range(1, 13)]
_SLOTS: Table = {**NAMES, **NUMBERS}
_ASK = "ask"
_ASKED: dict[str, dict[Language, str]] = {
    "name": {"en": "what name", "zh": "什么名字"},
    "hour": {"en": "what time", "zh": "什么时间"},
}


class Booking(SingleTurn):
    """For example "Book a table for Mia.", of which the hour is missing; or "... for Mia at seven."."""

    name = "booking"
    kinds: tuple[Kind, ...] = ("task", "constraint")
    forms: tuple[Form, ...] = ("short", "sentence")

    def make(self, rng: Random) -> dict[str, Any]:
        """A name, an hour, and which of them is missing, if any."""
        missing = rng.choice(["name", "hour", None])
        return {"name": rng.choice(list(NAMES)), "hour": rng.choice(_HOURS), "missing": missing}

    def question(self, spec: Spec, language: Language) -> str:
        """The request without what is missing."""
        name, hour = NAMES[spec["name"]].surface(language), NUMBERS[spec["hour"]].surface(language)
        if language == "en":
            who = "" if spec["missing"] == "name" else f" for {name}"
            when = "" if spec["missing"] == "hour" else f" at {hour}"
            return f"Book a table{who}{when}."
        who = "" if spec["missing"] == "name" else f"给{name}"
        when = "" if spec["missing"] == "hour" else f"{hour}点"
        return f"请{who}订{when}的桌子。" if when else f"请{who}订桌子。"

    def answer(self, spec: Spec) -> Value:
        """What is to be asked, or the name and the hour."""
        return (_ASK, spec["missing"]) if spec["missing"] else (spec["name"], spec["hour"])

    def wrong(self, spec: Spec, rng: Random) -> Value:
        """An invented booking where something is missing; else a wrong one, or a needless question."""
        if spec["missing"] and rng.random() < 0.3:
            return (_ASK, other(rng, list(_ASKED), spec["missing"]))
        if not spec["missing"] and rng.random() < 0.5:
            return (_ASK, rng.choice(list(_ASKED)))
        name, hour = spec["name"], spec["hour"]
        if spec["missing"] == "name" or (not spec["missing"] and rng.random() < 0.5):
            return (other(rng, list(NAMES), name), hour)
        return (name, other(rng, _HOURS, hour))

    def render(self, value: Value, form: Form, spec: Spec, language: Language) -> str:
        """For example "What time?", "Mia, seven.", or a sentence."""
        if value[0] == _ASK:
            asked = _ASKED[value[1]][language]
            if form == "short":
                return upper_first(asked) + ("?" if language == "en" else "？")
            return f"Please tell me {asked}." if language == "en" else f"请告诉我是{asked}。"
        name, hour = (_SLOTS[key].surface(language) for key in value)
        if form == "short":
            return ended(COMMA[language].join((name, hour)), language)
        return f"{name} has a table, hour {hour}." if language == "en" else f"{name}的座位在{hour}时。"

    def parse(self, content: str, spec: Spec, language: Language) -> list[Value]:
        """Questions, and bookings of a name and an hour; what stands alone is a value by itself."""
        values: list[Value] = [(_ASK, slot) for slot, said in _ASKED.items() if said[language] in content]
        named = mentions(content, _SLOTS, language)
        while named:
            whole = len(named) > 1 and named[0] in NAMES and named[1] in NUMBERS
            values.append(tuple(named[:2]) if whole else (named[0],))
            named = named[len(values[-1]) :]
        return values
