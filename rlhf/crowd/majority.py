"""What most raters said of each item."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rlhf.crowd.judgements import Floats, Judgement, Label, Table, tabulate

Ties = Literal["class", "half"]


@dataclass(frozen=True)
class Vote:
    """How an item's votes fell: `leaders` got the most, one or several; `shares` sums to 1."""

    leaders: tuple[Label, ...]
    shares: Mapping[Label, float]
    num_votes: int

    @property
    def label(self) -> Label | None:
        """The one label that leads; None where several got as many votes."""
        return self.leaders[0] if len(self.leaders) == 1 else None


def majority(
    judgements: Iterable[Judgement],
    *,
    labels: Iterable[Label] = (),
    tie: Label | None = None,
    ties: Ties = "class",
) -> dict[str, Vote]:
    """The vote on each item, by item.

    `tie` names the label that says "as good as each other". With ties="half" it is no class of its own: such
    a vote is half a vote for each of the two others.

    Raises ValueError where a rater judged an item twice, and for half votes among other than two classes.
    """
    table = tabulate(judgements, labels)
    votes_NK, classes = votes(table, tie, ties)
    num_votes_N = np.bincount(table.item_J, minlength=len(table.items))
    return {
        item: Vote(
            leaders=tuple(label for label, n in zip(classes, votes_K, strict=True) if n == votes_K.max()),
            shares={label: float(n / num) for label, n in zip(classes, votes_K, strict=True)},
            num_votes=int(num),
        )
        for item, votes_K, num in zip(table.items, votes_NK, num_votes_N, strict=True)
    }


def votes(table: Table, tie: Label | None, ties: Ties) -> tuple[Floats, tuple[Label, ...]]:
    """Votes [items, classes], half ones included, and the classes."""
    counts_NK = table.counts_NK()
    if ties == "class":
        return counts_NK, table.labels
    classes = decided_classes(table, tie)
    kept = [k for k, label in enumerate(table.labels) if label != tie]
    given_N = counts_NK.sum(axis=1) - counts_NK[:, kept].sum(axis=1)
    return counts_NK[:, kept] + given_N[:, None] / 2, classes


def decided_classes(table: Table, tie: Label | None) -> tuple[Label, ...]:
    """The two classes between which a tie is half a vote each.

    Raises ValueError where there are not two, or no label is named as the tie.
    """
    classes = tuple(label for label in table.labels if label != tie)
    if tie is None or len(classes) != 2:
        raise ValueError(
            f"ties='half' takes two classes and a tie; these are {list(classes)} with tie={tie!r}. "
            "Name the tie's label and both classes, or let ties be a class of their own"
        )
    return classes
