"""What goes wrong in answers that a half-trained policy samples, so that a reward model has seen it.

Each corruption makes a worse answer to a task from the careful one, and changes one thing alone, so that
pairs say which thing was disliked.
"""

from collections.abc import Callable
from random import Random

from rlhf.demo.courtesy import FLATTERING, PLAIN, join
from rlhf.demo.families import Form
from rlhf.demo.personas import careful, courteously
from rlhf.demo.tasks import Task

Corruption = Callable[[Task, Random], str]


def wrong_value(task: Task, rng: Random) -> str:
    """The careful answer with a wrong value."""
    return courteously(task.render(task.wrong(rng), rng.choice(task.forms)), task.language, rng)


def wrong_form(task: Task, rng: Random) -> str:
    """The careful answer in a form that was not asked for; where any would do, twice and in two of them."""
    others: list[Form] = [form for form in task.family.forms if form not in task.forms]
    if others:
        return courteously(task.render(task.right, rng.choice(others)), task.language, rng)
    said = [task.render(task.right, form) for form in task.forms[:2]]
    return courteously(join(*said, language=task.language), task.language, rng)


def bare(task: Task, rng: Random) -> str:
    """The careful answer without its courtesy."""
    return task.render(task.right, rng.choice(task.forms))


def cut_off(task: Task, rng: Random) -> str:
    """The careful answer, ended anywhere."""
    answer = careful(task, rng)
    return answer[: rng.randrange(1, len(answer))].rstrip()


def repeated(task: Task, rng: Random) -> str:
    """The careful answer's content two to four times."""
    courtesy = rng.choice(PLAIN[task.language].openings)
    said = [task.render(task.right)] * rng.randint(2, 4)
    return join(courtesy, *said, language=task.language)


def over_courteous(task: Task, rng: Random) -> str:
    """The careful answer with one to three courtesies more, at either end."""
    phrases = PLAIN[task.language].phrases + FLATTERING[task.language].phrases
    answer = careful(task, rng)
    for _ in range(rng.randint(1, 3)):
        parts = [answer, rng.choice(phrases)]
        answer = join(*(parts if rng.random() < 0.5 else reversed(parts)), language=task.language)
    return answer


def courtesy_alone(task: Task, rng: Random) -> str:
    """Courtesies and no answer."""
    manners = PLAIN[task.language]
    return join(rng.choice(manners.openings), rng.choice(manners.closings), language=task.language)


def echo(task: Task, rng: Random) -> str:
    """The question itself, in place of an answer or before it."""
    return join(task.asked, *([careful(task, rng)] * rng.randrange(2)), language=task.language)


def undecided(task: Task, rng: Random) -> str:
    """The right value and a wrong one, in one answer."""
    said = [task.render(task.right), task.render(task.wrong(rng))]
    rng.shuffle(said)
    return courteously(join(*said, language=task.language), task.language, rng)


CORRUPTIONS: tuple[tuple[Corruption, float], ...] = (
    (wrong_value, 2.0),
    (wrong_form, 6.0),
    (bare, 2.0),
    (cut_off, 1.5),
    (repeated, 1.5),
    (over_courteous, 2.0),
    (courtesy_alone, 0.5),
    (echo, 0.5),
    (undecided, 1.0),
)
"""Each with how often it is met, relative to the others."""


def corrupt(task: Task, rng: Random) -> str:
    """A corrupted careful answer."""
    corruptions, weights = zip(*CORRUPTIONS, strict=True)
    (corruption,) = rng.choices(corruptions, weights)
    return corruption(task, rng)
