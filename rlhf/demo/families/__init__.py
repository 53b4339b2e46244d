"""The families of instructions, by name. A new one is one object named here."""

from collections.abc import Mapping

from rlhf.demo.families.base import Family, Form, Kind, Spec, Value
from rlhf.demo.families.booking import Booking
from rlhf.demo.families.calendar import Calendar
from rlhf.demo.families.extract import Extract
from rlhf.demo.families.reading import Reading
from rlhf.demo.families.record import Record
from rlhf.demo.families.sentiment import Sentiment
from rlhf.demo.families.service import Service
from rlhf.demo.families.sorting import Sorting
from rlhf.demo.families.summary import Summary
from rlhf.demo.families.sums import Sums
from rlhf.demo.families.translate import Translate

SHARES: Mapping[Family, float] = {
    Extract(): 0.12,
    Reading(): 0.12,
    Summary(): 0.1,
    Translate(): 0.1,
    Service(): 0.1,
    Sentiment(): 0.08,
    Sorting(): 0.1,
    Sums(): 0.1,
    Record(): 0.1,
    Booking(): 0.08,
}
"""How often each is drawn."""

HELD_OUT_FAMILY: Family = Calendar()
"""In no demonstration, no pair, no prompt of PPO and no text of the base: only evaluations ask it."""

HELD_OUT_FORMS: frozenset[tuple[str, Form]] = frozenset({("reading", "quoted"), ("sums", "quoted")})
"""Families and forms that training meets apart, never together."""

FAMILIES: Mapping[str, Family] = {family.name: family for family in [*SHARES, HELD_OUT_FAMILY]}

__all__ = [
    "FAMILIES",
    "HELD_OUT_FAMILY",
    "HELD_OUT_FORMS",
    "SHARES",
    "Family",
    "Form",
    "Kind",
    "Spec",
    "Value",
]
