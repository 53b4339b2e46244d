"""Customer service over more than one turn: what is done about an order depends on what went wrong."""

from random import Random
from typing import Any

from rlhf.demo.families.base import COMMA, Form, Kind, Spec, Value, ended, other
from rlhf.demo.lexicon import NUMBERS, REMEDIES, THINGS, TROUBLES, Language, Table, mentions, number
from rlhf.demo.wording import upper_first
from rlhf.records import Message

_ORDERS = [number(value) for value in range(1, 13)]
_REMEDY = dict(zip(TROUBLES, REMEDIES, strict=True))
_TABLES: tuple[Table, Table, Table] = (REMEDIES, NUMBERS, THINGS)
_ALL: Table = {**REMEDIES, **NUMBERS, **THINGS}


class Service:
    """For example: "My lamp is broken." "Which order?" "Order seven." A remedy, the order and the thing."""

    name = "service"
    kinds: tuple[Kind, ...] = ("task", "constraint")
    forms: tuple[Form, ...] = ("short", "sentence")

    def make(self, rng: Random) -> dict[str, Any]:
        """What went wrong, with which thing, of which order."""
        return {
            "trouble": rng.choice(list(TROUBLES)),
            "thing": rng.choice(list(THINGS)),
            "order": rng.choice(_ORDERS),
        }

    def before(self, spec: Spec, language: Language) -> tuple[Message, ...]:
        """The complaint, and the question for the order."""
        thing, trouble = THINGS[spec["thing"]].surface(language), TROUBLES[spec["trouble"]].surface(language)
        if language == "en":
            return Message("user", f"My {thing} is {trouble}."), Message("assistant", "Which order?")
        return Message("user", f"我的{thing}{trouble}。"), Message("assistant", "哪个订单？")

    def question(self, spec: Spec, language: Language) -> str:
        """The order."""
        order = NUMBERS[spec["order"]].surface(language)
        return f"Order {order}." if language == "en" else f"订单{order}。"

    def answer(self, spec: Spec) -> Value:
        """What is broken is replaced, what is late is traced, what is wrong is refunded."""
        return (_REMEDY[spec["trouble"]], spec["order"], spec["thing"])

    def wrong(self, spec: Spec, rng: Random) -> Value:
        """As often as not another remedy, else another order or thing."""
        value = list(self.answer(spec))
        place = rng.choice([0, 0, 1, 2])
        choices = (list(REMEDIES), _ORDERS, list(THINGS))[place]
        value[place] = other(rng, choices, value[place])
        return tuple(value)

    def render(self, value: Value, form: Form, spec: Spec, language: Language) -> str:
        """For example "Replace, seven, lamp." or "We replace for order seven the lamp"."""
        remedy, order, thing = (_ALL[key].surface(language) for key in value)
        if form == "short":
            return upper_first(ended(COMMA[language].join((remedy, order, thing)), language))
        if language == "en":
            return f"We {remedy} from order {order} the {thing}."
        return f"我们{remedy}：订单{order}的{thing}。"

    def parse(self, content: str, spec: Spec, language: Language) -> list[Value]:
        """Remedy, order and thing where the three stand together, else each by itself."""
        named, values = mentions(content, _ALL, language), list[Value]()
        while named:
            three = tuple(named[:3])
            fits = [key in table for key, table in zip(three, _TABLES, strict=False)]
            values.append(three if fits == [True] * 3 else (named[0],))
            named = named[len(values[-1]) :]
        return values
