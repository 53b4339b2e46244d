"""Plain text measures that the gold rater and the simulated raters share."""

import re
import unicodedata

_UNIT = re.compile(r"[\u4e00-\u9fff]|[a-z0-9']+")
_CLAUSE_END = re.compile(r"[.!?;,:\n。！？；，：、]+")
_TRAILING = " \n\t.!?,;。！？，；"


def normal(text: str) -> str:
    """The text in NFKC and lower case, white space folded within lines, without punctuation at its ends."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    lines = (" ".join(line.split()) for line in folded.split("\n"))
    return "\n".join(line for line in lines if line).strip(_TRAILING)


def units(text: str) -> list[str]:
    """The words of the text; a Chinese character is one."""
    return _UNIT.findall(unicodedata.normalize("NFKC", text).casefold())


def trigrams(words: list[str]) -> list[tuple[str, str, str]]:
    """Every three words that stand together."""
    return list(zip(words, words[1:], words[2:], strict=False))


def clauses(text: str) -> list[str]:
    """The parts between punctuation marks, normalised, empty ones left out."""
    return [clause for part in _CLAUSE_END.split(text) if (clause := normal(part))]


def repeats(text: str) -> int:
    """How many clauses and word trigrams of the text have stood in it before."""
    parts, threes = clauses(text), trigrams(units(text))
    return len(parts) - len(set(parts)) + len(threes) - len(set(threes))


def upper_first(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]
