"""What went wrong, in the language of a page.

Errors say it in English where they are raised; `words/problems.zh.json` has the same in Chinese for each of
their templates that a rater or a manager can meet.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from feedback_ui.errors import FeedbackError, Phrase

_CHINESE = Path(__file__).parent / "words" / "problems.zh.json"


def in_words(said: Exception | Phrase, language: str) -> str:
    """An error or a phrase in `en` or `zh`; what has no translation is said in English."""
    if language != "zh":
        return str(said)
    if isinstance(said, Phrase):
        return _chinese().get(said, said)
    template = _chinese().get(said.template) if isinstance(said, FeedbackError) else None
    if template is None or not isinstance(said, FeedbackError):
        return str(said)
    values = {name: _value(value, language) for name, value in said.values.items()}
    return template.format(**values) if values else template


def _value(value: object, language: str) -> object:
    return in_words(value, language) if isinstance(value, (FeedbackError, Phrase)) else value


@cache
def _chinese() -> Mapping[str, str]:
    return json.loads(_CHINESE.read_text(encoding="utf-8"))
