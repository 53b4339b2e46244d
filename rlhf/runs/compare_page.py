"""A comparison of two runs as one HTML file; of two evaluations, their answers to the same prompts as well.

Whatever a model or a dataset wrote is escaped: what is seen is what was written.
"""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlhf.errors import InputError
from rlhf.metrics.progress import figure
from rlhf.runs.compare import RunComparison
from rlhf.runs.compare_table import (
    change,
    difference_name,
    headline,
    shown,
    shown_seconds,
    with_interval,
)
from rlhf.runs.folder import RunFolder

SAMPLES = "samples.jsonl"
SHOWN = 100
_WORD = re.compile(r"\s+|[A-Za-z0-9]+|.", re.DOTALL)
_HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")

Row = Mapping[str, Any]
Spans = list[tuple[str, bool]]


@dataclass(frozen=True)
class Answers:
    """The answers of both evaluations' policies to one prompt; `marked` spans are not in the other one."""

    prompt: str
    a: Row
    b: Row
    marked: tuple[Spans, Spans]
    judge: str | None
    """The first that both evaluations have."""
    change: float | None
    """B's score minus A's by that judge."""


def render_page(found: RunComparison) -> str:
    """The whole page, nothing of which comes from elsewhere.

    Raises:
        InputError: the samples of an evaluation cannot be read.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("rlhf.runs", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"figure": figure, "written": written, "duration": shown_seconds}
    answers = same_prompts(found.a, found.b)
    return environment.get_template("compare.html.j2").render(
        found=found,
        headline=headline,
        shown=shown,
        difference_name=difference_name,
        with_interval=with_interval,
        change=change,
        answers=answers[:SHOWN],
        count=len(answers),
    )


def same_prompts(a: RunFolder, b: RunFolder) -> list[Answers]:
    """Answers to the prompts that both evaluations had, those first whose score changed most; else none.

    Raises:
        InputError: the samples of an evaluation cannot be read.
    """
    if any(run.manifest is None or run.manifest.kind != "evaluation" for run in (a, b)):
        return []
    mine, yours = _by_key(a), _by_key(b)
    pairs = [_pair(mine[key], yours[key]) for key in mine if key in yours]
    return sorted(pairs, key=lambda pair: -abs(pair.change or 0.0))


def marked(a: str, b: str) -> tuple[Spans, Spans]:
    """Both texts in spans, True where the other one has it not, word by word (sign by sign in Chinese)."""
    words = _WORD.findall(a), _WORD.findall(b)
    spans: tuple[Spans, Spans] = ([], [])
    for what, *ends in difflib.SequenceMatcher(None, *words, autojunk=False).get_opcodes():
        for side, (first, last) in enumerate((ends[:2], ends[2:])):
            if last > first:
                spans[side].append(("".join(words[side][first:last]), what != "equal"))
    return spans


def written(text: str) -> str:
    """The text, with control characters and lone surrogates, which no page can hold, spelled out."""
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _pair(a: Row, b: Row) -> Answers:
    one, other = a["policy"], b["policy"]
    judge = next((judge for judge in one["scores"] if judge in other["scores"]), None)
    before, after = (one["scores"][judge], other["scores"][judge]) if judge else (None, None)
    change = None if before is None or after is None else after - before
    return Answers(_prompt(a["prompt"]), a, b, marked(one["response"], other["response"]), judge, change)


def _prompt(content: str | Sequence[Mapping[str, str]]) -> str:
    """A prompt for people to read; the turns of a conversation are labelled where there are several."""
    if isinstance(content, str):
        return content
    if len(content) == 1:
        return content[0]["content"]
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in content)


def _by_key(run: RunFolder) -> dict[str, Row]:
    path = run.path / SAMPLES
    try:
        with path.open(encoding="utf-8", errors="surrogatepass") as file:
            rows = [json.loads(line) for line in file]
        return {row["key"]: row for row in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} cannot be read ({error}).\n"
            f"Restore it from a copy, or delete {run.path} and evaluate again."
        ) from None
