"""Answers that policies gave, as pairs that people can be asked about."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from feedback_ui.errors import InvalidFeedback
from feedback_ui.form import check_storable
from rlhf.data.splits import split
from rlhf.online.selection import pair_key
from rlhf.records import Message, Prompt

Part = Literal["learning", "evaluation"]
Opponent = Literal["policy", "sft", "predecessor", "mixed"]


@dataclass(frozen=True)
class Drawn:
    """What a policy, by its label, said; how it was drawn."""

    text: str
    policy: str
    temperature: float
    seed: int


@dataclass(frozen=True)
class Pair:
    """Two answers to one prompt. `part` says whether a reward model may learn from it."""

    prompt: Prompt
    first: Drawn
    second: Drawn
    part: Part = "learning"

    @property
    def key(self) -> str:
        """By content alone, whichever answer is named first and whoever gave it."""
        return pair_key(self.prompt.key, self.first.text, self.second.text)

    def set_apart(self) -> "Pair":
        """The same for evaluation."""
        return replace(self, part="evaluation")

    @property
    def item(self) -> dict[str, Any]:
        """The row that the feedback store imports."""
        return {
            "prompt": content_of(self.prompt),
            "fields": dict(self.prompt.fields),
            "responses": [
                {
                    "text": one.text,
                    "model": one.policy,
                    "sampling": {"temperature": one.temperature},
                    "seed": one.seed,
                }
                for one in (self.first, self.second)
            ],
        }

    def row(self) -> dict[str, Any]:
        """A line of the round's `items.jsonl`, of which `pair_of` makes the pair again."""
        return {"part": self.part, "item": self.item}


def pair_of(row: Mapping[str, Any]) -> Pair:
    """The pair of a line of `items.jsonl`."""
    item = row["item"]
    first, second = (
        Drawn(one["text"], one["model"], one["sampling"]["temperature"], one["seed"])
        for one in item["responses"]
    )
    return Pair(prompt_of(item["prompt"], item["fields"]), first, second, row["part"])


def prompt_of(content: Any, fields: Mapping[str, Any] | None = None) -> Prompt:
    """A prompt from JSON: text, or a list of messages."""
    if isinstance(content, str):
        return Prompt(content, dict(fields or {}))
    turns = cast("list[Mapping[str, str]]", content)
    return Prompt(tuple(Message(turn["role"], turn["content"]) for turn in turns), dict(fields or {}))


def content_of(prompt: Prompt) -> Any:
    """The prompt's content as JSON."""
    said = prompt.content
    return said if isinstance(said, str) else [{"role": m.role, "content": m.content} for m in said]


def candidate_pairs(
    rows: Iterable[Mapping[str, Any]], labels: Mapping[str, str], opponent: Opponent
) -> list[Pair]:
    """Pairs out of the lines of `samples.jsonl`, no answer in two of them.

    Those that nobody can be asked about are left out.

    Args:
        rows: of one or more runs of `stage=sample`, which may differ in temperature.
        labels: the policy's label by its run, first the one that is learnt with, then its opponent where it
            is another.
        opponent: whose the other side is. With "mixed" every second prompt pairs the policy with itself, the
            others with the opponent. Answers of one number and prompt were drawn with the same luck, so those
            of two policies are paired crosswise.
    """
    by_prompt: dict[str, dict[str, list[tuple[Mapping[str, Any], Drawn]]]] = {}
    for row in rows:
        drawn = Drawn(
            row["response"], labels[row["policy"]["run"]], row["sampling"]["temperature"], row["seed"]
        )
        by_prompt.setdefault(row["key"], {}).setdefault(drawn.policy, []).append((row, drawn))
    pairs: list[Pair] = []
    for number, key in enumerate(sorted(by_prompt)):
        said = by_prompt[key]
        own, *others = (said[label] for label in dict.fromkeys(labels.values()))
        prompt = prompt_of(own[0][0]["prompt"], own[0][0]["fields"])
        crosswise = bool(others) and (opponent != "mixed" or number % 2 == 1)
        mine = [drawn for _, drawn in own]
        sides = _across(mine, [drawn for _, drawn in others[0]]) if crosswise else _among(mine)
        pairs += [Pair(prompt, *both) for both in sides if can_be_asked(*(one.text for one in both))]
    return pairs


def by_part(pairs: Sequence[Pair], share: float) -> dict[Part, list[Pair]]:
    """The pairs whose prompts are for evaluation, a share of all prompts, and the others.

    By a hash of the prompt (of its group, where it has one), so that it is the same in every round.
    """
    shares = {"learning": 1.0 - share, "evaluation": share}
    prompts = split([pair.prompt for pair in pairs], shares, salt="loop evaluation")
    held_out = {prompt.key for prompt in prompts["evaluation"]}
    return {
        "learning": [pair for pair in pairs if pair.prompt.key not in held_out],
        "evaluation": [pair for pair in pairs if pair.prompt.key in held_out],
    }


def _among(own: Sequence[Drawn]) -> Iterator[tuple[Drawn, Drawn]]:
    """The policy's answers two by two, of different temperatures where there are several."""
    ordered = sorted(own, key=lambda one: (one.seed, one.temperature))
    yield from zip(ordered[0::2], ordered[1::2], strict=False)


def _across(own: Sequence[Drawn], other: Sequence[Drawn]) -> Iterator[tuple[Drawn, Drawn]]:
    """As many pairs as one policy's answers would make among themselves."""
    yield from list(zip(own, reversed(other), strict=False))[: len(own) // 2]


def can_be_asked(first: str, second: str) -> bool:
    """Whether two answers differ, and the store can hold and the page show both: not empty, no NUL in it."""
    try:
        for text in (first, second):
            check_storable(text, "the answer")
    except InvalidFeedback:
        return False
    return bool(first.strip() and second.strip()) and first != second
