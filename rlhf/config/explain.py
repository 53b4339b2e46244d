"""A composed configuration becomes a `Config`, or one error that lists all that is wrong."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from rlhf.config.schema import Config
from rlhf.errors import ConfigError

S = TypeVar("S", bound=BaseModel)


def validate(composed: Mapping[str, Any]) -> Config:
    """The configuration as a `Config`.

    Raises:
        ConfigError: names every key that is unknown, wrong or in contradiction, a line each.
    """
    return validate_as(Config, composed, "python -m rlhf.run")


def validate_as(root: type[S], composed: Mapping[str, Any], command: str) -> S:
    """The options of a command as its own model; raises as `validate` does."""
    try:
        return root.model_validate(composed)
    except ValidationError as error:
        lines = list(_explain(error, composed, root, command))
        shown = lines[:8] + ([f"and {len(lines) - 8} more"] if len(lines) > 8 else [])
        raise ConfigError("\n".join(shown)) from None


def known_keys(
    model: type[BaseModel] = Config, prefix: str = "", chosen: Mapping[str, Any] | None = None
) -> Iterator[str]:
    """Dotted names of the keys that a command may set: all, or those that fit what `chosen` composed."""
    for name, field in model.model_fields.items():
        yield prefix + name
        below = chosen.get(name) if chosen else None
        for section in _sections(field.annotation):
            if chosen is None or _is_kind(section, below):
                inside = below if isinstance(below, Mapping) else {}
                yield from known_keys(section, f"{prefix}{name}.", None if chosen is None else inside)


def _is_kind(section: type[BaseModel], composed: Any) -> bool:
    kind = composed.get("kind") if isinstance(composed, Mapping) else None
    return kind is None or "kind" not in section.model_fields or kind in _kinds(section)


def _kinds(section: type[BaseModel]) -> tuple[str, ...]:
    return get_args(section.model_fields["kind"].annotation)


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _sections(part)


def _explain(
    error: ValidationError, composed: Mapping[str, Any], root: type[BaseModel], command: str
) -> Iterator[str]:
    """A line for each key that is wrong: key, value, rule, remedy."""
    rules: dict[str, list[str]] = {}
    for item in error.errors(include_url=False):
        key, value = _locate([str(part) for part in item["loc"]], composed)
        message = item["msg"].removeprefix("Value error, ")
        names_its_key = item["type"] == "value_error" and isinstance(value, Mapping)
        if item["type"] == "extra_forbidden":
            hint = _hint(key, composed, root, command)
            subject, rule = f"{key}={value}", f"there is no such option here; {hint}"
        elif item["type"] == "missing":
            subject, rule = key, f"is needed; add {key}=... to the command"
        elif names_its_key:
            subject, rule = "", f"{key}.{message}" if key else message
        else:
            subject, rule = f"{key}={value}", message[0].lower() + message[1:]
        if subject:
            rules.setdefault(subject, []).append(rule)
        else:
            yield rule
    for subject, reasons in rules.items():
        yield f"{subject}: {', or '.join(reasons)}"


def _hint(key: str, composed: Mapping[str, Any], root: type[BaseModel], command: str) -> str:
    group, _, leaf = key.rpartition(".")
    here = sorted(set(known_keys(root, chosen=composed)))
    same = [known for known in here if known.startswith(f"{group}.") and known.endswith(f".{leaf}")]
    near = same[:4] or difflib.get_close_matches(key, here, n=2, cutoff=0.6)
    elsewhere = _owners(group, leaf, root)
    if elsewhere and not same:
        return f"it belongs to {' and '.join(f'{group}={kind}' for kind in elsewhere)}"
    return f"did you mean {' or '.join(near)}?" if near else f"`{command} --help` lists the keys"


def _owners(group: str, leaf: str, root: type[BaseModel]) -> list[str]:
    """The kinds of a group that have this key: `stage`, `total_episodes` gives `ppo`."""
    if group not in root.model_fields:
        return []
    sections = [s for s in _sections(root.model_fields[group].annotation) if "kind" in s.model_fields]
    return [kind for s in sections if leaf in s.model_fields for kind in _kinds(s)]


def _locate(path: list[str], composed: Mapping[str, Any]) -> tuple[str, Any]:
    """The dotted key that a person would type, and its value.

    Pydantic's path also holds the tag of a union or the type that it tried; those lead nowhere in `composed`.
    """
    keys: list[str] = []
    node: Any = composed
    tag_seen = False
    for position, part in enumerate(path):
        if not tag_seen and isinstance(node, Mapping) and node.get("kind") == part:
            tag_seen = True
        elif isinstance(node, Mapping) and part in node:
            node, tag_seen = node[part], False
            keys.append(part)
        elif position == len(path) - 1 and isinstance(node, Mapping):
            keys.append(part)  # a key that is missing
    return ".".join(keys), node
