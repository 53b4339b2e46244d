"""What changed between two answers: by words, and by characters where a script has no spaces."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from markupsafe import Markup, escape

from rlhf.evaluation.page.numbers import written

# a Chinese, Japanese kana or Thai character by itself; a run of space; a word; any other sign
_UNIT = re.compile(r"[\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f]|\s+|[^\W_]+|.", re.S)
LITTLE_IN_COMMON = 0.3
"""Below this share of common text, marks would cover nearly everything and say nothing."""


class Marked(NamedTuple):
    """Two texts for HTML with what is theirs alone marked; `common` is the share they have in common."""

    before: Markup
    after: Markup
    common: float


def mark(before: str, after: str) -> Marked:
    """Marks what is gone in `before` (<del>) and what is new in `after` (<ins>); both are escaped.

    Nothing is marked where they have less than `LITTLE_IN_COMMON` of their text in common.
    """
    old, new = _UNIT.findall(before), _UNIT.findall(after)
    common = _in_common(before, after, old, new)
    if common < LITTLE_IN_COMMON:
        return Marked(escape(written(before)), escape(written(after)), common)
    gone, added = Markup(), Markup()
    for change, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        gone += _piece("del", old[a:b], change != "equal")
        added += _piece("ins", new[c:d], change != "equal")
    return Marked(gone, added, common)


def merge(before: str, after: str) -> Markup:
    """Both texts in one: what is gone stands, marked, before what is new in its place; all is escaped.

    Where they have little in common it is `after` alone, unmarked, as in `mark`.
    """
    old, new = _UNIT.findall(before), _UNIT.findall(after)
    if _in_common(before, after, old, new) < LITTLE_IN_COMMON:
        return escape(written(after))
    merged = Markup()
    for change, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if change != "equal":
            merged += _piece("del", old[a:b], True)
        merged += _piece("ins", new[c:d], change != "equal")
    return merged


def _in_common(before: str, after: str, old: Sequence[str], new: Sequence[str]) -> float:
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    same = sum(
        len(unit) for block in matcher.get_matching_blocks() for unit in old[block.a : block.a + block.size]
    )
    return 2 * same / (len(before) + len(after)) if before or after else 1.0


def _piece(tag: str, units: Sequence[str], changed: bool) -> Markup:
    text = escape(written("".join(units)))
    return Markup(f"<{tag}>") + text + Markup(f"</{tag}>") if changed and text else text
