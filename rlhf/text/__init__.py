"""Text alone, Chinese as well as English: normalising, guessing the language, words, repetition. No torch."""

from rlhf.text.diversity import distinct_n, repetition_rate
from rlhf.text.language import Language, guess_language
from rlhf.text.words import normalise, words

__all__ = ["Language", "distinct_n", "guess_language", "normalise", "repetition_rate", "words"]
