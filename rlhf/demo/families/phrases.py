"""What families of one short answer share: a phrase, the phrase in quotes, a sentence."""

from abc import ABC, abstractmethod

from rlhf.demo.families.base import Form, SingleTurn, Spec, Value, ended, quoted
from rlhf.demo.lexicon import Language
from rlhf.demo.wording import upper_first


class Phrases(SingleTurn, ABC):
    """A family that answers with a phrase, or with a sentence around it."""

    forms: tuple[Form, ...] = ("short", "sentence", "quoted")

    @abstractmethod
    def phrase(self, value: Value, spec: Spec, language: Language) -> str:
        """The value in as few words as it takes."""

    @abstractmethod
    def sentence(self, value: Value, spec: Spec, language: Language) -> str:
        """The value in a sentence, without the full stop."""

    def render(self, value: Value, form: Form, spec: Spec, language: Language) -> str:
        """For example `Blue.`, `The hat is blue.` or `"Blue"`."""
        if form == "sentence":
            return ended(upper_first(self.sentence(value, spec, language)), language)
        said = upper_first(self.phrase(value, spec, language))
        return quoted(said, language) if form == "quoted" else ended(said, language)
