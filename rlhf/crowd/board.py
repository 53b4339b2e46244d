"""Figures of each rater for the manager's board, and what should make somebody look.

An alarm is a reason to look, not a verdict: the figures it is made of stand beside it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

from rlhf.crowd.intervals import Interval, share
from rlhf.crowd.judgements import Judgement, Label

AlarmKind = Literal["side", "speed", "constant", "gold"]


@dataclass(frozen=True)
class Limits:
    """What sets off an alarm. Shares lie in [0, 1].

    side: so far from 1/2 a side preference may be; the alarm also wants an interval without 1/2. enough:
    with fewer votes only gold raises an alarm. speed: so small a share of the other raters' median time is
    too fast. constant: so large a share of one answer is too much. gold: so many gold keys should be met; the
    alarm wants all of the interval below.
    """

    side: float = 0.03
    enough: int = 30
    speed: float = 1 / 3
    constant: float = 0.95
    gold: float = 0.6


@dataclass(frozen=True)
class Alarm:
    """`figure` is beyond `limit`."""

    kind: AlarmKind
    figure: float
    limit: float


@dataclass(frozen=True)
class RaterFigures:
    """One rater. Shares have Wilson intervals, nan of nothing, over the number beside them.

    agreement: with another rater of the same item, on average over `num_shared` items; gold: of `num_gold`
    gold keys; left: for the side shown on the left, of `num_sided` votes that were for a side; longer: for
    the longer response, of `num_lengths` votes for one of two of different length. `median_seconds` is None
    where no time is known.
    """

    rater: str
    num_judgements: int
    agreement: Interval
    num_shared: int
    gold: Interval
    num_gold: int
    left: Interval
    num_sided: int
    longer: Interval
    num_lengths: int
    median_seconds: float | None
    alarms: tuple[Alarm, ...]


def rater_figures(
    judgements: Iterable[Judgement],
    *,
    gold: Mapping[str, Label] | None = None,
    tie: Label | None = None,
    limits: Limits | None = None,
    level: float = 0.95,
) -> dict[str, RaterFigures]:
    """The figures of each rater, by rater in order of name.

    `gold` holds the keys of items whose answer is known. `tie` is the label that is for neither side and
    neither length.
    """
    rows = list(judgements)
    limits = limits or Limits()
    of_rater: dict[str, list[Judgement]] = defaultdict(list)
    of_item: dict[str, list[Judgement]] = defaultdict(list)
    for row in rows:
        of_rater[row.rater].append(row)
        of_item[row.item].append(row)
    pace = {rater: _median_seconds(own) for rater, own in of_rater.items()}
    found: dict[str, RaterFigures] = {}
    for rater in sorted(of_rater):
        own = of_rater[rater]
        agreed = [
            others.count(row.label) / len(others)
            for row in own
            if (others := [other.label for other in of_item[row.item] if other.rater != rater])
        ]
        keyed = [row.label == gold[row.item] for row in own if gold and row.item in gold]
        num_sided, num_lengths = len(_sided(own, tie)), len(_of_lengths(own, tie))
        figures = RaterFigures(
            rater=rater,
            num_judgements=len(own),
            agreement=share(sum(agreed), len(agreed), level),
            num_shared=len(agreed),
            gold=share(sum(keyed), len(keyed), level),
            num_gold=len(keyed),
            left=left_share(own, tie=tie, level=level),
            num_sided=num_sided,
            longer=longer_share(own, tie=tie, level=level),
            num_lengths=num_lengths,
            median_seconds=pace[rater],
            alarms=(),
        )
        others_pace = [seconds for other, seconds in pace.items() if other != rater and seconds is not None]
        alarms = _alarms(
            figures, limits, median(others_pace) if others_pace else None, _most_constant(own, tie)
        )
        found[rater] = replace(figures, alarms=alarms)
    return found


def left_share(judgements: Iterable[Judgement], *, tie: Label | None, level: float = 0.95) -> Interval:
    """How many votes went to the side shown on the left, of those that went to a side."""
    sided = _sided(judgements, tie)
    return share(sum(row.label == row.left for row in sided), len(sided), level)


def longer_share(judgements: Iterable[Judgement], *, tie: Label | None, level: float = 0.95) -> Interval:
    """How many votes went to the longer response, of those for one of two of different length."""
    unequal = _of_lengths(judgements, tie)
    return share(sum(row.label == row.longer for row in unequal), len(unequal), level)


def side_alarm(left: Interval, num_sided: int, limits: Limits) -> bool:
    """Whether a share for the left is too far from one half, with votes enough to say so."""
    certain = left.low > 0.5 or left.high < 0.5
    return num_sided >= limits.enough and certain and abs(left.estimate - 0.5) > limits.side


def _alarms(
    figures: RaterFigures, limits: Limits, others_pace: float | None, constant: float
) -> tuple[Alarm, ...]:
    alarms: list[Alarm] = []
    if side_alarm(figures.left, figures.num_sided, limits):
        bound = 0.5 + limits.side if figures.left.estimate > 0.5 else 0.5 - limits.side
        alarms.append(Alarm("side", figures.left.estimate, bound))
    enough = figures.num_judgements >= limits.enough
    if enough and others_pace is not None and figures.median_seconds is not None:
        slowest = limits.speed * others_pace
        if figures.median_seconds < slowest:
            alarms.append(Alarm("speed", figures.median_seconds, slowest))
    if enough and constant > limits.constant:
        alarms.append(Alarm("constant", constant, limits.constant))
    if figures.num_gold and figures.gold.high < limits.gold:
        alarms.append(Alarm("gold", figures.gold.estimate, limits.gold))
    return tuple(alarms)


def _most_constant(own: Sequence[Judgement], tie: Label | None) -> float:
    """The share of the one answer given most: the side where sides are known, else the label."""
    pressed = Counter(
        row.label if row.left is None or row.label == tie else ("side", row.label == row.left) for row in own
    )
    return pressed.most_common(1)[0][1] / len(own)


def _sided(judgements: Iterable[Judgement], tie: Label | None) -> list[Judgement]:
    return [row for row in judgements if row.left is not None and (tie is None or row.label != tie)]


def _of_lengths(judgements: Iterable[Judgement], tie: Label | None) -> list[Judgement]:
    return [row for row in judgements if row.longer is not None and (tie is None or row.label != tie)]


def _median_seconds(own: Sequence[Judgement]) -> float | None:
    known = [row.seconds for row in own if row.seconds is not None]
    return median(known) if known else None
