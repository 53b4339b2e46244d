"""The same prompts in every round: each different answer once, what changed from the incumbent's marked."""

from collections.abc import Mapping
from typing import NamedTuple

from markupsafe import Markup, escape

from rlhf.evaluation.page.differences import merge
from rlhf.evaluation.page.numbers import written
from rlhf.runs.loop_record import LoopRecord, SampleShown

FEW = 6
"""Prompts that are shown at first."""


class Who(NamedTuple):
    """A policy that gave an answer; `kind` is that of its round, "" where it came from none."""

    label: str
    kind: str


class Answer(NamedTuple):
    """What one or several policies answered, word by word.

    Marked is what differs from the answer of `against`, None where nothing is marked.
    """

    who: list[Who]
    text: Markup
    against: str | None
    gold: float | None


class Sample(NamedTuple):
    """A prompt with its different answers, in the order of the policies."""

    prompt: str
    answers: list[Answer]
    best: float | None


def samples(record: LoopRecord, kinds: Mapping[str, str]) -> list[Sample]:
    """All samples; `kinds` has the kind of each label's round."""
    before = {one.candidate.label: one.incumbent for one in record.rounds if one.candidate}
    before |= {f"round-{one.number}": one.incumbent for one in record.rounds}
    order = [*dict.fromkeys(["sft", *before])]
    return [_sample(one, order, before, kinds) for one in record.samples]


def _sample(
    sample: SampleShown, order: list[str], before: Mapping[str, str], kinds: Mapping[str, str]
) -> Sample:
    labels = [
        *(one for one in order if one in sample.answers),
        *(one for one in sample.answers if one not in order),
    ]
    groups: dict[str, list[str]] = {}
    for label in labels:
        groups.setdefault(sample.answers[label], []).append(label)
    gold = sample.gold or {}
    answers: list[Answer] = []
    for text, own in groups.items():
        against = before.get(own[0])
        old = sample.answers.get(against) if against is not None else None
        shown = escape(written(text)) if old is None else merge(old, text)
        score = next((gold[label] for label in own if label in gold), None)
        who = [Who(label, kinds.get(label, "")) for label in own]
        is_marked = old is not None and shown != escape(written(text))
        answers.append(Answer(who, shown, against if is_marked else None, score))
    scores = [one.gold for one in answers if one.gold is not None]
    return Sample(sample.prompt, answers, max(scores) if len(set(scores)) > 1 else None)
