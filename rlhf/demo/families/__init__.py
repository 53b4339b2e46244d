"""The families of instructions, by name. A new one is one object named here."""

from collections.abc import Mapping

from rlhf.demo.families.base import Family, Form, Spec, Value
from rlhf.demo.families.colour import Colour
from rlhf.demo.families.extract import Extract
from rlhf.demo.families.sentiment import Sentiment
from rlhf.demo.families.shopping import Shopping
from rlhf.demo.families.sums import Sums
from rlhf.demo.families.translate import Translate

SHARES: Mapping[Family, float] = {
    Extract(): 0.26,
    Colour(): 0.26,
    Shopping(): 0.12,
    Sums(): 0.12,
    Translate(): 0.1,
    Sentiment(): 0.14,
}
"""How often each is drawn; those that are harder to learn are met more often."""

FAMILIES: Mapping[str, Family] = {family.name: family for family in SHARES}

__all__ = ["FAMILIES", "SHARES", "Family", "Form", "Spec", "Value"]
