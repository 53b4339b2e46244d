"""A judge of the evaluation that is reached by HTTP."""

from urllib.parse import urlsplit

from pydantic import Field, model_validator

from rlhf.config.base import Count, Positive, Section


class JudgeConfig(Section):
    """A model behind an OpenAI-compatible endpoint that says which of two answers is better."""

    url: str | None = Field(
        default=None,
        description="address of an API, without /chat/completions (http://127.0.0.1:8000/v1); none: no judge",
    )
    model: str | None = Field(default=None, description="the judge's name at the endpoint")
    key_env: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="environment variable that holds the API key; the key itself is never written anywhere",
    )
    rubric: str | None = Field(
        default=None,
        description="text file with {prompt}, {a} and {b} in it; none: built-in ones, English and Chinese",
    )
    max_tokens: Count | None = Field(
        default=16,
        description="tokens of a verdict; more for a model that thinks aloud first; none: not sent",
    )
    parallel: Count = Field(default=8, description="requests at once")
    timeout_s: Positive = Field(default=60.0, description="seconds that one request may take")
    retries: int = Field(default=5, ge=0, description="further attempts where the endpoint is busy or fails")

    @model_validator(mode="after")
    def _can_be_reached(self) -> "JudgeConfig":
        if self.url is None:
            if self.model is not None:
                raise ValueError(
                    f"model={self.model} is given without judge.url; add the address of its endpoint, "
                    "as judge.url=http://127.0.0.1:8000/v1"
                )
            return self
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"url={self.url} is no address of an API; it looks like http://HOST:PORT/v1")
        if parts.username or parts.password:
            raise ValueError(
                f"url: an address with a password in it (at {parts.hostname}) would be written to the disk; "
                "put the key into an environment variable and name that: judge.key_env=NAME"
            )
        if not self.model:
            raise ValueError(
                f"url={self.url} is given without judge.model; add the model's name at that endpoint "
                f"({self.url.rstrip('/')}/models lists them)"
            )
        return self
