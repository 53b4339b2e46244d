"""Episodes for the inspector: every token with its four numbers, coloured by one of them."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from markupsafe import Markup

from rlhf.evaluation.page.numbers import number, written

MEASURES = ("kl", "value", "advantage", "reward")
LEVELS = 4  # shades to each side of nought


class Episode(NamedTuple):
    """One response: its prompt and score, and the tokens as HTML."""

    prompt: str | Sequence[Mapping[str, str]]
    score: float
    tokens: Markup


class Look(NamedTuple):
    """The episodes of one step."""

    step: int
    episodes: Sequence[Episode]


def looks(episodes: Sequence[Mapping[str, Any]]) -> list[Look]:
    """The episodes by step, in their order; tokens are coloured by KL, the script recolours them."""
    most = scales(episodes)
    return [
        Look(
            step,
            [Episode(one["prompt"], one["score"], _tokens(one, most["kl"])) for one in group],
        )
        for step, group in groupby(sorted(episodes, key=_step), key=_step)
    ]


def scales(episodes: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The size at which a colour is full, for each measure: 95 % of all tokens' sizes lie below it."""
    found: dict[str, float] = {}
    for measure in MEASURES:
        sizes = sorted(abs(value) for one in episodes for value in one[measure])
        found[measure] = (sizes[int(0.95 * len(sizes))] or sizes[-1] or 1.0) if sizes else 1.0
    return found


def level(value: float, full: float) -> int:
    """The shade of a value: -LEVELS to LEVELS, the outermost where it reaches `full`."""
    return max(-LEVELS, min(LEVELS, round(value / full * LEVELS)))


def _step(episode: Mapping[str, Any]) -> int:
    return episode["step"]


def _tokens(episode: Mapping[str, Any], full: float) -> Markup:
    """The numbers stand in the title, in the order of MEASURES: short, for there are thousands of them."""
    parts = [
        Markup('<i class="k{}" title="{}">{}</i>').format(
            level(kl, full), " ".join(map(_short, (kl, *others))), written(token)
        )
        for token, kl, *others in zip(episode["tokens"], *(episode[name] for name in MEASURES), strict=True)
    ]
    return Markup("").join(parts)


def _short(value: float) -> str:
    return number(value).replace(",", "")
