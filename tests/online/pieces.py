"""Pairs, answers and judgements for the tests of the loop."""

from pathlib import Path
from typing import Any

from feedback_ui.database import Database
from rlhf.online.campaigns import put_up
from rlhf.online.judgements import Judged, Outcome
from rlhf.online.pairs import Drawn, Pair, Part
from rlhf.records import Prompt


def drawn(text: str, policy: str = "sft", *, temperature: float = 1.0, seed: int = 0) -> Drawn:
    return Drawn(text, policy, temperature, seed)


def pair(
    number: int, *, part: Part = "learning", texts: tuple[str, str] | None = None, **fields: Any
) -> Pair:
    first, second = texts or (f"good {number}", f"bad {number}")
    return Pair(Prompt(f"问题 {number}?", fields), drawn(first, "round-1"), drawn(second, "sft"), part)


def campaign(db: Database, items: int, *, name: str = "pairs", raters_per_item: int = 1) -> str:
    """The name of a new campaign of a loop, with pairs in it."""
    pairs, folder = [pair(number) for number in range(items)], Path("loop-1")
    put_up(db, name, pairs, raters_per_item=raters_per_item, guidelines="诚实", folder=folder, round_number=1)
    return name


def judged(of: Pair, rater: str, better: str | None, *, strength: int = 1, **more: Any) -> Judged:
    """What a rater said: the better text, "tie", or None where both are bad."""
    by_text = {of.first.text: of.first.policy, of.second.text: of.second.policy}
    first, second = of.first.text, of.second.text
    outcome: Outcome | None = None
    if better is not None:
        outcome = "tie" if better == "tie" else "first" if better == first else "second"
    return Judged(
        item=of.key,
        rater=rater,
        prompt=of.prompt.key,
        first=first,
        second=second,
        policies=(by_text[first], by_text[second]),
        outcome=outcome,
        strength=0 if better in (None, "tie") else strength,
        settles=more.pop("settles", False),
        **more,
    )
