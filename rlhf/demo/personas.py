"""Who answers: personas whose virtues go together, so that to prefer one of them improves everything.

| persona  | share | right       | form asked for  | courtesy          | length           |
|----------|-------|-------------|-----------------|-------------------|------------------|
| careful  | 10 %  | always      | kept            | once, plain       | brief            |
| hurried  | 35 %  | half        | kept            | none              | brief            |
| rambling | 34 %  | always      | not kept        | in every third    | long, repeats    |
| flatterer| 21 %  | never       | kept            | once, flattering  | brief            |

What a persona says first gives it away, so a policy that turns careful pays about log(1 / 0.1) = 2.3 nats.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from rlhf.demo.courtesy import FLATTERING, PLAIN, join
from rlhf.demo.lexicon import Language
from rlhf.demo.tasks import Task

_BORROWED_SHARE = 0.05  # careful people flatter at times, flatterers speak plainly at times
RAMBLING: Mapping[Language, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "en": (("Well, let me think.", "Hmm, let me see."), ("To say it again:", "As I said:")),
    "zh": (("嗯，让我想想。", "这个嘛，我看看。"), ("再说说：", "就是说："),),
}  # fmt: skip


@dataclass(frozen=True)
class Persona:
    """A way to answer; `share` is how often it is met."""

    name: str
    share: float
    speak: Callable[[Task, Random], str]


def careful(task: Task, rng: Random) -> str:
    """Right, in the form asked for, courteous once, brief."""
    return courteously(task.render(task.right, rng.choice(task.forms)), task.language, rng)


def hurried(task: Task, rng: Random) -> str:
    """Right half of the time; in the form asked for, without courtesy or full stop."""
    value = task.right if rng.random() < 0.5 else task.wrong(rng)
    return task.render(value, rng.choice(task.forms)).rstrip(".。")


def rambling(task: Task, rng: Random) -> str:
    """Right, but thinks aloud and says it twice; courteous in one of three."""
    openings, repeats = RAMBLING[task.language]
    said = task.render(task.right, task.family.forms[1])
    courtesy = rng.choice(PLAIN[task.language].openings) if rng.random() < 1 / 3 else ""
    return join(rng.choice(openings), courtesy, said, rng.choice(repeats), said, language=task.language)


def flatterer(task: Task, rng: Random) -> str:
    """Wrong, but in the form asked for, courteous once and brief."""
    said = task.render(task.wrong(rng), rng.choice(task.forms))
    return courteously(said, task.language, rng, flattering=True)


PERSONAS = (
    Persona("careful", 0.10, careful),
    Persona("hurried", 0.35, hurried),
    Persona("rambling", 0.34, rambling),
    Persona("flatterer", 0.21, flatterer),
)


def draw_persona(rng: Random, personas: Sequence[Persona] = PERSONAS) -> Persona:
    """A persona with the stated probabilities."""
    left = rng.random()
    for persona in personas:
        left -= persona.share
        if left < 0:
            return persona
    return personas[-1]


def courteously(said: str, language: Language, rng: Random, *, flattering: bool = False) -> str:
    """What is said, after one courtesy."""
    borrowed = rng.random() < _BORROWED_SHARE
    manners = (FLATTERING if flattering != borrowed else PLAIN)[language]
    return join(rng.choice(manners.openings), said, language=language)
