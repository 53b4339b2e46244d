"""Datasets of the embedded world, made on the spot: demonstrations, preferences, prompts. No torch.

Every record has a generator of its own, made from the seed, the kind of dataset and the record's number.
So the same call gives the same records on every machine, and a larger count begins with the smaller one.
"""

from collections.abc import Mapping, Sequence
from random import Random

from rlhf.demo.corruptions import corrupt
from rlhf.demo.gold import WEIGHTS, gold
from rlhf.demo.personas import PERSONAS, Persona, careful, draw_persona
from rlhf.demo.raters import Rater
from rlhf.demo.tasks import HeldOut, Task, draw_task
from rlhf.records import Demonstration, Preference, Prompt

_CAREFUL_SHARE = 0.4  # of the first answers of pairs at least: good answers are what is worth comparing with
_CORRUPTED_SHARE = 0.3  # of the second ones
_LEAST_MARGIN = 0.02  # pairs that gold cannot tell apart are drawn again


def prompts(count: int, seed: int) -> list[Prompt]:
    """`count` questions; fields: world, family, kind, language, held_out, group, spec."""
    return [draw_task(_generator(seed, "prompt", number)).prompt() for number in range(count)]


def held_out_prompts(count: int, seed: int) -> list[Prompt]:
    """`count` questions that no training meets: three of combinations of family and form, one of a family."""
    kinds: tuple[HeldOut, ...] = ("combination", "combination", "combination", "family")
    return [
        draw_task(_generator(seed, "held out", number), kinds[number % len(kinds)]).prompt()
        for number in range(count)
    ]


def demonstrations(count: int, seed: int, personas: Sequence[Persona] = PERSONAS) -> list[Demonstration]:
    """`count` questions answered by personas of mixed quality; the prompts' fields also: persona."""
    return [_demonstration(_generator(seed, "demonstration", number), personas) for number in range(count)]


def preferences(
    count: int, seed: int, rater: Rater | None = None, weights: Mapping[str, float] = WEIGHTS
) -> list[Preference]:
    """`count` pairs labelled by a rater who errs, and who values what gold values with these weights.

    The prompts' fields also: clean (whether gold agrees with the label) and gold_margin (gold of the chosen
    answer minus gold of the rejected one).
    """
    judge = rater or Rater()
    return [_preference(judge, weights, _generator(seed, "preference", number)) for number in range(count)]


def _generator(seed: int, dataset: str, number: int) -> Random:
    return Random(f"{seed}/{dataset}/{number}")


def _demonstration(rng: Random, personas: Sequence[Persona]) -> Demonstration:
    task, persona = draw_task(rng), draw_persona(rng, personas)
    return Demonstration(task.prompt(persona=persona.name), persona.speak(task, rng))


def _preference(rater: Rater, weights: Mapping[str, float], rng: Random) -> Preference:
    task = draw_task(rng)
    plain_prompt = task.prompt()
    while True:
        first, second = _answers(task, rng)
        one, other = (gold(plain_prompt, answer, weights).total for answer in (first, second))
        difference = one - other
        if abs(difference) >= _LEAST_MARGIN:
            break
    if not rater.prefers_first(first, second, difference, rng):
        first, second, difference = second, first, -difference
    return Preference(task.prompt(clean=difference > 0, gold_margin=difference), first, second)


def _answers(task: Task, rng: Random) -> tuple[str, str]:
    """Two answers, in an order that says nothing."""
    first = careful(task, rng) if rng.random() < _CAREFUL_SHARE else draw_persona(rng).speak(task, rng)
    corrupted = rng.random() < _CORRUPTED_SHARE
    second = corrupt(task, rng) if corrupted else draw_persona(rng).speak(task, rng)
    return (first, second) if rng.random() < 0.5 else (second, first)
