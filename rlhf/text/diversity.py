"""How much a text, or a set of texts, repeats itself."""

from collections.abc import Iterable, Sequence

from rlhf.text.words import words


def distinct_n(texts: Iterable[str], n: int) -> float:
    """Different n-grams of words over all n-grams, counted over all texts together (Li et al. 2016).

    Between 0 and 1; 0.0 where no text has n words. It falls as texts grow in number and length, so compare
    only sets of like size.
    """
    seen: set[tuple[str, ...]] = set()
    total = 0
    for text in texts:
        grams = _ngrams(words(text), n)
        seen.update(grams)
        total += len(grams)
    return len(seen) / total if total else 0.0


def repetition_rate(text: str, n: int = 4) -> float:
    """The share of a text's n-grams of words that it has said before (seq-rep-n of Welleck et al. 2020).

    0.0 where nothing recurs or the text has fewer than n words; near 1.0 for a loop.
    """
    grams = _ngrams(words(text), n)
    return 1.0 - len(set(grams)) / len(grams) if grams else 0.0


def _ngrams(tokens: Sequence[str], n: int) -> list[tuple[str, ...]]:
    if n < 1:
        raise ValueError(f"n={n}: an n-gram has at least one word; use n=1 or more")
    return [tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1)]
