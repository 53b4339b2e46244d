"""Prompts by what they are: the fields that all of them have, and thirds by length."""

from collections.abc import Mapping, Sequence

import numpy as np

from rlhf.evaluation.answers import Answer
from rlhf.records import Prompt

FIELDS = ("family", "kind", "language", "held_out")
LENGTHS = ("short", "middle", "long")


def groups_of(answers: Sequence[Answer]) -> dict[str, list[str]]:
    """For each way of grouping the group of every prompt, in their order."""
    found = fields_of([answer.prompt for answer in answers])
    return found | {"length": length_thirds([len(answer.prompt_ids) for answer in answers])}


def fields_of(prompts: Sequence[Prompt]) -> dict[str, list[str]]:
    """The values of those `FIELDS` that every prompt has; of real data often none."""
    return {
        field: [str(prompt.fields[field]) for prompt in prompts]
        for field in FIELDS
        if prompts and all(prompt.fields.get(field) is not None for prompt in prompts)
    }


def length_thirds(lengths: Sequence[int]) -> list[str]:
    """Which third each length falls into; equal lengths fall into one."""
    first, second = np.quantile(np.asarray(lengths, np.float64), [1 / 3, 2 / 3])
    return [LENGTHS[int(length > first) + int(length > second)] for length in lengths]


def members(groups: Sequence[str]) -> Mapping[str, list[int]]:
    """The places of each group, groups in the order of their names (lengths from short to long)."""
    places: dict[str, list[int]] = {}
    for place, group in enumerate(groups):
        places.setdefault(group, []).append(place)
    order = {name: number for number, name in enumerate(LENGTHS)}
    return {name: places[name] for name in sorted(places, key=lambda name: (order.get(name, -1), name))}
