"""The board's words, English and Chinese: `feedback_ui/words/manager.en.json` and `manager.zh.json`."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from feedback_ui.language import Language

_FOLDER = Path(__file__).resolve().parents[1] / "words"


class Words:
    """What the board says in one language. `words("people.added", name="Bo")` fills `{name}` in."""

    def __init__(self, language: Language) -> None:
        self.language: Language = language
        path = _FOLDER / f"manager.{language}.json"
        self._words: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))

    def __call__(self, key: str, **values: Any) -> str:
        """The words of a key. Raises KeyError for an unknown key, and where a value is missing."""
        return self._words[key].format(**values)

    def seconds(self, seconds: float) -> str:
        """A span of time for people: `34 s`, `2 min 5 s`, `3 h 20 min`."""
        whole = round(seconds)
        if whole < 60:
            return self("unit.seconds", s=whole if whole >= 10 else f"{seconds:.1f}")
        if whole < 3600:
            return self("unit.minutes", min=whole // 60, s=whole % 60)
        return self("unit.hours", h=whole // 3600, min=whole % 3600 // 60)


@cache
def words_in(language: Language) -> Words:
    """The words of a language."""
    return Words(language)
