"""What a client may ask for, as pydantic models, and what that means to a policy.

Fields of the OpenAI API that would change the answer and are not known here are refused, not passed over;
their neutral values (null, 0, false, empty) are taken, because many clients send them along.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rlhf.records import Message, Prompt

UNSEEN = frozenset(
    {
        "user",
        "metadata",
        "store",
        "service_tier",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "parallel_tool_calls",
    }
)
"""Fields that speak of the caller or of bookkeeping, and change no answer."""
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "response_format": ({"type": "text"},),
    "tool_choice": ("none", "auto"),
    "best_of": (1,),
    "modalities": (["text"],),
    "function_call": ("none", "auto"),
    "repetition_penalty": (1, 1.0),
}
"""Values of fields unknown here that ask for what happens anyway, beside null, 0, false and empty."""


class RequestError(Exception):
    """A request that cannot be answered; `field` is the one to mend, `status` that of HTTP."""

    def __init__(self, message: str, field: str | None = None, *, status: int = 400, code: str | None = None):
        """Keeps what the error's body says."""
        super().__init__(message)
        self.field, self.status, self.code = field, status, code


class TextPart(BaseModel):
    """A piece of a message; pictures and sound are none that a policy here could take."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """One turn; "developer" is what newer clients call "system"."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    name: str | None = None

    def as_record(self) -> Message:
        """The turn as the chat template takes it."""
        said = self.content
        text = said if isinstance(said, str) else "".join(part.text for part in said)
        return Message("system" if self.role == "developer" else self.role, text)


class StreamOptions(BaseModel):
    """What else a stream holds."""

    include_usage: bool = False
    include_obfuscation: bool = False


class Asked(BaseModel, ABC):
    """What chat and plain completions have in common; None: as the server's options say."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    model: str | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0.0, le=10.0, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    top_k: Annotated[int, Field(ge=-1)] | None = None
    n: Annotated[int, Field(ge=1)] = 1
    seed: Annotated[int, Field(ge=-(2**63), lt=2**64)] | None = None
    stop: str | list[str] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop strings, of which an empty one would mean nothing."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(stop for stop in given if stop)

    @property
    def limit(self) -> int | None:
        """Tokens that an answer may have."""
        return self.max_tokens

    @abstractmethod
    def prompts(self) -> list[Prompt]:
        """What each `n` answers are given to."""


class ChatRequest(Asked):
    """The body of `/v1/chat/completions`."""

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None

    @property
    def limit(self) -> int | None:
        """The newer name goes first."""
        return self.max_completion_tokens or self.max_tokens

    def prompts(self) -> list[Prompt]:
        """The conversation.

        Raises:
            RequestError: it ends with the assistant's turn, or says nothing.
        """
        turns = tuple(message.as_record() for message in self.messages)
        if turns[-1].role == "assistant":
            raise RequestError("the conversation ends with the assistant, whose turn is next", "messages")
        if not any(turn.content.strip() for turn in turns):
            raise RequestError("the conversation says nothing", "messages")
        return [Prompt(turns)]


class TextRequest(Asked):
    """The body of `/v1/completions`: text that is continued exactly as written."""

    prompt: str | Annotated[list[str], Field(min_length=1)]
    echo: Literal[False] = False

    def prompts(self) -> list[Prompt]:
        """One prompt a text."""
        return [Prompt(text) for text in ([self.prompt] if isinstance(self.prompt, str) else self.prompt)]


def parse_request(kind: type[ChatRequest] | type[TextRequest], body: bytes) -> ChatRequest | TextRequest:
    """The request in a body of JSON.

    Raises:
        RequestError: what is wrong with it, and in which field.
    """
    try:
        request = kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"] if not _is_type(part))
        raise RequestError(f"{field}: {first['msg']}" if field else first["msg"], field or None) from None
    for name, value in (request.model_extra or {}).items():
        if name not in UNSEEN and value and value not in NEUTRAL.get(name, ()):
            raise RequestError(f"{name} is not supported here; leave it out", name, code="unsupported")
    return request


def _is_type(part: object) -> bool:
    """Whether a part of pydantic's path names a type that it tried, and no field."""
    return isinstance(part, str) and (part == "str" or "[" in part)
