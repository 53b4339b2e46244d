"""Plain values and JSON: one way to write numbers, paths and models, and valid JSON always.

JSON knows no NaN and no infinity. Here they are written as the strings "NaN", "Infinity" and
"-Infinity", which `float()` reads back; every reader of JSON accepts such a file.
"""

import json
import math
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any, cast

NON_FINITE = ("NaN", "Infinity", "-Infinity")


def plain(value: Any) -> Any:
    """The value as dicts with string keys, lists, strings, numbers, booleans and None, nothing else.

    Takes mappings, sequences, sets (sorted), paths, enums, pydantic models, and scalars of numpy or torch.

    Raises:
        TypeError: the value, or something inside it, is none of these.
    """
    if value is None or isinstance(value, (str, bool)):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _number(float(value))
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in cast("Iterable[Any]", value)), key=str)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in cast("Iterable[Any]", value)]
    return _foreign(value)


def dumps(value: Any, *, indent: int | None = None) -> str:
    """Valid JSON of any value that `plain` takes, with Chinese left readable."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=indent)


def canonical(value: Any) -> bytes:
    """The one spelling of a value: keys sorted, no spaces, UTF-8. What a hash is taken of."""
    text = json.dumps(
        plain(value), ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
    )
    return text.encode("utf-8", errors="surrogatepass")


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _foreign(value: Any) -> Any:
    """Pydantic models and the scalars of numpy and torch, by what they offer (base imports neither)."""
    for convert in ("model_dump", "item"):
        if not isinstance(value, type) and hasattr(value, convert):
            return plain(getattr(value, convert)())
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON: {value!r:.80}")
