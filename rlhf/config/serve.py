"""What `python -m rlhf.serve` is told."""

from ipaddress import ip_address
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from rlhf.config.base import Auto, Count, NonNegative, Positive, Section


class ServeInputs(Section):
    """The policies: run folder, model folder or hub id each."""

    policy: str | None = Field(
        default=None, description="run folder, model folder or hub id; none: the newest of the experiment"
    )
    baseline: str | None = Field(default=None, description="another one to serve beside it")
    policies: tuple[str, ...] = Field(default=(), description="further ones, as in [sft-1,ppo-1]")


class ServeConfig(Section):
    """An OpenAI-compatible endpoint for policies."""

    name: str = Field(default="demo", description="the experiment in which inputs are looked for")
    runs_dir: str = "runs"
    inputs: ServeInputs = ServeInputs()
    names: Literal["opaque", "runs"] | tuple[str, ...] = Field(
        default="opaque",
        description="public names: ones that tell nothing, those of the runs (ppo-1), or a list as in [a,b]",
    )
    host: str = Field(default="127.0.0.1", description="address to listen at")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(default=8000, description="0: any that is free")
    key_env: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="environment variable that holds the API key that clients must send; none: no key",
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: Count | None = Field(default=None, description="CPU threads; none: all cores")
    max_length: Count | Auto = Field(
        default="auto", description="tokens of prompt and answer; auto: the model's, at most 1024"
    )
    template: str = Field(default="auto", description="chat template: auto, plain, chatml, or a .jinja file")
    trust_remote_code: bool = Field(default=False, description="run code that the model's repository brings")
    temperature: NonNegative = Field(default=0.7, description="where a request names none")
    max_tokens: Count = Field(default=256, description="tokens of an answer where a request names none")
    batch_size: Count = Field(default=16, description="answers that a policy decodes together")
    max_waiting: Count = Field(default=256, description="answers that may wait for a policy; then 429")
    max_choices: Count = Field(default=32, description="answers that one request may ask for")
    max_body_kb: Count = Field(default=1024, description="size of a request")
    stop_timeout_s: Positive = Field(
        default=30.0, description="seconds in which requests may be finished after SIGTERM"
    )
    traceback: bool = Field(default=False, description="print the whole traceback of an error")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the endpoint."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @field_validator("names", mode="before")
    @classmethod
    def _one_name_is_a_list_of_one(cls, value: Any) -> Any:
        if isinstance(value, str) and value not in ("opaque", "runs"):
            return [part.strip() for part in value.split(",")]
        return value

    @model_validator(mode="after")
    def _strangers_need_a_key(self) -> "ServeConfig":
        if not self.is_local and self.key_env is None:
            raise ValueError(
                f"host={self.host} lets other machines in, and anybody there could ask; "
                "put a key into an environment variable and name that: key_env=NAME"
            )
        return self

    @model_validator(mode="after")
    def _names_are_names(self) -> "ServeConfig":
        if isinstance(self.names, tuple):
            bad = [name for name in self.names if not name.strip() or "/" in name]
            if bad or len(set(self.names)) < len(self.names):
                raise ValueError(
                    f"names={','.join(self.names)}: each is given once, and is neither empty nor holds a /"
                )
        return self
