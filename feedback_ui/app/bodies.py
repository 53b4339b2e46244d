"""What the API is sent: JSON as strict as the store, and the fields of each request."""

import json
from typing import Any, NoReturn, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from feedback_ui.errors import InvalidFeedback
from feedback_ui.form import MAX_TEXT, problem_of

B = TypeVar("B", bound=BaseModel)


class Body(BaseModel):
    """A request's fields; others are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SignIn(Body):
    """Name and password."""

    name: str = Field(max_length=1000)
    password: str = Field(max_length=10_000)


class Join(Body):
    """Of an invitation the password to have; of an open link a name, or the worker id of a crowd platform."""

    token: str = Field(max_length=1000)
    name: str | None = Field(default=None, max_length=1000)
    password: str | None = Field(default=None, max_length=10_000)
    worker: str | None = Field(default=None, max_length=1000)


class Judge(Body):
    """`given` is `feedback_ui.form.Given`; `key` is made anew for each click."""

    given: dict[str, Any]
    key: str
    active_s: float | None = None


class Skip(Body):
    """Why an item is left to others."""

    reason: str
    text: str = ""
    key: str


class Undo(Body):
    """The click's key."""

    key: str


class Draft(Body):
    """What was typed so far."""

    draft: dict[str, Any]


class Nothing(Body):
    """No fields."""


class Chat(Body):
    """A message; `assignment` is the turn before, None where a conversation begins."""

    message: str = Field(max_length=MAX_TEXT)
    assignment: UUID | None = None


async def read(request: Request, kind: type[B]) -> B:
    """A request's body.

    Raises:
        InvalidFeedback: it is no JSON, holds what the store cannot keep (NaN, half a character), or other
            fields than these.
    """
    said = await request.body()
    try:
        text = said.decode()
        values = json.loads(text or "{}", parse_constant=_refuse)
        if "\\u" in text:  # an escape can spell half a character
            json.dumps(values, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise InvalidFeedback("the request is no JSON in UTF-8") from None
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise problem_of(error) from None


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")
