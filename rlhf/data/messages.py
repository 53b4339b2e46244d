"""Conversations out of the shapes that datasets give them, and what two transcripts share."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from rlhf.records import Message

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
}

_TURN = re.compile(r"(?:\A|\n\n)(Human|Assistant):")


class RowError(Exception):
    """A row cannot be used: `reason` is the slug for the report, the message its detail."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def parse_messages(value: object, column: str) -> tuple[Message, ...]:
    """A list of `role`/`content` (or ShareGPT's `from`/`value`) as messages; one object is a list of one.

    Raises `RowError` for another type, an unknown role or content that is not text.
    """
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise RowError("type", f"{column} is {kind(value)}, not text or a list of messages")
    return tuple(_message(item, column) for item in value)


def _message(item: object, column: str) -> Message:
    if not isinstance(item, Mapping):
        raise RowError("type", f"{column} holds {kind(item)} where a message with role and content belongs")
    turn = cast(Mapping[str, Any], item)
    given_role = turn.get("role", turn.get("from"))
    role = ROLES.get(given_role.lower()) if isinstance(given_role, str) else None
    if role is None:
        raise RowError("role", f"{column} has the role {given_role!r}; known are {', '.join(ROLES)}")
    content = turn.get("content", turn.get("value"))
    if isinstance(content, Sequence) and not isinstance(content, str):
        content = _join_parts(content, column)
    if not isinstance(content, str):
        raise RowError("type", f"{column} has a message whose content is {kind(content)}, not text")
    return Message(role, content)


def _join_parts(parts: Sequence[Any], column: str) -> str:
    """The text of content that comes in parts, as multimodal datasets have it."""
    texts = [part.get("text") if isinstance(part, Mapping) else None for part in parts]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise RowError("type", f"{column} has a message with parts that are not text")
    return "".join(cast(list[str], texts))


def split_answer(messages: Sequence[Message], column: str) -> tuple[tuple[Message, ...], str]:
    """All before the last assistant message, and that message's content; what follows it is left off."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].role == "assistant":
            return tuple(messages[:index]), messages[index].content
    raise RowError("no-answer", f"{column} has no assistant message")


def parse_transcript(text: str) -> tuple[Message, ...] | None:
    """The turns of an hh-rlhf transcript ("\\n\\nHuman: ...\\n\\nAssistant: ..."), or None for other text.

    Turns of one speaker in a row become one, parted by a blank line: some templates refuse them.
    """
    pieces = _TURN.split(text)
    if len(pieces) < 3 or pieces[0].strip() or pieces[1] != "Human":
        return None
    turns: list[Message] = []
    for speaker, said in zip(pieces[1::2], pieces[2::2], strict=True):
        role = "user" if speaker == "Human" else "assistant"
        if turns and turns[-1].role == role:
            joined = f"{turns[-1].content}\n\n{said.strip()}".strip()
            turns[-1] = Message(role, joined)
        else:
            turns.append(Message(role, said.strip()))
    return tuple(turns)


def shared_messages(
    chosen: Sequence[Message], rejected: Sequence[Message]
) -> tuple[tuple[Message, ...], str, str]:
    """The turns that two conversations share as their beginning, and the two answers they end with.

    Raises `RowError` unless each is the shared turns and one assistant message more: where they part earlier,
    what was judged is an exchange with the person's own words in it, not an answer. Two equal conversations
    share all but their last message (cleaning reports the identical pair).
    """
    count = 0
    for left, right in zip(chosen[:-1], rejected[:-1], strict=False):
        if left != right:
            break
        count += 1
    rests = chosen[count:], rejected[count:]
    if count == 0 or any(len(rest) != 1 or rest[0].role != "assistant" for rest in rests):
        raise RowError(
            "no-shared-prompt", f"chosen and rejected share {count} turns, and more than one answer follows"
        )
    return tuple(chosen[:count]), rests[0][0].content, rests[1][0].content


def shared_text(chosen: str, rejected: str) -> tuple[str, str, str]:
    """The longest common beginning of two texts, and what follows in each (TRL's implicit prompt).

    As in TRL, a space before the place where they part belongs to the answers. Raises `RowError` where they
    share nothing, or where the one is the other's beginning.
    """
    if chosen == rejected:
        raise RowError("identical", "chosen and rejected are equal, and there is no prompt column")
    length = min(len(chosen), len(rejected))
    at = next((index for index in range(length) if chosen[index] != rejected[index]), length)
    if 0 < at < length and chosen[at - 1] == " ":
        at -= 1
    if at == 0 or at == length:
        what = "share no beginning" if at == 0 else "are such that one begins the other"
        raise RowError("no-shared-prompt", f"chosen and rejected {what}, and there is no prompt column")
    return chosen[:at], chosen[at:], rejected[at:]


def kind(value: object) -> str:
    """The value's type for a message to people: "missing" for None, else its name."""
    return "missing" if value is None else type(value).__name__
