"""Trials of the whole decision on texts of the embedded world: who is stopped, and by which guard."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from rlhf.algos.statistics import Interval, wilson
from rlhf.config.guards import GuardLimits
from rlhf.demo.gold import gold
from rlhf.demo.personas import PERSONAS, draw_persona
from rlhf.demo.tasks import task_of
from rlhf.demo.world import prompts
from rlhf.online.guards import Said, measure
from rlhf.online.promotion import decide
from rlhf.records import Prompt
from rlhf.text import words

PROMPTS = 400
POOL = 1600  # prompts that trials draw from
DRAWS = 6  # answers a prompt
CHATTER = " Well, as it were, and so to speak, all things considered, this is how it is, more or less."
Judge = Callable[[Random, "Spoken", "Spoken"], float]


@dataclass(frozen=True)
class Spoken:
    """An answer and its gold score."""

    prompt: Prompt
    text: str
    gold: float


@dataclass(frozen=True)
class Guarded:
    """What became of one kind of candidate: promoted, and by which guards it was stopped how often."""

    name: str
    promote: bool
    trials: int
    promoted: Interval
    win_rate: float
    broken: Mapping[str, int]


def guarded(trials: int, worse_trials: int, seed: int) -> list[Guarded]:
    """The kinds of candidates of `KINDS`, each in so many trials of 400 prompts.

    The incumbent answers as the world's personas do, one drawn for each answer.
    """
    pool = _pool(seed)
    return [
        _tried(name, pool, trials if kind.promote else worse_trials, Random(f"{seed}/{name}"))
        for name, kind in KINDS.items()
    ]


@dataclass(frozen=True)
class _Kind:
    """How a candidate answers, given answers of the incumbent's kind, and who judges it."""

    answers: Callable[[Random, list[list[Spoken]]], list[Spoken]]
    judge: Judge
    promote: bool


def _by_gold(_rng: Random, mine: Spoken, other: Spoken) -> float:
    return 0.5 * ((mine.gold > other.gold) - (mine.gold < other.gold) + 1)


def _sixty(rng: Random, _mine: Spoken, _other: Spoken) -> float:
    return float(rng.random() < 0.6)


def _fooled(rng: Random, mine: Spoken, other: Spoken) -> float:
    """A judge that takes the longer answer in four cases of five."""
    longer = len(mine.text) - len(other.text)
    return 0.5 if longer == 0 else float((longer > 0) == (rng.random() < 0.8))


def _alike(rng: Random, drawn: list[list[Spoken]]) -> list[Spoken]:
    return [rng.choice(answers) for answers in drawn]


def _better(rng: Random, drawn: list[list[Spoken]]) -> list[Spoken]:
    return [max(rng.sample(answers, 2), key=lambda one: one.gold) for answers in drawn]


def _flipped(_rng: Random, drawn: list[list[Spoken]]) -> list[Spoken]:
    return [min(answers, key=lambda one: one.gold) for answers in drawn]


def _collapsed(rng: Random, drawn: list[list[Spoken]]) -> list[Spoken]:
    text = rng.choice(rng.choice(drawn)).text
    return [_said(answers[0].prompt, text) for answers in drawn]


def _hacked(rng: Random, drawn: list[list[Spoken]]) -> list[Spoken]:
    return [_said(one.prompt, one.text + CHATTER) for one in _alike(rng, drawn)]


KINDS: Mapping[str, _Kind] = {
    "wins 0.60, answers like the incumbent": _Kind(_alike, _sixty, promote=True),
    "the better of two answers": _Kind(_better, _by_gold, promote=True),
    "reward sign flipped: the worst of its answers": _Kind(_flipped, _by_gold, promote=False),
    "collapsed: one answer for all": _Kind(_collapsed, _by_gold, promote=False),
    "hacked by length: its answers with chatter, a judge that likes length": _Kind(
        _hacked, _fooled, promote=False
    ),
}


def _tried(name: str, pool: list[list[Spoken]], trials: int, rng: Random) -> Guarded:
    kind, limits = KINDS[name], GuardLimits()
    promoted, rates, broken = 0, 0.0, Counter[str]()
    for _ in range(trials):
        drawn = rng.sample(pool, PROMPTS)
        halves = [rng.sample(answers, DRAWS) for answers in drawn]  # nobody gives another's answer
        mine = kind.answers(rng, [answers[DRAWS // 2 :] for answers in halves])
        other = _alike(rng, [answers[: DRAWS // 2] for answers in halves])
        guards = measure([_looked_at(one) for one in mine], [_looked_at(one) for one in other], limits)
        said = [kind.judge(rng, one, against) for one, against in zip(mine, other, strict=True)]
        decision = decide(said, guards)
        promoted += decision.promoted
        rates += decision.win_rate.estimate
        broken.update(guard for guard, found in guards.items() if not found.ok)
    return Guarded(
        name, kind.promote, trials, wilson(promoted, trials), rates / trials, dict(broken.most_common())
    )


def _pool(seed: int) -> list[list[Spoken]]:
    rng = Random(f"{seed}/pool")
    return [
        [_said(prompt, draw_persona(rng, PERSONAS).speak(task_of(prompt), rng)) for _ in range(DRAWS)]
        for prompt in prompts(POOL, seed)
    ]


def _said(prompt: Prompt, text: str) -> Spoken:
    return Spoken(prompt, text, gold(prompt, text).total)


def _looked_at(one: Spoken) -> Said:
    return Said(one.prompt.key, one.text, tokens=len(words(one.text)) + 1, ended=True)
