"""Trials of the test itself: candidates of known worth, judged by chance, promoted or not by `decide`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from rlhf.algos.statistics import Interval, wilson
from rlhf.online.promotion import decide

Rng = np.random.Generator
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """What a trial draws. `chances` gives each prompt's own chance that a judgement is for the candidate."""

    name: str
    prompts: int
    judgements: tuple[int, int]
    """A prompt gets as many as one of these, drawn evenly, both ends included."""
    ties: float
    chances: Callable[[Rng, int], Floats]
    equal: bool
    """Whether the true win rate is one half; else it is 0.60."""
    by_prompt: bool = True
    """Whether the test is told which judgements are of one prompt, as it has to be."""


@dataclass(frozen=True)
class Outcome:
    """How often the candidate of a case was promoted, with a 95 % interval (Wilson)."""

    name: str
    equal: bool
    by_prompt: bool
    trials: int
    promoted: Interval


def alike(chance: float) -> Callable[[Rng, int], Floats]:
    """Every prompt has the same chance."""
    return lambda rng, count: np.full(count, chance)


def uneven(chance: float, strength: float) -> Callable[[Rng, int], Floats]:
    """Prompts differ, evenly to both sides: Beta(chance * strength, (1 - chance) * strength)."""
    return lambda rng, count: rng.beta(chance * strength, (1 - chance) * strength, size=count)


def lopsided(rng: Rng, count: int) -> Floats:
    """A quarter of the prompts lost for sure, the others won two times in three: one half on average."""
    return np.where(rng.random(count) < 0.25, 0.0, 2 / 3)


CASES = (
    Case("one judgement a prompt", 400, (1, 1), 0.0, alike(0.5), equal=True),
    Case("one judgement, 30 % ties", 400, (1, 1), 0.3, alike(0.5), equal=True),
    Case("40 prompts, 30 % ties", 40, (1, 1), 0.3, alike(0.5), equal=True),
    Case("three raters, prompts differ", 400, (3, 3), 0.0, uneven(0.5, 1.0), equal=True),
    Case("three raters, prompts differ, 20 % ties", 400, (3, 3), 0.2, uneven(0.5, 1.0), equal=True),
    Case("one to three raters, prompts differ", 400, (1, 3), 0.1, uneven(0.5, 1.0), equal=True),
    Case("100 prompts, four answers each", 100, (4, 4), 0.0, uneven(0.5, 2.0), equal=True),
    Case("the same, taken for 400 prompts", 100, (4, 4), 0.0, uneven(0.5, 2.0), True, by_prompt=False),
    Case("equal on average, lopsided, three raters", 400, (3, 3), 0.0, lopsided, equal=True),
    Case("one judgement a prompt", 400, (1, 1), 0.0, alike(0.6), equal=False),
    Case("one judgement, 20 % ties", 400, (1, 1), 0.2, alike(0.625), equal=False),
    Case("prompts differ, one judgement", 400, (1, 1), 0.0, uneven(0.6, 1.0), equal=False),
    Case("three raters, prompts differ", 400, (3, 3), 0.0, uneven(0.6, 1.0), equal=False),
)


def outcome(case: Case, trials: int, seed: int) -> Outcome:
    """Draws so many trials of a case and asks `decide` about each."""
    rng = np.random.default_rng([seed, CASES.index(case)])
    promoted = sum(_promoted(*_trial(case, rng)) for _ in range(trials))
    return Outcome(case.name, case.equal, case.by_prompt, trials, wilson(promoted, trials))


def _trial(case: Case, rng: Rng) -> tuple[tuple[float, ...], tuple[str, ...] | None]:
    least, most = case.judgements
    counts = rng.integers(least, most + 1, size=case.prompts)
    prompt_N = np.repeat(np.arange(case.prompts), counts)
    chance_N = case.chances(rng, case.prompts)[prompt_N]
    said_N = (rng.random(len(prompt_N)) < chance_N).astype(float)
    said_N[rng.random(len(prompt_N)) < case.ties] = 0.5
    if not case.by_prompt or most == 1:
        return tuple(sorted(said_N.tolist())), None  # sorted: equal counts are decided once
    return tuple(said_N.tolist()), tuple(map(str, prompt_N.tolist()))


def _promoted(said: Sequence[float], prompts: tuple[str, ...] | None) -> bool:
    if prompts is None:
        return _by_counts(said.count(1.0), said.count(0.0), said.count(0.5))
    return decide(said, {}, prompts=prompts).promoted


@cache
def _by_counts(won: int, lost: int, tied: int) -> bool:
    return decide([1.0] * won + [0.0] * lost + [0.5] * tied, {}).promoted
