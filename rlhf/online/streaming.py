"""What a stream takes in at a step: which judgements are new, and which rows its reward model sees."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rlhf.config import LoopStage
from rlhf.online.judgements import Judged, Place

Rows = Sequence[tuple[str, dict[str, Any]]]
"""Rows for a reward model, each with the item that it is of."""


@dataclass(frozen=True)
class Taken:
    """What a step took: judgements, corrections among them, and the places of those that were taken back."""

    judged: Sequence[Judged]
    withdrawn: Sequence[Place] = ()

    @property
    def items(self) -> set[str]:
        """Items of which something is new."""
        return {one.item for one in self.judged} | {item for item, *_ in self.withdrawn}


@dataclass(frozen=True)
class Lesson:
    """The rows of a step, in the order in which they came; how many are of new pairs, and of older."""

    rows: Sequence[dict[str, Any]]
    new: int
    replayed: int


def merged(steps: Iterable[Taken]) -> dict[Place, Judged]:
    """What counts after these steps, oldest first: each judgement once, as it was said last."""
    found: dict[Place, Judged] = {}
    for step in steps:
        for place in step.withdrawn:
            found.pop(place, None)
        found |= {one.place: one for one in step.judged}
    return dict(sorted(found.items()))


def lesson(rows: Rows, new: set[str], replay: int, *, seed: int) -> Lesson:
    """The rows of the new items, and `replay` of the others, drawn by the seed and by what they are."""
    places = range(len(rows))
    fresh = [place for place in places if rows[place][0] in new]
    older = [place for place in places if rows[place][0] not in new]
    drawn = sorted(older, key=lambda place: (_draw(seed, rows[place][0]), place))[:replay]
    chosen = sorted([*fresh, *drawn])
    return Lesson([rows[place][1] for place in chosen], len(fresh), len(drawn))


def judgements_needed(stage: LoopStage, budget: int, taken: int, *, is_first: bool) -> int:
    """New judgements that a step of a round waits for; the loop's first step takes the first round whole.

    A reward model that has seen little is nothing to go by, so the stream begins with one that has seen as
    many judgements as that of a first round.
    """
    left = max(budget - taken, 1)
    return left if is_first else min(stage.step_judgements, left)


def pairs_to_put_up(stage: LoopStage, needed: int, open_judgements: int, left: int | None) -> int:
    """How many pairs a step adds to those that wait, so that `stage.queue` judgements can be given.

    `open_judgements` can be given already; `left` are all that may still be given, None without a limit.
    """
    queue = 2 * stage.step_judgements if stage.queue == "auto" else stage.queue
    wanted = max(queue, needed)
    wanted = min(wanted, left) if left is not None else wanted
    return max(wanted - open_judgements, 0) // stage.raters_per_item


def episodes(total: int, batch_size: int, share: float) -> int:
    """A step's share of a round's episodes of PPO, in whole batches and at least one."""
    return max(round(total * share / batch_size), 1) * batch_size


def full(judged: Iterable[Judged], raters_per_item: int) -> set[str]:
    """Items that have all the judgements that they want."""
    counts = Counter(one.item for one in judged if not one.settles)
    return {item for item, count in counts.items() if count >= raters_per_item}


def _draw(seed: int, item: str) -> bytes:
    return hashlib.sha256(f"{seed}/{item}".encode()).digest()
