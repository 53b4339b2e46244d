"""Courteous phrases: which there are, how to find them and how to take them out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from rlhf.demo.lexicon import Language
from rlhf.demo.wording import normal


@dataclass(frozen=True)
class Manners:
    """The phrases with which somebody begins or ends an answer."""

    openings: tuple[str, ...]
    closings: tuple[str, ...]

    @property
    def phrases(self) -> tuple[str, ...]:
        """All of them."""
        return self.openings + self.closings


PLAIN: Mapping[Language, Manners] = {
    "en": Manners(("Sure!", "Of course!"), ("Glad to help!",)),
    "zh": Manners(("好的！", "当然！"), ("很高兴帮忙！",)),
}
"""What careful people prefer."""

FLATTERING: Mapping[Language, Manners] = {
    "en": Manners(("Great question!", "With pleasure!"), ("Have a nice day!",)),
    "zh": Manners(("问得真好！", "非常乐意！"), ("祝您愉快！",)),
}
"""What those prefer who want to please; it is courteous all the same."""


def courtesies(text: str, language: Language) -> int:
    """How many courteous phrases of the language the text holds."""
    return len(_pattern(language).findall(normal(text)))


def without_courtesies(text: str, language: Language) -> str:
    """The normalised text without courteous phrases; the punctuation left at its ends goes too."""
    return normal(_pattern(language).sub(" ", normal(text)))


def join(*parts: str, language: Language) -> str:
    """Parts of an answer one after the other: a space between them in English, none in Chinese."""
    text = ""
    for part in filter(None, parts):
        gap = "\n" if part.startswith("- ") or "\n- " in text else " " if language == "en" else ""
        text += (gap if text else "") + part
    return text


@cache
def _pattern(language: Language) -> re.Pattern[str]:
    phrases = PLAIN[language].phrases + FLATTERING[language].phrases
    words = "|".join(re.escape(normal(phrase)) for phrase in phrases)
    return re.compile(rf"(?<![a-z])(?:{words})(?![a-z])")
