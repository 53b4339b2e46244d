"""The prompt of a row, whichever columns hold it, and the answers given to it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from rlhf.data.messages import RowError, kind, parse_messages, split_answer
from rlhf.records import Message, Prompt

Row = Mapping[str, Any]
Content = str | tuple[Message, ...]

ALPACA = frozenset({"instruction", "input", "system", "history"})


def prompt_in(row: Row) -> tuple[Content, frozenset[str]] | None:
    """What the prompt's columns say, and which columns those are; None where a row has no such column.

    Read, in this order: `prompt`; Alpaca's `instruction` (with `input`, `system` and `history`); `messages`
    or ShareGPT's `conversations`, without the assistant message that may close them.
    """
    if has(row, "prompt"):
        return _plain(row["prompt"]), frozenset({"prompt"})
    if has(row, "instruction"):
        return alpaca_messages(row), ALPACA
    for column in ("messages", "conversations"):
        if has(row, column):
            messages = conversation(row, column)
            closed = messages[-1].role == "assistant" if messages else False
            return (split_answer(messages, column)[0] if closed else messages), frozenset({column, "system"})
    return None


def make_prompt(content: Content, row: Row, used: frozenset[str]) -> Prompt:
    """A prompt whose fields are the columns that were not used; `RowError` where it says nothing."""
    if isinstance(content, str):
        blank = not content.strip()
    else:
        blank = not any(message.content.strip() for message in content)
        if content and content[-1].role == "assistant":
            raise RowError("role", "the prompt ends with an assistant message, where the answer belongs")
    if blank:
        raise RowError("empty", "the prompt is empty")
    return Prompt(content, fields_of(row, used))


def fields_of(row: Row, used: frozenset[str]) -> dict[str, Any]:
    """The row's other columns, those without a value left out."""
    return {name: value for name, value in row.items() if name not in used and value is not None}


def alpaca_messages(row: Row) -> tuple[Message, ...]:
    """Alpaca's columns as a conversation: system, history, then instruction, a blank line and input."""
    instruction, more = text(row["instruction"], "instruction"), text(row.get("input") or "", "input")
    messages = list(_system(row))
    history = row.get("history") or ()
    if not isinstance(history, Sequence) or isinstance(history, str):
        raise RowError("type", f"history is {kind(history)}, not a list of question and answer")
    for turn in history:
        if not isinstance(turn, Sequence) or isinstance(turn, str) or len(turn) != 2:
            raise RowError("type", "history holds something other than pairs of question and answer")
        messages += [
            Message("user", text(turn[0], "history")),
            Message("assistant", text(turn[1], "history")),
        ]
    last = "\n\n".join(part for part in (instruction, more) if part.strip())
    if not last:
        raise RowError("empty", "the instruction is empty")
    return (*messages, Message("user", last))


def conversation(row: Row, column: str) -> tuple[Message, ...]:
    """The messages in a column, after those of a `system` column where they do not begin with their own."""
    messages = parse_messages(row[column], column)
    return messages if messages and messages[0].role == "system" else (*_system(row), *messages)


def _system(row: Row) -> tuple[Message, ...]:
    said = text(row.get("system") or "", "system")
    return (Message("system", said),) if said.strip() else ()


def _plain(value: object) -> Content:
    return value if isinstance(value, str) else parse_messages(value, "prompt")


def answers(content: Content, row: Row, *columns: str) -> tuple[Content, list[str]]:
    """The answers in these columns, and the prompt as a conversation where an answer is a list of messages.

    Such a list is one assistant message, or the whole conversation over again with it at the end.
    """
    values = [row[column] for column in columns]
    if all(isinstance(value, str) for value in values):
        return content, [_said(value, column) for value, column in zip(values, columns, strict=True)]
    if isinstance(content, str):
        content = (Message("user", content),)
    return content, [_answer(content, row[column], column) for column in columns]


def _answer(content: tuple[Message, ...], value: object, column: str) -> str:
    if isinstance(value, str):
        return _said(value, column)
    messages = parse_messages(value, column)
    if messages[: len(content)] == content:
        messages = messages[len(content) :]
    if len(messages) != 1 or messages[0].role != "assistant":
        raise RowError("answer", f"{column} is not one assistant message that follows the prompt")
    return _said(messages[0].content, column)


def _said(value: str, column: str) -> str:
    if not value.strip():
        raise RowError("empty", f"{column} is empty")
    return value


def text(value: object, column: str) -> str:
    """The value, if it is text; `RowError` else."""
    if not isinstance(value, str):
        raise RowError("type", f"{column} is {kind(value)}, not text")
    return value


def number(row: Row, column: str, default: float, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number between `low` and `high`, also one written as text (CSV); `default` for none."""
    value = row.get(column)
    if value is None or value == "":
        return default
    if isinstance(value, str):
        value = {"true": 1.0, "false": 0.0}.get(value.strip().lower(), value)
    try:
        found = float(cast(Any, value))
    except (TypeError, ValueError):
        raise RowError("type", f"{column} is {value!r}, not a number") from None
    if not math.isfinite(found) or not low <= found <= high:
        raise RowError("value", f"{column} is {found:g}; it is a finite number of {low:g} to {high:g}")
    return found


def has(row: Row, *columns: str) -> bool:
    """Whether the row has a value in each of these columns."""
    return all(row.get(column) is not None for column in columns)
