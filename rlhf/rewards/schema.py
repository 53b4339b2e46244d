"""Whether a response is JSON that fits a schema, and how much of the schema it meets."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, SchemaError
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from rlhf.errors import ConfigError

_FENCE = re.compile(r"\A```[a-zA-Z]*\s*\n(?P<inside>.*?)\n?\s*```\Z", re.DOTALL)
_NOTHING = object()


class JsonSchema:
    """A JSON Schema; of the draft that its `$schema` names, else of 2020-12."""

    def __init__(self, schema: Any, name: str) -> None:
        """Takes the parsed schema; `name` is how messages call it.

        Raises:
            ConfigError: it is no schema.
        """
        self._name, self._schema = name, schema
        if not isinstance(schema, (dict, bool)):
            raise ConfigError(f"{name} is no JSON Schema: it is neither an object nor true or false")
        kind: Any = validator_for(schema, default=Draft202012Validator)
        try:
            kind.check_schema(schema)
        except SchemaError as error:
            raise ConfigError(f"{name} is no JSON Schema: {error.message}") from None
        self._validator: Any = kind(schema, registry=Registry())  # an empty one: nothing is fetched

    @classmethod
    def read(cls, file: str) -> "JsonSchema":
        """The schema of a file.

        Raises:
            ConfigError: there is no such file, it is not JSON, or no schema.
        """
        name = f"reward.json_schema={file}"
        try:
            schema = json.loads(Path(file).expanduser().read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{name}: cannot be read: {error.strerror} (looked in {Path.cwd()})") from None
        except ValueError as error:
            raise ConfigError(f"{name}: is not JSON: {error}") from None
        return cls(schema, name)

    def share(self, text: str) -> float:
        """The share of the schema's demands that a text meets: 1.0 if it is valid, 0.0 if it is not JSON.

        The demands are each property that the schema names or requires, and whatever else the whole value
        breaks (its type, an additional property). A Markdown fence around the text is taken off.

        Raises:
            ConfigError: the schema refers to something outside of it.
        """
        value = parse(text)
        if value is _NOTHING:
            return 0.0
        try:
            errors = list(self._validator.iter_errors(value))
        except Unresolvable as error:
            raise ConfigError(f"{self._name}: refers to what is not in it: {error}") from None
        if not errors:
            return 1.0
        if not isinstance(value, dict):
            return 0.0
        named = self._schema if isinstance(self._schema, Mapping) else {}
        demands = {*named.get("properties", {}), *named.get("required", ())}
        inside = {error.absolute_path[0] for error in errors if error.absolute_path}
        missing = {key for key in named.get("required", ()) if key not in value}
        other = [error for error in errors if not error.absolute_path and error.validator != "required"]
        met = len(demands - inside - missing)
        return met / (len(demands | inside) + len(other))


def parse(text: str) -> Any:
    """The value of a text that is JSON as a whole; a marker of its own where it is not."""
    stripped = text.strip()
    fenced = _FENCE.match(stripped)
    try:
        return json.loads(fenced["inside"] if fenced else stripped, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _NOTHING


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
