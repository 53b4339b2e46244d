"""A guess at the language of a text by its script."""

import re
from typing import Literal

from rlhf.text.words import HAN, KANA, words

Language = Literal["zh", "en", "other"]

_HAN = re.compile(f"[{HAN}]")
_KANA = re.compile(f"[{KANA}]")
_ENGLISH = re.compile(r"[A-Za-z]+(?:['’\-][A-Za-z]+)*")


def guess_language(text: str) -> Language:
    """The script that most words are in: Chinese characters "zh", unaccented Latin "en", any other "other".

    A guess by script alone: French without accents counts as "en". Text with as much kana as a tenth of its
    Chinese characters is Japanese and "other"; so is text without letters.
    """
    counts: dict[Language, int] = {"zh": 0, "en": 0, "other": 0}
    kana = 0
    for word in words(text):
        if _HAN.fullmatch(word):
            counts["zh"] += 1
        elif _ENGLISH.fullmatch(word):
            counts["en"] += 1
        elif any(letter.isalpha() for letter in word):
            counts["other"] += 1
            kana += bool(_KANA.fullmatch(word))
    if kana and kana * 10 >= counts["zh"]:
        counts["other"] += counts["zh"]
        counts["zh"] = 0
    if not any(counts.values()):
        return "other"
    return max(counts, key=lambda language: counts[language])
