"""Whether a text gives the answer of a reference: the same words, or the same number."""

import math
import unicodedata
from collections.abc import Sequence

from rlhf.text.numbers import last_number

RELATIVE_TOLERANCE = 1e-6


def canonical(text: str) -> str:
    """The text by which answers are compared.

    Full-width forms become ordinary ones (Unicode NFKC), case and white space are folded, and punctuation at
    either end is taken off, but for "-", "%" and "#": "“北京”。" and "北京" are one, "Yes!" and "yes".
    """
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    kept = [at for at, character in enumerate(folded) if not _is_edge(character)]
    return folded[kept[0] : kept[-1] + 1] if kept else folded


def exact_match(text: str, references: Sequence[str]) -> bool:
    """Whether the whole text is one of the references, compared by `canonical`."""
    said = canonical(text)
    return any(said == canonical(reference) for reference in references)


def numeric_match(text: str, references: Sequence[str]) -> bool:
    """Whether the last number in the text is that of a reference, within a millionth of it.

    The habit is that of GSM8K's checkers; `rlhf.text.numbers` says what counts as a number. Raises ValueError
    where a reference holds none.
    """
    wanted: list[float] = []
    for reference in references:
        number = last_number(reference)
        if number is None:
            raise ValueError(f"the reference {reference!r} holds no number")
        wanted.append(number)
    said = last_number(text)
    return said is not None and any(
        math.isclose(said, number, rel_tol=RELATIVE_TOLERANCE, abs_tol=1e-12) for number in wanted
    )


def _is_edge(character: str) -> bool:
    return character.isspace() or (unicodedata.category(character)[0] == "P" and character not in "-%#")
