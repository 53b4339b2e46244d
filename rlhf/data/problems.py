"""What could not be used and why: every row that is left out is a `Problem` with its place."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from rlhf.errors import DataError

T = TypeVar("T")

FIRST_PLACES = 5


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that is left out: its place ("file.jsonl:17"), a short slug for the reason, and the detail."""

    place: str
    reason: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True)
class Converted(Generic[T]):
    """Records, the place of each, and the rows that gave none.

    `places` runs parallel to `records`; records made from one row share its place.
    """

    records: list[T]
    places: list[str]
    problems: list[Problem] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """What is kept and what is left out, for JSON: counts by reason, with the first places of each."""
        return {
            "kept": len(self.records),
            "left_out": len(self.problems),
            "reasons": {
                reason: {"count": len(found), "first": [str(problem) for problem in found[:FIRST_PLACES]]}
                for reason, found in _by_reason(self.problems).items()
            },
        }

    def text(self, what: str) -> str:
        """The report for people: one line, and one more for each reason with its first place."""
        lines = [f"{what}: {len(self.records)} kept, {len(self.problems)} rows left out"]
        return "\n".join(lines + _reason_lines(self.problems))


def usable(converted: Converted[T], what: str) -> Converted[T]:
    """The same, or `DataError` with the reasons and their counts where no record is left.

    `what` names the dataset for the message, e.g. "data.preferences=pairs.jsonl".
    """
    if converted.records:
        return converted
    reasons = _reason_lines(converted.problems) or ["  there were no rows"]
    more = [f"  and {len(reasons) - 6} more reasons"] if len(reasons) > 6 else []
    raise DataError(
        "\n".join(
            [
                f"{what}: no row can be used; {len(converted.problems)} were left out:",
                *reasons[:6],
                *more,
                "Mend these rows or name another dataset (docs/data.md lists formats and reasons).",
            ]
        )
    )


def _by_reason(problems: Iterable[Problem]) -> dict[str, list[Problem]]:
    groups: dict[str, list[Problem]] = {}
    for problem in problems:
        groups.setdefault(problem.reason, []).append(problem)
    return dict(sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])))


def _reason_lines(problems: Sequence[Problem]) -> list[str]:
    lines: list[str] = []
    for reason, found in _by_reason(problems).items():
        first = found[0].place + (f": {found[0].detail}" if found[0].detail else "")
        lines.append(f"  {len(found)} {reason} (first {first})")
    return lines
