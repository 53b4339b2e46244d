"""Items to look at: prose, lists, code, formulas, a table, and tags that are none."""

import json
from pathlib import Path
from typing import Any

_FLAGS = ["unsafe", "false", "off-topic", "personal-data", "other"]
_SCALES = [{"name": "helpful"}, {"name": "honest"}, {"name": "harmless"}]
# By the names of the views.
FORMS: dict[str, dict[str, Any]] = {
    "compare": {"kind": "compare", "flags": _FLAGS, "edit": True},
    "rank": {"kind": "rank"},
    "rate": {"kind": "rate", "scales": _SCALES, "flags": ["false", "other"]},
    "score": {"kind": "score", "scales": [{"name": "quality", "low": 1, "high": 10}], "flags": ["unsafe"]},
    "thumb": {"kind": "thumb", "flags": ["unsafe", "false"], "edit": True},
    "write": {"kind": "write", "reason": "off"},
    "chat": {"kind": "chat"},
    "past": {"kind": "compare"},
    "finished": {"kind": "thumb"},
}
_COUNTS = {"compare": 2, "rank": 4, "rate": 2, "score": 1, "thumb": 1, "write": 0, "past": 2, "finished": 1}
_PAST = 60  # enough for each picture to judge some


def guidelines(language: str) -> str:
    """What raters are told."""
    return _texts(language)["guidelines"]


def items(view: str, language: str) -> list[dict[str, Any]]:
    """Rows as `import` takes them."""
    if view not in _COUNTS:
        return []
    texts = _texts(language)
    answers = texts["answers"][: _COUNTS[view]]
    if view != "past":
        return [{"prompt": texts["prompt"], "responses": answers}]
    short = texts["answers"][1::2]
    return [
        {"prompt": f"{texts['prompt']} ({n})", "responses": [f"{answer} ({n})" for answer in short]}
        for n in range(1, _PAST)
    ]


def _texts(language: str) -> dict[str, Any]:
    return json.loads((Path(__file__).parent / f"{language}.json").read_text("utf-8"))
