"""What raters said, and the same as arrays."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Label = str | int | float
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Judgement:
    """One rater's answer about one item.

    Labels are classes that the items share: for a pair "first", "second" and "tie", where first and second
    are the responses in the order that they are stored in, not the sides of the screen. `left` and `longer`
    are labels too: the one that a vote for the side shown on the left, or for the longer response, would have
    been; None where that is not known or not so. `seconds` is active time.
    """

    item: str
    rater: str
    label: Label
    left: Label | None = None
    longer: Label | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Table:
    """Judgements as indices, sorted by item and rater: their order changes no result, to the last bit.

    `item_J`, `rater_J` and `label_J` point into `items`, `raters` and `labels`; J counts judgements.
    """

    items: tuple[str, ...]
    raters: tuple[str, ...]
    labels: tuple[Label, ...]
    item_J: Ints
    rater_J: Ints
    label_J: Ints

    def counts_NK(self) -> Floats:
        """How many raters gave each item each label: [items, labels]."""
        size = len(self.items) * len(self.labels)
        flat = np.bincount(self.item_J * len(self.labels) + self.label_J, minlength=size)
        return flat.reshape(len(self.items), len(self.labels)).astype(np.float64)


def tabulate(judgements: Iterable[Judgement], labels: Iterable[Label] = ()) -> Table:
    """The judgements as a table; `labels` names classes that exist although nobody may have chosen them.

    Labels stand in rising order, numbers before words.

    Raises ValueError where a rater judged an item twice: hand in the last revision of each.
    """
    rows = sorted(judgements, key=lambda judgement: (judgement.item, judgement.rater))
    for one, other in pairwise(rows):
        if (one.item, one.rater) == (other.item, other.rater):
            raise ValueError(
                f"rater {one.rater!r} judged item {one.item!r} twice; hand in the last revision alone"
            )
    items = sorted({row.item for row in rows})
    raters = sorted({row.rater for row in rows})
    classes = sorted({*labels, *(row.label for row in rows)}, key=label_order)
    item_at = {item: index for index, item in enumerate(items)}
    rater_at = {rater: index for index, rater in enumerate(raters)}
    label_at = {label: index for index, label in enumerate(classes)}
    return Table(
        items=tuple(items),
        raters=tuple(raters),
        labels=tuple(classes),
        item_J=np.array([item_at[row.item] for row in rows], dtype=np.int64),
        rater_J=np.array([rater_at[row.rater] for row in rows], dtype=np.int64),
        label_J=np.array([label_at[row.label] for row in rows], dtype=np.int64),
    )


def label_order(label: Label) -> tuple[bool, float, str]:
    """By which labels are sorted: numbers by size, then words."""
    return (True, 0.0, label) if isinstance(label, str) else (False, float(label), "")
