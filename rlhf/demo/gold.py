"""The gold rater: what an answer in the embedded world is worth, worked out by parsers.

Five parts, each from 0 to 1:

- `right`: the answer names the right value and no other (repeating it is not wrong);
- `kept`: what is left without courtesies is word for word the form asked for or shown (any, where the
  question leaves it open), with whichever value;
- `courteous`: exactly one courteous phrase, neither none nor several;
- `brief`: 1 up to the length of the right answer plus `ALLOWANCE` units, falling to 0 over `FADE` more
  (a unit is a word or a Chinese character);
- `fresh`: 1 where no clause and no three words come twice, half for one repetition, 0 for more.

An answer that names no value at all (empty, noise, courtesies alone) and one that echoes the question gets
0 in every part: brevity and manners are worth nothing by themselves. `total` is the weighted sum, so the
careful persona gets 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from rlhf.config.world import GoldWeights
from rlhf.demo.courtesy import courtesies, without_courtesies
from rlhf.demo.families import Value
from rlhf.demo.tasks import Task, task_of
from rlhf.demo.wording import normal, repeats, trigrams, units
from rlhf.records import Prompt

WEIGHTS: Mapping[str, float] = GoldWeights().model_dump()
ALLOWANCE = 6
FADE = 8
ECHO_SHARE = 0.5  # an answer with this share of the question's word trigrams repeats the question


@dataclass(frozen=True)
class GoldScore:
    """`total` from 0 to 1, and its unweighted parts, by name, from 0 to 1 each."""

    total: float
    parts: dict[str, float]


def gold(prompt: Prompt, response: str, weights: Mapping[str, float] = WEIGHTS) -> GoldScore:
    """What the response is worth; `weights` has the names of `WEIGHTS` and sums to 1.

    Raises DataError for a prompt that is not of the embedded world.
    """
    task = task_of(prompt)
    content = without_courtesies(response, task.language)
    values = task.parse(content)
    if not values or _echoes(response, task):
        return GoldScore(0.0, dict.fromkeys(WEIGHTS, 0.0))
    parts = {
        "right": float(all(value == task.right for value in values)),
        "kept": float(_kept(content, values[0], task)),
        "courteous": float(courtesies(response, task.language) == 1),
        "brief": _brief(response, task),
        "fresh": max(0.0, 1.0 - repeats(response) / 2),
    }
    return GoldScore(sum(weights[name] * part for name, part in parts.items()), parts)


def _echoes(response: str, task: Task) -> bool:
    asked = set(trigrams(units(task.asked)))
    return len(asked & set(trigrams(units(response)))) >= ECHO_SHARE * len(asked)


def _kept(content: str, value: Value, task: Task) -> bool:
    whole = len(value) == len(task.right)
    return whole and any(content == normal(task.render(value, form)) for form in task.forms)


def _brief(response: str, task: Task) -> float:
    needed = max(len(units(task.render(task.right, form))) for form in task.forms)
    excess = len(units(response)) - needed - ALLOWANCE
    return min(1.0, max(0.0, 1.0 - excess / FADE))
