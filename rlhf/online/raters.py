"""Simulated raters, who judge as people do: an item at a time, through the feedback store's own functions.

What one says is a function of the seed, the rater and the content of the item alone. Who is given what is a
function of the store's state: the next turn is always of the rater who has judged least. So a loop that was
killed goes on to the very same judgements.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log, tanh
from random import Random
from typing import Any

from feedback_ui.database import Database
from feedback_ui.service.access import OPERATOR, Actor
from feedback_ui.service.accounts import accounts, add_rater
from feedback_ui.service.claims import next_turn
from feedback_ui.service.judgements import submit
from feedback_ui.service.progress import campaign_progress
from rlhf.online.pairs import prompt_of
from rlhf.online.selection import pair_key
from rlhf.text.words import words

LENGTH_CAP = 20
PREFIX = "simulated-"
SURE = 50.0  # nats: a skill of 1 or 0 stays a number that length cannot outweigh

Worth = Mapping[tuple[str, str], float]
"""What an answer is worth, by its prompt's key and its text."""


@dataclass(frozen=True)
class SimulatedRater:
    """A rater with an account.

    `skill` is the probability of preferring the answer that is worth more, of two that are equally long.
    `length_bias` is in nats for each word that an answer is longer, up to `LENGTH_CAP`. Two answers of equal
    worth are called a tie with the probability `skill`, and else told apart by length and chance.
    """

    actor: Actor
    seed: int
    skill: float
    length_bias: float

    def prefers(self, prompt: str, first: str, second: str, worth: Worth) -> int:
        """-1 where the first is preferred, 1 where the second is, 0 for a tie; `prompt` is its key.

        Exchanging the answers exchanges the verdict.
        """
        low, high = sorted((first, second))
        rng = Random(f"{self.seed}/{self.actor.name}/{pair_key(prompt, low, high)}")
        difference = worth[prompt, low] - worth[prompt, high]
        if difference == 0 and rng.random() < self.skill:
            return 0
        longer = max(-LENGTH_CAP, min(LENGTH_CAP, len(words(low)) - len(words(high))))
        utility = self.length_bias * longer
        if difference != 0:
            utility += _log_odds(self.skill) if difference > 0 else -_log_odds(self.skill)
        preferred = low if rng.random() < 0.5 * (1.0 + tanh(utility / 2)) else high
        return -1 if preferred == first else 1


def simulated_raters(
    db: Database, *, count: int, seed: int, skill: float, length_bias: float
) -> list[SimulatedRater]:
    """`count` of them, named `simulated-1` and so on; accounts that are missing are made."""
    known = {account.name: account for account in accounts(db, OPERATOR)}
    names = [f"{PREFIX}{number}" for number in range(1, count + 1)]
    found = [known.get(name) or add_rater(db, OPERATOR, name) for name in names]
    return [
        SimulatedRater(Actor(account.id, account.role, account.name), seed, skill, length_bias)
        for account in found
    ]


def judge(
    db: Database,
    campaign: str,
    raters: Sequence[SimulatedRater],
    worth: Worth,
    *,
    stopped: Callable[[], object] = lambda: False,
) -> Iterator[int]:
    """Has the raters judge until none of them is given anything more; yields 1 after each judgement.

    Ends early where `stopped()` is true.
    """
    judged = campaign_progress(db, OPERATOR, campaign).by_rater
    counts = {rater.actor.name: judged.get(rater.actor.name, 0) for rater in raters}
    busy = list(raters)
    while busy and not stopped():
        rater = min(busy, key=lambda one: counts[one.actor.name])
        if _take_turn(db, campaign, rater, worth):
            counts[rater.actor.name] += 1
            yield 1
        else:
            busy.remove(rater)


def _take_turn(db: Database, campaign: str, rater: SimulatedRater, worth: Worth) -> bool:
    task = next_turn(db, rater.actor, campaign).task
    if task is None:
        return False
    prompt, (left, right) = prompt_of(task.prompt).key, task.answers
    given: dict[str, Any] = {"strength": rater.prefers(prompt, left, right, worth)}
    key = hashlib.sha256(f"{rater.actor.name}/{pair_key(prompt, left, right)}".encode()).hexdigest()
    submit(db, rater.actor, task.assignment_id, given, key=key)
    return True


def _log_odds(skill: float) -> float:
    """Of a probability, in nats; of 0 and 1, minus and plus `SURE`."""
    if skill in (0.0, 1.0):
        return SURE if skill else -SURE
    return log(skill / (1.0 - skill))
