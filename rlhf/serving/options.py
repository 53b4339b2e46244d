"""The words of `python -m rlhf.serve`, and its help."""

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel

from rlhf.config.explain import validate_as
from rlhf.config.serve import ServeConfig
from rlhf.errors import ConfigError

COMMAND = "python -m rlhf.serve"
_PAGE = f"""\
An OpenAI-compatible endpoint (/v1/chat/completions, /v1/completions, /v1/models) for one or several policies.

  {COMMAND} [key=value ...]

examples
  {COMMAND}                                   the newest policy of the experiment demo
  {COMMAND} inputs.policy=ppo-1 inputs.baseline=sft-1 port=8001
  {COMMAND} inputs.policy=./my-model names=[mine]
  KEY=... {COMMAND} host=0.0.0.0 key_env=KEY  for other machines, who must send the key

  curl http://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json' \\
    -d '{{"messages": [{{"role": "user", "content": "Hello"}}]}}'

It ends on SIGTERM or Ctrl-C, when the requests that it has are answered.

keys, with their defaults (null: none)
"""


def parse_options(words: Sequence[str]) -> ServeConfig:
    """The options that these words make; `[a,b]` is a list and null is none.

    Raises:
        ConfigError: a word is no `key=value`, or a key or value is wrong.
    """
    composed: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if key.startswith("-") or not equals:
            raise ConfigError(f"{word}: options are written key=value, as in port=8001; --help lists them")
        if not value:
            raise ConfigError(f"{word} has no value; leave it out for the default; null stands for none")
        *groups, leaf = key.split(".")
        place = composed
        for group in groups:
            place = place.setdefault(group, {})
            if not isinstance(place, dict):
                raise ConfigError(f"{word}: {group} is no group of options; --help lists them")
        place[leaf] = _value(value)
    return validate_as(ServeConfig, composed, COMMAND)


def help_page() -> str:
    """What `--help` prints."""
    return _PAGE + "\n".join(_describe(ServeConfig, ""))


def _value(text: str) -> Any:
    if text == "null":
        return None
    if text.startswith("[") and text.endswith("]"):
        return [_path(part.strip()) for part in text[1:-1].split(",") if part.strip()]
    return _path(text)


def _path(text: str) -> str:
    """The text; `~/` is home, which a shell leaves as it is behind an equals sign."""
    return os.path.expanduser(text) if text.startswith("~/") else text


def _describe(section: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        if isinstance(field.default, BaseModel):
            yield from _describe(type(field.default), f"{prefix}{name}.")
            continue
        default = field.default if isinstance(field.default, str) else json.dumps(field.default)
        yield f"  {f'{prefix}{name}={default}':<30} {field.description or ''}".rstrip()
