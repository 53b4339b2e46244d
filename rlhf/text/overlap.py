"""How much of a reference a text repeats: BLEU, ROUGE and chrF of one text, each between 0 and 1.

Chinese is counted by character, other scripts by word. Several references may be given. BLEU and chrF are
sacrebleu's; ROUGE is counted here, since the usual package drops every character that is not a-z or 0-9.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from rlhf.text.words import HAN, normalise, words

_HAN = re.compile(f"[{HAN}]")


def bleu(text: str, references: Sequence[str]) -> float:
    """Sentence BLEU of up to four words, exponentially smoothed, over the orders that the text has.

    Source: Papineni et al. 2002; smoothing 3 of Chen & Cherry 2014. Where a reference holds Chinese
    characters, sacrebleu's `zh` tokeniser takes both apart by character, else `13a` by word.
    """
    tokenizer = "zh" if any(map(_HAN.search, references)) else "13a"
    return _bleu(tokenizer).sentence_score(normalise(text), _normalised(references)).score / 100


def chrf(text: str, references: Sequence[str]) -> float:
    """F2 over character n-grams up to 6, the best over the references; white space does not count.

    Source: Popović 2015. It needs no words, so it is the same for every script.
    """
    return _chrf().sentence_score(normalise(text), _normalised(references)).score / 100


def rouge_n(text: str, references: Sequence[str], n: int) -> float:
    """F1 of the n-grams of words that text and reference share, the best over the references.

    Source: Lin 2004. Case is folded, nothing is stemmed. 0.0 where either has no n-gram.
    """
    mine = Counter(_ngrams(_folded(text), n))
    scores = [0.0]
    for reference in references:
        theirs = Counter(_ngrams(_folded(reference), n))
        scores.append(_f1((mine & theirs).total(), mine.total(), theirs.total()))
    return max(scores)


def rouge_l(text: str, references: Sequence[str]) -> float:
    """F1 of the longest common subsequence of words, the best over the references.

    Source: Lin 2004, the sentence-level form.
    """
    mine = _folded(text)
    scores = [0.0]
    for reference in references:
        theirs = _folded(reference)
        scores.append(_f1(_common_subsequence(mine, theirs), len(mine), len(theirs)))
    return max(scores)


def _f1(shared: int, mine: int, theirs: int) -> float:
    return 2 * shared / (mine + theirs) if shared else 0.0


def _folded(text: str) -> list[str]:
    return words(text.casefold())


def _ngrams(tokens: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1)]


def _common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence, a row of the table at a time."""
    above = [0] * (len(other) + 1)
    for token in one:
        row = [0]
        for at, candidate in enumerate(other):
            row.append(above[at] + 1 if token == candidate else max(above[at + 1], row[at]))
        above = row
    return above[-1]


def _normalised(references: Sequence[str]) -> list[str]:
    return [normalise(reference) for reference in references]


@cache
def _bleu(tokenizer: str) -> BLEU:
    return BLEU(tokenize=tokenizer, effective_order=True)


@cache
def _chrf() -> CHRF:
    return CHRF()
