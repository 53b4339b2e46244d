"""Rows of a file as items to judge: a prompt, its answers and their origin, what is known to be right.

Accepted (docs/feedback.md has examples): `prompt` with `responses`, with `chosen` and `rejected` (TRL), or
with one `response` or `completion` (a `samples` run of `stage=sample`), which reading.py joins by prompt. A
row may have `judgements`: what people said of it before.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

from feedback_ui.errors import InvalidFeedback, listed
from feedback_ui.form import ANSWERS, Given, Kind, check_storable, parse_given
from rlhf.records import Message, Prompt

_ROLES = {"system", "user", "assistant"}
_USED = {
    "prompt",
    "responses",
    "chosen",
    "rejected",
    "response",
    "completion",
    "gold",
    "fields",
    "judgements",
}
_PROVENANCE = {"model", "run", "sampling", "seed", "policy", "key", "tokens", "finish"}


@dataclass(frozen=True)
class Answer:
    """A text and where it came from."""

    text: str
    model: str | None = None
    run: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None

    @property
    def sha256(self) -> str:
        """By which the same answer of the same origin is known again."""
        return digest([self.text, self.model, self.run, dict(self.sampling), self.seed])


@dataclass(frozen=True)
class PastJudgement:
    """What somebody said of an item before it came here. `rater` is what the file calls them."""

    rater: str
    given: Given
    created: datetime | None = None
    active_s: float | None = None


@dataclass(frozen=True)
class ItemDraft:
    """What becomes an item. `gold` is its key: better, label or score. `single` waits for others."""

    place: str
    prompt: Prompt
    answers: tuple[Answer, ...]
    gold: Mapping[str, Any] | None = None
    single: bool = False
    said: tuple[PastJudgement, ...] = ()

    @property
    def content(self) -> Any:
        """The prompt as JSON: text, or a list of messages."""
        said = self.prompt.content
        return said if isinstance(said, str) else [{"role": m.role, "content": m.content} for m in said]

    @property
    def prompt_sha256(self) -> str:
        """Of the prompt with its fields."""
        return digest([self.content, dict(self.prompt.fields)])

    @property
    def sha256(self) -> str:
        """Of the item: a second import of it adds nothing. The order of the answers does not count."""
        return digest([self.prompt_sha256, sorted(answer.sha256 for answer in self.answers)])


@dataclass(frozen=True)
class RowProblem:
    """A row that cannot be used: its file and line, and why."""

    place: str
    error: InvalidFeedback

    @property
    def reason(self) -> str:
        """In English."""
        return str(self.error)

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


def digest(value: Any) -> str:
    """SHA-256 of a JSON value, whatever the order of its keys."""
    said = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(said.encode()).hexdigest()


def checked(draft: ItemDraft, kind: Kind) -> ItemDraft:
    """The same, as a campaign of this kind shows it. Raises InvalidFeedback where it cannot."""
    low, high = ANSWERS[kind]
    if kind == "write":
        draft = replace(draft, answers=(), single=False)
    count = len(draft.answers)
    if not low <= count <= high:
        wanted = str(low) if low == high else f"{low} to {high}"
        raise InvalidFeedback(
            "has {count} answers; a campaign of kind {kind} shows {wanted}",
            count=count,
            kind=kind,
            wanted=wanted,
        )
    if len({answer.text for answer in draft.answers}) < count:
        raise InvalidFeedback("has two answers that are equal")
    _check_gold(draft.gold, kind, count)
    return draft


def _check_gold(gold: Mapping[str, Any] | None, kind: Kind, count: int) -> None:
    if gold is None:
        return
    if set(gold) == {"better"} and kind in ("compare", "rank") and gold["better"] in range(count):
        return
    if set(gold) == {"label"} and kind == "thumb" and isinstance(gold["label"], bool):
        return
    bounds: Any = gold.get("score")
    if set(gold) == {"score"} and kind == "score" and isinstance(bounds, list):
        held = cast("list[Any]", bounds)
        if len(held) == 2 and all(isinstance(bound, (int, float)) for bound in held) and held[0] <= held[1]:
            return
    raise InvalidFeedback(
        'gold={gold} does not fit kind {kind}; give {{"better": 0}} (the place in responses; compare, rank), '
        '{{"label": true}} (thumb) or {{"score": [4, 5]}} (score)',
        gold=json.dumps(gold),
        kind=kind,
    )


def draft_of(place: str, row: Any) -> ItemDraft:
    """The item that a row asks for. Raises InvalidFeedback where it cannot be used."""
    if not isinstance(row, Mapping):
        raise InvalidFeedback("is not an object with named columns")
    row = cast("Mapping[str, Any]", row)
    for said in _strings(row):
        check_storable(said, "the row")
    if row.get("prompt") is None:
        raise InvalidFeedback("has no prompt; its columns are {columns}", columns=listed(row))
    prompt = Prompt(_content(row["prompt"]), _fields(row))
    answers, single = _answers(row, prompt)
    gold = row.get("gold")
    if gold is not None and not isinstance(gold, Mapping):
        raise InvalidFeedback("gold is not an object")
    return ItemDraft(place, prompt, answers, gold, single, _judgements(row.get("judgements")))


def _judgements(value: Any) -> tuple[PastJudgement, ...]:
    if value is None:
        return ()
    found: list[PastJudgement] = []
    for said in cast("list[Any]", value) if isinstance(value, list) else [None]:
        held = cast("Mapping[str, Any]", said) if isinstance(said, Mapping) else {}
        rater, given, active_s = held.get("rater"), held.get("given"), held.get("active_s")
        if not isinstance(rater, str) or not rater or not isinstance(given, Mapping):
            raise InvalidFeedback("judgements is a list of objects with rater and given")
        if active_s is not None and not (isinstance(active_s, (int, float)) and 0 <= active_s <= 86_400):
            raise InvalidFeedback(
                "judgements: active_s={active_s!r} is not a number of seconds", active_s=active_s
            )
        parsed = parse_given(cast("Mapping[str, Any]", given))
        found.append(PastJudgement(rater, parsed, _time(held.get("created")), active_s))
    return tuple(found)


def _time(said: Any) -> datetime | None:
    if said is None:
        return None
    try:
        time = datetime.fromisoformat(said)
    except (TypeError, ValueError):
        raise InvalidFeedback("judgements: created={said!r} is not a time of ISO 8601", said=said) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _answers(row: Mapping[str, Any], prompt: Prompt) -> tuple[tuple[Answer, ...], bool]:
    if row.get("responses") is not None:
        if not isinstance(row["responses"], list):
            raise InvalidFeedback("responses is not a list")
        held = cast("list[Any]", row["responses"])
        return tuple(_answer(value, f"responses[{n}]", prompt) for n, value in enumerate(held)), False
    if row.get("chosen") is not None and row.get("rejected") is not None:
        return tuple(_answer(row[column], column, prompt) for column in ("chosen", "rejected")), False
    for column in ("response", "completion"):
        if row.get(column) is not None:
            origin = {name: row[name] for name in ("model", "run", "sampling", "seed") if name in row}
            policy = row.get("policy")
            if isinstance(policy, Mapping) and "run" in policy:
                origin.setdefault("run", cast("Mapping[str, Any]", policy)["run"])
            return (_answer({**origin, "text": _said(row[column], column, prompt)}, column, prompt),), True
    return (), False


def _answer(value: Any, column: str, prompt: Prompt) -> Answer:
    if not isinstance(value, Mapping) or "role" in value:
        return Answer(_filled(_said(value, column, prompt), column))
    row = cast("Mapping[str, Any]", value)
    unknown = set(row) - {"text", "model", "run", "sampling", "seed"}
    if unknown or "text" not in row:
        raise InvalidFeedback(
            "{column} has text and may have model, run, sampling, seed; not {columns}",
            column=column,
            columns=listed(row),
        )
    sampling, seed = row.get("sampling") or {}, row.get("seed")
    if not isinstance(sampling, Mapping):
        raise InvalidFeedback("{column}: sampling is not an object", column=column)
    if seed is not None and not (isinstance(seed, int) and -(2**63) <= seed < 2**63):
        raise InvalidFeedback(
            "{column}: seed={seed!r} is not a whole number of 64 bits", column=column, seed=seed
        )
    names = {name: None if row.get(name) is None else str(row[name]) for name in ("model", "run")}
    said = _filled(_said(row["text"], column, prompt), column)
    return Answer(said, names["model"], names["run"], dict(cast("Mapping[str, Any]", sampling)), seed)


def _said(value: Any, column: str, prompt: Prompt) -> str:
    """Text, or the assistant message at the end of messages that may repeat the prompt."""
    if isinstance(value, str):
        return value
    messages = _messages([value] if isinstance(value, Mapping) else value, column)
    if not isinstance(prompt.content, str) and messages[: len(prompt.content)] == prompt.content:
        messages = messages[len(prompt.content) :]
    if len(messages) != 1 or messages[0].role != "assistant":
        raise InvalidFeedback("{column} is not one assistant message that follows the prompt", column=column)
    return messages[0].content


def _content(value: Any) -> str | tuple[Message, ...]:
    if isinstance(value, str):
        return _filled(value, "prompt")
    messages = _messages(value, "prompt")
    if not any(message.content.strip() for message in messages):
        raise InvalidFeedback("prompt is empty")
    if messages[-1].role == "assistant":
        raise InvalidFeedback("prompt ends with an assistant message, where the answer belongs")
    return messages


def _messages(value: Any, column: str) -> tuple[Message, ...]:
    turns: list[Message] = []
    for turn in cast("list[Any]", value) if isinstance(value, list) else [None]:
        held = cast("Mapping[str, Any]", turn) if isinstance(turn, Mapping) else {}
        role, content = held.get("role"), held.get("content")
        if role not in _ROLES or not isinstance(content, str):
            raise InvalidFeedback(
                "{column} is neither text nor a list of messages with role and content", column=column
            )
        turns.append(Message(cast(str, role), content))
    return tuple(turns)


def _fields(row: Mapping[str, Any]) -> dict[str, Any]:
    own = row.get("fields")
    if own is not None and not isinstance(own, Mapping):
        raise InvalidFeedback("fields is not an object")
    single = row.get("response") is not None or row.get("completion") is not None
    used = _USED | (_PROVENANCE if single else set())
    rest = {str(name): value for name, value in row.items() if name not in used and value is not None}
    return {**rest, **cast("Mapping[str, Any]", own or {})}


def _filled(said: str, column: str) -> str:
    if not said.strip():
        raise InvalidFeedback("{column} is empty", column=column)
    return said


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, held in cast("Mapping[str, Any]", value).items():
            yield str(name)
            yield from _strings(held)
    elif isinstance(value, list):
        for held in cast("list[Any]", value):
            yield from _strings(held)
