"""Items whose answer is known: how many of them each rater passes, and which are missed by most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from feedback_ui.service.current import Said
from feedback_ui.service.standing import is_right
from rlhf import crowd
from rlhf.crowd.intervals import share

FEW_PASS = 0.5
"""An item that fewer pass than this may have a wrong key."""
FEWEST_VOTES = 3


@dataclass(frozen=True)
class GoldShare:
    """The share of items with a known answer that were answered so, of `num`."""

    passed: crowd.Interval
    num: int


@dataclass(frozen=True)
class MissedItem:
    """An item with a known answer, given by `passed` of `num` raters alone: the key may be wrong."""

    item_id: UUID
    prompt: Any
    passed: int
    num: int


@dataclass(frozen=True)
class GoldFigures:
    """Of all raters together and of each, by name; and the items to look at, the most missed first."""

    overall: GoldShare
    by_rater: Mapping[str, GoldShare]
    missed: tuple[MissedItem, ...]


def gold_figures(judged: Sequence[Said], names: Mapping[str, str]) -> GoldFigures:
    """Of judgements that count; `names` has a name for each pseudonym."""
    of_rater: dict[str, list[bool]] = {}
    of_item: dict[UUID, list[bool]] = {}
    prompts: dict[UUID, Any] = {}
    for one in judged:
        if one.subject.gold is None:
            continue
        passed = is_right(one.content, one.subject.gold)
        of_rater.setdefault(names[one.rater], []).append(passed)
        of_item.setdefault(one.subject.id, []).append(passed)
        prompts[one.subject.id] = one.subject.prompt
    missed = [
        MissedItem(item_id, prompts[item_id], sum(votes), len(votes))
        for item_id, votes in of_item.items()
        if len(votes) >= FEWEST_VOTES and sum(votes) < FEW_PASS * len(votes)
    ]
    return GoldFigures(
        overall=_share([passed for votes in of_rater.values() for passed in votes]),
        by_rater={rater: _share(of_rater[rater]) for rater in sorted(of_rater)},
        missed=tuple(sorted(missed, key=lambda item: (item.passed / item.num, -item.num))),
    )


def _share(votes: Sequence[bool]) -> GoldShare:
    return GoldShare(share(sum(votes), len(votes)), len(votes))
