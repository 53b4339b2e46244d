"""Sentiment: say whether a short review is positive or negative."""

from random import Random
from typing import Any

from rlhf.demo.families.base import Spec, Value, other
from rlhf.demo.families.phrases import Phrases
from rlhf.demo.lexicon import BLAME, MOODS, PRAISE, SUBJECTS, Language, Table, mentions

_TABLES: dict[str, Table] = {"positive": PRAISE, "negative": BLAME}


class Sentiment(Phrases):
    """For example "Positive or negative: the food was great, the room was lovely"."""

    name = "sentiment"

    def make(self, rng: Random) -> dict[str, Any]:
        """Two subjects, and two judgements of one mood."""
        mood = rng.choice(list(MOODS))
        words = rng.sample(list(_TABLES[mood]), 2)
        return {"mood": mood, "subjects": rng.sample(list(SUBJECTS), 2), "words": words}

    def question(self, spec: Spec, language: Language) -> str:
        """The question and the review."""
        subjects = [SUBJECTS[key].surface(language) for key in spec["subjects"]]
        words = [_TABLES[spec["mood"]][key].surface(language) for key in spec["words"]]
        if language == "en":
            review = ", ".join(f"the {s} was {w}" for s, w in zip(subjects, words, strict=True))
            return f"Positive or negative: {review}."
        review = "，".join(f"{s}{w}" for s, w in zip(subjects, words, strict=True))
        return f"正面还是负面：{review}。"

    def answer(self, spec: Spec) -> Value:
        """The mood of the judgements."""
        return (spec["mood"],)

    def wrong(self, spec: Spec, rng: Random) -> Value:
        """The other mood."""
        return (other(rng, list(MOODS), spec["mood"]),)

    def phrase(self, value: Value, spec: Spec, language: Language) -> str:
        """For example "positive"."""
        return MOODS[value[0]].surface(language)

    def sentence(self, value: Value, spec: Spec, language: Language) -> str:
        """For example "the review is positive"."""
        word = MOODS[value[0]].surface(language)
        return f"the review is {word}" if language == "en" else f"这是{word}评价"

    def parse(self, content: str, spec: Spec, language: Language) -> list[Value]:
        """The moods named."""
        return [(key,) for key in mentions(content, MOODS, language)]
