"""Who judges, and the marks that they give to sets of answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rlhf.evaluation.answers import Answer
from rlhf.evaluation.wording import Text
from rlhf.rewards import Reward

Sets = Mapping[str, Sequence[Answer]]
"""Answers by what gave them: "policy", "baseline" and further ones."""


@dataclass(frozen=True)
class Judge:
    """Somebody who scores answers one by one: `load` gives the reward that does it, once."""

    name: str
    says: Text
    load: Callable[[], Reward]


@dataclass(frozen=True)
class Marks:
    """What one judge gave to a set of answers, in their order; `parts` are what the totals are made of."""

    total: list[float]
    parts: Mapping[str, list[float]] = field(default_factory=dict[str, list[float]])

    def at(self, places: Sequence[int]) -> "Marks":
        """The marks of some of the answers."""
        parts = {name: [values[place] for place in places] for name, values in self.parts.items()}
        return Marks([self.total[place] for place in places], parts)

    def __len__(self) -> int:
        return len(self.total)


Verdicts = Mapping[str, Mapping[str, Marks]]
"""Marks by judge, then by set; judges of most authority first."""


def mark(reward: Reward, sets: Sets) -> dict[str, Marks]:
    """Every set's marks.

    An answer that stands in several places is scored once, so that it is a tie however the arithmetic rounds.
    """
    distinct = {_sameness(answer): answer.scored for answers in sets.values() for answer in answers}
    place = {key: number for number, key in enumerate(distinct)}
    scores = reward(list(distinct.values()))
    whole = Marks(
        scores.total.double().tolist(),
        {name: part.double().tolist() for name, part in scores.parts.items()},
    )
    return {
        name: whole.at([place[_sameness(answer)] for answer in answers]) for name, answers in sets.items()
    }


def _sameness(answer: Answer) -> tuple[object, ...]:
    return answer.prompt.key, answer.text, answer.response_ids, answer.finish
