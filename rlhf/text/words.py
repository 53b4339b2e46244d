"""Normalising text and taking it apart into words."""

import re
import unicodedata

HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
KANA = "\u3040-\u30ff\u31f0-\u31ff"

_WORD = re.compile(rf"[{HAN}{KANA}]|[^\W{HAN}{KANA}]+(?:['’\-][^\W{HAN}{KANA}]+)*")
_NEWLINE = re.compile(r"\r\n?")


def normalise(text: str) -> str:
    """The text in Unicode NFC with every line ending as one newline; nothing else changes."""
    return unicodedata.normalize("NFC", _NEWLINE.sub("\n", text))


def words(text: str) -> list[str]:
    """The words in order, case kept, punctuation left out.

    Chinese characters (and Japanese kana) are a word each; elsewhere a word is a run of letters and digits,
    held together over inner apostrophes and hyphens: "It's 很好!" gives ["It's", "很", "好"].
    """
    return _WORD.findall(normalise(text))
