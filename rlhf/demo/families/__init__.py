"""The families of instructions, by name. A new one is one object named here."""

from collections.abc import Mapping

from rlhf.demo.families.base import Family, Form, Spec, Value
from rlhf.demo.families.colour import Colour
from rlhf.demo.families.extract import Extract
from rlhf.demo.families.order import Order
from rlhf.demo.families.sentiment import Sentiment
from rlhf.demo.families.sums import Sums
from rlhf.demo.families.translate import Translate

_ALL: tuple[Family, ...] = (Extract(), Colour(), Order(), Sums(), Translate(), Sentiment())
FAMILIES: Mapping[str, Family] = {family.name: family for family in _ALL}

__all__ = ["FAMILIES", "Family", "Form", "Spec", "Value"]
