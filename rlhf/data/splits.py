"""Parts of a dataset that never mix: each prompt falls into one by its own hash, whatever else there is."""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from rlhf.errors import ConfigError
from rlhf.records import Demonstration, Preference, Prompt, Rating

T = TypeVar("T")
GROUP = "group"
"""The field of a prompt, a column of a dataset, by which rows that belong together stay in one part."""


def part_of(key: str, shares: Mapping[str, float], salt: str) -> str:
    """The part that a key belongs to: the same in every process, for every size and order of the data.

    A hash of salt and key gives a number in [0, 1); the parts divide that interval in the order of `shares`,
    which sum to 1. Other shares or another salt divide anew. Raises `ConfigError` for shares that do not.
    """
    _check(shares)
    digest = hashlib.sha256(f"{salt}\0{key}".encode()).digest()
    point = int.from_bytes(digest[:8], "big") / 2**64
    end = 0.0
    for name, share in shares.items():
        end += share
        if point < end:
            return name
    return [name for name, share in shares.items() if share > 0][-1]  # the sum fell short by rounding


def split(
    records: Iterable[T],
    shares: Mapping[str, float],
    salt: str,
    key: Callable[[T], str] | None = None,
) -> dict[str, list[T]]:
    """The records by part, order kept; every part is there, if empty.

    By default the key is the prompt's `group` field where it has one, else the prompt itself, so that all
    that concerns one prompt, or one group of prompts, stays together.
    """
    _check(shares)
    parts: dict[str, list[T]] = {name: [] for name in shares}
    for record in records:
        parts[part_of(key(record) if key else _prompt_key(record), shares, salt)].append(record)
    return parts


def _prompt_key(record: object) -> str:
    if isinstance(record, Prompt):
        return _group_of(record)
    if isinstance(record, Demonstration):
        # raw text has no prompt: its own words stand in, or all of it would fall into one part
        return _group_of(record.prompt if record.prompt.content else Prompt(record.completion))
    if isinstance(record, Preference | Rating):
        return _group_of(record.prompt)
    raise TypeError(f"{type(record).__name__} has no prompt: hand in a key")


def _group_of(prompt: Prompt) -> str:
    group = prompt.fields.get(GROUP)
    return prompt.key if group is None else str(group)


def _check(shares: Mapping[str, float]) -> None:
    total = math.fsum(shares.values())
    if not shares or min(shares.values()) < 0 or abs(total - 1) > 1e-9:
        said = ", ".join(f"{name}={share:g}" for name, share in shares.items()) or "none"
        raise ConfigError(f"shares of the data ({said}) sum to {total:g}; none is negative and they sum to 1")
