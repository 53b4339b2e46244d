"""The rounds of a loop as its page shows them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rlhf.evaluation.page.loop_words import (
    OUTCOMES,
    PLAIN_GUARDS,
    STEPS,
    guard_name,
    judge_name,
    step_name,
)
from rlhf.evaluation.page.numbers import Range, number, percent
from rlhf.evaluation.page.words import Words
from rlhf.runs.loop_record import Guard, LoopRecord, RoundRecord, Slice

Kind = Literal["promoted", "kept", "broken", "open"]


@dataclass(frozen=True)
class Rate:
    """A win rate of the candidate against the incumbent, and who said so; `range` is None where unknown."""

    name: Words
    estimate: float
    range: Range | None


@dataclass(frozen=True)
class GuardShown:
    """A guard with its figures as they are written."""

    name: Words
    value: str
    limit: str
    ok: bool


@dataclass(frozen=True)
class Step:
    """A step of a round that is not done: behind, at or ahead of where it is."""

    name: Words
    place: Literal["past", "now", "ahead"]


@dataclass(frozen=True)
class RoundShown:
    """A round, its kind and outcome, and what of it needs to be worked into a form."""

    record: RoundRecord
    kind: Kind
    outcome: Words
    label: str
    rates: Sequence[Rate]
    guards: Sequence[GuardShown]
    steps: Sequence[Step]
    seconds: Sequence[tuple[Words, float]]
    took_s: float | None

    @property
    def first_rate(self) -> Rate | None:
        """That of the judge who decides; else the first that is known."""
        return self.rates[0] if self.rates else None


@dataclass(frozen=True)
class SlicesOfModel:
    """A round's reward model on the random slices of the rounds; None where there is no figure."""

    number: int
    cells: Sequence[Slice | None]


def rounds(record: LoopRecord) -> list[RoundShown]:
    """All rounds, oldest first."""
    return [_shown(one) for one in record.rounds]


def kind_of(one: RoundRecord) -> Kind:
    """Whether its candidate was promoted; "broken" where one was stopped by a guard."""
    if one.promoted is None:
        return "open"
    if one.promoted:
        return "promoted"
    return "kept" if all(guard.ok for guard in one.guards.values()) else "broken"


def range_of(estimate: float | None, low: float | None, high: float | None) -> Range | None:
    """An interval for the page, None unless all three are known."""
    if estimate is None or low is None or high is None:
        return None
    return {"estimate": estimate, "low": low, "high": high}


Three = tuple[float | None, float | None, float | None]
"""An estimate and its interval, as far as known."""


def deciding(one: RoundRecord) -> Three:
    """The win rate by which a candidate was promoted or not."""
    return one.win_rate, one.win_low, one.win_high


def gold(one: RoundRecord) -> Three:
    """The win rate by gold, where somebody else decided."""
    if one.judged_by == "gold":
        return None, None, None
    return one.gold_win_rate, one.gold_win_low, one.gold_win_high


def people(one: RoundRecord) -> Three:
    """The win rate by people, where somebody else decided."""
    if one.judged_by == "people":
        return None, None, None
    return one.human_win_rate, one.human_win_low, one.human_win_high


def decider(record: LoopRecord) -> Words:
    """Who decided in every round; the judge, where it was not always the same."""
    names = {one.judged_by for one in record.rounds if one.judged_by}
    return judge_name(names.pop() if len(names) == 1 else "judge")


def slice_range(one: Slice) -> Range:
    """The accuracy on a slice with its interval."""
    return {"estimate": one.accuracy, "low": one.low, "high": one.high}


def slices(record: LoopRecord) -> tuple[list[int], list[SlicesOfModel]]:
    """The slices that any reward model was tried on, and a row for each round that has a model."""
    columns = sorted({number for one in record.rounds for number in one.rm_accuracy})
    rows = [
        SlicesOfModel(one.number, [one.rm_accuracy.get(number) for number in columns])
        for one in record.rounds
        if one.rm_accuracy
    ]
    return columns, rows


def _shown(one: RoundRecord) -> RoundShown:
    kind = kind_of(one)
    took_s = (one.ended - one.started).total_seconds() if one.ended else None
    return RoundShown(
        record=one,
        kind=kind,
        outcome=OUTCOMES[kind],
        label=one.candidate.label if one.candidate else f"round-{one.number}",
        rates=list(_rates(one)),
        guards=[_guard(name, guard) for name, guard in one.guards.items()],
        steps=_steps(one),
        seconds=[(step_name(name), seconds) for name, seconds in one.seconds.items()],
        took_s=took_s,
    )


def _rates(one: RoundRecord) -> Iterator[Rate]:
    for name, three in (
        (one.judged_by or "judge", deciding(one)),
        ("gold", gold(one)),
        ("people", people(one)),
    ):
        if three[0] is not None:
            yield Rate(judge_name(name), three[0], range_of(*three))


def _guard(name: str, guard: Guard) -> GuardShown:
    form = number if name in PLAIN_GUARDS else percent
    return GuardShown(guard_name(name), form(guard.value), form(guard.limit), guard.ok)


def _steps(one: RoundRecord) -> list[Step]:
    """Where a round is among its steps; none where it is done."""
    if one.status == "done":
        return []
    order = list(STEPS)
    now = order.index(one.status)
    return [
        Step(name, "past" if at < now else "now" if at == now else "ahead")
        for at, name in enumerate(STEPS.values())
    ]
